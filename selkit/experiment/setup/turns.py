"""The order in which arms choose: one that looks at what others chose comes after them. Pure functions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from selkit.api import DataError, UsageError
from selkit.experiment.setup.grid import Arm, waves
from selkit.experiment.spec.entries import SelectorSpec
from selkit.plugins import did_you_mean
from selkit.select import read_selection
from selkit.select.training import nested


def arms_in_turn(arms: Sequence[Arm], given: Sequence[SelectorSpec] = ()) -> list[Arm]:
    """The arms in the order of their selections: wave by wave, and each after the arms that it names.

    Args:
        arms: The arms.
        given: The arms that choose nothing, which cannot be named.

    Raises:
        UsageError: An arm names another that is not there and is no folder with a selection, or that chooses nothing;
            or arms wait for each other.
    """
    in_waves = [arm for wave in waves(arms) for arm in wave]
    behind = {arm.name: _behind(arm, in_waves, given) for arm in in_waves}
    found: dict[str, Arm] = {}
    for arm in in_waves:
        _take(arm.name, behind, {one.name: one for one in arms}, found, ())
    return list(found.values())


def _take(
    name: str,
    behind: Mapping[str, Sequence[str]],
    arms: Mapping[str, Arm],
    found: dict[str, Arm],
    path: tuple[str, ...],
) -> None:
    """Enters an arm after those that it waits for; ``path`` are the arms that wait for it."""
    if name in path:
        circle = [*path[path.index(name) :], name]
        raise UsageError(f"selectors: arms wait for each other's rows ({' after '.join(circle)}): let one name others")
    if name in found:
        return
    for other in behind[name]:
        _take(other, behind, arms, found, (*path, name))
    found[name] = arms[name]


def _behind(arm: Arm, arms: Sequence[Arm], given: Sequence[SelectorSpec]) -> list[str]:
    """The arms that one waits for: those that it names, or those of the waves before where it names none of them."""
    named = [ref for part in nested(arm.selector) for ref in part.selections_named()]
    others = {one.name for one in arms}
    for ref in named:
        if ref not in others:
            _check_folder(arm, ref, [one.name for one in arms if one is not arm], {one.arm for one in given})
    if named or not arm.selector.after_others:
        return [ref for ref in named if ref in others]
    return [one.name for one in arms if one is not arm and _precedes(one, arm)]


def _precedes(one: Arm, arm: Arm) -> bool:
    """Whether ``arm``, which looks at all others, looks at ``one``: methods, and arms that look at none themselves."""
    return not one.selector.after_others or (arm.selector.baseline and not one.selector.baseline)


def _check_folder(arm: Arm, ref: str, known: Sequence[str], given: set[str]) -> None:
    if ref in given:
        raise UsageError(f"selectors: arm {arm.name!r} names {ref!r}, which is given and chooses no rows: name another")
    try:
        read_selection(Path(ref))
    except DataError as error:
        raise UsageError(
            f"selectors: arm {arm.name!r} names {ref!r}, neither an arm nor a folder that `selkit select` wrote."
            f"{did_you_mean(ref, known)} The arms are {', '.join(known)}"
        ) from error
