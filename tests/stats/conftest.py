"""Score tables for the tests of the statistics."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray

from selkit.__main__ import main
from selkit.stats import ScoreTable

Columns = dict[str, list[Any]]


class Done(NamedTuple):
    """How a command ended."""

    returncode: int
    stdout: str
    stderr: str


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Iterator[Callable[..., Done]]:
    """Runs ``selkit stats ARGUMENTS`` through the entry point; the handler that it sets for SIGTERM is given back."""
    before = signal.getsignal(signal.SIGTERM)
    yield lambda *arguments: Done(main(["stats", *arguments]), *capsys.readouterr())
    signal.signal(signal.SIGTERM, before)


@pytest.fixture
def columns() -> Callable[..., Columns]:
    """Columns of a table from matrices (run x item) by arm."""

    def build(matrices: Mapping[str, NDArray], benchmark: str = "bench", **constant: Any) -> Columns:
        rows: Columns = {name: [] for name in ("arm", "run", "item", "benchmark", "score", *constant)}
        for arm, scores in matrices.items():
            for (run, item), score in np.ndenumerate(np.atleast_2d(scores)):
                here = {"arm": arm, "run": run, "item": f"i{item:03}", "benchmark": benchmark, "score": float(score)}
                for name, value in (here | constant).items():
                    rows[name].append(value)
        return rows

    return build


@pytest.fixture
def table(columns: Callable[..., Columns]) -> Callable[..., ScoreTable]:
    """A table from matrices (run x item) by arm."""
    return lambda matrices, **options: ScoreTable.from_columns(columns(matrices, **options))


@pytest.fixture
def noisy() -> Callable[..., NDArray]:
    """Scores around a mean: (runs, items) with items, runs and residuals that vary."""

    def draw(
        mean: float, runs: int, items: int = 200, *, seed: int, run_sd: float = 0.01, item_sd: float = 0.2
    ) -> NDArray:
        rng = np.random.default_rng(seed)
        noise = rng.normal(0, run_sd, (runs, 1)) + rng.normal(0, item_sd, items) + rng.normal(0, 0.1, (runs, items))
        return np.clip(mean + noise, 0, 1)

    return draw


@pytest.fixture
def joined() -> Callable[..., Columns]:
    """Columns one after the other; a column that one of them lacks is null there."""

    def join(*parts: Columns) -> Columns:
        names = dict.fromkeys(name for part in parts for name in part)
        return {name: [v for p in parts for v in p.get(name, [None] * len(p["arm"]))] for name in names}

    return join
