"""A small eval set with judged models, written as AlpacaEval writes its files."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from selkit.__main__ import main


class Done(NamedTuple):
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def models(self) -> list[dict[str, Any]]:
        """The models of the JSON on stdout."""
        return json.loads(self.out)["models"]


@pytest.fixture
def evaluate(capsys: pytest.CaptureFixture[str]) -> Iterator[Callable[..., Done]]:
    """Runs ``selkit eval alpaca-eval ARGUMENTS``; the handler that it sets for SIGTERM is given back."""
    before = signal.getsignal(signal.SIGTERM)
    yield lambda *arguments: Done(main(["eval", "alpaca-eval", *map(str, arguments)]), *capsys.readouterr())
    signal.signal(signal.SIGTERM, before)


@dataclass
class World:
    """An eval set, and a judge who likes length by one logit a standard deviation."""

    folder: Path
    n: int = 120

    @property
    def eval_set(self) -> list[dict[str, Any]]:
        """Its rows: every instruction with an answer of the baseline ``base``."""
        lengths = np.random.default_rng(0).integers(100, 900, self.n)
        return [
            {"index": 2 * i, "instruction": f"Do {i}.", "output": "b" * int(size), "generator": "base"}
            for i, size in enumerate(lengths)
        ]

    def rows(self, name: str, seed: int = 1, skill: float = 0.0, baseline: str = "base") -> list[dict[str, Any]]:
        """Annotations of a model whose answers are won by skill and by length."""
        rng = np.random.default_rng(seed)
        gap = rng.normal(0, 150, self.n).round()
        p = 1 / (1 + np.exp(-(skill + np.tanh(gap / 150))))
        return [
            {
                "index": row["index"],
                "generator_1": baseline,
                "generator_2": name,
                "output_2": "m" * max(1, len(row["output"]) + int(size)),
                "preference": 1 + int(won),
            }
            for row, size, won in zip(self.eval_set, gap, rng.random(self.n) < p, strict=True)
        ]

    def write(self, name: str, rows: Any) -> Path:
        """A file of these rows: JSON Lines where the name ends so, else a JSON list."""
        path = self.folder / name
        text = "".join(json.dumps(row) + "\n" for row in rows) if name.endswith("jsonl") else json.dumps(rows)
        path.write_text(text, "utf-8")
        return path

    def write_eval_set(self) -> Path:
        """The eval set as a file."""
        return self.write("eval-set.jsonl", self.eval_set)


@pytest.fixture
def world(tmp_path: Path) -> World:
    """120 instructions."""
    return World(tmp_path)


@pytest.fixture
def direct(evaluate: Callable[..., Done]) -> Callable[..., Done]:
    """Runs the direct mode with few resamples; every path is a file of annotations, options follow after."""

    def run(*paths: Path, options: tuple[Any, ...] = ()) -> Done:
        named = [word for path in paths for word in ("--annotations", path)]
        return evaluate(*named, "--mode", "direct", "--bootstraps", 50, "--json", *options)

    return run
