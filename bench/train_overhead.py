"""Training through selkit against the same SFTTrainer call written by hand.

Both must end in the same weights and the same losses, to the last bit. Then tokens a second of the training loops, in
interleaved pairs; printed is the median of the pairs' ratios. ``python bench/train_overhead.py [STEPS] [PAIRS]``;
5 pairs of 240 steps take about 4 minutes on an idle core. On a busy machine only processor time says much.
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
from collections.abc import Iterator
from pathlib import Path
from typing import Any

SEED = 7
TARGET = 0.97


def by_hand(folder: Path, pool: Any, recipe: Any, output: Path) -> list[float]:
    """What somebody would write without selkit; returns the loss of each step."""
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
    with contextlib.redirect_stdout(io.StringIO()):  # the trainer prints every step
        trainer.train()
    trainer.model.save_pretrained(output)
    history = trainer.state.log_history
    return [entry["loss"] for entry in history if "loss" in entry]


def through_selkit(folder: Path, pool: Any, recipe: Any, output: Path) -> list[float]:
    """The same through selkit."""
    from selkit.train import train

    report = train(str(folder), pool, recipe, output, seed=SEED, device="cpu", threads=1)
    return [loss for _, loss in report.loss_curve]


def digest(output: Path) -> str:
    """Digest of the trained weights, tensor by tensor."""
    from safetensors import safe_open

    total = hashlib.sha256()
    with safe_open(output / "model.safetensors", framework="np") as file:
        for name in sorted(file.keys()):
            total.update(name.encode() + file.get_tensor(name).tobytes())
    return total.hexdigest()


@contextlib.contextmanager
def clocked() -> Iterator[dict[str, float]]:
    """Wall and processor seconds of the training loop inside the block, and its tokens, whoever starts it."""
    from trl import SFTTrainer

    found: dict[str, float] = {}
    real = SFTTrainer.train

    def train(self: Any, *args: Any, **kwargs: Any) -> Any:
        wall, busy = time.perf_counter(), time.process_time()
        result = real(self, *args, **kwargs)
        found["wall"], found["busy"] = time.perf_counter() - wall, time.process_time() - busy
        found["tokens"] = max(entry.get("num_tokens", 0.0) for entry in self.state.log_history)
        return result

    SFTTrainer.train = train
    try:
        yield found
    finally:
        SFTTrainer.train = real


def one_pair(folder: Path, pool: Any, recipe: Any, scratch: Path, selkit_first: bool) -> dict[str, dict[str, float]]:
    """Trains both ways, asserts that they give the same, and returns what the clock says of each."""
    ways = [("selkit", through_selkit), ("hand", by_hand)]
    clocks, losses = {}, []
    for name, way in ways if selkit_first else ways[::-1]:
        with clocked() as clocks[name]:
            losses.append(way(folder, pool, recipe, scratch / name))
    assert losses[0] == losses[1], "the losses differ"
    assert digest(scratch / "selkit") == digest(scratch / "hand"), "the weights differ"
    return clocks


def ratios(pairs: list[dict[str, dict[str, float]]], clock: str) -> list[float]:
    """Speed of selkit over speed by hand, by one of the clocks."""
    return [pair["hand"][clock] / pair["selkit"][clock] for pair in pairs]


def main() -> int:
    """Runs the comparison and prints it; returns 1 where the target is missed."""
    from selkit.console import get_console
    from selkit.models import resolve
    from selkit.pools import load_pool
    from selkit.train import load_recipe

    steps, count = (int(value) for value in (*sys.argv[1:], *("240", "5")[len(sys.argv) - 1 :]))
    get_console().quiet = True
    pool, folder = load_pool("planted"), resolve("tiny:llama").path
    recipe = load_recipe({"preset": "quickstart", "max_steps": steps})
    pairs = []
    for number in range(count + 1):
        with tempfile.TemporaryDirectory() as scratch:
            pairs.append(one_pair(folder, pool, recipe, Path(scratch), bool(number % 2)))
    measured = pairs[1:]  # the first warms up
    wall, busy = (ratios(measured, clock) for clock in ("wall", "busy"))
    speed = statistics.median(pair["selkit"]["tokens"] / pair["selkit"]["wall"] for pair in measured)
    print(f"same weights and losses in {len(pairs)} pairs of {steps} steps")
    print(f"selkit {speed:.0f} tokens/s, {statistics.median(wall):.3f} of the call by hand (target {TARGET})")
    print("pairs  " + " ".join(f"{value:.3f}" for value in wall))
    print(f"by processor time {statistics.median(busy):.3f}: " + " ".join(f"{value:.3f}" for value in busy))
    print(f"machine: {platform.machine()}, {os.cpu_count()} cores, 1 thread, Python {platform.python_version()}")
    return 0 if statistics.median(wall) >= TARGET else 1


if __name__ == "__main__":
    sys.exit(main())
