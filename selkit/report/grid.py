"""Tables of what the whole grid says: recipes, flips, new pools and budgets, agreement, signal. Rows of text."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from selkit.report.tables import interval, number, p_value, percent, signed, text
from selkit.stats import COMPOSITE

Rows = Sequence[Mapping[str, Any]]


class GridTable(NamedTuple):
    """A table with the sentence that explains it."""

    title: str
    columns: list[str]
    rows: list[list[str]]
    note: str


def grid_tables(tables: Mapping[str, Rows]) -> list[GridTable]:
    """The tables of :meth:`selkit.stats.Study.tables` that hold anything, for people.

    Columns in which every cell is empty are left out, and so is a base model that is the only one.
    """
    makers: dict[str, Callable[[Rows], GridTable]] = {
        "recipes": _recipes,
        "flips": _flips,
        "adapters": _adapters,
        "pooled": _pooled,
        "agreement": _agreement,
        "recipe_agreement": _recipe_agreement,
        "signal": _signal,
        "permutation": _permutation,
    }
    found = []
    for name, make in makers.items():
        if shown := _shown(name, tables.get(name, ())):
            table = without_empty(make(shown))
            more = {row["benchmark"] for row in tables[name]} > {row["benchmark"] for row in shown}
            found.append(table._replace(note=f"{table.note} {_OTHERS}") if more else table)
    return found


def _shown(name: str, rows: Rows) -> Rows:
    """The rows worth reading.

    Of a composite and its benchmarks the composite, but every signal to noise; of the randomisation check what it does
    not confirm.
    """
    names = {row["benchmark"] for row in rows}
    if name == "permutation":
        rows = [row for row in rows if row["disagrees"]]
    if name == "signal":
        return rows
    return [row for row in rows if row["benchmark"] == COMPOSITE] if COMPOSITE in names else rows


def without_empty(table: GridTable) -> GridTable:
    """The table without columns in which nothing stands, and without a base model that is the only one."""
    held = {name: {row[place] for row in table.rows} for place, name in enumerate(table.columns)}
    alone = {"model"} if len(held.get("model", ())) == 1 else set()  # one base model is named among the settings
    kept = [place for place, name in enumerate(table.columns) if any(held[name]) and name not in alone]
    rows = [[row[place] for place in kept] for row in table.rows]
    return table._replace(columns=[table.columns[place] for place in kept], rows=rows)


def _recipes(rows: Rows) -> GridTable:
    lines = [
        [
            *_where(row),
            text(row["recipe"]),
            signed(row["effect"]),
            interval(row["ci_low"], row["ci_high"]),
            f"{row['runs']} vs {row['control_runs']}",
            row.get("reason", ""),
        ]
        for row in rows
    ]
    columns = [*_PLACE, "recipe", "effect", "95% interval", "runs", "not known because"]
    return GridTable("Recipe by recipe", columns, lines, "Differences in points of 100; the intervals are unadjusted.")


def _flips(rows: Rows) -> GridTable:
    lines = [
        [
            *_where(row),
            f"{row['better']} of {row['recipes']}",
            percent(row["share"]),
            percent(row["chance_share"]),
            "" if row["q"] is None else f"{row['q']:.1f} ({row['q_df']} df, p {p_value(row['q_p'])})",
            percent(row["i2"]),
            p_value(row["interaction_p_holm"]),
            "not known" if row["flips"] is None else "yes" if row["flips"] else "no",
            row.get("reason", ""),
        ]
        for row in rows
    ]
    columns = [
        *_PLACE,
        "better in",
        "flipped",
        "by chance",
        "Cochran's Q",
        "I2",
        "interaction",
        "recipe decides",
        "left out",
    ]
    note = (
        "'Flipped' is the share of recipes that say the opposite of the others, 'by chance' the share to expect if the "
        "difference were the same under every recipe. The recipe decides where the interaction (Welch's test, Holm p) "
        "is significant or two recipes have 95% intervals on opposite sides of 0. A recipe that lacks runs is not "
        "counted, and one whose scores do not vary is counted and not tested."
    )
    return GridTable("Flips over recipes", columns, lines, note)


def _adapters(rows: Rows) -> GridTable:
    lines = [
        [
            *_where(row),
            signed(row["lora_effect"]),
            interval(row["lora_low"], row["lora_high"]),
            signed(row["full_effect"]),
            interval(row["full_low"], row["full_high"]),
            signed(row["difference"]),
            interval(row["ci_low"], row["ci_high"]),
            p_value(row["p_holm"]),
        ]
        for row in rows
    ]
    ends = "95% interval"
    columns = [*_PLACE, "LoRA", ends, "full", ends, "difference", ends, "Holm p"]
    note = (
        "The arm's difference from the control under recipes that train adapters and under those that train all "
        "weights, and how far the two are apart (paired by run and item). A significant one says that adapters are no "
        "cheap stand-in for full fine-tuning here."
    )
    return GridTable("LoRA against full fine-tuning", columns, lines, note)


def _pooled(rows: Rows) -> GridTable:
    lines = [
        [
            *_where(row),
            row["over"],
            f"{row['better']} of {row['places']}",
            signed(row["effect"]),
            interval(row["ci_low"], row["ci_high"]),
            p_value(row["p"]),
            number(row["tau"], 1),
            interval(row["predicted_low"], row["predicted_high"]),
            percent(row["chance_better"]),
        ]
        for row in rows
    ]
    columns = [*_PLACE, "over", "better in", "effect", "95% interval", "p", "sd between", "new place", "better there"]
    notes = ["Random-effects mean over the places with Hartung and Knapp's interval."]
    if any(row["places"] < _MANY_PLACES for row in rows):
        notes.append(
            "It holds the truth as often as it says, but rests on how far the places are apart: where two or three "
            "agree by chance it is narrow, and should be read beside their own intervals."
        )
    if any(row["predicted_low"] is not None for row in rows):
        notes.append(
            "'New place' is the 95% prediction interval for one more pool or budget like these, 'better there' the "
            "chance that the difference is above 0."
        )
    return GridTable("What to expect elsewhere", columns, lines, " ".join(notes))


def _agreement(rows: Rows) -> GridTable:
    columns = [*_GROUND, "benchmarks", *_TAU]
    lines = [[*_ground(row), f"{row['first']} and {row['second']}", *_tau(row)] for row in rows]
    return GridTable("Do the benchmarks agree?", columns, lines, _TAU_NOTE.format("benchmarks", "benchmark"))


def _recipe_agreement(rows: Rows) -> GridTable:
    columns = [*_GROUND, "on", "recipes", *_TAU]
    lines = [
        [
            *_ground(row),
            text(row["benchmark"]),
            f"{row['first']} and {row['second']}" + (" (LoRA against full)" if row["lora"] else ""),
            *_tau(row),
        ]
        for row in rows
    ]
    return GridTable("Do the recipes agree?", columns, lines, _TAU_NOTE.format("recipes", "recipe"))


def _signal(rows: Rows) -> GridTable:
    lines = [
        [
            *_ground(row),
            row["benchmark"],
            number(row["signal"], 1),
            number(row["noise"], 2),
            number(row["ratio"], 1),
            "" if row["informative"] is None else "yes" if row["informative"] else "no",
        ]
        for row in rows
    ]
    columns = [*_GROUND, "on", "signal", "noise", "ratio", "informative here"]
    note = (
        "Signal: best selector less worst, in points of 100. Noise: standard deviation between the control's runs. "
        "Under 2 a benchmark tells the selectors apart hardly better than random's own runs."
    )
    return GridTable("Signal to noise", columns, lines, note)


_GROUND = ["pool", "budget", "model"]
_MANY_PLACES = 4  # of fewer, the spread may be next to nothing by chance
_OTHERS = "This is the composite; the single benchmarks' rows are in the JSON."


def _permutation(rows: Rows) -> GridTable:
    lines = [
        [
            *_where(row),
            f"{row['runs']} vs {row['control_runs']}",
            f"{row['relabellings']:,}{'' if row['exact'] else ' (drawn from)'}",
            p_value(row["lowest"]),
            p_value(row["p"]),
            p_value(row["t_p"]),
        ]
        for row in rows
    ]
    columns = [*_PLACE, "runs", "relabellings", "lowest p", "p", "p of the t test"]
    note = (
        "Comparisons of which only one of two p values is below alpha: that of the t test, and that of handing out the "
        "runs' labels anew, which assumes nothing on how runs vary and leaves the items as they are. 'Lowest' is the "
        "smallest that so many runs could give. Trust neither too far."
    )
    return GridTable("Where relabelling the runs disagrees", columns, lines, note)


_PLACE = [*_GROUND, "on", "arm"]
_TAU = ["arms", "tau", "95% interval", "p", "detectable tau", "detectable effects"]
_TAU_NOTE = (
    "Kendall's tau over the arms' differences from the control: 1 where both {0} order the arms alike, -1 where they "
    "order them the other way round. An interval, which takes two runs of every arm, draws the runs again. A "
    "detectable tau is the smallest that so many arms could show, if any; 'detectable effects' are the differences "
    "that each {1} finds with a power of 80%: an order of smaller ones is mostly noise."
)


def _where(row: Mapping[str, Any]) -> Iterator[str]:
    yield from (*_ground(row), row["benchmark"], row["arm"])


def _ground(row: Mapping[str, Any]) -> list[str]:
    return [text(row[name]) for name in _GROUND]


def _tau(row: Mapping[str, Any]) -> list[str]:
    return [
        str(row["points"]),
        number(row["tau"], 2),
        _shares(row["ci_low"], row["ci_high"]),
        p_value(row["p"]),
        number(row["detectable"], 2),
        ", ".join(number(row[name], 1) for name in ("mde_first", "mde_second") if row[name] is not None),
    ]


def _shares(low: float | None, high: float | None) -> str:
    return "" if low is None or high is None else f"{low:.2f} to {high:.2f}"
