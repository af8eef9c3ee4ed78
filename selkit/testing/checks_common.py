"""Checks of what every component has: a name, parameters, a light import, and good manners while it runs."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from dataclasses import fields
from importlib import import_module

from selkit.plugins import KINDS, manager, parameters_of
from selkit.plugins.build import Builder
from selkit.plugins.provenance import provenance
from selkit.plugins.validation import fault, incompatibility
from selkit.store import cache_folder
from selkit.testing.guards import ProcessState, captured_stdout, kept_state, no_network, watched_files
from selkit.testing.imports import import_alone
from selkit.testing.results import Check, NotApplicable, check, expect
from selkit.testing.subjects import Subject


def always(subject: Subject) -> str:
    """For checks that apply to every component, also where it cannot run."""
    return ""


def where_it_runs(subject: Subject) -> str:
    """For checks that run the component."""
    return subject.cannot_run()


@check(always)
def declares_itself(subject: Subject) -> None:
    """The class is a component that the host can list: name, version of the interface, dataclass, typed parameters."""
    cls = type(subject.component)
    expect(isinstance(subject.component, KINDS[subject.kind].base), f"{cls.__name__} is not a {subject.kind}")
    found = fault(cls, subject.kind) or incompatibility(cls)
    expect(not found, found)
    expect(isinstance(cls.requires, tuple), "requires is not a tuple of import names")
    known = {field.name for field in fields(subject.component)}  # type: ignore[arg-type]
    unknown = sorted(set(subject.component.model_parameters()) - known)
    expect(not unknown, f"it names model parameters that it does not have: {', '.join(unknown)}")


@check(always)
def documents_its_parameters(subject: Subject) -> None:
    """The class says in its docstring what it does, and under Args what each parameter means."""
    cls = type(subject.component)
    expect(bool((cls.__doc__ or "").strip()) and not (cls.__doc__ or "").startswith(f"{cls.__name__}("), "no docstring")
    silent = [name for name, parameter in parameters_of(cls).items() if not parameter.help]
    expect(not silent, f"the docstring does not say what these parameters mean: {', '.join(silent)}")


@check(always)
def light_import(subject: Subject) -> None:
    """Importing the component's module loads no heavy package and prints nothing, as listing plugins imports it."""
    cls = type(subject.component)
    if cls.__module__ == "__main__":
        raise NotApplicable("the class is defined in a notebook or script, which cannot be imported")
    found = import_alone(cls)
    expect(not found.error, f"module {cls.__module__} does not import in a fresh interpreter: {found.error}")
    heavy = ", ".join(found.heavy)
    expect(not heavy, f"importing {cls.__module__} loads {heavy}: import them in the methods that use them")
    expect(not found.printed, f"importing {cls.__module__} prints {found.printed!r:.80}")


@check(always)
def found_by_name(subject: Subject) -> None:
    """Where the component's package is installed with an entry point, the host finds the class under its name."""
    cls = type(subject.component)
    top = cls.__module__.partition(".")[0]
    if manager().owner_of(top) is None and not cls.__module__.startswith("selkit.plugins.builtin"):
        raise NotApplicable(f"no installed package has an entry point in the group selkit for module {top}")
    package = provenance(cls)["distribution"]
    found = manager().find(subject.kind, f"{package}:{cls.name}")
    expect(found is cls, f"{package}:{cls.name} leads to {found.__module__}.{found.__qualname__}")


@check(always)
def parameters_round_trip(subject: Subject) -> None:
    """The parameters go through JSON, and the component that the host builds from them has the same ones."""
    component = subject.component
    given = component.parameters()
    try:
        text = json.dumps(given, allow_nan=False)
    except (TypeError, ValueError) as error:
        expect(False, f"the parameters do not go through JSON: {error}")
    built = Builder(manager().find).build(type(component), subject.kind, json.loads(text))
    expect(built.parameters() == given, f"built from {text} it has the parameters {json.dumps(built.parameters())}")
    mutable = [f.name for f in fields(component) if isinstance(getattr(component, f.name), (list, dict, set))]  # type: ignore[arg-type]
    expect(not mutable, f"parameters that can be changed in place are not safe in a key: {', '.join(mutable)}")


@check(where_it_runs)
def leaves_process_alone(subject: Subject) -> None:
    """It does not touch global random states, environment variables or the working directory."""
    for package in subject.libraries():
        with suppress(ImportError):  # one that does not import by itself is the component's to mend
            import_module(package)  # what a library sets when it is imported is not the component's doing
    with kept_state():
        os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")  # the host sets it when it loads a model
        before = ProcessState.now()
        subject.run()
        changes = before.changes(ProcessState.now())
    expect(not changes, f"it changed {' and '.join(changes)}")


@check(where_it_runs)
def writes_only_to_its_folder(subject: Subject) -> None:
    """It writes to no place but the context's cache_dir, temporary files and the user's cache folder apart."""
    with watched_files([subject.folder, cache_folder()]) as touched:
        subject.run()
    expect(not touched, f"it wrote to {', '.join(dict.fromkeys(touched[:3]))}: write below ctx.cache_dir alone")


@check(where_it_runs)
def works_offline(subject: Subject) -> None:
    """It works with the network cut; only the host reaches out, for models and endpoints."""
    with no_network():
        subject.run()


@check(where_it_runs)
def silent_on_stdout(subject: Subject) -> None:
    """It prints nothing to stdout, which belongs to the result; notes go through ctx.log."""
    with captured_stdout() as output:
        subject.run()
    expect(not output.text, f"it printed {output.text!r:.80} to stdout: use ctx.log")


DECLARATIONS: tuple[Check[Subject], ...] = (
    declares_itself,
    documents_its_parameters,
    light_import,
    found_by_name,
    parameters_round_trip,
)
"""Checks that do not run the component."""

MANNERS: tuple[Check[Subject], ...] = (
    leaves_process_alone,
    writes_only_to_its_folder,
    works_offline,
    silent_on_stdout,
)
"""Checks of what the component does beside its work."""
