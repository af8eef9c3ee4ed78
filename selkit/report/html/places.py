"""Where in the grid a row of report.json belongs: pool, budget, base model, recipe."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

Row = Mapping[str, Any]


class Place(NamedTuple):
    """One part of the grid. A part that a row does not name is None."""

    pool: str | None
    budget: str | None
    model: str | None
    recipe: str | None

    @property
    def parts(self) -> list[str]:
        """What the place names, each in words."""
        budget = f"budget {self.budget}" if self.budget else None
        model = f"from {self.model}" if self.model else None
        recipe = f"recipe {self.recipe}" if self.recipe else None
        return [part for part in (self.pool, budget, model, recipe) if part]

    @property
    def title(self) -> str:
        """The place in words; nothing of what it does not name."""
        return titled(*self.parts)

    def after(self, *names: str) -> str:
        """A title of these names and the place."""
        return titled(*names, *self.parts)


def titled(*parts: str) -> str:
    """Parts of a title, with dots between them."""
    return " \N{MIDDLE DOT} ".join(parts)


def place(row: Row) -> Place:
    """The place of a row; a recipe that comes as its settings (of a training) by its name."""
    recipe = row.get("recipe")
    name = recipe.get("name") if isinstance(recipe, Mapping) else recipe
    return Place(row.get("pool"), row.get("budget"), row.get("model"), name)


def by_place(rows: Iterable[Row], *more: str) -> dict[tuple[Any, ...], list[Row]]:
    """Rows by place and by further keys, in the order in which these come first.

    A base model or a recipe that all of them share is left out of the places.
    """
    rows = list(rows)
    dropped = {name: None for name in ("model", "recipe") if len({getattr(place(row), name) for row in rows}) == 1}
    groups: dict[tuple[Any, ...], list[Row]] = defaultdict(list)
    for row in rows:
        groups[(place(row)._replace(**dropped), *(row[key] for key in more))].append(row)
    return dict(groups)


def numbers(document: Row) -> dict[str, int]:
    """A number for every arm, the control's first: it fixes colour and mark in all figures."""
    names = [document["spec"]["control"], *(row["arm"] for row in document["scores"])]
    names += [row["arm"] for key in ("verdicts", "training") for row in document.get(key, ())]
    return {name: number for number, name in enumerate(dict.fromkeys(names))}


def matches(row: Row, at: Place) -> bool:
    """Whether a row belongs to a place: what it does not name it shares with all."""
    return all(mine is None or other is None or mine == other for mine, other in zip(place(row), at, strict=True))
