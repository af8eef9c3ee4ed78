"""The page of faults names tests that are there and that say the number of their scenario."""

from __future__ import annotations

import re
from collections import defaultdict
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "explanation" / "faults.md"
JUDGING = PAGE.with_name("judging.md")
ROW = re.compile(r"^\| ([\d, ]+) \|.*\|([^|]*)\|$", re.MULTILINE)
SAID = re.compile(r"Scenarios? ((?:\d+(?:, | and |))+)")
TEST = re.compile(r'def (test_\w+)\([^"]*?\) -> None:\n    """([^"]*)"""')


@cache
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


def numbers(text: str) -> set[int]:
    """The numbers in a text."""
    return {int(number) for number in re.findall(r"\d+", text)}


def named() -> dict[str, set[int]]:
    """The scenarios of every test that stands in a row of one of the two pages."""
    found: dict[str, set[int]] = defaultdict(set)
    for scenarios, tests in ROW.findall(PAGE.read_text("utf-8")) + ROW.findall(JUDGING.read_text("utf-8")):
        for name in re.findall(r"`(test_\w+)`", tests):
            found[name] |= numbers(scenarios)
    return found


def test_tests_and_pages_agree_on_scenarios() -> None:
    """The tests of a row say its number; a test that says one stands in that row, or above the tables."""
    rows, orders = named(), re.findall(r"`(test_\w+)`", PAGE.read_text("utf-8").partition("\n## ")[0])
    said = {name: numbers(" ".join(SAID.findall(text))) for name, text in docstrings().items()}
    assert {name: sorted(wanted - said[name]) for name, wanted in rows.items() if wanted - said[name]} == {}
    surplus = {name: sorted(told - rows.get(name, set())) for name, told in said.items() if name not in orders}
    assert {name: left for name, left in surplus.items() if left} == {}


def test_every_scenario_of_runs_has_a_row_or_a_sentence() -> None:
    """Every number of the list stands on this page or on that of judging, once."""
    page = PAGE.read_text("utf-8")
    numbers = [int(n) for row in re.findall(r"^\| ([\d, ]+) \|", page, re.MULTILINE) for n in row.split(", ")]
    left = [int(n) for n in re.findall(r"\((\d+)\)", page.partition("Not shown by a test")[2])]
    judging = [*range(26, 41), 53]
    assert sorted([*numbers, *left, *judging]) == list(range(1, 63))
