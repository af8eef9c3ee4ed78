"""The items of a run on disk: files.json names every file, and the page shows what was scored."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

pytest.importorskip("torch")
pytest.importorskip("sacrebleu")

from selkit.experiment import parse_spec, run_experiment
from selkit.report import read_document, write_report
from selkit.report.html import read_items
from selkit.store import Store

SPEC = {
    "name": "tiny",
    "pools": [{"name": "planted", "source": {"name": "planted", "rows": 60}}],
    "model": "tiny:words?hidden=32&layers=1",
    "recipe": {"preset": "quickstart", "max_steps": 2, "batch_size": 4},
    "selectors": ["random", "longest"],
    "budgets": [10],
    "runs": {"random": 1, "default": 1},
    "testsets": {"planted": {"prompts": 6, "max_new_tokens": 4, "anchor": "reference", "direct": "pooled"}},
    "workers": 1,
    "threads": 1,
}


@pytest.mark.slow
def test_a_run_names_its_files_and_its_page_is_written_again(tmp_path: Path) -> None:
    """Every file is listed and there; the items' scores are those of scores.parquet; the page is the same twice."""
    run = tmp_path / "out"
    run_experiment(parse_spec(SPEC), run, store=Store(tmp_path / "store"))
    files = json.loads((run / "files.json").read_text("utf-8"))
    named = {
        one["file"] for name in ("selections", "testsets", "responses", "passes", "benchmarks") for one in files[name]
    }
    named |= {one["against"] for one in files["passes"]}
    there = {
        path.relative_to(run).as_posix()
        for folder in ("selections", "testsets", "responses", "opponents", "passes", "benchmarks")
        for path in (run / folder).rglob("*")
        if path.is_file()
    }
    assert named == there
    [choice] = files["selections"]
    assert (choice["pool"], choice["arm"], choice["columns"]) == ("planted", "longest", ["chosen at 10"])
    scored = pq.read_table(run / choice["file"]).to_pylist()
    assert len(scored) == 60
    best = sorted(scored, key=lambda row: (-row["score"], row["id"]))[:10]
    assert [row["id"] for row in scored if row["chosen at 10"]] == sorted(row["id"] for row in best)

    items = read_items(run)
    assert items is not None
    table = pq.read_table(run / "scores.parquet").to_pylist()
    scores = {(row["arm"], row["run"], row["budget"], row["item"]): row["score"] for row in table}
    found = {
        (cell["arm"], cell["run"], cell["budget"], items.prompts[one.prompt].id): one.score
        for one in items.items
        for cell in [items.cells[one.cell]]
        if items.benchmarks[one.benchmark]["against"] == "anchor"
    }
    assert found == scores
    references = {one.reference for one in items.prompts}
    assert {one.other for one in items.items if items.benchmarks[one.benchmark]["against"] == "anchor"} == references

    first = (run / "report/report.html").read_bytes()
    write_report(read_document(run), tmp_path / "again", run)
    assert (tmp_path / "again/report.html").read_bytes() == first
