"""The page: sentences first, a strict policy, nothing that an attacker wrote becomes markup, the same for the same."""

from __future__ import annotations

import base64
import hashlib
import json
import random
import re
from pathlib import Path
from typing import Any

import pytest
from report_world import document, plain, write_run

from selkit.experiment import quickstart_spec
from selkit.pools.testsets import PLANTED_PROMPTS
from selkit.report.html import html_page, read_items
from selkit.report.html.sections.costs import pareto
from selkit.report.html.sections.curves import thinned
from selkit.report.html.sections.effects import heat_class
from selkit.report.html.sections.words import MARKS


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A page with everything in it."""
    return html_page(document(), read_items(write_run(tmp_path_factory.mktemp("run"))))


def test_the_sentences_come_first(page: str) -> None:
    """Before any table or figure."""
    main = page[page.index("<main>") :]
    assert main.index("oracle against random is BEATS.") < main.index("<table")
    assert main.index("oracle against random is BEATS.") < main.index("<svg")


def test_the_policy_allows_its_own_style_and_script_alone(page: str) -> None:
    """default-src 'none', hashes of exactly what stands in the page, no unsafe-inline, no address but data:."""
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', page)
    assert policy is not None
    rules = dict(rule.split(" ", 1) for rule in policy[1].replace("&#x27;", "'").split("; "))
    assert rules["default-src"] == "'none'"
    assert rules["img-src"] == "data:"
    for name, rule in (("style", "style-src"), ("script", "script-src")):
        content = re.findall(rf"<{name}>(.*?)</{name}>", page, re.DOTALL)
        assert len(content) == 1
        digest = base64.b64encode(hashlib.sha256(content[0].encode()).digest()).decode()
        assert rules[rule] == f"'sha256-{digest}'"
    assert "unsafe" not in policy[1]
    assert rules["trusted-types"] == "'none'"


def test_no_attribute_holds_style_or_script_and_nothing_is_loaded(page: str) -> None:
    """No style=, no on...=, no src, and links only within the page."""
    without = re.sub(r"<script.*?</script>|<style>.*?</style>", "", page, flags=re.DOTALL)
    assert not re.search(r"<[^>]*\s(style|on\w+|src|srcset|action)=", without)
    assert set(re.findall(r'href="([^"#]*)', without)) <= {"", "data:,"}


def test_every_part_of_the_document_is_shown(page: str) -> None:
    """Headings of all sections, numbers with sensible digits, a sign for every verdict word."""
    for heading in (
        *("Verdicts", "Failed", "The grid", "Effects", "Budgets", "Every run", "Across the grid", "Win rates"),
        *("Selections", "Training", "Judges", "Items", "Settings", "Cost and time"),
    ):
        assert f"<h2>{heading}</h2>" in page
    for title in (
        *("Flips over recipes", "Do the benchmarks agree?", "Overlap", "Length shift", "Scores", "By category"),
        *("What the diversity stage changed", "How instructions begin", "Test-set contamination", "Canaries"),
    ):
        assert f"<h3>{title}</h3>" in page
    assert all(sign in page for sign in MARKS.values())
    assert "&lt;0.001" in page
    assert not re.search(r">[+-]?\d+\.\d{5,}<", page)


@pytest.mark.parametrize("key", ["diagnostics", "contamination"])
def test_what_a_document_does_not_hold_is_left_out(key: str) -> None:
    """A report of an older run has no diagnostics."""
    whole = document()
    page = html_page({name: value for name, value in whole.items() if name != key})
    assert ("Length shift" in page) == (key != "diagnostics")
    assert ("Test-set contamination" in page) == (key != "contamination")


def test_an_experiment_without_anything_to_compare_has_a_page() -> None:
    """No verdicts, no judges, no training, no items."""
    empty: dict[str, Any] = {
        name: [] if isinstance(value, list) else {} if name in ("grid", "diagnostics", "contamination") else value
        for name, value in document().items()
    }
    page = html_page(empty)
    assert "There is nothing to compare with the control." in page
    assert "<h2>Judges</h2>" not in page


def test_the_same_document_gives_the_same_page_but_for_what_was_measured(tmp_path: Path) -> None:
    """Byte by byte, and other measurements change nothing before the section that holds them."""
    items = read_items(write_run(tmp_path))
    first = html_page(document(), items)
    assert first == html_page(document(), read_items(tmp_path))
    later = document()
    later["measured"] = {**later["measured"], "wall_seconds": 7.0, "finished": "2027", "machine": {"cores": 64}}
    second = html_page(later, items)
    assert first != second
    without = [re.sub(r'<section id="measured">.*?</section>', "", page, flags=re.DOTALL) for page in (first, second)]
    assert without[0] == without[1]


def test_a_page_as_large_as_the_quickstarts_has_less_than_two_megabytes(tmp_path: Path) -> None:
    """As many cells and prompts, and each text, also of the judge, as long as an answer there can be."""
    spec = quickstart_spec()
    arms = [str(selector.name) for selector in spec.selectors]
    words, rng = [f"word{number}" for number in range(500)], random.Random(0)

    def longest(text: str) -> str:
        return f"{text} {' '.join(rng.choices(words, k=spec.testsets[0].max_new_tokens or 0))}"

    folder = write_run(tmp_path, prompts=PLANTED_PROMPTS, arms=arms)
    for file in sorted([*folder.glob("responses/*"), *folder.glob("passes/*")]):
        rows = [json.loads(line) for line in file.read_text("utf-8").splitlines()]
        for row in rows:
            name = "response" if "response" in row else "raw"
            row[name] = longest(row[name])
        file.write_text("".join(f"{json.dumps(row)}\n" for row in rows), "utf-8")
    made = document(arms=arms, pools=("planted",), budgets=("800",), recipes=("quickstart",))
    page = html_page(made, read_items(folder))
    assert 300_000 < len(page.encode()) < 2_000_000


PAYLOADS = (
    "</script><script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    '"><svg onload=alert(1)>',
    "' onmouseover='alert(1)",
    "</title></style></textarea><iframe src=javascript:alert(1)>",
    "<!--<script>",
    "]]><a href='javascript:alert(1)'>",
    "{{7*7}}${7*7}",
)
"""What a model, a judge or a plugin could write to break out of its place."""


def test_nothing_written_becomes_an_element(tmp_path: Path) -> None:
    """The page of poisoned texts, names and answers has the very tags of the page of plain ones."""
    tags = [
        re.findall(
            r"<(/?[a-zA-Z!][\w:-]*)", html_page(document(say=say), read_items(write_run(tmp_path / name, say=say)))
        )
        for name, say in (("plain", plain), ("poisoned", lambda text: f"{text} {' '.join(PAYLOADS)}"))
    ]
    assert sorted(tags[0]) == sorted(tags[1])


def test_colours_of_effects() -> None:
    """Steps at 1, 2.5, 5 and 10 points to both sides."""
    assert [heat_class(effect) for effect in (None, 0.99, -0.99, 1.0, 2.5, -5.0, 30.0)] == [
        *("h0", "h0", "h0", "hp1", "hp2", "hm3", "hp4")
    ]


def test_loss_curves_are_thinned_by_means() -> None:
    """At most so many points, the last step kept."""
    curve = [[step, float(step)] for step in range(1, 241)]
    found = thinned(curve, 80)
    assert len(found) == 80
    assert found[0] == (3, 2.0)
    assert found[-1][0] == 240


def test_the_front_holds_what_nothing_cheaper_beats() -> None:
    """Cheapest first; of equal costs the better one, of equal gains the cheaper."""
    points = [(3.0, 5.0), (1.0, 1.0), (2.0, 4.0), (2.0, 3.0), (4.0, 5.0), (5.0, 2.0)]
    assert pareto(points) == [(1.0, 1.0), (2.0, 4.0), (3.0, 5.0)]
    assert pareto([]) == []
    assert pareto([(1.0, 51.25), (2.0, 51.25 + 1e-14)]) == [(1.0, 51.25)], "a rounding error is no gain"


def test_what_was_paid_stands_in_the_section_of_what_was_measured(page: str) -> None:
    """Sentences with prices, cost against gain, and scoring per 1,000 rows."""
    section = page[page.index('<section id="measured">') :]
    for text in ("oracle costs more.", "Cost against gain", "Pareto front", "Scoring, per 1,000 rows", ">1.23<"):
        assert text in section
    assert "costs more" not in page[: page.index('<section id="measured">')]


def test_the_cost_figure_says_what_it_draws_of_the_control() -> None:
    """A line over several budgets, a point at one."""
    several, one = html_page(document()), html_page(document(budgets=("500",)))
    assert "The line of random joins its budgets" in several
    assert "random has one budget here, so that it is a point and no line" in one
    assert "The line of random" not in one


def test_lines_of_one_arm_are_told_apart_in_the_legend() -> None:
    """The selections of one arm at two budgets have one colour and other dashes, in the figure and in its legend."""
    made = document()
    (scores,) = made["diagnostics"]["scores"]
    first = scores["selections"][0]
    scores["selections"] = [{**first, "budget": budget} for budget in ("500", "1000")]
    page = html_page(made)
    figure = page[page.index("<h4>ifd") :].partition("</figure>")[0]
    lines = re.findall(r'<path d="[^"]*" class="(curve s\d[^"]*)"', figure)
    assert lines[1] == f"{lines[0]} dash1"
    assert re.findall(r'<line [^>]*class="(curve [^"]*)"></line></svg><span>([^<]*)', figure) == [
        (lines[0], "oracle at 500"),
        (lines[1], "oracle at 1000"),
    ]


def test_budget_curves_show_the_controls_runs_under_each_recipe_around_their_own_mean() -> None:
    """On the composite too, whose runs are weighted means; what a recipe changes is no noise of drawing again."""
    made = document(arms=("random", "oracle"), pools=("dolly",), budgets=("500", "1000"))
    made["rules"]["weights"] = {"coachlm": 3.0, "ifeval": 1.0}
    made["verdicts"] = [{**row, "benchmark": "composite"} for row in made["verdicts"]][::2]
    made["sentences"] = made["sentences"][::2]
    for row in made["scores"]:
        off = {1: -0.01, 2: 0.01}.get(row["run"], 0.0)
        row["score"] = (0.3 if row["recipe"] == "lora-16" else 0.6) + off * (1 if row["benchmark"] == "coachlm" else 5)
    page = html_page(made)
    section = page[page.index('<section id="budgets">') : page.index('<section id="runs">')]
    # 3/4 of one point, and 1/4 of five
    assert sorted(set(re.findall(r"random \d: ([+-][\d.]+)", section))) == ["+0.0", "+2.0", "-2.0"]
    assert "each run of random" in section
