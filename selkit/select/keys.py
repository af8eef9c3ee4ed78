"""What stored scores depend on."""

from __future__ import annotations

from functools import lru_cache
from importlib.metadata import PackageNotFoundError, packages_distributions, version
from pathlib import Path

from selkit import __version__
from selkit.api import Component, Pool, Scorer
from selkit.models import default_device, default_threads, resolve
from selkit.models.client import address_inputs
from selkit.plugins import provenance
from selkit.select.training import Training, training_inputs
from selkit.store import Key, digest_file


def score_key(scorer: Scorer, pool: Pool, training: Training | None = None) -> Key:
    """The key of a scorer's stored scores.

    Component, parameters, pool, code, models, files, trainings, the versions of the packages that it requires; and
    where a model computes, the kind of device and, on a CPU, the threads.
    """
    inputs = {"pool": pool.fingerprint, **component_inputs(scorer, training)}
    conditions = _machine() if _runs_models(scorer) else {}
    return Key("scores", scorer.name, scorer.parameters(), provenance(scorer) | _versions(scorer), inputs, conditions)


def component_inputs(component: Component, training: Training | None = None) -> dict[str, str]:
    """Digests of the models, servers, files and trainings that a component's parameters name, also of nested ones."""
    inputs: dict[str, str] = training_inputs(component, training) | address_inputs(component)
    for name, value in vars(component).items():
        if isinstance(value, Component):
            inputs |= {f"{name}.{k}": v for k, v in component_inputs(value, training).items()}
        elif name in component.model_parameters() and value is not None:
            inputs[name] = resolve(value).digest
        elif isinstance(value, Path) and value.is_file():
            inputs[name] = digest_file(value)
    return inputs


def _runs_models(component: Component) -> bool:
    parts = [value for value in vars(component).values() if isinstance(value, Component)]
    return bool(component.model_parameters()) or any(map(_runs_models, parts))


def _machine() -> dict[str, str | int]:
    device = default_device()
    if device.startswith("cpu"):
        return {"device": "cpu", "threads": default_threads()}
    return {"device": device.partition(":")[0]}


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
