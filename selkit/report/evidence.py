"""Tables of what stands behind the verdicts: win rates, every run's score, selections, training. Rows of text."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from selkit.report.grid import GridTable, without_empty
from selkit.report.tables import number, percent, place_cells, place_columns, verdict_table
from selkit.report.verdicts import flags_note, in_full


def comparisons(document: Mapping[str, Any]) -> GridTable:
    """The verdicts on the pairs that the spec sets against each other; without rows where there are none."""
    found = document.get("comparisons", [])
    columns, rows = verdict_table(found)
    at = columns.index("verdict")
    columns.insert(at, "against")
    for row, verdict in zip(rows, found, strict=True):
        row.insert(at, verdict["control"])
    note = (
        "Differences in points of 100 of the first from the second. What both share stands under pool and budget, what "
        "sets them apart in brackets. Holm's correction is over these comparisons alone."
    )
    return without_empty(GridTable("Comparisons", columns, rows, f"{note} {flags_note(found)}".strip()))


def comparisons_in_full(document: Mapping[str, Any]) -> GridTable:
    """The verdicts on these pairs with all the evidence behind them."""
    return without_empty(in_full(document.get("comparisons", []), "Comparisons", against=True))


_RATE_UNITS = (
    "'Overlap' is the smaller of two shares of the comparisons: the arm's answer is the longer one, or the other is, "
    "in characters (equal lengths count half to each), so 50% is the most. 'Words' are the mean words of the arm's "
    "answers, between white space. An interval is 'not known' where the preferences hardly vary from prompt to prompt: "
    "that is no certainty."
)


def win_rates(document: Mapping[str, Any]) -> GridTable:
    """Win rates against the anchor."""
    note = (
        "Win rates in percent against the anchor, both orders averaged, all runs of an arm pooled. The "
        "length-controlled rate is the model's estimate at equal length, with its interval; where fewer than 5% of the "
        "answers are on the other side of the anchor's length, these data cannot give it. " + _RATE_UNITS
    )
    return GridTable("Win rates", *_rates(document["win_rates"]), note)


def direct(document: Mapping[str, Any]) -> GridTable:
    """Win rates against the control's own runs, where the spec asked for them."""
    control = document["spec"]["control"]
    note = (
        f"Win rates in percent against the runs of {control} themselves, as in 'Chasing Random'. "
        f"They are shown and give no verdict: the same control runs stand behind every one of them. {_RATE_UNITS}"
    )
    return GridTable(f"Directly against {control}", *_rates(document["direct"]), note)


def run_scores(document: Mapping[str, Any]) -> GridTable:
    """The mean score of every run."""
    groups: dict[tuple[str, ...], list[str]] = defaultdict(list)
    place = place_columns(document["scores"])
    for row in document["scores"]:
        groups[*place_cells(row, place), row["benchmark"], row["arm"]].append(f"{100 * row['score']:.1f}")
    rows = [[*where, ", ".join(scores)] for where, scores in groups.items()]
    note = "The mean over a run's items, runs in the order of their numbers."
    return GridTable("Mean score of every run", [*place, "on", "arm", "runs (points of 100)"], rows, note)


def selections(document: Mapping[str, Any]) -> GridTable:
    """Every selection with what is to be known of it."""
    place = place_columns(document["selections"])
    columns = [*place, "arm", "run", "rows", "mean words", "notes"]
    rows = [
        [
            *place_cells(row, place),
            row["arm"],
            str(row["run"]),
            str(row["rows"]),
            number(row["mean_words"], 1),
            "; ".join(_facts(row["facts"])),
        ]
        for row in document["selections"]
    ]
    note = "'Mean words' are those of the responses of the rows selected, between white space."
    return GridTable("Selections", columns, rows, note)


def training(document: Mapping[str, Any]) -> GridTable:
    """Every training."""
    place = place_columns(document["training"])
    columns = [*place, *("arm", "run", "trained", "cut off", "dropped", "supervised tokens", "steps", "final loss")]
    rows = [
        [
            *place_cells(row, place),
            row["arm"],
            str(row["run"]),
            f"{row['n_trained']} of {row['n_selected']}",
            str(row["n_truncated"]),
            str(row["n_dropped"]),
            str(row["supervised_tokens"]),
            str(row["steps"]),
            number(row["final_loss"], 3),
        ]
        for row in document["training"]
    ]
    note = (
        "Trained are the rows of which anything was trained, of those selected; dropped are the others. 'Cut off' are "
        "trained rows with a response that lost its end. Supervised tokens have a loss, and are counted in one pass "
        "over the rows; the loss is in nats a token."
    )
    return GridTable("Training", columns, rows, note)


def settings(document: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What was set, as name and value."""
    spec = document["spec"]
    models = [spec["model"]] if spec["model"] else [one["model"] for one in spec["models"]]
    recipes = [{k: v for k, v in recipe.items() if v not in (None, "", [], {})} for recipe in document["recipes"]]
    margins = ", ".join(f"{name} {points:g}" for name, points in document["rules"]["margins"].items())
    return [
        *(("model", model) for model in models),
        *(("recipe", ", ".join(f"{k} {v}" for k, v in recipe.items())) for recipe in recipes),
        ("control", f"{spec['control']}; alpha {spec['alpha']}; selkit {document['selkit']}"),
        ("margins, in points", f"{margins or 'none'}; declared under {document['rules']['digest'][:12]}"),
    ]


def _rates(rates: Sequence[Mapping[str, Any]]) -> tuple[list[str], list[list[str]]]:
    place = place_columns(rates)
    columns = [*place, "test set", "arm", "win rate", "length-controlled", "95% interval", "overlap", "words"]
    return columns, [
        [
            *place_cells(row, place),
            row["testset"],
            row["arm"],
            number(row["win_rate"], 1),
            number(row["lc_win_rate"], 1) if row["identified"] else "not identified",
            _rate_interval(row),
            percent(row["overlap"]),
            number(row["words"], 1),
        ]
        for row in rates
    ]


def _rate_interval(row: Mapping[str, Any]) -> str:
    if row["lc_low"] is None:
        return "not known" if row["identified"] else ""
    return f"{row['lc_low']:.1f} to {row['lc_high']:.1f}"


def _facts(facts: Mapping[str, Any]) -> Iterator[str]:
    if facts.get("shortfall"):
        yield facts["shortfall"]
    for name in ("excluded", "failed"):
        for reason, count in (facts.get(name) or {}).items():
            yield f"{count} {name}: {reason}"
    for name in ("truncated", "ties_at_cut", "unmatched", "topped_up"):
        if facts.get(name):
            yield f"{name.replace('_', ' ')}: {facts[name]}"
    if len(facts.get("filter_passes") or ()) > 1:  # of DEITA, where the first threshold kept too few rows
        yield f"similarity threshold raised to {facts['similarity_threshold']:g}"
    if "rows_changed_by_diversity" in facts:  # of CaR, where none is news too
        yield f"rows changed by diversity: {facts['rows_changed_by_diversity']}"
