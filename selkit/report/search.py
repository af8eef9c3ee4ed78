"""What a recipe search found: every recipe's validation score, the choice, and the verdicts under it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from selkit.report.grid import GridTable
from selkit.report.tables import number, text, verdict_table
from selkit.report.verdicts import flags_note, in_full

_SCORES = {
    "held-out-loss": "mean loss (nats) of the response tokens of held-out rows; lower is better",
    "judged": "share of held-out prompts not won against their own responses; lower is better",
}

_CHOSEN = (
    "Every arm, and the control, under the recipe of its own best validation score; judged runs against one anchor "
    "under the control's recipe. These verdicts are a family beside those over all recipes."
)


def search_tables(document: Mapping[str, Any]) -> list[GridTable]:
    """The choices, and the verdicts under the chosen recipes; nothing where no recipe was searched."""
    found = document.get("search")
    if not found:
        return []
    columns, rows = verdict_table(found["verdicts"])
    note = f"{_CHOSEN} {flags_note(found['verdicts'])}".strip()
    title = "Under the recipe chosen for each arm"
    verdicts = [GridTable(title, columns, rows, note), in_full(found["verdicts"], f"{title},")] if rows else []
    return [_choices(found), *verdicts]


def _choices(found: Mapping[str, Any]) -> GridTable:
    recipes = list(dict.fromkeys(one["recipe"] for choice in found["choices"] for one in choice["tried"]))
    several = len({choice["model"] for choice in found["choices"]}) > 1
    rows = [
        [
            choice["pool"],
            text(choice["budget"]),
            *([choice["model"]] if several else []),
            choice["arm"],
            text(choice["recipe"]),
            *_scores(choice["tried"], recipes),
        ]
        for choice in found["choices"]
    ]
    place = ["pool", "budget", *(["model"] if several else []), "arm"]
    held = ", ".join(f"{row['rows']} of {row['pool']}" for row in found["validation"])
    note = (
        f"Validation score: {_SCORES[found['by']]}, the mean over all runs of the arm. The rows ({held}) were held out "
        "before anything was selected; no test score has a say. A recipe under which a run has no score is not chosen."
    )
    return GridTable("The recipe chosen for each arm", [*place, "chosen", *recipes], rows, note)


def _scores(tried: Sequence[Mapping[str, Any]], recipes: Sequence[str]) -> list[str]:
    known = {one["recipe"]: one["score"] for one in tried}
    return [number(known.get(recipe), 3) for recipe in recipes]
