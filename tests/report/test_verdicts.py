"""The tables of verdicts: every number behind a word is in each kind of report, in words that explain themselves."""

from __future__ import annotations

import re
from typing import Any

from report_world import document

from selkit.experiment.document.evidence import BROKEN_ANSWERS, JUDGE_MISSINGNESS, JUDGE_UNFIT
from selkit.report import markdown
from selkit.report.flags import FLAGS, explained
from selkit.report.html import html_page
from selkit.report.latex import latex_table
from selkit.report.verdicts import for_paper, in_full, short_note
from selkit.stats.verdicts import Flag


def verdicts(**changes: Any) -> list[dict[str, Any]]:
    """The verdicts of a made-up run of one place, the first with these changes."""
    rows = document(pools=("dolly",), budgets=("500",))["verdicts"]
    plain = {"p_bh": None, "runs_to_settle": None, "items_to_settle": None, "flags": []}
    return [{**row, **plain, **(changes if place == 0 else {})} for place, row in enumerate(rows)]


CHANGES: dict[str, Any] = {
    "effect": 3.21,
    "se": 1.234,
    "df": 7.89,
    "p": 0.0123,
    "p_holm": 0.0456,
    "p_bh": 0.0234,
    "run_sd": 1.11,
    "control_run_sd": 2.22,
    "mde": 3.33,
    "margin": 2.5,
    "equivalence_low": 1.1,
    "equivalence_high": 5.3,
    "family": "secondary",
    "family_size": 30,
    "runs_to_settle": 9,
    "items_to_settle": 1900,
    "ci_low": 0.5,
    "ci_high": 5.9,
    "flags": ["few_runs", "judge_unfit"],
    "verdict": "NOT_WORSE",
}


def test_the_full_table_has_all_the_evidence() -> None:
    """Degrees of freedom, both p values, the family, run deviations, MDE, margin, what would settle it, flags."""
    table = in_full(verdicts(**CHANGES))
    row = dict(zip(table.columns, table.rows[0], strict=True))
    assert row == {
        "pool": "dolly",
        "budget": "500",
        "on": "coachlm",
        "arm": "oracle",
        "verdict": "NOT_WORSE",
        "effect": "+3.2",
        "se": "1.23",
        "df": "7.9",
        "p": "0.012",
        "Holm p": "0.046",
        "BH p": "0.023",
        "family": "secondary, 30",
        "run sd": "1.11",
        "control's": "2.22",
        "detectable": "3.3",
        "margin": "2.5",
        "90% interval": "+1.1 to +5.3",
        "to settle": "9 runs or 1,900 items",
    }
    assert "'BH p' is Benjamini and Hochberg's" in table.note
    assert "BH p" not in in_full(verdicts()).columns


def test_md_and_html_have_the_full_table() -> None:
    """Beside the short one, with the note that explains it."""
    made = document(pools=("dolly",), budgets=("500",))
    made["verdicts"] = verdicts(**CHANGES)
    table = in_full(made["verdicts"])
    text, page = markdown(made), html_page(made)
    assert "### Verdicts in full" in text
    assert "<summary>Verdicts in full</summary>" in page
    assert " | ".join(table.columns) in text
    assert "| few runs, judge unfit |" in text
    for cell in [*table.rows[0], "few runs, judge unfit"]:
        assert cell in text
        assert f">{cell}<" in page or cell == "NOT_WORSE"
    assert table.note in text
    assert "Flags: few runs: the arm has fewer than three runs; judge unfit: a canary fooled the judge." in text
    assert "Satterthwaite&#x27;s degrees of freedom" in page


def test_comparisons_have_a_full_table_with_both_sides() -> None:
    """Under its own title in both reports, with the note on what their flags mean at the short one."""
    made = document(pools=("dolly",), budgets=("500",))
    rows = [{**row, "control": "ifd"} for row in verdicts(**CHANGES)[:2]]
    made |= {"comparisons": rows, "comparison_sentences": ["one", "two"]}
    text, page = markdown(made), html_page(made)
    part = text[text.index("## Comparisons") : text.index("## Recipe by recipe")]
    assert "### Comparisons in full" in part
    assert "| dolly | 500 | coachlm | oracle | ifd | NOT_WORSE | +3.2 | 1.23 | 7.9 | 0.012 | 0.046 | 0.023 |" in part
    assert "judge unfit: a canary fooled the judge." in part
    assert "<summary>Comparisons in full</summary>" in page


def test_the_table_of_a_paper_fits_it_and_explains_itself() -> None:
    """What all rows share stands in the caption; flags are letters; numbers are to the right."""
    table = for_paper(verdicts(**CHANGES), "random")
    row = dict(zip(table.columns, table.rows[0], strict=True))
    assert table.title == "Verdicts against random (dolly, 500)"
    assert row == {
        "on": "coachlm",
        "arm": "oracle",
        "verdict": "NOT WORSE",
        "effect": "+3.2",
        "95% interval": "+0.5 to +5.9",
        "df": "7.9",
        "p": "0.012",
        "Holm p": "0.046",
        "BH p": "0.023",
        "run sd": "1.11",
        "detectable": "3.3",
        "runs": "3 vs 5",
        "items": "100",
        "to settle": "9 / 1,900",
        "flags": "a, b",
    }
    assert table.note.endswith("Flags: a: the arm has fewer than three runs; b: a canary fooled the judge")
    assert "over families of 30 (secondary) and 5 (primary) tests" in table.note
    latex = latex_table(table.title, "verdicts", table.columns, table.rows, table.note)
    assert "\\footnotesize" in latex
    assert not {"flags", "BH p"} & set(for_paper(verdicts(), "random").columns)
    assert "over a family of 5 tests" in for_paper(verdicts(), "random").note


def test_every_flag_is_explained() -> None:
    """Those of the statistics and those of the judging; a flag of another version is shown without."""
    assert set(FLAGS) == {*map(str, Flag), JUDGE_MISSINGNESS, JUDGE_UNFIT, BROKEN_ANSWERS}
    assert explained([{"flags": ["of_tomorrow", "few_runs"]}]) == ["few runs: the arm has fewer than three runs"]


def test_what_a_whole_table_shares_is_said_once() -> None:
    """Recipe and base model where there is one of each; the recipes that an effect is the mean over."""
    one = document(recipes=("lora-16",))
    assert (
        "A recipe or base model that a whole table shares has no column: recipe lora-16 and base model tiny. "
    ) in short_note(one)
    several = document(recipes=("lora-16", "full-ft", "moon"))
    assert "Effects are means over the recipes lora-16, full-ft and moon. " in short_note(several)
    assert short_note(several) in markdown(several)


def test_rows_of_a_grid_are_told_apart() -> None:
    """Two recipes and two base models of one arm never share a label, in any table of both reports."""
    made = document(arms=("random", "oracle"), pools=("dolly",), budgets=("500",))
    for name in ("missing", "win_rates", "direct"):
        made[name] = [
            {**row, "recipe": recipe, "model": model}
            for row in made[name]
            for recipe in ("lora-16", "full-ft")
            for model in ("tiny", "small")
        ]
    diagnostics, shared = made["diagnostics"], made["contamination"]
    for parts, name in ((diagnostics, "diversity"), (diagnostics, "selections"), (shared, "selections")):
        parts[name] = [{**row, "recipe": None, "model": model} for row in parts[name] for model in ("tiny", "small")]
    first = diagnostics["scores"][0]
    diagnostics["scores"] = [
        {**first, "parameters": {"ratio": "loss"}, "key": "a" * 64},
        {**first, "parameters": {"ratio": "ppl"}, "key": "b" * 64},
        {**first, "parameters": {"ratio": "ppl"}, "key": "c" * 64},
    ]
    text, page = markdown(made), html_page(made)
    for part in text.split("\n\n"):
        lines = [line for line in part.splitlines() if line.startswith("| ")]
        assert len(lines) == len(set(lines)), part
    assert "| dolly | 500 | full-ft | small | coachlm | oracle | 2 of 100 |" in text
    assert re.findall(r"<h4>(ifd [^<]*)</h4>", page) == [
        *("ifd (ratio loss) \N{MIDDLE DOT} dolly", f"ifd (ratio ppl, {'b' * 8}) \N{MIDDLE DOT} dolly"),
        f"ifd (ratio ppl, {'c' * 8}) \N{MIDDLE DOT} dolly",
    ]
    for table in re.findall(r"<tbody>(.*?)</tbody>", page):
        rows = re.findall(r"<tr>(.*?)</tr>", table)
        assert len(rows) == len(set(rows)), rows


def test_the_length_bias_of_a_judge_is_shown() -> None:
    """How often the longer answer won, with its interval, of how many, and how many are equally long."""
    made = document(pools=("dolly",), budgets=("500",))
    text, page = markdown(made), html_page(made)
    assert "| 56.0% (51.0 to 61.0) | 62.5% (55.0 to 70.0) | 160 | 12 | 12.0% (8.0 to 17.0) | unfit |" in text
    assert '<td class="short">62.5% (55.0 to 70.0)</td>' in page
    for old in ("length_bias", "length_bias_n", "equal_length", "intervals"):
        made["judges"][0].pop(old)
    assert "| 56.0% |  |  |  | 12.0% | unfit |" in markdown(made)
