"""The state of every plugin package."""

from __future__ import annotations

from collections.abc import Iterator

from selkit.doctor.finding import Finding
from selkit.plugins import PluginInfo, installed, manager, missing_requirements


def plugin_findings() -> Iterator[Finding]:
    """One line per package with what it provides, one per fault, and one per component that lacks what it needs."""
    rows = installed()
    good: dict[str, list[str]] = {}
    for row in rows:
        if row.status == "ok":
            good.setdefault(f"{row.distribution} {row.version}", []).append(row.name)
    for package, names in good.items():
        yield Finding("plugins", "ok", f"{package}: {', '.join(names)}")
    for row in rows:
        yield from _about(row)


def _about(row: PluginInfo) -> Iterator[Finding]:
    package = f"{row.distribution} {row.version}"
    if row.status == "failed":
        text = f"{package} does not load: {row.reason}"
        remedy = f"pip install --upgrade {row.distribution}, or uninstall it; SELKIT_RAISE_PLUGIN_ERRORS=1 shows where"
        yield Finding("plugins", "failed", text, remedy)
    elif row.status == "incompatible":
        yield Finding(
            "plugins",
            "failed",
            f"{package} does not fit this selkit: {row.reason}",
            f"pip install --upgrade selkit-eval {row.distribution}",
        )
    elif row.status == "blocked":
        yield Finding(
            "plugins", "note", f"{package} is blocked: {row.reason}", "change or unset that variable to use it"
        )
    else:
        yield from _usable(row)


def _usable(row: PluginInfo) -> Iterator[Finding]:
    if row.reason:
        text, _, remedy = row.reason.partition(": ")
        yield Finding("plugins", "note", f"{row.name} of {row.distribution}: {text}", remedy)
    cls = manager().find(row.kind, f"{row.distribution}:{row.name}")
    if missing := missing_requirements(cls):
        install = f"pip install '{cls.extra}'" if cls.extra else f"pip install {' '.join(missing)}"
        yield Finding("plugins", "note", f"{row.kind} {row.name} needs {', '.join(missing)}", install)
