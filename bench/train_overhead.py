"""Training through selkit against the same SFTTrainer call written by hand.

Both must end in the same weights and the same losses, to the last bit. Then tokens a second of the training loops, in
interleaved pairs; printed is the median of the pairs' ratios. ``python bench/train_overhead.py [STEPS] [PAIRS]``;
5 pairs of 120 steps take about 2 minutes on one core.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import contextlib
import hashlib
import io
import platform
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

SEED = 7
TARGET = 0.97


def by_hand(folder: Path, pool: Any, recipe: Any, output: Path) -> tuple[list[float], float]:
    """What somebody would write without selkit; returns the losses and tokens a second of the loop."""
    import torch
    from datasets import Dataset
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from trl import SFTConfig, SFTTrainer

    from selkit.api import TEMPLATES

    torch.set_num_threads(1)
    template = TEMPLATES[recipe.template]
    rows = sorted(pool, key=lambda row: row.id)
    data = Dataset.from_dict(
        {"prompt": [template.prompt(row) for row in rows], "completion": [row.response for row in rows]}
    )
    config = SFTConfig(
        output_dir=str(output),
        learning_rate=recipe.learning_rate,
        lr_scheduler_type=recipe.scheduler,
        warmup_steps=recipe.warmup,
        per_device_train_batch_size=recipe.batch_size,
        max_steps=recipe.max_steps,
        max_length=recipe.max_length,
        gradient_checkpointing=False,
        use_cpu=True,
        bf16=False,
        seed=SEED,
        data_seed=SEED,
        logging_steps=1,
        report_to="none",
        save_strategy="no",
        disable_tqdm=True,
    )
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    trainer = SFTTrainer(model=model, args=config, train_dataset=data, processing_class=tokenizer)
    started = time.perf_counter()
    with contextlib.redirect_stdout(io.StringIO()):  # the trainer prints every step
        trainer.train()
    seconds = time.perf_counter() - started
    trainer.model.save_pretrained(output)
    history = trainer.state.log_history
    losses = [entry["loss"] for entry in history if "loss" in entry]
    return losses, max(entry.get("num_tokens", 0.0) for entry in history) / seconds


def through_selkit(folder: Path, pool: Any, recipe: Any, output: Path) -> tuple[list[float], float]:
    """The same through selkit."""
    from selkit.train import train

    report = train(str(folder), pool, recipe, output, seed=SEED, device="cpu", threads=1)
    return [loss for _, loss in report.loss_curve], report.tokens_per_second


def digest(output: Path) -> str:
    """Digest of the trained weights, tensor by tensor."""
    from safetensors import safe_open

    total = hashlib.sha256()
    with safe_open(output / "model.safetensors", framework="np") as file:
        for name in sorted(file.keys()):
            total.update(name.encode() + file.get_tensor(name).tobytes())
    return total.hexdigest()


def main() -> int:
    """Runs the comparison and prints it; returns 1 where the target is missed."""
    from selkit.console import get_console
    from selkit.models import resolve
    from selkit.pools import load_pool
    from selkit.train import load_recipe

    steps, pairs = (int(value) for value in (*sys.argv[1:], *("120", "5")[len(sys.argv) - 1 :]))
    get_console().quiet = True
    pool = load_pool("planted")
    folder = resolve("tiny:llama").path
    recipe = load_recipe({"preset": "quickstart", "max_steps": steps})
    ratios, speeds = [], []
    with tempfile.TemporaryDirectory() as scratch:
        for pair in range(-1, pairs):  # the first warms up
            ways = [("selkit", through_selkit), ("hand", by_hand)]
            found = {}
            for name, way in ways if pair % 2 else ways[::-1]:
                found[name] = way(folder, pool, recipe, Path(scratch) / f"{name}{pair}")
            assert found["selkit"][0] == found["hand"][0], "the losses differ"
            weights = {digest(Path(scratch) / f"{name}{pair}") for name in found}
            assert len(weights) == 1, "the weights differ"
            if pair >= 0:
                ratios.append(found["selkit"][1] / found["hand"][1])
                speeds.append(found["selkit"][1])
    ratio = statistics.median(ratios)
    print(f"same weights and losses in {pairs + 1} pairs of {steps} steps")
    print(f"selkit {statistics.median(speeds):.0f} tokens/s, {ratio:.3f} of the call by hand (target {TARGET})")
    print("ratios", " ".join(f"{value:.3f}" for value in ratios))
    print(f"machine: {platform.machine()}, {os.cpu_count()} cores, 1 thread, Python {platform.python_version()}")
    return 0 if ratio >= TARGET else 1


if __name__ == "__main__":
    sys.exit(main())
