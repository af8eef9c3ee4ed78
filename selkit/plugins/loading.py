"""Loads one plugin package so that nothing it does can stop the host or the other packages."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import redirect_stdout
from functools import partial
from traceback import TracebackException
from typing import Any, TypeVar

import pluggy

from selkit import __version__
from selkit.api import Component
from selkit.console import printable
from selkit.plugins.kinds import KINDS
from selkit.plugins.records import Candidate, Loaded, LoadFailure, Provided, Status
from selkit.plugins.specs import ARGUMENTS, PROJECT
from selkit.plugins.suggest import did_you_mean
from selkit.plugins.validation import fault, incompatibility

T = TypeVar("T")

RAISE_VARIABLE = "SELKIT_RAISE_PLUGIN_ERRORS"
"""Environment variable: set, a plugin's exception is raised rather than recorded, for authors."""

_LONGEST_REASON = 300


class _Refused(Exception):
    """A plugin cannot be used; the text is the reason."""


Arguments = Mapping[str, Mapping[str, Any]]
"""Hook -> argument -> what the host hands over."""


def load(candidate: Candidate, hooks: pluggy.PluginManager, arguments: Arguments = ARGUMENTS) -> Loaded:
    """Imports the package of one entry point, registers it with ``hooks`` and asks it for its components.

    An implementation is called with those of its hook's ``arguments`` that it names.
    """
    result = Loaded(candidate)
    started = time.perf_counter()
    try:
        plugin = _guarded(candidate.entry_point.load)
        result.import_ms = 1000 * (time.perf_counter() - started)
        implementations = _register(plugin, candidate, hooks, arguments)
    except _Refused as refusal:
        result.import_ms = 1000 * (time.perf_counter() - started)
        result.failures.append(_failure(candidate, str(refusal), status=_status(refusal)))
        return result
    for kind, implementation in implementations:
        _collect(result, kind, implementation)
    result.import_ms = 1000 * (time.perf_counter() - started)  # a hook may import the module of its classes
    if not result.provided and not result.failures:
        result.failures.append(_failure(candidate, "its hooks returned no component"))
    return result


def _register(
    plugin: Any, candidate: Candidate, hooks: pluggy.PluginManager, arguments: Arguments
) -> list[tuple[str, Callable[[], Any]]]:
    """The kinds that the plugin has a hook for, each with the function that implements it, ready to be called."""
    if _guarded(lambda: hooks.is_registered(plugin)):
        raise _Refused(f"entry point '{candidate.name}' names a module that another entry point names too")
    _guarded(lambda: hooks.register(plugin, name=f"{candidate.distribution}:{candidate.name}"))
    callers = hooks.get_hookcallers(plugin) or []
    known = {kind.hook: kind.name for kind in KINDS.values()}
    unknown = [caller.name for caller in callers if caller.name not in known]
    if unknown:
        raise _Refused(f"selkit has no hook '{unknown[0]}'.{did_you_mean(unknown[0], known)}")
    if not callers:
        raise _Refused(f"it implements no hook of selkit: mark one of {', '.join(known)} with selkit.api.hookimpl")
    own = [(known[caller.name], i) for caller in callers for i in caller.get_hookimpls() if i.plugin is plugin]
    if any(implementation.wrapper or implementation.hookwrapper for _, implementation in own):
        raise _Refused("it wraps a hook, which selkit's hooks do not allow: return classes instead")
    return [(kind, _ready(implementation, arguments.get(KINDS[kind].hook, {}))) for kind, implementation in own]


def _ready(implementation: pluggy.HookImpl, given: Mapping[str, Any]) -> Callable[[], Any]:
    """The implementation with the arguments that it names; pluggy has refused names that the hook does not have."""
    return partial(implementation.function, *(given[name] for name in implementation.argnames))


def _collect(result: Loaded, kind: str, implementation: Callable[[], Any]) -> None:
    """Calls one hook implementation on its own and sorts what it returns into components and failures."""
    candidate = result.candidate
    try:
        returned = _guarded(lambda: list(implementation()))
    except _Refused as refusal:
        reason = f"{KINDS[kind].hook} failed: {refusal}"
        result.failures.append(_failure(candidate, reason, kind=kind, status=_status(refusal)))
        return
    for cls in dict.fromkeys(map(_Same, returned)):
        _sort(result, kind, cls.item)


class _Same:
    """Compares by identity, so that a class returned twice counts once and what cannot be hashed does no harm."""

    def __init__(self, item: Any) -> None:
        self.item = item

    def __hash__(self) -> int:
        return id(self.item)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and self.item is other.item


def _sort(result: Loaded, kind: str, item: Any) -> None:
    candidate = result.candidate
    status: Status = "failed"
    name = candidate.name
    try:
        reason = _guarded(lambda: _newer(item))
        if reason:
            status = "incompatible"
        else:
            reason = _guarded(lambda: fault(item, kind))
        name = _guarded(lambda: _component_name(item, candidate.name))
    except _Refused as refusal:
        reason = str(refusal)
    if not reason and any(p.kind == kind and p.cls.name == name for p in result.provided):
        reason = f"the package provides two {kind}s named '{name}'"
    if reason:
        result.failures.append(_failure(candidate, reason, name=name, kind=kind, status=status))
    else:
        result.provided.append(Provided(kind, item, candidate))


def _newer(item: Any) -> str:
    is_component = isinstance(item, type) and issubclass(item, Component)
    return incompatibility(item) if is_component and isinstance(item.api_version, int) else ""


def _component_name(item: Any, otherwise: str) -> str:
    name = getattr(item, "name", None)
    return printable(name)[:64] if isinstance(name, str) and name else otherwise


def _guarded(call: Callable[[], T]) -> T:
    """Runs a plugin's code: what it prints goes to stderr, what it raises becomes a refusal.

    SystemExit is caught with the rest: a package that is not meant to be imported may call ``sys.exit``.
    """
    try:
        with redirect_stdout(sys.stderr):
            return call()
    except (Exception, SystemExit) as error:
        if os.environ.get(RAISE_VARIABLE, "0") not in ("", "0"):
            raise
        raise _Refused(_reason(error)) from error


def _reason(error: BaseException) -> str:
    """The exception in one line."""
    if isinstance(error, SystemExit):
        return f"it called sys.exit({error.code!r:.80})"
    text = " ".join(printable(f"{type(error).__name__}: {TracebackException.from_exception(error)}").split())
    if _wants_other_host(error):
        text += f" (selkit {__version__} does not have it: upgrade selkit-eval or the plugin)"
    return text if len(text) <= _LONGEST_REASON else text[: _LONGEST_REASON - 3] + "..."


def _status(refusal: _Refused) -> Status:
    return "incompatible" if _wants_other_host(refusal.__cause__) else "failed"


def _wants_other_host(error: BaseException | None) -> bool:
    """Whether a plugin asked selkit for something that this version does not have: a name, or a hook's argument."""
    if isinstance(error, pluggy.PluginValidationError):
        return "can not be found in the hookspec" in str(error)
    return isinstance(error, ImportError) and (error.name or "").partition(".")[0] == PROJECT


def _failure(
    candidate: Candidate, reason: str, *, name: str = "", kind: str | None = None, status: Status = "failed"
) -> LoadFailure:
    return LoadFailure(
        name=name or candidate.name,
        distribution=candidate.distribution,
        version=candidate.version,
        error=reason,
        kind=kind,
        entry_point=candidate.name,
        status=status,
    )
