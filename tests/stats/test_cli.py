"""``selkit stats`` on a file, as a person and a program use it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest

pytest.importorskip("scipy")


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
    assert "3 against 5 runs, 60 items).\n" in done.stdout
    assert done.stdout.startswith("verdicts on bench (differences in points of 100)\n")


def test_every_number_behind_a_verdict_is_in_the_table_for_people(scores: Path, run: Callable) -> None:
    """Interval for the family, df, raw p, tests, run sds, what would be found and would settle it, and the flags."""
    (row,) = json.loads(run(str(scores / "scores.csv"), "--json", "--margin", "bench=90").stdout)["verdicts"]
    said = run(str(scores / "scores.csv"), "--margin", "bench=90").stdout.splitlines()
    at = said.index("what stands behind them")
    assert " ".join(said[at + 1].split()) == "arm simultaneous df p tests run sd control's detectable"
    cells = said[at + 3].split("  ")
    assert [cell.strip() for cell in cells if cell] == [
        "longest",
        f"{row['simultaneous_low']:+.1f} to {row['simultaneous_high']:+.1f}",
        f"{row['df']:.1f}",
        "<0.001",
        "1",
        f"{row['run_sd']:.2f}",
        f"{row['control_run_sd']:.2f}",
        f"{row['mde']:.1f}",
    ]
    assert said[at + 4] == "below margin (longest): a real difference, but its 95% interval lies within the margin."


def test_an_open_verdict_shows_what_would_settle_it(
    tmp_path: Path, columns: Callable, noisy: Callable, run: Callable
) -> None:
    """Runs or items have a column of their own, and a flag names the arms that have it."""
    arms = {"car": noisy(0.48, 3, seed=1), "ifd": noisy(0.48, 1, seed=3), "random": noisy(0.5, 5, seed=2)}
    path = tmp_path / "scores.parquet"
    pyarrow.parquet.write_table(pa.table(columns(arms)), path)
    rows = json.loads(run(str(path), "--json", "--margin", "bench=4").stdout)["verdicts"]
    said = run(str(path), "--margin", "bench=4").stdout.splitlines()
    at = said.index("what stands behind them")
    assert said[at + 1].endswith("to settle")
    for row, line in zip(rows, said[at + 3 : at + 5], strict=True):
        ways = [f"{row['runs_to_settle']} runs"] if row["runs_to_settle"] else []
        ways += [f"{row['items_to_settle']:,} items"] if row["items_to_settle"] else []
        assert bool(ways) == (row["verdict"] == "INCONCLUSIVE")
        assert line.endswith(" or ".join(ways) or f"{row['mde']:.1f}")
    assert {row["verdict"] for row in rows} == {"INCONCLUSIVE", "NOT_WORSE"}
    assert "few runs (ifd): the arm has fewer than three runs." in said
    assert not any(line.startswith("few control runs") for line in said)


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
        (["scores.csv", "--margin", "composite=1"], 2, "no benchmark 'composite': the benchmarks are bench"),
        (["scores.csv", "--counts"], 4, "needs the columns win, tie and lose"),
        (["scores.csv", "--counts", "--margin", "bench=1"], 2, "mean nothing with --counts"),
        (["scores.csv", "--ties", "0.2"], 2, "--ties is for published counts"),
        (["nowhere.csv", "--counts"], 4, "columns win, tie, lose and n"),
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


@pytest.fixture
def whole_grid(tmp_path: Path, columns: Callable, joined: Callable, noisy: Callable) -> Path:
    """Scores over two recipes, two pools and two benchmarks."""
    means = {"longest": 0.6, "ifd": 0.5, "car": 0.45}
    parts = [
        columns(
            {arm: noisy(mean, 3, 40, seed=seed + k) for k, (arm, mean) in enumerate(means.items())}
            | {"random": noisy(0.48, 5, 40, seed=seed + 9)},
            benchmark,
            recipe=recipe,
            pool=pool,
        )
        for seed, (benchmark, recipe, pool) in enumerate(
            (b, r, p) for b in ("ifeval", "llmbar") for r in ("sft", "lora") for p in ("alpaca", "dolly")
        )
    ]
    path = tmp_path / "grid.parquet"
    pyarrow.parquet.write_table(pa.table(joined(*parts)), path)
    return path


def test_a_whole_grid(whole_grid: Path, run: Callable) -> None:
    """Sentences on the composite, the benchmarks as exploration, and every table that the data allow."""
    pytest.importorskip("statsmodels")
    done = run(str(whole_grid), "--margin", "composite=2")
    assert (done.returncode, done.stderr) == (0, "")
    assert "longest beats random on alpaca by" in done.stdout
    assert "in the composite" in done.stdout
    assert "mean of 2 measures, formed within each run: ifeval 50.0%, llmbar 50.0%." in done.stdout
    assert ", in 2 of 2 recipes." in done.stdout
    for title in (
        "benchmark by benchmark (exploratory)",
        "recipe by recipe",
        "flips over recipes",
        "what to expect elsewhere",
        "do the benchmarks agree?",
        "do the recipes agree?",
        "signal to noise",
    ):
        assert f"\n{title}\n" in done.stdout
    assert "lora and sft (LoRA against full)" in done.stdout


def test_the_json_of_the_issue(whole_grid: Path, run: Callable) -> None:
    """Verdicts hold the documented keys, composite and benchmarks, one per pool; effects are in points."""
    pytest.importorskip("statsmodels")
    document = json.loads(run(str(whole_grid), "--json").stdout)
    keys = (
        "arm control benchmark pool budget effect ci_low ci_high df p p_holm verdict items runs control_runs run_sd mde"
    )
    assert all(set(keys.split()) <= set(row) for row in document["verdicts"])
    assert {row["benchmark"] for row in document["verdicts"]} == {"composite", "ifeval", "llmbar"}
    assert len(document["verdicts"]) == 3 * 3 * 2
    longest = document["verdicts"][2]
    assert (longest["arm"], longest["pool"], longest["budget"]) == ("longest", "alpaca", None)
    assert 8 < longest["effect"] < 16
    assert {row["over"] for row in document["pooled"]} == {"pools"}
    assert len(document["flips"]) == 3 * 3 * 2
    assert len(document["recipes"]) == 2 * len(document["flips"])


def test_counts_as_json(tmp_path: Path, run: Callable) -> None:
    """--counts --json gives one object per comparison and assumption."""
    path = tmp_path / "counts.csv"
    path.write_text("comparison,ws,n\nlongest over random,1.0398,1030\n")
    found = json.loads(run(str(path), "--counts", "--json", "--ties", "0.1").stdout)["counts"]
    (row,) = found
    assert (row["win"] - row["lose"], row["n"], row["stands"]) == (41, 1030, False)
    assert row["assumed_ties"] == pytest.approx(0.1, abs=0.001)


def test_counts_that_are_all_the_same(tmp_path: Path, run: Callable) -> None:
    """Twenty wins of twenty have no interval, and so it is not known whether they stand."""
    path = tmp_path / "counts.csv"
    path.write_text("arm,win,tie,lose\nall,20,0,0\nsome,10,5,5\n")
    said = run(str(path), "--counts").stdout
    assert "not known" in next(line for line in said.splitlines() if line.startswith("all "))
    assert "0 of 2 stand on their items" in said
    assert "1 with outcomes that are all the same have no interval" in said
