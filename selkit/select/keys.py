"""What stored scores depend on."""

from __future__ import annotations

from functools import lru_cache
from importlib.metadata import PackageNotFoundError, packages_distributions, version
from pathlib import Path

from selkit import __version__
from selkit.api import BaseSelector, Component, Pool, Scorer
from selkit.models import default_device, default_threads, device_here, kind_of, resolve
from selkit.models.client import address_inputs
from selkit.plugins import provenance
from selkit.select.training import Training, training_inputs
from selkit.store import Key, digest_file


def score_key(scorer: Scorer, pool: Pool, training: Training | None = None, base_model: str | None = None) -> Key:
    """The key of a scorer's stored scores.

    Component, parameters, pool, code, models, files, trainings, the versions of the packages that it requires; and
    where a model computes, the kind of device and, on a CPU, the threads. ``base_model`` is where trainings start that
    name no model of their own.
    """
    inputs = {"pool": pool.fingerprint, **component_inputs(scorer, training, base_model)}
    conditions = _machine() if _runs_models(scorer) else {}
    return Key("scores", scorer.name, scorer.parameters(), provenance(scorer) | _versions(scorer), inputs, conditions)


def component_inputs(
    component: Component, training: Training | None = None, base_model: str | None = None
) -> dict[str, str]:
    """Digests of the models, servers, files and trainings that a component's parameters name, also of nested ones.

    ``base_model`` is where trainings start that name no model of their own.
    """
    inputs: dict[str, str] = training_inputs(component, training, base_model) | address_inputs(component)
    for name, value in vars(component).items():
        if isinstance(value, Component):
            inputs |= {f"{name}.{k}": v for k, v in component_inputs(value, training, base_model).items()}
        elif name in component.model_parameters() and value is not None:
            inputs[name] = resolve(value).digest
        elif isinstance(value, Path) and value.is_file():
            inputs[name] = digest_file(value)
    return inputs


def choice_versions(selector: BaseSelector) -> dict[str, str]:
    """Versions of all that a choice of rows depends on: the selector's own code, and the packages that it requires."""
    return provenance(selector) | _versions(selector)


def choice_conditions(selector: BaseSelector) -> dict[str, str]:
    """The kind of device where a model computes for a choice: a GPU's bf16 ranks rows otherwise than a CPU's float32.

    Not the threads of a CPU: those move the last bits of scores, which have them in their keys.
    """
    return {"device": device_here()} if _runs_models(selector) else {}


def _runs_models(component: Component) -> bool:
    parts = [value for value in vars(component).values() if isinstance(value, Component)]
    return bool(component.model_parameters() or component.trainings()) or any(map(_runs_models, parts))


def _machine() -> dict[str, str | int]:
    device = default_device()
    if kind_of(device) == "cpu":
        return {"device": "cpu", "threads": default_threads()}
    return {"device": kind_of(device)}


def _versions(component: Component) -> dict[str, str]:
    """Versions of what the component requires, also of components that are its parameters."""
    parts = [value for value in vars(component).values() if isinstance(value, Component)]
    found = {name: known for name in component.requires if (known := _version(name)) is not None}
    for part in parts:
        found |= _versions(part)
    return found | ({"selkit": __version__} if found else {})


@lru_cache
def _version(package: str) -> str | None:
    """The version of the distribution that an import name belongs to; None where that is not known."""
    name = package.partition(".")[0]
    try:
        return version(name)
    except PackageNotFoundError:
        owners = packages_distributions().get(name)
        return version(owners[0]) if owners else None
