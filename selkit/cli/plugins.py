"""``selkit plugins``: what is installed, from which package, in what state."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from selkit.cli import options
from selkit.cli.checking import command as check

if TYPE_CHECKING:
    from selkit.api import Component
    from selkit.plugins import PluginInfo

SLOW_MS = 100.0
"""A plugin whose import takes longer slows down every listing; it should import heavy packages in its methods."""

_KINDS = ("selector", "judge", "benchmark")


_timings = options.flag("--timings", help="Show how long each import took, and warn of slow ones.")


@click.group(invoke_without_command=True)
@_timings
@options.as_json
@options.verbosity
@click.pass_context
def command(ctx: click.Context, timings: bool, as_json: bool) -> None:
    """Show what is installed, from which package, in what state.

    \b
    SELKIT_DISABLE_PLUGINS=a,b   load none of these entry points or packages
    SELKIT_PLUGINS=a,b           load these alone (empty: built-ins alone)
    SELKIT_RAISE_PLUGIN_ERRORS=1 show a plugin's exception in full (for authors)
    """
    if ctx.invoked_subcommand is None:
        _list(timings, as_json)


@command.command("list")
@_timings
@options.as_json
@options.verbosity
def list_(timings: bool, as_json: bool) -> None:
    """List all components and their packages."""
    _list(timings, as_json)


@command.command()
@click.argument("name")
@click.option("--kind", type=click.Choice(_KINDS), help="Where several kinds have the name: which one.")
@options.as_json
@options.verbosity
def show(name: str, kind: str | None, as_json: bool) -> None:
    """Show one component: parameters and origin.

    NAME is a component's name, or PACKAGE:NAME for that of one package.
    """
    from selkit.console import get_console
    from selkit.plugins import manager

    plugins = manager()
    kinds = [kind] if kind else plugins.kinds_of(name)
    facts = [_facts(one, plugins.find(one, name)) for one in kinds]
    if as_json:
        _write_json(facts[0] if len(facts) == 1 else facts)
        return
    for number, fact in enumerate(facts):
        if number:
            get_console().result("")
        _print_facts(fact)


@command.command()
@click.argument("kind", type=click.Choice(_KINDS))
@click.argument("name")
@click.option("--dir", "directory", default=".", show_default=True, metavar="D", help="Folder to make the package in.")
@options.verbosity
def new(kind: str, name: str, directory: str) -> None:
    """Write a new package with one component.

    It holds a component that works, its tests and the conformance kit, tox.ini, README and a CI file.
    """
    from selkit.console import get_console
    from selkit.plugins import checkout_of_selkit, new_package

    package = new_package(kind, name, directory)
    source = checkout_of_selkit()
    tox = "tox" if source is None else f"SELKIT_SOURCE={source} tox"
    console = get_console()
    console.result("\n".join(str(package.folder / path) for path in package.files))
    console.note(f"Next: cd {package.folder}, pip install -e . pytest, pytest; or {tox}. README.md says how to go on.")


def _list(timings: bool, as_json: bool) -> None:
    from dataclasses import asdict

    from selkit.console import get_console
    from selkit.plugins import installed

    rows = installed()
    if as_json:
        _write_json([asdict(row) for row in rows])
    else:
        heading = ["name", "kind", "package", "status", *(["import ms"] if timings else []), "what it is"]
        get_console().table("", heading, [_row(row, timings) for row in rows])
    if timings:
        _warn_of_slow(rows)


def _row(row: PluginInfo, timings: bool) -> list[object]:
    kind = row.kind if row.kind_certain else f"{row.kind}?"
    spent: list[object] = [None if row.import_ms is None else round(row.import_ms, 1)] if timings else []
    told = f"{row.summary} ({row.reason})" if row.summary and row.reason else row.reason or row.summary
    return [row.name, kind, f"{row.distribution} {row.version}", row.status, *spent, told]


def _warn_of_slow(rows: list[PluginInfo]) -> None:
    from selkit.console import get_console

    slow = {(row.distribution, row.entry_point): row.import_ms for row in rows if (row.import_ms or 0) > SLOW_MS}
    for (distribution, _), spent in slow.items():
        get_console().note(
            f"Importing {distribution} took {spent:.0f} ms, more than {SLOW_MS:.0f}: its author should import heavy "
            "packages inside the methods that use them."
        )


def _facts(kind: str, cls: type[Component]) -> dict[str, Any]:
    from selkit.plugins import missing_requirements, parameters_of, provenance, summary

    return {
        "name": cls.name,
        "kind": kind,
        "summary": summary(cls),
        "class": f"{cls.__module__}.{cls.__qualname__}",
        **provenance(cls),
        "requires": list(cls.requires),
        "missing": missing_requirements(cls),
        "extra": cls.extra,
        "parameters": [
            {
                "name": parameter.name,
                "type": parameter.type,
                "choices": list(parameter.choices),
                "required": parameter.required,
                "default": _plain(parameter.default),
                "help": parameter.help,
            }
            for parameter in parameters_of(cls).values()
        ],
    }


def _print_facts(facts: dict[str, Any]) -> None:
    from selkit.console import get_console

    console = get_console()
    console.result(f"{facts['name']} ({facts['kind']})" + (f": {facts['summary']}" if facts["summary"] else ""))
    console.result(f"package: {facts['distribution']} {facts['version']}, {facts['class']}")
    console.result(f"code:    {facts['code']}")
    if facts["requires"]:
        install = facts["extra"] or " ".join(facts["missing"])
        missing = (
            f"; not installed: {', '.join(facts['missing'])} (pip install '{install}')" if facts["missing"] else ""
        )
        console.result(f"needs:   {', '.join(facts['requires'])}{missing}")
    if not facts["parameters"]:
        console.result("It has no parameters.")
        return
    rows = [
        (one["name"], one["type"], "(required)" if one["required"] else _shown(one["default"]), one["help"])
        for one in facts["parameters"]
    ]
    console.table("", ["parameter", "type", "default", "what it does"], rows)


def _plain(value: Any) -> Any:
    """A default as JSON has it."""
    from selkit.api import Component

    if isinstance(value, Component):
        return {"name": value.name, **value.parameters()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value if isinstance(value, (str, int, float, bool, type(None))) else str(value)


def _shown(default: Any) -> str:
    """A default as one would type it on the command line."""
    if isinstance(default, list):
        return ",".join(map(_shown, default)) or "(empty)"
    if isinstance(default, dict):
        return str(default.get("name", default))
    return "none" if default is None else str(default).lower() if isinstance(default, bool) else str(default)


def _write_json(value: object) -> None:
    import json

    from selkit.console import get_console

    get_console().result(json.dumps(value, indent=2, ensure_ascii=False))


command.add_command(check)
