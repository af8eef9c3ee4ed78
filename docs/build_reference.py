"""Writes what pages say of the code: reference/commands.md, checks.md, packages.md and experiment.schema.json, the
tables of built-in components, hooks, exit codes and manifest fields, and the template's code in the pages for authors.

Run it after a change to any of these, where every package of this repository is installed:
``python docs/build_reference.py``. Tests fail while the pages say something else than the code.
"""

from __future__ import annotations

import ast
import inspect
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click

from selkit import __main__ as entry
from selkit.api import Component, errors
from selkit.cli import COMMANDS, cli
from selkit.experiment.spec.schema import schema_text
from selkit.plugins import find, installed, new_package, parameters_of, specs, summary
from selkit.plugins.builtin import BUILTINS
from selkit.select import fields as selection_fields
from selkit.store import fields as stored_fields
from selkit.testing import BENCHMARK_CHECKS, JUDGE_CHECKS, SELECTOR_CHECKS, Check

ROOT = Path(__file__).resolve().parents[1]
REFERENCE = ROOT / "docs" / "reference"
IN_REPOSITORY = {
    "selkit-tasks",
    *(path.parent.name for pattern in ("plugins", "judges") for path in ROOT.glob(f"{pattern}/*/pyproject.toml")),
}
"""The distributions whose components have a page."""

_SHARED = ("help", "quiet", "verbose")


def commands_page() -> str:
    """The page of all commands with their arguments and options."""
    parts = [
        "# Commands",
        "This page is written by `docs/build_reference.py` from the commands themselves.",
        "Every command takes `-h, --help`; nearly all take `-q, --quiet` (no notes and no progress) and "
        "`-v, --verbose` (more detail). They are left out below. The result goes to stdout, notes and progress go to "
        "stderr. What a command returns to the shell is in [Exit codes](exit-codes.md).",
    ]
    with click.Context(cli) as ctx:
        for name in COMMANDS:
            command = cli.get_command(ctx, name)
            assert command is not None
            parts += _command(command, f"selkit {name}", 2)
    return "\n\n".join(parts) + "\n"


def _command(command: click.Command, path: str, level: int) -> Iterator[str]:
    yield f"{'#' * level} `{path}`"
    yield _help(command)
    arguments = [p.make_metavar(click.Context(command)) for p in command.params if isinstance(p, click.Argument)]
    group = isinstance(command, click.Group)
    usage = " ".join([path, *arguments, *(["[COMMAND]"] if group else []), "[OPTIONS]"])
    yield f"    {usage}"
    options = [p for p in command.params if isinstance(p, click.Option) and p.name not in _SHARED]
    if options:
        yield _table(("Option", "Default", "Meaning"), [_option(option) for option in options])
    if isinstance(command, click.Group):
        for name in command.list_commands(click.Context(command)):
            below = command.get_command(click.Context(command), name)
            assert below is not None
            yield from _command(below, f"{path} {name}", level + 1)


def _help(command: click.Command) -> str:
    """The help text; a paragraph that click must not wrap becomes a block of code."""
    paragraphs = []
    for paragraph in inspect.cleandoc(command.help or "").split("\n\n"):
        if paragraph.startswith("\b\n"):
            paragraphs.append("\n".join(f"    {line}" for line in paragraph[2:].splitlines()))
        else:
            paragraphs.append(paragraph)
    return "\n\n".join(paragraphs)


def _option(option: click.Option) -> tuple[str, str, str]:
    takes = "" if option.is_flag or option.count else f" {_takes(option)}"
    names = f"`{', '.join(option.opts)}{takes}`"
    required = "required" if option.required else ""
    default = option.default if option.show_default and not callable(option.default) else None
    text = option.help or ""
    if option.envvar and option.show_envvar:
        text += f" Also set by `{option.envvar}`."
    return names, required or ("" if default is None else f"`{default}`"), text


def _takes(option: click.Option) -> str:
    if option.metavar:
        return option.metavar
    if isinstance(option.type, click.Choice):
        return "|".join(map(str, option.type.choices))
    return "N" if isinstance(option.type, (click.types.IntParamType, click.IntRange)) else "X"


def builtins_part() -> str:
    """The built-in components of every kind with their parameters."""
    parts: list[str] = []
    for kind, classes in BUILTINS.items():
        parts.append(f"## Built-in {kind}s")
        parts += [part for name in classes for part in _component(name, find(kind, name))]
        if not classes:
            parts.append("There are none: every one comes with a [package](packages.md).")
    return "\n\n".join(parts).replace("``", "`")


def _component(name: str, cls: type[Component]) -> Iterator[str]:
    """A component: what it is, and its parameters."""
    yield f"### `{name}`"
    yield summary(cls)
    more = inspect.cleandoc(cls.__doc__ or "").partition("\n\nArgs:")[0].partition("\n\n")[2]
    if more:
        yield " ".join(more.split())
    if cls.extra:
        yield f"Needs an extra: `pip install '{cls.extra}'`."
    known = parameters_of(cls)
    if not known:
        yield "It has no parameters."
        return
    rows = [(f"`{p.name}`", p.type, "required" if p.required else _default(p.default), p.help) for p in known.values()]
    yield _table(("Parameter", "Type", "Default", "Meaning"), rows)


def packages_page() -> str:
    """The page of all components of this repository's packages; they have to be installed."""
    parts = [
        "# Packages",
        "This page is written by `docs/build_reference.py` from the packages of this repository: every component with "
        "its parameters, as `selkit plugins show NAME` prints them. What comes with selkit itself has "
        "[a page of its own](selectors.md).",
    ]
    rows = [row for row in installed() if row.distribution in IN_REPOSITORY]
    for distribution in dict.fromkeys(row.distribution for row in rows):
        own = [row for row in rows if row.distribution == distribution]
        parts.append(f"## {distribution}")
        for row in own:
            lines = [*_component(row.name, find(row.kind, f"{distribution}:{row.name}"))]
            parts += [lines[0], f"A {row.kind}. {lines[1]}", *lines[2:]]
    return "\n\n".join(parts).replace("``", "`") + "\n"


def hooks_part() -> str:
    """The hooks, from their specifications."""
    hooks = [hook for name, hook in vars(specs).items() if name.startswith("selkit_")]
    return _table(("Hook", "Arguments", "Returns"), [_hook(hook) for hook in hooks])


def _hook(hook: Callable[..., Any]) -> tuple[str, str, str]:
    arguments = ", ".join(f"`{name}`" for name in inspect.signature(hook).parameters)
    return f"`{hook.__name__}`", arguments or "none", _first_paragraph(hook)


def exit_codes_part() -> str:
    """The exit codes: those of the error classes, and those that the entry point gives."""
    classes = [value for value in vars(errors).values() if isinstance(value, type)]
    kinds = [cls for cls in classes if issubclass(cls, errors.SelkitError) and cls is not errors.SelkitError]
    rows = [(cls.exit_code, f"`{cls.__name__}`", _first_paragraph(cls)) for cls in kinds]
    rows += [(getattr(entry, name), "", text) for name, text in constants_of(entry).items()]
    cells = [(str(code), error, text) for code, error, text in sorted(rows, key=lambda row: row[0])]
    return _table(("Code", "Error", "Meaning"), cells)


def constants_of(module: Any) -> dict[str, str]:
    """The constants of a module that are whole numbers, each with the text that stands below it in the source."""
    body = ast.parse(inspect.getsource(module)).body
    found = {}
    for node, following in zip(body, [*body[1:], None], strict=True):
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            name = node.targets[0].id
            if name.isupper() and isinstance(getattr(module, name), int):
                said = isinstance(following, ast.Expr) and isinstance(following.value, ast.Constant)
                found[name] = str(following.value.value) if said else ""  # type: ignore[union-attr]
    return found


def manifest_part() -> str:
    """The fields of a manifest, in the store and of a selection, and what stands under ``facts`` and ``measured``."""
    stored, chosen = stored_fields.FIELDS, selection_fields.FIELDS
    groups = {
        "both": {name: text for name, text in stored.items() if name in chosen},
        "the store": {name: text for name, text in stored.items() if name not in chosen},
        "a selection": {name: text for name, text in chosen.items() if name not in stored},
    }
    facts = {"every selector": selection_fields.FACTS, "a scorer": selection_fields.SCORER_FACTS}
    measured = {"every": stored_fields.MEASURED, "where GPUs are used": stored_fields.MEASURED_ON_GPU}
    return "\n\n".join(
        [
            _grouped("In", groups),
            "The `facts` of a selection:",
            _grouped("Of", facts),
            "What stands under `measured` in the store; a selection has the part that its command can tell:",
            _grouped("In", measured),
        ]
    )


def _grouped(head: str, groups: Mapping[str, Mapping[str, str]]) -> str:
    rows = [(f"`{name}`", group, text) for group, texts in groups.items() for name, text in texts.items()]
    return _table(("Name", head, "Meaning"), rows)


def _first_paragraph(thing: object) -> str:
    return " ".join((inspect.getdoc(thing) or "").partition("\n\n")[0].split())


PARTS: dict[str, tuple[str, Callable[[], str]]] = {
    "selectors.md": ("built-in components", builtins_part),
    "hooks.md": ("hooks", hooks_part),
    "exit-codes.md": ("exit codes", exit_codes_part),
    "formats.md": ("manifest fields", manifest_part),
}
"""Pages of the reference with one part that the code gives: what the part is, and what gives it."""


def page_with_part(name: str, page: str) -> str:
    """``page``, the text of that page of the reference, with its generated part as the code has it now."""
    what, part = PARTS[name]
    return _filled(page, f"{what}, written by docs/build_reference.py", part())


def _filled(page: str, mark: str, text: str) -> str:
    """``page`` with ``text`` between the two comments that bear the mark."""
    begin, end = (f"<!-- {mark}: {word} -->" for word in ("begin", "end"))
    head, _, rest = page.partition(begin)
    assert end in rest, f"no part is marked as {mark!r}"
    return f"{head}{begin}\n\n{text}\n\n{end}{rest.partition(end)[2]}"


def checks_page() -> str:
    """The page of all checks of the conformance kit, by kind."""
    parts = [
        "# Checks of the conformance kit",
        "This page is written by `docs/build_reference.py` from the checks themselves. `selkit plugins check NAME` "
        "runs them; under pytest each is a test, `test_NAME`, of the class that is named here. What a check does not "
        "apply to, it skips and says why.",
    ]
    for kind, checks in (("Selector", SELECTOR_CHECKS), ("Judge", JUDGE_CHECKS), ("Benchmark", BENCHMARK_CHECKS)):
        parts += [f"## {kind}s: `{kind}Conformance`", _table(("Check", "What it holds"), [_check(c) for c in checks])]
    return "\n\n".join(parts).replace("``", "`") + "\n"


def _check(check: Check[Any]) -> tuple[str, str]:
    """Name of a check, and the whole of what it says of itself."""
    return f"`{check.name}`", " ".join(inspect.cleandoc(check.function.__doc__ or "").split())


AUTHORS = {
    "write-a-scorer.md": ("selector", "variety"),
    "write-a-judge.md": ("judge", "clarity"),
    "write-a-benchmark.md": ("benchmark", "arithmetic"),
}
"""Pages for plugin authors, each with the kind and the name of the package that it writes."""


def authors_page(page: str, kind: str, name: str) -> str:
    """``page`` with the implementation that the template of this kind gives now."""
    with TemporaryDirectory() as folder:
        package = new_package(kind, name, folder)
        path = next(p for p in package.files if p.name in ("scorer.py", "judge.py", "task.py"))
        code = (package.folder / path).read_text(encoding="utf-8")
    block = "\n".join(f"    {line}" if line else "" for line in code.splitlines())
    return _filled(page, f"the template's {kind}", block)


def _default(value: object) -> str:
    if value is None:
        return "none"
    return "empty" if value == () else f"`{value}`"


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


if __name__ == "__main__":
    (REFERENCE / "commands.md").write_text(commands_page(), encoding="utf-8")
    (REFERENCE / "experiment.schema.json").write_text(schema_text(), encoding="utf-8")
    (REFERENCE / "checks.md").write_text(checks_page(), encoding="utf-8")
    if {row.distribution for row in installed()} >= IN_REPOSITORY:
        (REFERENCE / "packages.md").write_text(packages_page(), encoding="utf-8")
    else:
        sys.stderr.write("packages.md is left as it is: not every package of this repository is installed\n")
    for name, (kind, component) in AUTHORS.items():
        path = REFERENCE.parent / "how-to" / name
        path.write_text(authors_page(path.read_text(encoding="utf-8"), kind, component), encoding="utf-8")
    for name in PARTS:
        path = REFERENCE / name
        path.write_text(page_with_part(name, path.read_text(encoding="utf-8")), encoding="utf-8")
