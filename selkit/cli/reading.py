"""The options that say how a pool is read, the same in every command that reads one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from selkit.pools import PoolSpec

F = TypeVar("F", bound=Callable[..., Any])

FORMATS = ("alpaca", "conversations", "sharegpt", "messages", "prompt-completion")
"""Formats that ``--format`` takes; a test holds them against those that can be read."""

_OPTIONS = (
    click.option("--format", "form", type=click.Choice(FORMATS), help="Format of the rows; detected otherwise."),
    click.option(
        "--columns", multiple=True, metavar="FIELD=COLUMN", help="Take a field from that column; repeat for more."
    ),
    click.option("--turns", type=click.Choice(["last", "all"]), default="last", help="Assistant turns that train."),
    click.option("--split", metavar="NAME", help="Split of a data set that has several."),
    click.option("--cap", metavar="COLUMN=N", help="Keep N rows, drawn at random, for each value of a column."),
    click.option("--sample", type=click.IntRange(min=1), metavar="N", help="Keep N rows, drawn at random."),
    click.option("--skip-bad-lines", is_flag=True, help="Name and drop lines that are not valid JSON."),
)


def reading(command: F) -> F:
    """The options; they arrive as the keywords of :func:`pool_spec`."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def pool_spec(
    source: str,
    *,
    form: str | None,
    columns: Sequence[str],
    turns: str,
    split: str | None,
    cap: str | None,
    sample: int | None,
    skip_bad_lines: bool,
    seed: int = 0,
) -> PoolSpec:
    """The pool that ``source`` and the options ask for.

    Args:
        source: A file, a folder, the name of a pool, ``NAME=FILE``, or ``hub:NAME[@REVISION]``.
        form: Name of the row format.
        columns: Texts of the form FIELD=COLUMN.
        turns: 'last' or 'all'.
        split: Split of a data set.
        cap: COLUMN=N.
        sample: Number of rows.
        skip_bad_lines: Whether lines that cannot be read are dropped.
        seed: Seed of ``cap`` and ``sample``.

    Raises:
        UsageError: An option's text has another form.
        DataError: ``source`` is neither a file nor a known pool.
    """
    from dataclasses import replace

    from selkit.pools import Cap, parse_source

    spec = parse_source(source, turns="all" if turns == "all" else "last", skip_bad_lines=skip_bad_lines)
    mapping = dict(_assignment("--columns", text) for text in columns)
    limits = []
    if cap is not None:
        column, number = _assignment("--cap", cap)
        limits.append(Cap(_number("--cap", number), column, seed))
    if sample is not None:
        limits.append(Cap(sample, None, seed))
    return replace(spec, format=form, columns=mapping, split=split, caps=tuple(limits))


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
