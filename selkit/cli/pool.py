"""``selkit pool``: look at a pool, or write it in selkit's own columns."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from selkit.cli import options
from selkit.cli.reading import pool_spec, reading

if TYPE_CHECKING:
    from selkit.api import Pool
    from selkit.pools import PoolFacts

F = TypeVar("F", bound=Callable[..., Any])


def _reading(command: F) -> F:
    """SOURCE and how to read it; they arrive as keywords of :func:`_load`."""
    return click.argument("source")(reading(options.seed(options.store(command))))


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
def show(rows: int, as_json: bool, **how: Any) -> None:
    """Print what is in the pool SOURCE: sizes, lengths, what was left out, and its first rows."""
    from selkit.console import get_console
    from selkit.pools import describe

    pool = _load(**how)
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
def import_(output: str, dry_run: bool, force: bool, **how: Any) -> None:
    """Write the pool SOURCE with selkit's columns: id, instruction, input, response, history, source, then its own."""
    from selkit.console import get_console
    from selkit.pools import write_pool

    pool = _load(**how)
    if dry_run:
        get_console().result(f"{len(pool)} rows would go to {output}")
        return
    write_pool(pool, output, force=force)
    get_console().note(f"wrote {len(pool)} rows to {output}")


def _load(source: str, *, store: str | None, **how: Any) -> Pool:
    from selkit.pools import load_pool
    from selkit.store import Store

    return load_pool(pool_spec(source, **how), store=Store(store))


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
