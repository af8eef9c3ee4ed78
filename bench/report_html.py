"""Size of report.html with 20,000 judged items, and how soon Chromium lets people use it.

    python bench/report_html.py [--items 20000] [--megabytes 40] [--seconds 2]

Makes a run's folder with made-up answers: responses of 1,000 characters, judge texts of 800, two passes an item. Words
are drawn from 20,000 by Zipf's law and without grammar, so they pack worse than prose. Before any time is taken it
checks that every text can be unpacked from the page, that the browser shows the very texts of an item, and that its
filters and search count what plain Python counts. The exit code is 1 where a limit is passed. Needs playwright and a
Chromium.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import platform
import re
import shutil
import statistics
import string
import sys
import tempfile
import time
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from selkit.report.html import html_page, read_items

CELLS = 20
RESPONSE, RAW = 1000, 800

DOCUMENT: dict[str, Any] = {
    "schema_version": 1,
    "name": "twenty-thousand",
    "selkit": "0",
    "note": "",
    "spec": {"control": "random", "alpha": 0.05, "model": "none", "models": None},
    "recipes": [{"name": "none"}],
    "rules": {"margins": {}, "digest": "0" * 64},
    "grid": {},
    "measured": {"wall_seconds": 0.0, "finished": "", "machine": {}, "totals": {}},
    **{
        name: []
        for name in (
            *("verdicts", "sentences", "claims", "failures", "scores", "win_rates", "direct", "judges", "missing"),
            *("selections", "overlap", "training"),
        )
    },
}
"""An experiment without results: the page is its items."""


def main() -> int:
    """Checks, prints sizes and times, and compares them with the limits."""
    parser = argparse.ArgumentParser(description="Size and speed of report.html with many items.")
    parser.add_argument("--items", type=int, default=20_000)
    parser.add_argument("--megabytes", type=float, default=40)
    parser.add_argument("--seconds", type=float, default=2)
    parser.add_argument("--repeats", type=int, default=5, help="how often the page is opened; the median counts")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder)
        texts = make_run(run, arguments.items // CELLS)
        started = time.perf_counter()
        page = html_page(DOCUMENT, read_items(run))
        written = time.perf_counter() - started
        (run / "report.html").write_text(page, encoding="utf-8")
        assert unpacked(page) == texts, "the page does not hold the texts of the run"
        megabytes = len(page.encode()) / 1e6
        print(f"{arguments.items:,} items, {sum(map(len, texts)) / 1e6:.1f} million characters of distinct text")
        print(f"report.html: {megabytes:.1f} MB, written in {written:.1f} s")
        ready, item, filtered, searched = browse(run / "report.html", arguments.items, arguments.repeats)
    print(f"until the items can be used: {ready:.2f} s, until one shows: {item:.2f} s (medians of {arguments.repeats})")
    print(f"a filter: {1000 * filtered:.0f} ms, a search through all texts: {searched:.2f} s")
    print(f"{os.cpu_count()} cores, {platform.processor() or platform.machine()}, Python {sys.version.split()[0]}")
    return int(megabytes > arguments.megabytes or ready > arguments.seconds)


def make_run(folder: Path, prompts: int) -> set[str]:
    """Writes the folder of a run; returns all of its texts."""
    words = Words()
    asked = {f"p{number}": words.text(120) for number in range(prompts)}
    kept = set(asked.values())
    files: dict[str, Any] = {"testsets": [], "responses": [], "passes": [], "benchmarks": []}
    write(folder / "testset.jsonl", [{"id": name, "category": None, "reference": None} for name in asked])
    files["testsets"].append({"file": "testset.jsonl", "testset": "made-up"})
    anchor = [{"id": name, "response": words.text(RESPONSE)} for name in asked]
    write(folder / "anchor.jsonl", anchor)
    kept.update(row["response"] for row in anchor)
    for cell in range(CELLS):
        place = {"pool": "pool", "budget": "1000", "arm": f"arm-{cell // 4}", "run": cell % 4 + 1}
        answers = [{"id": name, "prompt": text, "response": words.text(RESPONSE)} for name, text in asked.items()]
        passes = [words.judgement(name, order) for name in asked for order in ("first", "second")]
        write(folder / f"responses-{cell}.jsonl", answers)
        write(folder / f"passes-{cell}.jsonl", passes)
        kept.update(row["response"] for row in answers)
        kept.update(row["raw"] for row in passes)
        files["responses"].append({"file": f"responses-{cell}.jsonl", **place, "testset": "made-up"})
        about = {"benchmark": "made-up", "testset": "made-up", "judge": "judge", "opponent": "anchor"}
        files["passes"].append({"file": f"passes-{cell}.jsonl", **place, **about, "against": "anchor.jsonl"})
    (folder / "files.json").write_text(json.dumps(files), encoding="utf-8")
    return kept


class Words:
    """Texts of drawn words."""

    def __init__(self) -> None:
        self.rng = np.random.default_rng(0)
        letters = np.array(list(string.ascii_lowercase))
        sizes = self.rng.integers(2, 11, 20_000)
        self.words = np.array(["".join(self.rng.choice(letters, size)) for size in sizes])
        shares = 1 / (np.arange(len(self.words)) + 2.7)
        self.shares = np.cumsum(shares / shares.sum())

    def text(self, characters: int) -> str:
        """A text of just so many characters."""
        ranks = np.searchsorted(self.shares, self.rng.random(characters // 3))
        return " ".join(self.words[ranks])[:characters]

    def judgement(self, name: str, order: str) -> dict[str, Any]:
        """A pass of the judge."""
        preference = float(self.rng.choice([0.0, 0.5, 1.0]))
        said = {"raw": self.text(RAW), "outcome": "ok", "preference": preference, "reason": "", "usage": {}}
        return {"id": name, "judge": "judge", "order": order, **said}


def write(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    """Writes rows as JSON lines."""
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")


def unpacked(page: str) -> set[str]:
    """All texts in the page's blocks."""
    blocks = re.findall(r'id="items-\d+">([A-Za-z0-9+/=]*)<', page)
    return {text for block in blocks for text in json.loads(zlib.decompress(base64.b64decode(block)))}


def browse(file: Path, items: int, repeats: int) -> tuple[float, float, float, float]:
    """Seconds until the page is ready, until its first item shows, for a filter, and for a search (medians)."""
    from playwright.sync_api import sync_playwright

    first = json.loads((file.parent / "responses-0.jsonl").read_text("utf-8").split("\n", 1)[0])
    needle = first["response"][300:312]
    expected = found_by_hand(file.parent, needle)
    times = []
    with sync_playwright() as playwright:
        path = shutil.which("chromium") or shutil.which("google-chrome")
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
        for _ in range(repeats):
            page = browser.new_page(viewport={"width": 1280, "height": 900})
            started = time.perf_counter()
            page.goto(file.as_uri(), wait_until="commit")
            page.wait_for_selector("html[data-items=ready]", state="attached")
            ready = time.perf_counter() - started
            page.wait_for_selector("#item .side pre")
            item = time.perf_counter() - started
            assert first["response"] in page.locator("#item").inner_text(), "the first item shows another text"
            assert page.locator("#count").inner_text().startswith(f"{items:,} of {items:,} items")
            times.append((ready, item, filter_seconds(page, items), search_seconds(page, needle, expected)))
            page.close()
        browser.close()
    ready, item, filtered, searched = (statistics.median(column) for column in zip(*times, strict=True))
    return ready, item, filtered, searched


def filter_seconds(page: Any, items: int) -> float:
    """Seconds for a filter in the page itself, checked by its count."""
    script = """() => {
      const select = document.getElementById('filter-arm');
      select.value = 'arm-1';
      const started = performance.now();
      select.dispatchEvent(new Event('change', { bubbles: true }));
      return performance.now() - started;
    }"""
    seconds = float(page.evaluate(script)) / 1000
    assert page.locator("#count").inner_text().startswith(f"{items // 5:,} of"), "the filter counts something else"
    page.select_option("#filter-arm", "")
    return seconds


def search_seconds(page: Any, needle: str, expected: int) -> float:
    """Seconds from typing to the result, the pause of a quarter of a second after the last key among them."""
    started = time.perf_counter()
    page.fill("#filter-search", needle)
    while not page.evaluate(f"document.getElementById('count').textContent.startsWith('{expected:,} of')"):
        assert time.perf_counter() - started < 60, "the search finds something else"
        page.wait_for_timeout(10)
    return time.perf_counter() - started


def found_by_hand(folder: Path, needle: str) -> int:
    """Items that hold a text, counted without the page."""
    asked, anchor = {}, {row["id"]: row["response"] for row in lines(folder / "anchor.jsonl")}
    count = 0
    for cell in range(CELLS):
        said: dict[str, str] = {}
        for row in lines(folder / f"passes-{cell}.jsonl"):
            said[row["id"]] = said.get(row["id"], "") + "\n" + row["raw"]
        for row in lines(folder / f"responses-{cell}.jsonl"):
            asked[row["id"]] = row["prompt"]
            whole = "\n".join((row["prompt"], row["response"], anchor[row["id"]], said[row["id"]]))
            count += needle in whole
    return count


def lines(path: Path) -> list[dict[str, Any]]:
    """The rows of a file of JSON lines."""
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


if __name__ == "__main__":
    sys.exit(main())
