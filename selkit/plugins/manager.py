"""Finds components: built-ins first and by name, other packages only when a name is not built in."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from functools import cache
from importlib import import_module
from typing import Any

import pluggy

from selkit import __version__
from selkit.api import Component, PluginFailed, UnknownComponent
from selkit.plugins import specs
from selkit.plugins.build import Builder
from selkit.plugins.builtin import BUILTINS
from selkit.plugins.discovery import candidates, canonical
from selkit.plugins.kinds import KINDS, guess_kind
from selkit.plugins.loading import load
from selkit.plugins.parameters import summary
from selkit.plugins.records import HOST, Candidate, Loaded, LoadFailure, PluginInfo, Provided
from selkit.plugins.suggest import did_you_mean


class PluginManager:
    """The plugin host. Metadata is read when it is made; packages are imported when they are needed.

    Args:
        builtins: Kind -> name -> 'module:class' of the components that come with selkit.
        hookspecs: A module or class of hook specifications.
        arguments: Hook -> argument -> what is handed to implementations that name it.
    """

    def __init__(
        self,
        builtins: Mapping[str, Mapping[str, str]] = BUILTINS,
        hookspecs: Any = specs,
        arguments: Mapping[str, Mapping[str, Any]] = specs.ARGUMENTS,
    ) -> None:
        self._builtins = builtins
        self._candidates = candidates()
        self._loaded: dict[Candidate, Loaded] = {}
        self._hooks = pluggy.PluginManager(specs.PROJECT)
        self._hooks.add_hookspecs(hookspecs)
        self._arguments = arguments

    def find(self, kind: str, name: str) -> type[Component]:
        """The class of a component.

        Args:
            kind: 'selector', 'judge' or 'benchmark'.
            name: The component's name, or 'distribution:name' for that of one package.

        Raises:
            UnknownComponent: Nobody provides it, several packages do, or its package is blocked.
            PluginFailed: The package that should provide it does not load.
        """
        package, _, bare = name.rpartition(":")
        if package:
            return self._find_in(package, kind, bare)
        if name in self._builtins[kind]:
            return self._builtin(kind, name)
        found = [provided for provided in self._provided() if provided.kind == kind and provided.cls.name == name]
        if len(found) > 1:
            raise _collision(kind, name, found)
        if not found:
            raise self._absent(kind, name, self._candidates)
        return found[0].cls

    def build(self, kind: str, name: str, parameters: Mapping[str, Any]) -> Component:
        """A component with these parameters, each checked against its type; see :func:`selkit.plugins.build`."""
        return Builder(self.find).build(self.find(kind, name), kind, parameters)

    def kinds_of(self, name: str) -> list[str]:
        """The kinds in which there is a component of this name; other packages count where no built-in has it.

        Raises:
            UnknownComponent: There is none.
            PluginFailed: The package that should provide it does not load.
        """
        built_in = [kind for kind in KINDS if name in self._builtins[kind]]
        kinds = built_in or [kind for kind in KINDS if self._offers(name, kind)]
        if not kinds:
            raise self._absent(None, name.rpartition(":")[2], self._offered_by(name.rpartition(":")[0]))
        return kinds

    def names(self, kind: str) -> list[str]:
        """The names of all components of a kind, built-ins first."""
        others = [provided.cls.name for provided in self._provided() if provided.kind == kind]
        return list(dict.fromkeys([*self._builtins[kind], *others]))

    def owner_of(self, package: str) -> tuple[str, str] | None:
        """Distribution and version of the plugin that brings the import package ``package``, from metadata alone."""
        for candidate in self._candidates:
            if candidate.entry_point.value.partition(":")[0].partition(".")[0] == package:
                return candidate.distribution, candidate.version
        return None

    def installed(self) -> list[PluginInfo]:
        """Every component and every package that should provide one, with its state; imports all of them."""
        loaded = self._load(self._candidates)
        rows = [self._builtin_info(kind, name) for kind in KINDS for name in self._builtins[kind]]
        rows += [self._info(result, provided) for result in loaded for provided in result.provided]
        rows += [_failed_info(result, failure) for result in loaded for failure in result.failures]
        rows += [_blocked_info(candidate) for candidate in self._candidates if candidate.blocked]
        order = list(KINDS)
        return sorted(rows, key=lambda row: (row.distribution != HOST, order.index(row.kind)))

    def _find_in(self, package: str, kind: str, name: str) -> type[Component]:
        if canonical(package) == HOST and name in self._builtins[kind]:
            return self._builtin(kind, name)
        offered = self._offered_by(package)
        for result in self._load(offered):
            for provided in result.provided:
                if provided.kind == kind and provided.cls.name == name:
                    return provided.cls
        raise self._absent(kind, name, offered)

    def _offered_by(self, package: str) -> list[Candidate]:
        """The entry points of one package, or of all where ``package`` is empty."""
        offered = [c for c in self._candidates if not package or canonical(c.distribution) == canonical(package)]
        if package and not offered and canonical(package) != HOST:
            known = dict.fromkeys([HOST, *(candidate.distribution for candidate in self._candidates)])
            raise UnknownComponent(
                f"No package '{package}' with selkit plugins is installed.{did_you_mean(package, known)} "
                "See: selkit plugins"
            )
        return offered

    def _builtin(self, kind: str, name: str) -> type[Component]:
        module, _, attribute = self._builtins[kind][name].partition(":")
        cls: type[Component] = getattr(import_module(module), attribute)
        return cls

    def _load(self, wanted: Iterable[Candidate]) -> list[Loaded]:
        """The results of loading each of these, blocked ones apart; each is loaded once."""
        results = []
        for candidate in wanted:
            if candidate.blocked:
                continue
            if candidate not in self._loaded:
                self._loaded[candidate] = load(candidate, self._hooks, self._arguments)
            results.append(self._loaded[candidate])
        return results

    def _provided(self) -> list[Provided]:
        return [provided for result in self._load(self._candidates) for provided in result.provided]

    def _offers(self, name: str, kind: str) -> bool:
        """Whether a name, or 'distribution:name', leads to a component of this kind."""
        package, _, bare = name.rpartition(":")
        if canonical(package) == HOST:
            return bare in self._builtins[kind]
        return any(
            provided.kind == kind and provided.cls.name == bare
            for result in self._load(self._offered_by(package))
            for provided in result.provided
        )

    def _absent(self, kind: str | None, name: str, searched: list[Candidate]) -> UnknownComponent | PluginFailed:
        """Why there is no such component (of any kind where ``kind`` is None) among the packages that were searched."""
        what = kind or "component"
        failures = [failure for result in self._load(searched) for failure in result.failures]
        for failure in failures:
            if name in (failure.name, failure.entry_point) and (kind is None or failure.kind in (None, kind)):
                return PluginFailed(f"{what} '{name}' cannot be used: {_explain(failure)}")
        for candidate in searched:
            if candidate.blocked and candidate.name == name:
                return UnknownComponent(
                    f"{what} '{name}' of {candidate.label} is blocked, because it is {candidate.blocked}: "
                    "change or unset that variable to use it"
                )
        for other in KINDS:
            if kind is not None and other != kind and name in self.names(other):
                return UnknownComponent(f"'{name}' is a {other}, not a {kind}: see selkit plugins show {name}")
        known = self.names(kind) if kind else [one for other in KINDS for one in self.names(other)]
        return UnknownComponent(
            f"No {what} named '{name}'.{did_you_mean(name, known)}{_others(failures, searched)} See: selkit plugins"
        )

    def _builtin_info(self, kind: str, name: str) -> PluginInfo:
        started = time.perf_counter()
        cls = self._builtin(kind, name)
        spent = 1000 * (time.perf_counter() - started)
        return PluginInfo(
            name, kind, True, HOST, __version__, "ok", module=cls.__module__, summary=summary(cls), import_ms=spent
        )

    def _info(self, result: Loaded, provided: Provided) -> PluginInfo:
        candidate, cls = provided.candidate, provided.cls
        return PluginInfo(
            name=cls.name,
            kind=provided.kind,
            kind_certain=True,
            distribution=candidate.distribution,
            version=candidate.version,
            status="ok",
            reason=self._rivals(provided),
            module=cls.__module__,
            summary=summary(cls),
            entry_point=candidate.name,
            import_ms=result.import_ms,
        )

    def _rivals(self, provided: Provided) -> str:
        """What to know of others that offer the same name; empty where none does."""
        name, own = provided.cls.name, f"{provided.candidate.distribution}:{provided.cls.name}"
        if name in self._builtins[provided.kind]:
            return f"the name '{name}' means the built-in {provided.kind}: ask for '{own}'"
        rivals = [
            other.candidate.label
            for other in self._provided()
            if other is not provided and (other.kind, other.cls.name) == (provided.kind, name)
        ]
        return f"{' and '.join(rivals)} offers the name '{name}' too: ask for '{own}'" if rivals else ""


def _collision(kind: str, name: str, found: list[Provided]) -> UnknownComponent:
    labels = " and ".join(provided.candidate.label for provided in found)
    ways = " or ".join(f"'{provided.candidate.distribution}:{name}'" for provided in found)
    return UnknownComponent(f"The {kind} '{name}' is offered by {labels}: ask for {ways}")


def _explain(failure: LoadFailure) -> str:
    verb = "does not fit" if failure.status == "incompatible" else "does not load"
    return f"{failure.label} {verb}: {failure.error}"


def _others(failures: list[LoadFailure], searched: list[Candidate]) -> str:
    """The packages that were searched in vain and might have provided the name."""
    failed = dict.fromkeys(f"{failure.label} ({failure.error:.120})" for failure in failures)
    blocked = dict.fromkeys(candidate.label for candidate in searched if candidate.blocked)
    text = f" Not loaded, as they failed: {'; '.join(failed)}." if failed else ""
    return text + (f" Not loaded, as they are blocked: {', '.join(blocked)}." if blocked else "")


def _failed_info(result: Loaded, failure: LoadFailure) -> PluginInfo:
    return PluginInfo(
        name=failure.name,
        kind=failure.kind or guess_kind(failure.distribution, failure.entry_point),
        kind_certain=failure.kind is not None,
        distribution=failure.distribution,
        version=failure.version,
        status=failure.status,
        reason=failure.error,
        module=result.candidate.entry_point.value,
        entry_point=failure.entry_point,
        import_ms=result.import_ms,
    )


def _blocked_info(candidate: Candidate) -> PluginInfo:
    return PluginInfo(
        name=candidate.name,
        kind=guess_kind(candidate.distribution, candidate.name),
        kind_certain=False,
        distribution=candidate.distribution,
        version=candidate.version,
        status="blocked",
        reason=candidate.blocked,
        module=candidate.entry_point.value,
        entry_point=candidate.name,
    )


@cache
def manager() -> PluginManager:
    """The plugin host of this process."""
    return PluginManager()
