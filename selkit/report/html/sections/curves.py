"""Training curves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from selkit.report.html.elements import Markup, tag
from selkit.report.html.figures import Curve, curves
from selkit.report.html.places import by_place, numbers
from selkit.report.html.tables import gallery

POINTS = 80
"""Points of a loss curve that are drawn: means over as many stretches of steps."""


def training_curves(document: Mapping[str, Any]) -> Markup:
    """The loss of every training over its steps, place by place."""
    rows = [row for row in document["training"] if row.get("loss_curve")]
    figures = []
    for (at,), group in by_place(rows).items():
        found = [Curve(row["arm"], [(x, y, None, None) for x, y in thinned(row["loss_curve"])]) for row in group]
        drawn = curves(
            f"Loss, {at.title}",
            f"Training loss over the steps of {len(group)} runs",
            found,
            ("step", "training loss"),
            colours=numbers(document),
        )
        figures.append(tag("div", tag("h3", at.title), drawn, class_="figure"))
    return gallery(figures)


def thinned(curve: Sequence[Sequence[float]], points: int = POINTS) -> list[tuple[float, float]]:
    """A curve of at most ``points`` points: the last step and the mean loss of every stretch."""
    size = -(-len(curve) // points)
    parts = [curve[start : start + size] for start in range(0, len(curve), size)]
    return [(part[-1][0], sum(loss for _, loss in part) / len(part)) for part in parts]
