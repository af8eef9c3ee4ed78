"""``selkit stats`` on a file, as a person and a program use it."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest

from selkit.__main__ import main

pytest.importorskip("scipy")


class Done(NamedTuple):
    """How the command ended."""

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
def scores(tmp_path: Path, columns: Callable, noisy: Callable) -> Path:
    """A score table in which one arm beats random, as Parquet and as CSV."""
    table = pa.table(columns({"longest": noisy(0.6, 3, 60, seed=1), "random": noisy(0.4, 5, 60, seed=2)}))
    pyarrow.parquet.write_table(table, tmp_path / "scores.parquet")
    pyarrow.csv.write_csv(table, tmp_path / "scores.csv")
    return tmp_path


def test_people_get_a_table_and_sentences(scores: Path, run: Callable) -> None:
    """stdout holds the table and a sentence for each verdict, stderr nothing."""
    done = run(str(scores / "scores.csv"))
    assert (done.returncode, done.stderr) == (0, "")
    assert "longest beats random by" in done.stdout
    assert "BEATS" in done.stdout
    assert done.stdout.rstrip().endswith("3 against 5 runs, 60 items).")


def test_programs_get_json_that_the_format_does_not_change(scores: Path, run: Callable) -> None:
    """CSV and Parquet give the same JSON, with the margin that was asked for."""
    found = [
        json.loads(run(str(scores / name), "--json", "--margin", "bench=2.5").stdout)
        for name in ("scores.parquet", "scores.csv")
    ]
    assert found[0] == found[1]
    (row,) = found[0]["verdicts"]
    assert (row["arm"], row["control"], row["verdict"], row["margin"]) == ("longest", "random", "BEATS", 2.5)
    assert (row["items"], row["runs"], row["control_runs"]) == (60, 3, 5)


def test_another_control_and_alpha(scores: Path, run: Callable) -> None:
    """--control turns the comparison round; --alpha decides what is significant."""
    found = json.loads(run(str(scores / "scores.csv"), "--json", "--control", "longest").stdout)["verdicts"][0]
    assert (found["arm"], found["verdict"]) == ("random", "WORSE")
    strict = json.loads(run(str(scores / "scores.csv"), "--json", "--alpha", "1e-12").stdout)["verdicts"][0]
    assert strict["verdict"] == "NOT_WORSE"


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["nowhere.csv"], 4, "there is no file"),
        (["scores.csv", "--control", "rand"], 4, "no scores of the control 'rand'"),
        (["scores.csv", "--margin", "bench"], 2, "not BENCHMARK=POINTS"),
        (["scores.csv", "--margin", "=1"], 2, "not BENCHMARK=POINTS"),
        (
            ["scores.csv", "--margin", "bnech=1"],
            2,
            "no benchmark 'bnech': the benchmarks are bench. Did you mean 'bench'?",
        ),
        (["scores.csv", "--alpha", "5"], 2, "alpha is 5"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(
    scores: Path, run: Callable, arguments: list[str], code: int, says: str
) -> None:
    """One line on stderr, nothing on stdout, and the exit code of its kind."""
    done = run(str(scores / arguments[0]), *arguments[1:])
    assert (done.returncode, done.stdout) == (code, "")
    assert says in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
