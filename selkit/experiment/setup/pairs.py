"""``compare:``: any two arms of an experiment against each other, resolved and checked before anything runs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from selkit.api import UsageError
from selkit.experiment.setup.experiment import Experiment
from selkit.experiment.setup.grid import ANCHOR, Cell
from selkit.experiment.spec.entries import SideSpec
from selkit.plugins import did_you_mean

AXES = ("pool", "budget", "recipe", "model")


@dataclass(frozen=True)
class Pair:
    """Two sides, the second as control: the runs of one arm in one place each, under one recipe or all.

    Args:
        arm: The cells of the first side, recipe by recipe.
        control: The cells of the second, likewise.
    """

    arm: tuple[Cell, ...]
    control: tuple[Cell, ...]

    @property
    def shared(self) -> dict[str, str | None]:
        """What both sides stand in: pool, budget and base model, and the recipe where there is one."""
        places = [{name: _only(side, name) for name in AXES} for side in (self.arm, self.control)]
        return {name: places[0][name] if places[0][name] == places[1][name] else None for name in AXES}

    @property
    def names(self) -> tuple[str, str]:
        """What rows call the sides: their arms, with where each stands as far as that differs."""
        differ = [name for name in AXES if {one.columns()[name] for one in self.arm} != _values(self.control, name)]
        return _name(self.arm, differ), _name(self.control, differ)

    def recipes(self) -> list[tuple[str | None, list[Cell], list[Cell]]]:
        """The runs of both sides recipe by recipe; one group where each side has one recipe or none."""
        names = sorted({cell.recipe for cell in self.arm} & {cell.recipe for cell in self.control})
        if len(names) < 2:
            return [(self.shared["recipe"], list(self.arm), list(self.control))]

        def under(side: tuple[Cell, ...], name: str) -> list[Cell]:
            return [cell for cell in side if cell.recipe == name]

        return [(name, under(self.arm, name), under(self.control, name)) for name in names]


def pairs_of(experiment: Experiment) -> list[Pair]:
    """The pairs that the spec's ``compare`` asks for.

    Raises:
        UsageError: An arm or a place is not there, a side stands in several places, or both sides are the same.
    """
    cells = [cell for cell in experiment.cells if cell.arm != ANCHOR] + [one.cell for one in experiment.given]
    found = []
    for number, entry in enumerate(experiment.spec.compare):
        sides = [_side(f"compare.{number}.{name}", getattr(entry, name), cells) for name in ("arm", "control")]
        pair = Pair(*sides)
        if set(pair.arm) & set(pair.control):
            raise UsageError(f"compare.{number} sets {entry.arm.arm} against itself: name another place or arm")
        _check_recipes(f"compare.{number}", pair, entry.arm, entry.control)
        found.append(pair)
    return found


def _side(where: str, side: SideSpec, cells: Sequence[Cell]) -> tuple[Cell, ...]:
    arms = list(dict.fromkeys(cell.arm for cell in cells))
    if side.arm not in arms:
        raise UsageError(f"{where}: there is no arm {side.arm!r}.{did_you_mean(side.arm, arms)} It is {_or(arms)}")
    own = [cell for cell in cells if cell.arm == side.arm]
    for name, value in _asked(side).items():
        known = list(dict.fromkeys(getattr(cell, name) for cell in own if getattr(cell, name)))
        if known and value not in known:
            raise UsageError(f"{where}: {side.arm} has no {name} {value!r}: it is {_or(known)}")
        own = [cell for cell in own if getattr(cell, name) in (value, "", None)]
    for name in ("pool", "budget", "model"):
        several = [str(value) for value in dict.fromkeys(cell.columns()[name] for cell in own)]
        if len(several) > 1:
            raise UsageError(f"{where}: {side.arm} stands in several places: add {name}, which is {_or(several)}")
    if not own:
        raise UsageError(f"{where}: there is no run of {side.arm} in that place: choose another")
    return tuple(own)


def _check_recipes(where: str, pair: Pair, arm: SideSpec, control: SideSpec) -> None:
    several = max(len(_values(side, "recipe")) for side in (pair.arm, pair.control)) > 1
    trained = all(cell.recipe for cell in (*pair.arm, *pair.control))
    if several and (not trained or (arm.recipe is None) != (control.recipe is None)):
        raise UsageError(f"{where}: there are several recipes: name one on both sides, or none to take the mean")


def _asked(side: SideSpec) -> Mapping[str, str]:
    return {name: str(value) for name in AXES if (value := getattr(side, name)) is not None}


def _values(cells: Iterable[Cell], name: str) -> set[str | None]:
    return {cell.columns()[name] for cell in cells}


def _only(cells: Iterable[Cell], name: str) -> str | None:
    values = _values(cells, name)
    return values.pop() if len(values) == 1 else None


def _name(cells: Sequence[Cell], differ: Sequence[str]) -> str:
    where = [value for name in differ if (value := _only(cells, name)) is not None]
    return cells[0].arm + (f" ({', '.join(where)})" if where else "")


def _or(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} or {names[-1]}"
