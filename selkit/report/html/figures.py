"""The figures of the page: intervals row by row, runs as points, lines over budgets and steps."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from selkit.report.html.elements import Markup, tag
from selkit.report.html.svg import (
    Scale,
    band,
    bottom_axis,
    drawing,
    label,
    left_axis,
    legend,
    line,
    log_ticks,
    mark,
    path,
    series,
    share,
    shortened,
    span,
    text,
    ticks,
)

ROW = 44.0
"""Height of a row of a band: a line of text, and the interval under it."""

NAME = 24
"""Characters of a name in a band; on a phone it stands beside a remark as long."""

AXIS = 56
"""Characters of the name of an axis."""

WIDTH, HEIGHT = 420.0, 300.0
LEFT, RIGHT, TOP, BOTTOM = 54.0, 408.0, 12.0, 252.0
"""A chart and its plotting area, in pixels."""


class Interval(NamedTuple):
    """A row of a forest plot: a name, a remark at its right, and a value with its interval and a wider one."""

    name: str
    remark: str
    value: float | None
    low: float | None = None
    high: float | None = None
    wide_low: float | None = None
    wide_high: float | None = None
    kind: str = ""


class Row(NamedTuple):
    """A row of points: a name, a remark at its right, the points with what each says, and their mean."""

    name: str
    remark: str
    points: Sequence[tuple[float, str]]
    mean: float | None
    colour: str


class Curve(NamedTuple):
    """Points (x, y, low, high) of one arm, a line through them if ``joined``, and a mark on each if ``marked``.

    Where low and high are known there is a mark in any case.
    """

    name: str
    points: Sequence[tuple[float, float, float | None, float | None]]
    joined: bool = True
    marked: bool = False


def forest(title: str, text_: str, rows: Sequence[Interval], unit: str, margin: float | None = None) -> Markup:
    """A forest plot: a row per arm, the zero line, and the margin as a band."""
    bounds = [bound for row in rows for bound in row[2:7] if isinstance(bound, float)]
    low, high = span([*bounds, 0.0, *((-margin, margin) if margin else ())], 0.04)
    scale, bottom = Scale(low, high, 1, 99), ROW * len(rows) + 6
    content: list[Markup] = []
    if margin:
        width = share(scale(margin) - scale(-margin))
        content.append(tag("rect", x=share(scale(-margin)), y=0, width=width, height=bottom, class_="margin"))
    content += [_grid_line(scale, value, bottom) for value in ticks(low, high, 5)]
    content.append(line(share(scale(0)), 0, share(scale(0)), bottom, "zero"))
    for place, row in enumerate(rows):
        content += _interval(row, scale, ROW * place)
    return band(title, text_, bottom + 40, *content, text("50%", bottom + 36, shortened(unit, AXIS), "name", "middle"))


def _interval(row: Interval, scale: Scale, top: float) -> list[Markup]:
    y = top + 32
    parts = _heading(row.name, row.remark, top)
    if row.wide_low is not None and row.wide_high is not None:
        parts.append(line(share(scale(row.wide_low)), y, share(scale(row.wide_high)), y, f"thin {row.kind}"))
    if row.low is not None and row.high is not None:
        parts.append(line(share(scale(row.low)), y, share(scale(row.high)), y, f"thick {row.kind}"))
    if row.value is not None:
        parts.append(mark(share(scale(row.value)), y, 1, f"dot {row.kind}", f"{row.name}: {row.remark}"))
    return parts


def strips(title: str, text_: str, rows: Sequence[Row], unit: str, zero: bool = False) -> Markup:
    """Rows of points, such as one for every run, with their mean as an upright line; ``zero`` draws the zero line."""
    low, high = span([*(value for row in rows for value, _ in row.points), *([0.0] if zero else [])], 0.06)
    scale, bottom = Scale(low, high, 1, 99), ROW * len(rows) + 6
    content = [_grid_line(scale, value, bottom) for value in ticks(low, high, 5)]
    if zero:
        content.append(line(share(scale(0)), 0, share(scale(0)), bottom, "zero"))
    for place, row in enumerate(rows):
        y = ROW * place + 32
        content += _heading(row.name, row.remark, ROW * place)
        if row.mean is not None:
            content.append(line(share(scale(row.mean)), y - 9, share(scale(row.mean)), y + 9, f"mean {row.colour}"))
        content += [mark(share(scale(value)), y, 0, f"dot see {row.colour}", said) for value, said in row.points]
    return band(title, text_, bottom + 40, *content, text("50%", bottom + 36, shortened(unit, AXIS), "name", "middle"))


def _heading(name: str, remark: str, top: float) -> list[Markup]:
    return [
        text(0, top + 18, shortened(name, NAME), "who", title=name),
        text("100%", top + 18, shortened(remark, NAME), "remark", "end"),
    ]


def _grid_line(scale: Scale, value: float, bottom: float) -> Markup:
    x = share(scale(value))
    drawn = line(x, 0, x, bottom, "grid")
    return Markup(drawn + text(x, bottom + 17, label(value), "tick", "middle"))


def curves(
    title: str,
    text_: str,
    found: Sequence[Curve],
    names: tuple[str, str],
    *,
    colours: Mapping[str, int],
    points: Sequence[tuple[float, float, str]] = (),
    each: str = "",
    at: Sequence[tuple[float, str]] = (),
    log: bool = False,
    zero: bool = False,
    front: tuple[str, Sequence[tuple[float, float]]] = ("", ()),
) -> Markup:
    """Lines with intervals, of arms, and single points.

    Args:
        title: For screen readers.
        text_: What it shows, for screen readers.
        found: One curve per line; several of one name share its colour.
        names: Of the axes.
        colours: The number of every name's colour and shape.
        points: Single points with what each says, such as the control's runs; ``each`` is what one of them is.
        at: Ticks of the x axis with their texts; by default round numbers.
        log: Whether x is logarithmic.
        zero: Whether to draw the line at y = 0, and keep it in sight.
        front: The name and the points of one more line, which is dashed.
    """
    xs = [point[0] for curve in found for point in curve.points] + [x for x, _, _ in points]
    ys = [value for curve in found for point in curve.points for value in point[1:] if value is not None]
    x_scale, y_scale = _scales(xs, [*ys, *(y for _, y, _ in points), *([0.0] if zero else [])], log)
    spelt = dict(at)
    x_ticks = list(spelt) or (log_ticks(x_scale.low, x_scale.high) if log else ticks(x_scale.low, x_scale.high, 6))
    content = [
        left_axis(y_scale, LEFT, RIGHT, shortened(names[1], AXIS), ticks(y_scale.low, y_scale.high, 6)),
        bottom_axis(
            x_scale, BOTTOM, TOP, shortened(names[0], AXIS), x_ticks, lambda value: spelt.get(value) or label(value)
        ),
    ]
    if zero:
        content.append(line(LEFT, y_scale(0), RIGHT, y_scale(0), "zero"))
    content += [mark(x_scale(x), y_scale(y), 0, "dot see plain", said, 3.2) for x, y, said in points]
    if len(front[1]) > 1:
        content.append(path([(x_scale(x), y_scale(y)) for x, y in front[1]], "front", front[0]))
    shift = _shifts([curve.name for curve in found], bool(at))
    for curve in found:
        content += _curve(curve, x_scale, y_scale, colours[curve.name], shift[curve.name])
    shown = [_shown(curve, colours[curve.name]) for curve in {curve.name: curve for curve in found}.values()]
    shown += [(each, "plain", 0)] if points else []
    shown += [(front[0], "front", None)] if len(front[1]) > 1 else []
    return tag("figure", drawing(title, text_, WIDTH, HEIGHT, *content), legend(shown))


def _shown(curve: Curve, number: int) -> tuple[str, str, int | None]:
    """A curve in the legend: by its marks where it has some."""
    style, shape = series(number)
    marked = curve.marked or any(low is not None for _, _, low, _ in curve.points)
    return (curve.name, style, shape) if marked else (curve.name, f"curve {style}", None)


def histogram(
    title: str,
    text_: str,
    edges: Sequence[float],
    counts: Sequence[int],
    chosen: Mapping[str, tuple[Sequence[int], int]],
    name: str,
) -> Markup:
    """Shares of a pool's values in each bin as bars, and those of selections as lines.

    Args:
        title: For screen readers.
        text_: What it shows, for screen readers.
        edges: Of the bins, one more than these; two equal ones where all values are the same.
        counts: Values of the pool in each bin.
        chosen: Counts of every selection, with the number of its colour; of one colour each has its own dashes.
        name: Of the x axis.
    """
    bounds = list(edges) if edges[0] < edges[-1] else [edges[0] - 0.5, edges[0] + 0.5]
    pool = _shares(counts)
    found = {who: (_shares(own), number) for who, (own, number) in chosen.items()}
    top = max([*pool, *(value for own, _ in found.values() for value in own)], default=1.0) or 1.0
    x, y = Scale(bounds[0], bounds[-1], LEFT, RIGHT), Scale(0, top * 1.05, BOTTOM, TOP)
    bars = [
        tag(
            "rect",
            x=x(left),
            y=y(value),
            width=round(x(right) - x(left), 2),
            height=round(BOTTOM - y(value), 2),
            class_="bin",
        )
        for left, right, value in zip(bounds, bounds[1:], pool, strict=False)
    ]
    styles = _styles({who: number for who, (_, number) in found.items()})
    lines = [
        path([(x(at), y(value)) for at, value in _steps(bounds, own)], styles[who], who)
        for who, (own, _) in found.items()
    ]
    axes = (
        left_axis(y, LEFT, RIGHT, "percent of rows", ticks(0, top * 1.05, 5)),
        bottom_axis(x, BOTTOM, TOP, shortened(name, AXIS), ticks(bounds[0], bounds[-1], 6)),
    )
    shown = [(who, style, None) for who, style in styles.items()]
    drawn = drawing(title, text_, WIDTH, HEIGHT, *axes, bars, lines)
    return tag("figure", drawn, legend([("whole pool", "binned", 1), *shown]))


def _styles(numbers: Mapping[str, int]) -> dict[str, str]:
    """The class of every line: the colour of its number, and dashes that no other line of this colour has, up to 4."""
    found, before = {}, Counter[int]()
    for who, number in numbers.items():
        dashes = f" dash{before[number] % 4}" if before[number] % 4 else ""
        found[who] = f"curve {series(number)[0]}{dashes}"
        before[number] += 1
    return found


def _shares(counts: Sequence[int]) -> list[float]:
    whole = sum(counts) or 1
    return [100 * count / whole for count in counts]


def _steps(bounds: Sequence[float], values: Sequence[float]) -> list[tuple[float, float]]:
    """The outline of a histogram."""
    points = [(bounds[0], 0.0)]
    for left, right, value in zip(bounds, bounds[1:], values, strict=False):
        points += [(left, value), (right, value)]
    return [*points, (bounds[-1], 0.0)]


def _scales(xs: Sequence[float], ys: Sequence[float], log: bool) -> tuple[Scale, Scale]:
    if log:  # room at both ends as a factor
        factor = (max(xs) / min(xs)) ** 0.08 if max(xs) > min(xs) else 1.5
        left, right = min(xs) / factor, max(xs) * factor
    else:
        left, right = span(xs, 0.03)
    return Scale(left, right, LEFT, RIGHT, log), Scale(*span(ys), BOTTOM, TOP)


def _shifts(names: Sequence[str], spread: bool) -> dict[str, float]:
    """Pixels to the side for every arm, so that the intervals at one budget do not hide each other."""
    distinct = list(dict.fromkeys(names))
    step = min(6.0, 32 / max(len(distinct), 1)) if spread else 0.0
    return {name: step * (place - (len(distinct) - 1) / 2) for place, name in enumerate(distinct)}


def _curve(curve: Curve, x_scale: Scale, y_scale: Scale, number: int, shift: float) -> list[Markup]:
    colour, shape = series(number)
    places = [(round(x_scale(x) + shift, 2), y_scale(y)) for x, y, _, _ in curve.points]
    parts = [path(places, f"curve {colour}", curve.name)] if curve.joined and len(places) > 1 else []
    for (x, y), (at, value, low, high) in zip(places, curve.points, strict=True):
        if low is not None and high is not None:
            parts.append(line(x, y_scale(low), x, y_scale(high), f"bar {colour}"))
        if curve.marked or low is not None:
            parts.append(mark(x, y, shape, f"dot {colour}", f"{curve.name} at {label(round(at, 2))}: {value:.1f}"))
    return parts
