"""Scales, ticks and figures: numbers at the right places."""

from __future__ import annotations

import itertools
import re
import xml.etree.ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selkit.report.html.figures import Curve, Interval, Row, curves, forest, histogram, strips
from selkit.report.html.svg import SHAPES, Scale, label, log_ticks, series, shortened, span, ticks

FINITE = st.floats(-1e6, 1e6, allow_nan=False)


@given(FINITE, st.floats(1e-6, 1e6))
def test_ticks_are_round_evenly_spaced_and_inside(low: float, size: float) -> None:
    """Steps of 1, 2 or 5 times a power of ten; at least two, at most nine."""
    found = ticks(low, low + size, 6)
    assert 2 <= len(found) <= 9
    steps = [b - a for a, b in itertools.pairwise(found)]
    assert all(step == pytest.approx(steps[0], rel=1e-3, abs=1e-9) for step in steps)
    assert low - size * 1e-6 - 1e-9 <= found[0]
    assert found[-1] <= low + size * (1 + 1e-6) + 1e-9


def test_known_ticks() -> None:
    """As a person would set them."""
    assert ticks(-12, 12, 5) == [-10, -5, 0, 5, 10]
    assert ticks(0, 1, 5) == [0, 0.2, 0.4, 0.6, 0.8, 1.0]
    assert ticks(3, 3) == [3]
    assert log_ticks(0.5, 2000) == [1, 10, 100, 1000]
    assert log_ticks(3, 60) == [5, 10, 20, 50]
    assert log_ticks(20, 30) == [20, 25, 30]


def test_scales() -> None:
    """Linear and logarithmic; a range of nothing is its middle."""
    assert Scale(0, 10, 100, 200)(2.5) == 125
    assert Scale(10, 1000, 0, 2, log=True)(100) == 1
    assert Scale(5, 5, 0, 10)(5) == 5


@given(st.lists(FINITE, max_size=5))
def test_a_span_is_never_empty_and_holds_its_values(values: list[float]) -> None:
    """Also of no value and of equal ones."""
    low, high = span(values)
    assert low < high
    assert all(low < value < high for value in values)


def test_labels() -> None:
    """A true minus, thousands marked, no needless digits."""
    assert [label(v) for v in (-2.5, 0.0, 20.0, 12000)] == ["\N{MINUS SIGN}2.5", "0", "20", "12,000"]
    assert shortened("a-very-long-name", 7) == "a-v\N{HORIZONTAL ELLIPSIS}ame"
    assert shortened("short", 7) == "short"


def test_arms_differ_in_colour_or_shape() -> None:
    """The first 32 have no pair of both in common."""
    found = [(colour, shape % SHAPES) for colour, shape in map(series, range(32))]
    assert len(set(found)) == 32


def attributes(svg: str, name: str, class_: str) -> list[dict[str, str]]:
    """Attributes of the elements of a name whose class holds a word."""
    root = ET.fromstring(re.sub(r"</?figure>|<ul.*</ul>", "", svg))
    return [dict(one.attrib) for one in root.iter(name) if class_ in one.attrib.get("class", "").split()]


def test_a_forest_plot_puts_values_between_their_bounds() -> None:
    """Places along x are percentages in the order of the values; the margin lies around zero."""
    rows = [Interval("a", "+2", 2.0, 1.0, 3.0, 0.0, 4.0, "beats"), Interval("b", "-1", -1.0, -2.0, 0.0)]
    svg = forest("t", "d", rows, "points", margin=0.5)
    thick, thin, zero = (attributes(svg, "line", name) for name in ("thick", "thin", "zero"))
    at = lambda one, key: float(one[key].rstrip("%"))  # noqa: E731
    assert at(thin[0], "x1") < at(thick[0], "x1") < at(thick[0], "x2") < at(thin[0], "x2")
    assert at(thick[1], "x2") == pytest.approx(at(zero[0], "x1"))
    assert len(thick) == 2
    assert len(thin) == 1
    margin = attributes(svg, "rect", "margin")[0]
    assert at(margin, "x") + at(margin, "width") / 2 == pytest.approx(at(zero[0], "x1"), abs=0.02)
    assert 'role="img"' in svg
    assert "<title>t</title>" in svg
    assert "<desc>d</desc>" in svg


def test_a_row_without_numbers_is_named_and_not_drawn() -> None:
    """An incomplete arm has no effect."""
    svg = forest("t", "d", [Interval("gone", "", None)], "points")
    assert "gone" in svg
    assert not attributes(svg, "line", "thick")


def test_every_run_is_a_point_that_says_what_it_is() -> None:
    """One mark per point, with a title, and the mean between them."""
    svg = strips("t", "d", [Row("a", "2 runs", [(1.0, "a 1: 1.0"), (3.0, "a 2: 3.0")], 2.0, "s1")], "points")
    marks = attributes(svg, "circle", "dot")
    first, second = (float(mark["cx"].rstrip("%")) for mark in marks)
    mean = float(attributes(svg, "line", "mean")[0]["x1"].rstrip("%"))
    assert mean == pytest.approx((first + second) / 2, abs=0.02)
    assert "a 1: 1.0" in svg
    assert "a 2: 3.0" in svg


def test_curves_over_budgets() -> None:
    """Higher values stand higher, intervals are drawn, every arm is in the legend, ticks are the spec's texts."""
    found = [
        Curve("up", [(100, 1.0, 0.0, 2.0), (1000, 5.0, 4.0, 6.0)]),
        Curve("down", [(100, -1.0, -2.0, 0.0), (1000, -5.0, None, None)]),
    ]
    svg = curves(
        "t",
        "d",
        found,
        ("rows", "points"),
        colours={"up": 0, "down": 1},
        at=[(100, "1%"), (1000, "10%")],
        log=True,
        zero=True,
    )
    bars = attributes(svg, "line", "bar")
    assert len(bars) == 3
    assert all(float(bar["y2"]) < float(bar["y1"]) for bar in bars)
    paths = attributes(svg, "path", "curve")
    ends = [float(path["d"].split()[-1]) for path in paths]
    assert ends[0] < float(attributes(svg, "line", "zero")[0]["y1"]) < ends[1]
    assert ">1%<" in svg
    assert ">10%<" in svg
    assert "<span>up</span>" in svg
    assert "<span>down</span>" in svg


def test_a_histogram_shows_shares() -> None:
    """Bars of the pool's shares add up to their heights' ratio; a selection is one outline."""
    svg = histogram("t", "d", [0.0, 1.0, 2.0], [30, 10], {"a": ([0, 5], 1)}, "score")
    heights = [float(bar["height"]) for bar in attributes(svg, "rect", "bin")]
    assert heights[0] == pytest.approx(3 * heights[1], rel=0.01)
    assert len(attributes(svg, "path", "curve")) == 1
    assert histogram("t", "d", [2.0, 2.0], [7], {}, "score").count('class="bin"') == 1
