"""``selkit pool``: look at a pool, or write it in selkit's own columns."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import click

from selkit.cli import options

if TYPE_CHECKING:
    from selkit.api import Pool
    from selkit.pools import PoolFacts

F = TypeVar("F", bound=Callable[..., Any])

FORMATS = ("alpaca", "conversations", "sharegpt", "messages", "prompt-completion")
"""Formats that ``--format`` takes; a test holds them against those that can be read."""


def _reading(command: F) -> F:
    """The options that say how to read; they arrive as keywords of :func:`_load`."""
    for option in (
        click.argument("source"),
        click.option("--format", "form", type=click.Choice(FORMATS), help="Format of the rows; detected otherwise."),
        click.option(
            "--columns", multiple=True, metavar="FIELD=COLUMN", help="Take a field from that column; repeat for more."
        ),
        click.option("--turns", type=click.Choice(["last", "all"]), default="last", help="Assistant turns that train."),
        click.option("--split", metavar="NAME", help="Split of a data set that has several."),
        click.option("--cap", metavar="COLUMN=N", help="Keep N rows, drawn at random, for each value of a column."),
        click.option("--sample", type=click.IntRange(min=1), metavar="N", help="Keep N rows, drawn at random."),
        click.option("--skip-bad-lines", is_flag=True, help="Name and drop lines that are not valid JSON."),
        options.seed,
        options.store,
    ):
        command = option(command)
    return command


@click.group("pool")
def command() -> None:
    """Look at a pool, or write it in selkit's own columns.

    SOURCE is a file (.jsonl, .json, .csv, .tsv, .parquet), a folder, a named pool such as alpaca or planted,
    alpaca=FILE where a file stands in for it, or hub:NAME@REVISION.
    """


@command.command("show")
@_reading
@click.option("--rows", type=click.IntRange(min=0), default=3, show_default=True, help="First rows to show.")
@options.as_json
@options.verbosity
def show(rows: int, as_json: bool, **reading: Any) -> None:
    """Print what is in the pool SOURCE: sizes, lengths, what was left out, and its first rows."""
    from selkit.console import get_console
    from selkit.pools import describe

    pool = _load(**reading)
    facts = describe(pool)
    if as_json:
        get_console().result(_json(pool, facts, rows))
        return
    get_console().table(pool.name, ["fact", "value"], list(_facts_rows(facts)))
    shown = [[row.id, _short(row.question), _short(row.response)] for row in pool.take(pool.ids[:rows])]
    if shown:
        get_console().table("first rows", ["id", "prompt", "response"], shown)


@command.command("import")
@_reading
@options.output("File to write: .jsonl or .parquet.", required=True)
@options.dry_run
@options.force
@options.verbosity
def import_(output: str, dry_run: bool, force: bool, **reading: Any) -> None:
    """Write the pool SOURCE with selkit's columns: id, instruction, input, response, history, source, then its own."""
    from selkit.console import get_console
    from selkit.pools import write_pool

    pool = _load(**reading)
    if dry_run:
        get_console().result(f"{len(pool)} rows would go to {output}")
        return
    write_pool(pool, output, force=force)
    get_console().note(f"wrote {len(pool)} rows to {output}")


def _load(
    source: str,
    form: str | None,
    columns: Sequence[str],
    turns: str,
    split: str | None,
    cap: str | None,
    sample: int | None,
    skip_bad_lines: bool,
    seed: int,
    store: str | None,
) -> Pool:
    from dataclasses import replace

    from selkit.pools import Cap, load_pool, parse_source
    from selkit.store import Store

    spec = parse_source(source, turns="all" if turns == "all" else "last", skip_bad_lines=skip_bad_lines)
    mapping = dict(_assignment("--columns", text) for text in columns)
    limits = []
    if cap is not None:
        column, number = _assignment("--cap", cap)
        limits.append(Cap(_number("--cap", number), column, seed))
    if sample is not None:
        limits.append(Cap(sample, None, seed))
    return load_pool(replace(spec, format=form, columns=mapping, split=split, caps=tuple(limits)), store=Store(store))


def _assignment(option: str, text: str) -> tuple[str, str]:
    from selkit.api import UsageError

    name, sign, value = text.partition("=")
    if not (name and sign and value):
        raise UsageError(f"{option} {text!r} has no name and value: write NAME=VALUE")
    return name, value


def _number(option: str, text: str) -> int:
    from selkit.api import UsageError

    if not text.isdecimal() or int(text) < 1:
        raise UsageError(f"{option}: {text!r} is no number of rows of at least 1")
    return int(text)


def _facts_rows(facts: PoolFacts) -> list[tuple[str, str]]:
    return [
        ("rows", str(facts.rows)),
        ("left out", "; ".join(f"{count} x {reason}" for reason, count in facts.dropped.items()) or "none"),
        ("exact duplicates", str(facts.duplicates)),
        ("with earlier turns", str(facts.conversations)),
        ("assistant turns that train", facts.turns),
        ("sources", ", ".join(f"{name} {count}" for name, count in list(facts.sources.items())[:20])),
        ("columns", ", ".join(facts.columns)),
        ("words of a prompt", _quantiles(facts.instruction_words)),
        ("words of a response", _quantiles(facts.response_words)),
        ("fingerprint", facts.fingerprint),
    ]


def _quantiles(values: Any) -> str:
    return ", ".join(f"{name} {value:g}" for name, value in values.items())


def _short(text: str, most: int = 60) -> str:
    line = " ".join(text[: 10 * most].split())
    return line if len(line) <= most else f"{line[: most - 3]}..."


def _json(pool: Pool, facts: PoolFacts, rows: int) -> str:
    import json
    from dataclasses import asdict

    said = asdict(facts)
    said["dropped_rows"] = [asdict(row) for row in pool.dropped]
    said["first"] = [asdict(row) for row in pool.take(pool.ids[:rows])]
    return json.dumps({"schema_version": 1, **said}, indent=2, ensure_ascii=False, default=str)
