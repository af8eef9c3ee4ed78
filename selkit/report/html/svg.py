"""Charts as inline SVG, by plain functions: scales, axes, and the few marks that the report needs.

Colours are classes of report.css, so that one drawing serves light, dark and print. Lengths are in pixels of the
drawing, which shrinks to the width of the page.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from selkit.report.html.elements import Markup, join, tag

SERIES = 8
"""Colours of arms in report.css (classes s0 to s7); further arms begin again, with another mark."""

MARKS = 4
"""Shapes of marks: circle, square, triangle, diamond."""

CHARACTER = 6.6
"""Width of a character of the labels (12 px), for margins that fit them."""


@dataclass(frozen=True)
class Scale:
    """A linear map of ``low`` to ``high`` on ``start`` to ``end``; logarithmic where ``log`` is set."""

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def __call__(self, value: float) -> float:
        """The place of a value."""
        low, high, at = (
            (math.log(v) for v in (self.low, self.high, value)) if self.log else (self.low, self.high, value)
        )
        share = (at - low) / (high - low) if high > low else 0.5
        return round(self.start + share * (self.end - self.start), 1)


def ticks(low: float, high: float, count: int = 6) -> list[float]:
    """Round numbers from ``low`` to ``high``, about ``count`` of them: steps of 1, 2 or 5 times a power of ten."""
    if not high > low:
        return [low]
    rough = (high - low) / max(count, 1)
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough * 0.999)
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [round(place * step, 10) for place in range(first, last + 1)]


def span(values: Sequence[float], include: Sequence[float] = (), share: float = 0.05) -> tuple[float, float]:
    """The range of the values with some room at both ends; never empty."""
    known = [*values, *include] or [0.0]
    low, high = min(known), max(known)
    room = (high - low) * share or max(abs(high) * share, 0.5)
    return low - room, high + room


def label(value: float) -> str:
    """A tick's text: no needless digits, thousands marked, a true minus."""
    shown = f"{value:,.0f}" if abs(value) >= 1000 else f"{value:g}"
    return shown.replace("-", "\N{MINUS SIGN}")


def drawing(title: str, text: str, width: float, height: float, *content: object, wide: bool = False) -> Markup:
    """An SVG of a given size.

    Args:
        title: Its name for screen readers.
        text: What it shows, in a sentence, for screen readers.
        width: In pixels; a narrower page shrinks it, a wider one leaves it.
        height: In pixels.
        content: Its elements.
        wide: Whether a narrow page lets it be scrolled rather than shrink it below what can be read.
    """
    svg = tag(
        "svg",
        tag("title", title),
        tag("desc", text),
        *content,
        viewBox=f"0 0 {width:g} {height:g}",
        width=f"{width:g}",
        height=f"{height:g}",
        role="img",
        class_="chart keep" if wide else "chart",
    )
    return tag("div", svg, class_="wide", tabindex="0") if wide else svg


def line(x1: float, y1: float, x2: float, y2: float, class_: str) -> Markup:
    """A straight line."""
    return tag("line", x1=x1, y1=y1, x2=x2, y2=y2, class_=class_)


def text(x: float, y: float, content: str, class_: str = "", anchor: str = "start", turn: bool = False) -> Markup:
    """A text; ``turn`` sets it upright, to be read from below."""
    rotate = f"rotate(-90 {x:g} {y:g})" if turn else None
    return tag("text", content, x=x, y=y, class_=class_ or None, text_anchor=anchor, transform=rotate)


def path(points: Sequence[tuple[float, float]], class_: str, title: str = "") -> Markup:
    """A line through points."""
    moves = "".join(f"{'L' if place else 'M'}{x:g} {y:g}" for place, (x, y) in enumerate(points))
    return tag("path", tag("title", title) if title else None, d=moves, class_=class_)


def mark(x: float, y: float, shape: int, class_: str, title: str = "", size: float = 4.5) -> Markup:
    """A mark of one of the shapes, with a title that shows when it is pointed at."""
    inside = tag("title", title) if title else None
    kind = shape % MARKS
    if kind == 0:
        return tag("circle", inside, cx=x, cy=y, r=size, class_=class_)
    corners: list[Sequence[tuple[float, float]]] = [
        [(-0.9, -0.9), (0.9, -0.9), (0.9, 0.9), (-0.9, 0.9)],
        [(0, -1.2), (1.1, 0.9), (-1.1, 0.9)],
        [(0, -1.3), (1.2, 0), (0, 1.3), (-1.2, 0)],
    ]
    points = " ".join(f"{x + dx * size:.1f},{y + dy * size:.1f}" for dx, dy in corners[kind - 1])
    return tag("polygon", inside, points=points, class_=class_)


def series(place: int) -> tuple[str, int]:
    """The colour class and the shape of the arm at a place: no two of the first 32 have both in common."""
    return f"s{place % SERIES}", (place // SERIES + place) % MARKS


def bottom_axis(
    scale: Scale, y: float, top: float, name: str, at: Sequence[float], spelt: Callable[[float], str] = label
) -> Markup:
    """Ticks with their grid lines and labels below ``y``, and the name of the axis."""
    parts = [
        (line(scale(value), top, scale(value), y, "grid"), text(scale(value), y + 16, spelt(value), "tick", "middle"))
        for value in at
    ]
    middle = (scale.start + scale.end) / 2
    return join([list(part) for part in parts], text(middle, y + 35, name, "name", "middle"))


def left_axis(scale: Scale, x: float, right: float, name: str, at: Sequence[float]) -> Markup:
    """Ticks with their grid lines and labels left of ``x``, and the name of the axis, upright."""
    parts = [
        (line(x, scale(value), right, scale(value), "grid"), text(x - 7, scale(value) + 4, label(value), "tick", "end"))
        for value in at
    ]
    middle = (scale.start + scale.end) / 2
    return join([list(part) for part in parts], text(14, middle, name, "name", "middle", turn=True))


def legend(names: Sequence[tuple[str, str, int]]) -> Markup:
    """A legend beside a drawing, of (name, colour class, shape); as HTML, so that it wraps."""
    items = [
        tag(
            "li",
            tag("svg", mark(8, 8, shape, f"dot {colour}"), width="16", height="16", aria_hidden="true"),
            tag("span", name),
        )
        for name, colour, shape in names
    ]
    return tag("ul", items, class_="legend")


def shortened(name: str, characters: int) -> str:
    """A name that fits: the middle of a longer one is left out."""
    if len(name) <= characters:
        return name
    head = (characters - 1 + 1) // 2
    return f"{name[:head]}\N{HORIZONTAL ELLIPSIS}{name[len(name) - (characters - 1 - head) :]}"
