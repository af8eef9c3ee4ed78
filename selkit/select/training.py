"""What select needs of training: select stands beside train, so that who stands above both hands it in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from selkit.api import BaseSelector, Component, Example, Pool, Turns, UsageError
from selkit.models import resolve

Recipe = str | Mapping[str, Any]
"""A recipe by its name, or by its fields."""


@dataclass(frozen=True)
class Trained:
    """A model that was trained for a component: its reference, and the digest of the key that it is stored under."""

    ref: str
    key: str


class Training(Protocol):
    """Trains models for components; selkit.experiment.selection.training has the one that selkit itself uses."""

    def check(self, recipe: Recipe, base: str, pool: Pool) -> None:
        """Refuses, before any model loads, a training on rows of ``pool`` that cannot run; raises a SelkitError."""

    def identity(self, recipe: Recipe) -> str:
        """Digest of all that the recipe says, and of the versions of the packages that train."""

    def train(
        self, rows: Sequence[Example], recipe: Recipe, base: str, *, turns: Turns, seed: int, device: str
    ) -> Trained:
        """The model that training ``base`` on ``rows`` gives: from the store, or trained now."""


def nested(component: BaseSelector) -> Iterator[BaseSelector]:
    """A selector, and those that are parameters of it."""
    yield component
    for value in vars(component).values():
        if isinstance(value, BaseSelector):
            yield from nested(value)


def needs_training(selector: BaseSelector) -> bool:
    """Whether the selector, or one that is a parameter of it, has a model trained."""
    return any(part.trainings() for part in nested(selector))


def check_trainings(selector: BaseSelector, pool: Pool, base_model: str | None, training: Training | None) -> None:
    """Refuses what cannot be trained, before any work starts.

    Raises:
        UsageError: There is no training here, no base model, or no such recipe.
        SelkitError: Whatever else the training refuses.
    """
    for part in nested(selector):
        for recipe, base in trainings_from(part, base_model):
            service(training, part.name).check(recipe, base, pool)


def trainings_from(component: Component, base_model: str | None) -> list[tuple[Recipe, str]]:
    """The component's own trainings: recipes and base models, which are ``base_model`` where it names none.

    Raises:
        UsageError: There is no base model.
    """
    found = [(recipe, base or base_model) for recipe, base in component.trainings()]
    if any(base is None for _, base in found):
        raise UsageError(f"{component.name} trains a model and needs one to start from: name one with --model")
    return [(recipe, base) for recipe, base in found if base is not None]


def training_inputs(component: Component, training: Training | None, base_model: str | None) -> dict[str, str]:
    """What of the component's own trainings belongs into the keys of what is made with them: recipes, base models."""
    found: dict[str, str] = {}
    for number, (recipe, base) in enumerate(trainings_from(component, base_model)):
        found[f"training-{number}"] = service(training, component.name).identity(recipe)
        found[f"training-{number}.base"] = resolve(base).digest
    return found


def service(training: Training | None, name: str) -> Training:
    """``training`` itself.

    Raises:
        UsageError: There is none.
    """
    if training is None:
        raise UsageError(f"{name} has a model trained, which is not to be had here: use selkit select or selkit run")
    return training
