"""What stands beside report.html: CSV and LaTeX tables, figures, bibliography and methods."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from report_world import document

from selkit.cli.report import command
from selkit.plugins.references import RECIPES, TESTSETS, WORKS
from selkit.report import markdown, write_exports
from selkit.report.arms import ARMS
from selkit.report.bibtex import bibliography, entries, works
from selkit.report.csv_tables import csv_tables, csv_text
from selkit.report.exports import LISTING, WITHOUT_FIGURES, paper_tables
from selkit.report.figures import figures
from selkit.report.latex import cell, escaped, latex_table
from selkit.report.methods import methods_latex, methods_text

NASTY = 'a_b & 50% of {x} \\end{table} $1 #2 ~^<>|"`'


def run_document(**changes: Any) -> dict[str, Any]:
    """The made-up run with all that exports read of a spec."""
    made = document()
    testset = {"source": "coachlm", "judges": ["openai"], "orders": "both", "anchor": "random", "direct": None}
    spec = {
        **made["spec"],
        "pools": [{"source": "dolly", "name": None}, {"source": {"path": "x/alpaca.jsonl"}, "name": "alpaca"}],
        "selectors": [
            {"name": "random", "as": None, "parameters": {}},
            {"name": "longest", "as": None, "parameters": {"unit": "tokens"}},
            {"name": "selkit-car:car", "as": "car", "parameters": {"scorer": {"name": "iqs"}}},
        ],
        "budgets": [500, "5%"],
        "testsets": [{**testset, "decoding": "greedy", "max_new_tokens": 512, "prompts": None}],
        "benchmarks": [{"name": "ifeval", "sample": None}],
        "seeds": {"selection": None, "training": 7},
    }
    rules = {**made["rules"], "control": "random", "alpha": 0.05, "changed": [], "weights": {}}
    recipes = [{"name": "moon-07", "learning_rate": 2e-5, "batch_size": 256, "epochs": 3, "lora": {"rank": 16}}]
    training = [
        {**row, "versions": {"torch": "2.13.0"}, "device": "cpu", "precision": "float32"} for row in made["training"]
    ]
    citations = [{"of": "arm car", "bibtex": WORKS["ge2024clustering"]}]
    made |= {"spec": spec, "rules": rules, "recipes": recipes, "training": training, "citations": citations}
    return made | changes


def with_costs() -> dict[str, Any]:
    """The made-up run with what exports read of its costs."""
    amounts = {"selection_seconds": 12.0, "training_seconds": 60.0, "selection_dollars": 0.25, "dollars": None}
    costs = [
        {"pool": pool, "budget": budget, "recipe": "lora-16", "arm": arm, **amounts, "times_control": 2.5}
        for pool in ("dolly", "alpaca")
        for budget in ("500", "1000", "4000")
        for arm in ("random", "longest")
    ]
    scoring = [{"pool": "dolly", "scorer": "ifd", "key": "4" * 64, "rows": 500, "per_1000": {"wall_seconds": 12345.6}}]
    made = run_document()
    return made | {"measured": {**made["measured"], "costs": costs, "scoring": scoring}}


def run_folder(path: Path, made: dict[str, Any]) -> Path:
    """A finished run's folder with this document."""
    (path / "report").mkdir(parents=True)
    (path / "report/report.json").write_text(json.dumps(made), encoding="utf-8")
    return path


def balanced(latex: str) -> bool:
    """Whether every brace and every environment that opens closes in its order; escaped braces are text."""
    bare = re.sub(r"\\[\\{}%&$#_]", "", latex)
    depth, open_ = 0, []
    for token in re.finditer(r"\\(begin|end)\{([^}]*)\}|([{}])", bare):
        if token[3]:
            depth += 1 if token[3] == "{" else -1
        elif token[1] == "begin":
            open_.append(token[2])
        elif not open_ or open_.pop() != token[2]:
            return False
        if depth < 0:
            return False
    return depth == 0 and not open_


def test_latex_of_a_table_to_the_letter() -> None:
    """Rules of booktabs, numbers to the right, minus signs, everything special escaped."""
    table = latex_table("Effects", "effects", ["arm", "effect", "p"], [["a_b", "-1.2 to +3.4", "<0.001"]], "In points.")
    assert table == (
        "\\begin{table*}[t]\n  \\centering\n  \\small\n  \\caption{Effects. In points.}\n  \\label{tab:effects}\n"
        "  \\begin{tabular}{lrr}\n    \\toprule\n    arm & effect & p \\\\\n    \\midrule\n"
        "    a\\_b & $-$1.2 to +3.4 & \\textless{}0.001 \\\\\n    \\bottomrule\n  \\end{tabular}\n\\end{table*}\n"
    )


def test_special_text_is_text_in_latex() -> None:
    """Nothing that a name holds is a command, a column or a comment."""
    assert escaped(NASTY) == (
        r"a\_b \& 50\% of \{x\} \textbackslash{}end\{table\} \$1 \#2 \textasciitilde{}\textasciicircum{}"
        r"\textless{}\textgreater{}\textbar{}''\textasciigrave{}"
    )
    assert cell("strict-random-2") == "strict-random-2"
    assert cell("(-0.3 sd)") == "($-$0.3 sd)"


@settings(deadline=None, max_examples=30)
@given(st.lists(st.text(max_size=12), min_size=1, max_size=4))
def test_any_text_makes_a_table_that_closes(cells: list[str]) -> None:
    """As many cells as columns, each environment closed, one line a row."""
    table = latex_table("t", "t", ["c"] * len(cells), [cells])
    assert balanced(table)
    row = table.splitlines()[9]
    assert len(re.findall(r"(?<!\\)&", row)) == len(cells) - 1
    assert row.endswith(r"\\")


@settings(deadline=None, max_examples=30)
@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=10), min_size=1))
def test_csv_keeps_texts_and_disarms_formulas(texts: list[str]) -> None:
    """What is read back is what was written, with an apostrophe before what a spreadsheet would compute."""
    rows = list(csv.reader(io.StringIO(csv_text([{"n": 1, "text": one} for one in texts]), newline="")))
    for (_, read), text in zip(rows[1:], texts, strict=True):
        assert read in (text, f"'{text}")
        assert not read.lstrip(" \u00a0").startswith(("=", "+", "-", "@", "\t", "\r"))


def test_csv_numbers_are_whole_and_missing_is_empty() -> None:
    """No rounding; None is an empty cell; a column that only some rows have stands once."""
    text = csv_text([{"a": -0.1 - 0.2, "b": None}, {"a": True, "c": ["x", "y"]}])
    assert text == "a,b,c\r\n-0.30000000000000004,,\r\ntrue,,x; y\r\n"


def test_every_bin_of_a_histogram_is_a_row() -> None:
    """The pool and every selection: what is below, the bins, what is above; the counts sum to the rows."""
    made = run_document()
    (scores,) = made["diagnostics"]["scores"]
    rows = [row for row in csv_tables(made)["score_histograms"] if not row.get("arm")]
    assert len(rows) == len(scores["edges"]) + 1
    assert sum(row["count"] for row in rows) == sum(scores["counts"]) + scores["below"] + scores["above"]
    assert (rows[0]["low"], rows[0]["high"], rows[-1]["high"]) == (None, 0.0, None)


def test_tables_of_a_run_hold_what_the_document_says() -> None:
    """The verdicts in full in CSV and in short in LaTeX, win rates by category, flips."""
    made = with_costs()
    tables, papers = csv_tables(made), paper_tables(made)
    assert [row["effect"] for row in tables["verdicts"]] == [row["effect"] for row in made["verdicts"]]
    assert {"categories", "verdicts", "lengths", "win_rates", "flips_over_recipes"} <= papers.keys()
    assert len(papers["verdicts"].rows) == len(made["verdicts"])
    made["verdicts"][0] |= {"family": "secondary", "p_bh": 0.2}
    split = paper_tables(made)
    assert len(split["verdicts"].rows) == len(made["verdicts"]) - 1
    assert len(split["verdicts_exploratory"].rows) == 1
    assert papers["costs"].rows[0] == ["dolly", "500", "random", "12.0", "60.0", "0.25", "", "2.5"]
    assert papers["scoring_costs"].rows == [["dolly", "ifd", "500", "12,346"]]
    assert tables["scoring_costs"][0]["per_1000.wall_seconds"] == 12345.6
    assert len(tables["training_curves"]) == sum(len(row["loss_curve"]) for row in made["training"])
    assert all(balanced(latex_table(one.title, "x", one.columns, one.rows, one.note)) for one in papers.values())


def test_report_md_shows_the_diagnostics() -> None:
    """Categories as CaR's Table 4 has them, the shift of the lengths, what diversity changed, and leading verbs."""
    text = markdown(run_document())
    assert "| dolly | 500 | coachlm | random | writing | 10 | 10 | 5 | 50.0 | 1.000 |" in text
    assert "| alpaca | 500 | strict-random | 3 | 500 | 40 | 8.0% | clusters 178 |" in text
    assert "| dolly |  | (the pool) | 60.0% | 30.0% | 10.0% | write 45.0%, name 15.0% |" in text
    assert "## Length of the selections" in text


@pytest.mark.parametrize(("key", "text"), WORKS.items())
def test_entries_are_whole(key: str, text: str) -> None:
    """One entry each, under its key, with author, title and year, and braces that close."""
    assert entries(text) == [(key, text)]
    assert all(f"  {field} = {{" in text for field in ("author", "title", "year"))


def test_names_lead_to_entries() -> None:
    """Every test set and recipe names a work that is there."""
    assert {*TESTSETS.values(), *RECIPES.values()} <= WORKS.keys()


def test_entries_are_found_in_any_text() -> None:
    """Nested braces belong to their entry; what never closes is none."""
    text = "x @misc{a, title = {b {c}}} y @misc{d, title = {e}"
    assert entries(text) == [("a", "@misc{a, title = {b {c}}}")]


def test_the_bibliography_names_what_was_used() -> None:
    """Components, test sets, recipes, statistics and selkit, each once; another text under a known key is kept."""
    made = run_document()
    keys = [work.key for work in works(made)]
    assert keys == sorted(
        [
            *("selkit", "ge2024clustering", "liu2023coachlm", "moon2025rigor", "dubois2024length"),
            *("gao2023framework", "holm1979simple", "satterthwaite1946approximate", "schuirmann1987comparison"),
            *("cochran1954combination", "welch1951comparison", "higgins2002quantifying", "kendall1938measure"),
        ]
    )
    assert [key for key, _ in entries(bibliography(made))] == keys
    other = {"of": "arm x", "bibtex": "@misc{ge2024clustering,\n  title = {Another}\n}"}
    made["citations"] = [*made["citations"], other]
    assert "ge2024clustering-2" in [key for key, _ in entries(bibliography(made))]


@pytest.mark.parametrize(
    ("changes", "keys"),
    [
        ({"verdicts": [], "grid": {}}, set()),
        ({"grid": {}}, {"holm1979simple", "satterthwaite1946approximate", "schuirmann1987comparison"}),
        ({"verdicts": [], "grid": {"flips": [{"q": None}]}}, set()),
        ({"verdicts": [], "grid": {"pooled": [{"predicted_low": None}]}}, {"hartung2001tests", "paule1982consensus"}),
        (
            {"verdicts": [], "grid": {"pooled": [{"predicted_low": -1.0}]}},
            {"hartung2001tests", "paule1982consensus", "higgins2009reevaluation"},
        ),
        (
            {"verdicts": [], "grid": {"recipe_agreement": [{}], "signal": [{}]}},
            {"kendall1938measure", "heineman2025signal"},
        ),
        (
            {"verdicts": [{"verdict": "BEATS", "p_bh": 0.01}], "grid": {}},
            {"holm1979simple", "satterthwaite1946approximate", "benjamini1995controlling"},
        ),
        (
            {"verdicts": [], "grid": {}, "search": {"verdicts": [], "grid": {"agreement": [{}]}}},
            {"kendall1938measure"},
        ),
    ],
)
def test_only_statistics_that_were_used_are_cited(changes: dict[str, Any], keys: set[str]) -> None:
    """Each work stands there where a number in the document goes back to it, and nowhere else."""
    bare = {work.key for work in works(run_document(verdicts=[], grid={}))}
    assert {work.key for work in works(run_document(**changes))} - bare == keys


def test_methods_name_settings_and_cite() -> None:
    """Pools with rows, runs, recipe values, judging, statistics, versions; every citation is in the bibliography."""
    made = run_document()
    text, latex = methods_text(made), methods_latex(made)
    for part in (
        "We compared longest and car with random by selkit 0.0 [@selkit], on dolly (200 rows) and alpaca (200 rows), "
        "at budgets of 500 and 5%.",
        "but for the seed of the training, which is 7 throughout",
        "car is the selector selkit-car:car with scorer (name iqs) [@ge2024clustering].",
        "Recipe moon-07 [@moon2025rigor] trained tiny with learning rate 2e-05, batch size 256, epochs 3; adapters "
        "with rank 16.",
        "Answers to test set coachlm [@liu2023coachlm] (decoding greedy, at most 512 tokens) were compared with those "
        "of one more run of random by judge openai in both orders",
        "Margins of equivalence, in points: coachlm 2.5 (declared before the first run; digest 000000000000); 90% "
        "intervals are held against them [@schuirmann1987comparison].",
        "longest takes the rows with the longest responses (unit tokens).",
        "random draws rows uniformly at random without replacement.",
        "with torch 2.13.0.",
    ):
        assert part in text
    cited = {key for keys in re.findall(r"\\cite\{([^}]*)\}", latex) for key in keys.split(",")}
    assert cited
    assert cited <= {work.key for work in works(made)}
    assert balanced(latex)
    assert "5\\%" in latex


def test_methods_say_what_given_arms_are() -> None:
    """The base model, another model and stored outputs: neither chosen nor trained, and cited as no selector."""
    made = run_document()
    given = {"name": "", "as": None, "parameters": {}, "model": None, "outputs": None}
    made["spec"]["selectors"] = [
        {**given, "model": "base"},
        {**given, "as": "tulu", "model": "hub:tulu@main"},
        {**given, "as": "lima", "outputs": "lima.jsonl"},
    ]
    text = methods_text(made)
    assert "We compared base, tulu and lima with random" in text
    rest = "nothing was selected or trained for it, and it is one run."
    assert f"base is the base model as it is, without training: {rest}" in text
    assert f"tulu is hub:tulu@main as it is, without training: {rest}" in text
    assert f"lima is given by its outputs: {rest}" in text


def test_methods_tell_composite_run_variance_and_exploratory_verdicts() -> None:
    """Weights where they differ, whose variance between runs was used, both corrections, and Holm's own family."""
    made = run_document()
    made["rules"]["weights"] = {"coachlm": 2.0, "ifeval": 1.0}
    rows = made["verdicts"]
    for row in rows[::2]:
        row |= {"benchmark": "composite", "family": "primary", "family_size": 7, "flags": ["pooled_variance"]}
    for row in rows[1::2]:
        row |= {"family": "secondary", "family_size": 30, "p_bh": 0.2, "flags": ["borrowed_variance"]}
    rows[1]["p_bh"] = None  # of scores that do not vary: still no part of Holm's family
    text = methods_text(made)
    for part in (
        "Holm's method [@holm1979simple] over 7 comparisons",
        "The composite is the weighted mean of the mean scores on coachlm (2) and ifeval (1), taken within each run",
        "Where 3 selectors or more had two runs or more, each was judged with the mean of their variances between "
        "runs; one with over 6 times the median of the others kept its own.",
        "An arm of one run was judged with the mean of the other selectors' variances between runs, or with the "
        "control's where no other selector had two runs.",
        "p values by Benjamini and Hochberg's method [@benjamini1995controlling].",
    ):
        assert part in text
    made["rules"]["weights"] = {"coachlm": 1.0, "ifeval": 1.0}
    assert "the mean scores on coachlm and ifeval, all of one weight" in methods_text(made)


def test_methods_have_a_sentence_on_every_selector_that_ships() -> None:
    """Whatever comes with selkit is told in words, under another name too."""
    from selkit.plugins.builtin import BUILTINS

    made = run_document()
    names = list(BUILTINS["selector"])
    assert set(ARMS) == set(names)
    made["spec"]["selectors"] = [{"name": name, "as": f"my-{name}", "parameters": {}} for name in names]
    text = methods_text(made)
    assert all(f"my-{name} is {name}, which {ARMS[name]}" in text for name in names)


def files_of(folder: Path) -> dict[str, bytes]:
    """Every file of a folder by its name."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_same_run_gives_the_same_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Byte for byte; what an earlier report had more of goes, and files of others stay."""
    monkeypatch.setattr("selkit.report.exports.drawable", lambda: False)
    made = run_document()
    written, _ = write_exports(made, tmp_path / "a")
    write_exports(json.loads(json.dumps(made)), tmp_path / "b")
    assert {path.suffix for path in written} == {".csv", ".tex", ".txt", ".bib"}
    assert files_of(tmp_path / "a") == files_of(tmp_path / "b")
    (tmp_path / "a/tables/mine.csv").write_text("mine", encoding="utf-8")
    fewer, _ = write_exports({**made, "direct": [], "training": [], "diagnostics": {}, "verdicts": []}, tmp_path / "a")
    kept = {path.relative_to(tmp_path / "a").as_posix() for path in fewer}
    assert files_of(tmp_path / "a").keys() == kept | {LISTING, "tables/mine.csv"}


@pytest.mark.slow
def test_figures_are_the_same_again_and_their_text_is_text() -> None:
    """SVG and PDF without a date, of effects over arms, budgets, trainings, scores and lengths."""
    pytest.importorskip("matplotlib")
    made = with_costs()
    made["verdicts"] = [row for row in made["verdicts"] if row["benchmark"] == "ifeval" and row["pool"] == "dolly"]
    made["verdicts"][0]["arm"] = "a $x$ & <b>"
    first, again = dict(figures(made)), dict(figures(json.loads(json.dumps(made))))
    assert first == again
    names = {name.rpartition(".")[0] for name in first}
    by_budget = {f"{kind}-{budget}" for kind in ("effects", "cost-gain") for budget in (500, 1000, 4000)}
    assert names == by_budget | {"budgets-ifeval", "training", "scores-1-ifd", "lengths"}
    assert len(first) == 2 * len(names)
    assert b"a $x$ &amp; &lt;b&gt;" in first["effects-500.svg"]
    assert b"each run of random" in first["budgets-ifeval.svg"]
    assert b"<dc:date>" not in first["effects-500.svg"]
    assert b"/CreationDate" not in first["effects-500.pdf"]
    assert b"/FontFile2" in first["effects-500.pdf"]  # TrueType, which publishers ask for


def test_without_matplotlib_the_rest_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A note names the extra; tables, bibliography and methods are there."""
    monkeypatch.setattr("selkit.report.figures.find_spec", lambda name: None)
    run = run_folder(tmp_path / "run", run_document())
    done = CliRunner().invoke(command, [str(run), "-o", str(tmp_path / "out")])
    assert done.exit_code == 0
    assert WITHOUT_FIGURES in done.stderr
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert {"report.html", "tables", "methods.txt", "methods.tex", "references.bib"} <= names
    assert "figures" not in names


def test_installed_components_cite_whole_entries() -> None:
    """Whatever a component names as its works is BibTeX with author, title and year."""
    from selkit.plugins import find
    from selkit.plugins.builtin import BUILTINS

    for kind, names in BUILTINS.items():
        for name in names:
            text = find(kind, name).citation
            assert "\n\n".join(entry for _, entry in entries(text)) == text
