"""Charts as inline SVG, by plain functions: scales, axes, and the few marks that the report needs.

Colours are classes of report.css, so that one drawing serves light, dark and print.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from selkit.report.html.elements import Markup, join, tag

SERIES = 8
"""Colours of arms in report.css (classes s0 to s7); further arms begin again, with another mark."""

SHAPES = 4
"""Shapes of marks: circle, square, triangle, diamond."""


@dataclass(frozen=True)
class Scale:
    """A map of ``low`` to ``high`` on ``start`` to ``end``: linear, or logarithmic where ``log`` is set."""

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def __call__(self, value: float) -> float:
        """The place of a value."""
        low, high, here = (math.log(one) if self.log else one for one in (self.low, self.high, value))
        share = (here - low) / (high - low) if high > low else 0.5
        return round(self.start + share * (self.end - self.start), 2)


def ticks(low: float, high: float, count: int = 6) -> list[float]:
    """Round numbers between ``low`` and ``high``: about ``count`` steps of 1, 2 or 5 times a power of ten."""
    if not high > low:
        return [low]
    rough = (high - low) / count
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough * 0.999)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(place * step, 10) for place in range(first, last + 1)]


def log_ticks(low: float, high: float) -> list[float]:
    """1, 2 and 5 times powers of ten between two positive numbers; powers alone where these are many, else round
    numbers."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for factors in ((1,), (1, 2, 5)):
        found = [factor * 10.0**power for power in powers for factor in factors]
        inside = [round(value, 10) for value in found if low <= value <= high]
        if len(inside) > 2:
            return inside
    return ticks(low, high, 4)


def span(values: Sequence[float], share: float = 0.05) -> tuple[float, float]:
    """The range of the values with some room at both ends; never empty."""
    low, high = min(values, default=0.0), max(values, default=0.0)
    room = (high - low) * share or max(abs(high) * share, 0.5)
    return low - room, high + room


def label(value: float) -> str:
    """A tick's text: no needless digits, thousands marked, a true minus."""
    shown = f"{value:,.0f}" if abs(value) >= 1000 else f"{value:g}"
    return shown.replace("-", "\N{MINUS SIGN}")


def drawing(title: str, text: str, width: float, height: float, *content: object) -> Markup:
    """An SVG that takes the width of its column, up to its own size and a little more.

    Args:
        title: Its name for screen readers.
        text: What it shows, in a sentence, for screen readers.
        width: In pixels.
        height: In pixels.
        content: Its elements.
    """
    box = f"0 0 {width:g} {height:g}"
    return tag("svg", tag("title", title), tag("desc", text), *content, viewBox=box, role="img", class_="chart")


def band(title: str, text: str, height: float, *content: object) -> Markup:
    """An SVG of a fixed height whose places along x are percentages: narrow or wide, its text keeps its size."""
    return tag("svg", tag("title", title), tag("desc", text), *content, height=f"{height:g}", role="img", class_="band")


def share(value: float) -> str:
    """A place in a band."""
    return f"{value:g}%"


def line(x1: object, y1: float, x2: object, y2: float, class_: str) -> Markup:
    """A straight line; places along x may be percentages."""
    return tag("line", x1=x1, y1=y1, x2=x2, y2=y2, class_=class_)


def text(
    x: object, y: float, content: str, class_: str = "", anchor: str = "start", turn: bool = False, title: str = ""
) -> Markup:
    """A text; ``turn`` sets it upright, to be read from below; its title shows when it is pointed at."""
    rotate = f"rotate(-90 {x} {y:g})" if turn else None
    return tag("text", _title(title), content, x=x, y=y, class_=class_ or None, text_anchor=anchor, transform=rotate)


def path(points: Sequence[tuple[float, float]], class_: str, title: str = "") -> Markup:
    """A line through points."""
    moves = "".join(f"{'L' if place else 'M'}{x:g} {y:g}" for place, (x, y) in enumerate(points))
    return tag("path", _title(title), d=moves, class_=class_)


def mark(x: object, y: float, shape: int, class_: str, title: str = "", size: float = 4.5) -> Markup:
    """A mark of one of the shapes; its title shows when it is pointed at. ``x`` may be a percentage."""
    if shape % SHAPES == 0:
        return tag("circle", _title(title), cx=x, cy=y, r=size, class_=class_)
    corners: list[Sequence[tuple[float, float]]] = [
        [(-0.9, -0.9), (0.9, -0.9), (0.9, 0.9), (-0.9, 0.9)],
        [(0, -1.2), (1.1, 0.9), (-1.1, 0.9)],
        [(0, -1.3), (1.2, 0), (0, 1.3), (-1.2, 0)],
    ]
    points = " ".join(f"{dx * size:.1f},{dy * size:.1f}" for dx, dy in corners[shape % SHAPES - 1])
    return tag("svg", tag("polygon", _title(title), points=points, class_=class_), x=x, y=y, class_="mark")


def series(place: int) -> tuple[str, int]:
    """Colour class and shape of the arm at a place: no two of the first 32 have both in common."""
    return f"s{place % SERIES}", (place // SERIES + place) % SHAPES


def bottom_axis(
    scale: Scale, y: float, top: float, name: str, at: Sequence[float], spelt: Callable[[float], str] = label
) -> Markup:
    """Grid lines from ``top`` to ``y``, ticks below, and the name of the axis."""
    parts = [
        [line(scale(value), top, scale(value), y, "grid"), text(scale(value), y + 17, spelt(value), "tick", "middle")]
        for value in at
    ]
    return join(parts, text((scale.start + scale.end) / 2, y + 36, name, "name", "middle"))


def left_axis(scale: Scale, x: float, right: float, name: str, at: Sequence[float]) -> Markup:
    """Grid lines from ``x`` to ``right``, ticks left of them, and the name of the axis, upright."""
    parts = [
        [line(x, scale(value), right, scale(value), "grid"), text(x - 7, scale(value) + 4, label(value), "tick", "end")]
        for value in at
    ]
    return join(parts, text(14, (scale.start + scale.end) / 2, name, "name", "middle", turn=True))


def legend(names: Sequence[tuple[str, str, int | None]]) -> Markup:
    """What colours, shapes and lines stand for; as a list, so that it wraps.

    Args:
        names: Name, class and shape of each; the shape of what is drawn as a line is None.
    """
    items = [
        tag("li", tag("svg", _sample(style, shape), width="20", height="16", aria_hidden="true"), tag("span", name))
        for name, style, shape in names
    ]
    return tag("ul", items, class_="legend")


def _sample(style: str, shape: int | None) -> Markup:
    return line(0, 8, 20, 8, style) if shape is None else mark(10, 8, shape, f"dot {style}")


def shortened(name: str, characters: int) -> str:
    """A name of no more than so many characters: the middle of a longer one is left out."""
    if len(name) <= characters:
        return name
    head = characters // 2
    return f"{name[:head]}\N{HORIZONTAL ELLIPSIS}{name[head + 1 - characters :]}"


def _title(title: str) -> Markup | None:
    return tag("title", title) if title else None
