"""The page of faults names tests that are there and that say the number of their scenario."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "explanation" / "faults.md"
TEST = re.compile(r'def (test_\w+)\([^"]*?\) -> None:\n    """([^"]*)"""')


def docstrings() -> dict[str, str]:
    """The docstrings of all tests by the test's name; those of several of one name together."""
    found: dict[str, str] = {}
    for place in ("tests", "judges", "plugins", "tasks"):
        for file in (ROOT / place).rglob("test_*.py"):
            for name, text in TEST.findall(file.read_text("utf-8")):
                found[name] = found.get(name, "") + text
    return found


def test_every_test_that_the_page_of_faults_names_is_there() -> None:
    """No row without a test, and no name that stands for none."""
    page = PAGE.read_text("utf-8")
    rows = [row for row in page.splitlines() if row.startswith("|") and not row.startswith(("| |", "| ---", "| What"))]
    assert len(rows) > 40
    assert [row for row in rows if not re.search(r"`test_\w+`[^|]*\|$", row)] == []
    assert set(re.findall(r"`(test_\w+)`", page)) - docstrings().keys() == set()


def test_every_scenario_of_runs_has_a_row_or_a_sentence() -> None:
    """Every number of the list stands on this page or on that of judging, once."""
    page = PAGE.read_text("utf-8")
    numbers = [int(n) for row in re.findall(r"^\| ([\d, ]+) \|", page, re.MULTILINE) for n in row.split(", ")]
    left = [int(n) for n in re.findall(r"\((\d+)\)", page.partition("Not shown by a test")[2])]
    judging = [*range(26, 41), 53]
    assert sorted([*numbers, *left, *judging]) == list(range(1, 63))
