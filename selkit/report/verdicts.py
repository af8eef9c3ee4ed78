"""The tables of verdicts: in short, in full, and for papers, each with what explains its columns. Rows of text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from selkit.report.flags import FLAGS, explained, raised, spelt
from selkit.report.grid import GridTable
from selkit.report.tables import interval, number, p_value, percent, place_cells, place_columns, signed

Row = Mapping[str, Any]
Rows = Sequence[Row]

IN_FULL = "in full"
"""What the title of a table with all the evidence ends in."""

_SHORT_NOTE = (
    "Effects are differences in points of 100 from the control. The 95% interval is unadjusted; the simultaneous one "
    "holds for all comparisons of the family at once. 'Runs' are the arm's against the control's, 'detectable' is the "
    "difference that would be found with a power of 80%."
)

_FULL_NOTE = (
    "Effects, standard errors and deviations, and margins in points of 100. 'df' are Satterthwaite's degrees of "
    "freedom; 'p' is the two-sided p of the t test, before Holm's correction over the tests of its family. 'Run sd' is "
    "the standard deviation between runs that the arm was judged with, beside the control's. 'To settle' are the runs "
    "of each arm, or the items in the runs there are, that would settle an INCONCLUSIVE verdict; where neither would "
    "alone, its sentence says what both would."
)
_BH_NOTE = (
    "Single benchmarks beside the composite are exploratory: 'BH p' is Benjamini and Hochberg's, for which of them may "
    "be worth a look."
)


def short_note(document: Row) -> str:
    """How to read the short table of a document's verdicts, and what all of them share."""
    return " ".join(filter(None, [_SHORT_NOTE, throughout(document), flags_note(document["verdicts"])]))


def in_full(rows: Rows, title: str = "Verdicts", *, against: bool = False) -> GridTable:
    """Every verdict with all the evidence behind it, and with its control if ``against``; without rows where there are
    none."""
    place = place_columns(rows)
    control = ["against"] if against else []
    exploratory = ["BH p"] if any(row.get("p_bh") is not None for row in rows) else []
    columns = [
        *(*place, "on", "arm", *control, "verdict", "effect", "se", "df", "p", "Holm p", *exploratory, "family"),
        *("run sd", "control's", "detectable", "margin", "90% interval", "to settle"),
    ]
    lines = [
        [
            *place_cells(row, place),
            row["benchmark"],
            row["arm"],
            *([row["control"]] if control else []),
            row["verdict"],
            signed(row["effect"]),
            number(row["se"], 2),
            number(row["df"], 1),
            p_value(row["p"]),
            p_value(row["p_holm"]),
            *([p_value(row["p_bh"])] if exploratory else []),
            f"{row['family']}, {row['family_size']}",
            number(row["run_sd"], 2),
            number(row["control_run_sd"], 2),
            number(row["mde"], 1),
            f"{row['margin']:g}",
            interval(row["equivalence_low"], row["equivalence_high"]),
            " or ".join(_settling(row)),
        ]
        for row in rows
    ]
    return GridTable(f"{title} {IN_FULL}", columns, lines, " ".join(_notes(rows)))


def _settling(row: Row) -> Iterator[str]:
    if row["runs_to_settle"] is not None:
        yield f"{row['runs_to_settle']:,} runs"
    if row["items_to_settle"] is not None:
        yield f"{row['items_to_settle']:,} items"


def _notes(rows: Rows) -> Iterator[str]:
    yield _FULL_NOTE
    if any(row.get("p_bh") is not None for row in rows):
        yield _BH_NOTE


def flags_note(rows: Rows) -> str:
    """What the flags of these verdicts say; empty where none has any."""
    said = explained(rows)
    return f"Flags: {'; '.join(said)}." if said else ""


def throughout(document: Row) -> str:
    """What no column of the verdicts says: a recipe and base model that all share, and the weights of the composite."""
    rows = document["verdicts"]
    columns = place_columns(rows)
    recipes = [str(one["name"]) for one in document.get("recipes") or [document["recipe"]]]
    models = _models(document["spec"])
    shared = [f"recipe {recipes[0]}"] if len(recipes) == 1 else []
    shared += [f"base model {models[0]}"] if len(models) == 1 else []
    parts = []
    if shared:
        parts.append(f"A recipe or base model that a whole table shares has no column: {' and '.join(shared)}.")
    if len(recipes) > 1 and rows and "recipe" not in columns:
        parts.append(f"Effects are means over the recipes {', '.join(recipes[:-1])} and {recipes[-1]}.")
    if weights := document["rules"].get("weights"):
        parts.append(composite(weights))
    return " ".join(parts)


def composite(weights: Mapping[str, float]) -> str:
    """What the composite is made of, and what each part counts, as a sentence."""
    total, parts = sum(weights.values()), {name: weight for name, weight in weights.items() if weight > 0}
    shares = ", ".join(f"{name} {percent(weight / total)}" for name, weight in parts.items())
    return f"The composite is the mean of {len(parts)} measures, formed within each run: {shares}."


def _models(spec: Row) -> list[str]:
    return [spec["model"]] if spec.get("model") else [str(one["model"]) for one in spec.get("models") or ()]


_PAPER = ("run sd", "detectable", "runs", "items", "to settle")
_PAPER_NOTE = (
    "Effects are differences in points of 100 with their unadjusted 95% intervals; p is two-sided, Holm p corrected "
    "over {families}; run sd is the standard deviation between runs that the arm was judged with; detectable is the "
    "difference found with a power of 80%; runs are the arm's against the control's; to settle are the runs of each "
    "arm / the items in the runs there are that would settle an inconclusive verdict"
)


def for_paper(rows: Rows, control: str) -> GridTable:
    """The verdicts as a table of a paper: what all rows share, and what flags mean, stands in the caption."""
    place = [name for name in [*place_columns(rows), "benchmark"] if len({row.get(name) for row in rows}) > 1]
    shared = [str(row[name]) for row in rows[:1] for name in ("pool", "budget", "benchmark") if name not in place]
    exploratory = any(row.get("p_bh") is not None for row in rows)
    marks = {flag: chr(ord("a") + number) for number, flag in enumerate(raised(rows))}
    lines = [
        [
            *place_cells(row, place),
            row["arm"],
            *_paper_cells(row, exploratory),
            *([_marked(row, marks)] if marks else []),
        ]
        for row in rows
    ]
    headings = ["on" if name == "benchmark" else name for name in place]
    corrected = ["Holm p", *(["BH p"] if exploratory else [])]
    columns = [*headings, "arm", "verdict", "effect", "95% interval", "df", "p", *corrected, *_PAPER]
    columns += ["flags"] if marks else []
    note = _PAPER_NOTE.format(families=_families(rows)) + ("; BH p is Benjamini and Hochberg's" if exploratory else "")
    if marks:
        note += ". Flags: " + "; ".join(f"{mark}: {FLAGS.get(flag, spelt(flag))}" for flag, mark in marks.items())
    where = f" ({', '.join(shared)})" if shared else ""
    return GridTable(f"Verdicts against {control}{where}", columns, lines, note)


def _paper_cells(row: Row, exploratory: bool) -> list[str]:
    return [
        row["verdict"].replace("_", " "),
        signed(row["effect"]),
        interval(row["ci_low"], row["ci_high"]),
        number(row["df"], 1),
        p_value(row["p"]),
        p_value(row["p_holm"]),
        *([p_value(row["p_bh"])] if exploratory else []),
        number(row["run_sd"], 2),
        number(row["mde"], 1),
        f"{row['runs']} vs {row['control_runs']}",
        str(row["items"]),
        _settled_by(row["runs_to_settle"], row["items_to_settle"]),
    ]


def _settled_by(runs: int | None, items: int | None) -> str:
    """'9 / 900'; a dash where no number of the one does."""
    return " / ".join("-" if one is None else f"{one:,}" for one in (runs, items)) if runs or items else ""


def _marked(row: Row, marks: Mapping[str, str]) -> str:
    return ", ".join(mark for flag, mark in marks.items() if flag in row["flags"])


def _families(rows: Rows) -> str:
    """'a family of 5 tests', 'families of 5 and 10 tests'."""
    sizes = list(dict.fromkeys((row["family"], row["family_size"]) for row in rows))
    if len(sizes) == 1:
        return f"a family of {sizes[0][1]} tests"
    return f"families of {' and '.join(f'{size} ({family})' for family, size in sizes)} tests"
