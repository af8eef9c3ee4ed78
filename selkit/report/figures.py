"""Figures for papers, as SVG and PDF with text as text: drawn by matplotlib from what report.json holds.

The same document gives the same bytes: no date, and ids made from a fixed salt.
"""

from __future__ import annotations

import io
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

from selkit.report.diagnostics import scorers
from selkit.report.runs import around_their_mean, scores_on

Row = Mapping[str, Any]

NEEDS = "matplotlib"
"""The package that draws; it comes with the extra ``report``."""

FORMATS = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}
"""Kinds of files, each with the metadata that leaves the time out."""

_SETTINGS = {
    "svg.hashsalt": "selkit",
    "svg.fonttype": "none",
    "pdf.fonttype": 42,
    "font.size": 8.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.prop_cycle": None,
    "legend.frameon": False,
}
# The colours of Okabe and Ito (2008), which people with any kind of colour vision tell apart.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000", "#F0E442")
_MARKS = ("o", "s", "^", "D", "v", "P", "X", "*")
_ROWS = 40
"""Rows of a forest plot, and lines of other figures; more are no figure any more."""


def drawable() -> bool:
    """Whether matplotlib is installed."""
    return find_spec(NEEDS) is not None


def figures(document: Row) -> Iterator[tuple[str, bytes]]:
    """Name and content of every figure that the document has something for, in each of :data:`FORMATS`."""
    import matplotlib as mpl
    from cycler import cycler

    settings = {**_SETTINGS, "axes.prop_cycle": cycler(color=_COLOURS)}
    with mpl.rc_context({"text.usetex": False, **settings}):
        for name, draw in _drawings(document):
            figure = draw()
            for kind, metadata in FORMATS.items():
                yield f"{name}.{kind}", _saved(figure, kind, metadata)


def _saved(figure: Figure, kind: str, metadata: Mapping[str, None]) -> bytes:
    out = io.BytesIO()
    figure.savefig(out, format=kind, metadata=metadata, bbox_inches="tight")
    return out.getvalue()


def _drawings(document: Row) -> Iterator[tuple[str, Callable[[], Figure]]]:
    """Every figure by its name, with what draws it."""
    for where, title, rows in _by_place(document["verdicts"], "benchmark"):
        if known := [row for row in rows if row["effect"] is not None][:_ROWS]:
            yield f"effects-{where}", partial(_effects, known, title)
    for where, title, rows in _by_place(document["verdicts"], "benchmark", across="budget"):
        if len({row["budget"] for row in rows if row["effect"] is not None}) > 1:
            yield f"budgets-{where}", partial(_budgets, rows, title, _control_runs(document, rows[0]))
    costs = (document.get("measured") or {}).get("costs") or ()
    for where, title, rows in _by_place(document["verdicts"], "benchmark"):
        if points := _priced(rows, costs):
            yield f"cost-gain-{where}", partial(_cost_gain, points, title)
    if document["training"]:
        yield "training", partial(_training, document["training"])
    profiles = (document.get("diagnostics") or {}).get("scores", ())
    for number, (scores, scorer) in enumerate(zip(profiles, scorers(profiles), strict=True), 1):
        if len(scores["counts"]) > 1:
            yield f"scores-{number}-{scores['scorer']}", partial(_histogram, scores, scorer)
    if shifts := [row for row in (document.get("diagnostics") or {}).get("selections", ()) if _shift(row) is not None]:
        yield "lengths", partial(_lengths, shifts)


def _by_place(rows: Sequence[Row], on: str, across: str = "") -> Iterator[tuple[str, str, list[Row]]]:
    """The rows of every pool, model, budget and endpoint, with a name for files and a title.

    ``across`` is not told apart. Places of which files would have one name get a number each.
    """
    names = [name for name in ("pool", "model", "recipe", "budget", on) if name != across]
    several = [name for name in names if len({row.get(name) for row in rows}) > 1]
    groups: dict[tuple[str, ...], list[Row]] = defaultdict(list)
    for row in rows:
        groups[tuple(str(row.get(name)) for name in several or [on])].append(row)
    taken = Counter[str]()
    for place, own in groups.items():
        name = "-".join(map(_safe, place))
        taken[name] += 1
        yield f"{name}-{taken[name]}" if taken[name] > 1 else name, ", ".join(place), own


def _safe(text: str) -> str:
    return "".join(sign if sign.isalnum() or sign in "._" else "-" for sign in text.replace("%", "pct"))


def _axes(width: float, height: float) -> tuple[Figure, Axes]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height))  # the margins are cut when it is saved
    return figure, figure.subplots()


def _legend(axes: Axes) -> None:
    """The legend beside the plot, where it covers nothing."""
    axes.legend(fontsize=6, loc="upper left", bbox_to_anchor=(1.01, 1.0), borderaxespad=0)


def _effects(rows: Sequence[Row], title: str) -> Figure:
    """A forest plot: effect, 95% interval, and the simultaneous one as a thin line."""
    figure, axes = _axes(5.0, 0.9 + 0.3 * len(rows))
    for place, row in enumerate(reversed(rows)):
        for low, high, width in (("simultaneous_low", "simultaneous_high", 0.8), ("ci_low", "ci_high", 2.2)):
            if row[low] is not None and row[high] is not None:
                axes.plot([row[low], row[high]], [place, place], color=_COLOURS[0], linewidth=width)
        axes.plot(row["effect"], place, "o", color=_COLOURS[0], markersize=4)
        axes.annotate(
            row["verdict"].replace("_", " "), (1.02, place), xycoords=("axes fraction", "data"), va="center", fontsize=6
        )
    axes.axvline(0, color="0.5", linewidth=0.8, linestyle="--")
    axes.set_yticks(range(len(rows)), [_plain(row["arm"]) for row in reversed(rows)])
    axes.set_ylim(-0.6, len(rows) - 0.4)
    axes.set_xlabel(f"Difference from {_plain(rows[0]['control'])} in points of 100")
    axes.set_title(_plain(title))
    return figure


def _control_runs(document: Row, where: Row) -> list[tuple[str, float]]:
    """The control's runs where a verdict stands, at every budget: the budget, and the distance from their mean."""
    names = [name for name in ("pool", "recipe", "model") if where.get(name) is not None]
    rows: dict[str, list[Row]] = defaultdict(list)
    for row in scores_on(document, where["benchmark"]):
        if row["arm"] == where["control"] and all(row.get(name) == where[name] for name in names):
            rows[row["budget"]].append(row)
    return [(budget, off) for budget, own in rows.items() for _, off in around_their_mean(own)]


def _budgets(rows: Sequence[Row], title: str, control: Sequence[tuple[str, float]]) -> Figure:
    """The effect of every arm over the budgets, with 95% intervals, and the control's runs around their mean."""
    figure, axes = _axes(4.2, 2.8)
    known = [row for row in rows if row["effect"] is not None and row["budget"] is not None]
    budgets = sorted({row["budget"] for row in known}, key=_size)
    arms = list(dict.fromkeys(row["arm"] for row in known))[:_ROWS]
    points = [(budgets.index(budget), off) for budget, off in control if budget in budgets]
    if points:
        each = f"each run of {_plain(rows[0]['control'])}"
        axes.plot(*zip(*points, strict=True), "o", color="0.6", markersize=3, label=each, zorder=1)
    for number, arm in enumerate(arms):
        mine = sorted((row for row in known if row["arm"] == arm), key=lambda row: _size(row["budget"]))
        # side by side, so that intervals do not cover each other
        places = [budgets.index(row["budget"]) + 0.08 * (number - (len(arms) - 1) / 2) for row in mine]
        lows = [row["effect"] - row["ci_low"] if row["ci_low"] is not None else 0 for row in mine]
        highs = [row["ci_high"] - row["effect"] if row["ci_high"] is not None else 0 for row in mine]
        style: Any = {"marker": _MARKS[number % len(_MARKS)], "markersize": 4, "linewidth": 1, "capsize": 2}
        axes.errorbar(places, [row["effect"] for row in mine], yerr=[lows, highs], label=_plain(arm), **style)
    axes.axhline(0, color="0.5", linewidth=0.8, linestyle="--")
    axes.set_xticks(range(len(budgets)), budgets)
    axes.set_xlabel("Budget")
    axes.set_ylabel(f"Difference from {_plain(rows[0]['control'])}")
    axes.set_title(_plain(title))
    _legend(axes)
    return figure


def _size(budget: str) -> tuple[bool, float]:
    """Budgets in the order of their size, shares after numbers of rows."""
    return budget.endswith("%"), float(budget.rstrip("%"))


def _priced(rows: Sequence[Row], costs: Sequence[Row]) -> list[tuple[float, Row]]:
    """Every verdict with its arm's cost as a multiple of the control's, the mean over what the verdict pools."""
    found = []
    for row in rows:
        times = [
            cost["times_control"]
            for cost in costs
            if cost["arm"] == row["arm"]
            and cost["times_control"]
            and all(row.get(name) in (None, cost.get(name)) for name in ("pool", "budget", "recipe", "model"))
        ]
        if times and row["effect"] is not None:
            found.append((sum(times) / len(times), row))
    return found[:_ROWS]


def _cost_gain(points: Sequence[tuple[float, Row]], title: str) -> Figure:
    """Effect by cost, with 95% intervals; the control stands at 1 and 0."""
    figure, axes = _axes(4.2, 2.8)
    for number, (times, row) in enumerate(points):
        colour = _COLOURS[number % len(_COLOURS)]
        if row["ci_low"] is not None and row["ci_high"] is not None:
            axes.plot([times, times], [row["ci_low"], row["ci_high"]], color=colour, linewidth=1)
        axes.plot(
            times, row["effect"], _MARKS[number % len(_MARKS)], color=colour, markersize=5, label=_plain(row["arm"])
        )
    axes.plot(1, 0, "+", color="0.3", markersize=8, label=_plain(points[0][1]["control"]))
    axes.axhline(0, color="0.5", linewidth=0.8, linestyle="--")
    spread = [1.0, *(times for times, _ in points)]
    if max(spread) > 10 * min(spread):  # the ticks of a narrow logarithmic axis run together
        axes.set_xscale("log")
    axes.set_xlabel(f"Cost in multiples of {_plain(points[0][1]['control'])}'s")
    axes.set_ylabel(f"Difference from {_plain(points[0][1]['control'])}")
    axes.set_title(_plain(title))
    _legend(axes)
    return figure


def _training(rows: Sequence[Row]) -> Figure:
    """Loss by step of every training, a colour per arm."""
    figure, axes = _axes(4.2, 2.8)
    arms = list(dict.fromkeys(row["arm"] for row in rows))
    shown: set[str] = set()
    for row in rows:
        number = arms.index(row["arm"])
        steps, losses = [point[0] for point in row["loss_curve"]], [point[1] for point in row["loss_curve"]]
        label = None if row["arm"] in shown else _plain(row["arm"])
        axes.plot(steps, losses, color=_COLOURS[number % len(_COLOURS)], linewidth=0.7, alpha=0.8, label=label)
        shown.add(row["arm"])
    axes.set_xlabel("Step")
    axes.set_ylabel("Loss of the batch, nats a token")
    _legend(axes)
    return figure


def _histogram(scores: Row, scorer: str) -> Figure:
    """Share of the rows in every bin of a score: the pool, and the first run of every arm that used it."""
    figure, axes = _axes(4.2, 2.6)
    edges = scores["edges"]
    axes.stairs(_shares(scores), edges, fill=True, color="0.8", label=f"pool {_plain(scores['pool'])}")
    firsts = {_called(row): row for row in reversed(scores["selections"])}
    for name, row in list(firsts.items())[::-1][:8]:
        axes.stairs(_shares(row), edges, linewidth=1, label=_plain(name))
    axes.set_xlabel(f"Score of {_plain(scorer)}")
    axes.set_ylabel("Share of the rows")
    _legend(axes)
    return figure


def _shares(row: Row) -> list[float]:
    total = sum(row["counts"]) + row["below"] + row["above"]
    return [count / total if total else 0.0 for count in row["counts"]]


def _lengths(rows: Sequence[Row]) -> Figure:
    """How far the mean response of every selection is from its pool's, in standard deviations of the pool."""
    groups: dict[str, list[float]] = defaultdict(list)
    for row in rows:
        groups[_called(row, "pool")].append(_shift(row) or 0.0)
    names = list(groups)[:_ROWS]
    figure, axes = _axes(4.6, 0.9 + 0.22 * len(names))
    for place, name in enumerate(reversed(names)):
        axes.plot(groups[name], [place] * len(groups[name]), "o", color=_COLOURS[0], markersize=3, alpha=0.7)
    axes.axvline(0, color="0.5", linewidth=0.8, linestyle="--")
    axes.set_yticks(range(len(names)), [_plain(name) for name in reversed(names)])
    axes.set_ylim(-0.6, len(names) - 0.4)
    axes.set_xlabel("Mean response against the pool's, in its standard deviations")
    return figure


def _called(row: Row, *more: str) -> str:
    """A selection by its arm and budget, and by its base model where it depends on that."""
    where = [row["arm"], *(row[name] for name in more), row["budget"] or "own size", row.get("model")]
    return ", ".join(part for part in where if part)


def _shift(row: Row) -> float | None:
    value: float | None = row["shift"].get("response", {}).get("deviations")
    return value


def _plain(text: str) -> str:
    """The text as it stands: matplotlib takes what stands between dollars for mathematics."""
    return text.replace("$", r"\$")
