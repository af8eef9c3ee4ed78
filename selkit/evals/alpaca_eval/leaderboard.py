"""AlpacaEval's leaderboard.csv: one row a model, read, added to and written."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

from selkit.api.errors import DataError
from selkit.evals.alpaca_eval.rates import ModelRates
from selkit.evals.alpaca_eval.records import shown
from selkit.files import atomic_write_text

Leaderboard = dict[str, dict[str, str]]

COLUMNS = (
    "win_rate", "standard_error", "n_wins", "n_wins_base", "n_draws", "n_total", "discrete_win_rate", "mode",
    "avg_length", "length_controlled_winrate", "lc_standard_error",
)  # fmt: skip
"""The columns that AlpacaEval writes, after the model's name."""

_MODE = "community"  # what AlpacaEval gives to a model that somebody adds


def read_leaderboard(path: Path) -> Leaderboard:
    """The rows of a leaderboard.csv as text, by model.

    Raises:
        DataError: The file cannot be read, has no column ``win_rate``, or has a model twice.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            lines = [line for line in csv.reader(file) if line]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path} cannot be read as CSV ({error}): check the path and the file") from error
    if not lines or "win_rate" not in lines[0] or any(len(line) != len(lines[0]) for line in lines):
        raise DataError(
            f"{path} is no leaderboard: it should have a column of names, win_rate, and rows as long as that"
        )
    names = [line[0] for line in lines[1:]]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise DataError(f"{path} has {shown(map(repr, twice))} twice: keep one row for each model")
    return {line[0]: dict(zip(lines[0][1:], line[1:], strict=True)) for line in lines[1:]}


def leaderboard_rows(rates: Sequence[ModelRates]) -> Leaderboard:
    """The rates as rows of a leaderboard; ``lc_standard_error`` is the bootstrap's, not AlpacaEval's.

    AlpacaEval's own takes the fitted coefficients for known and comes out several times too small (EVALUATION 2.2).
    """
    return {
        one.name: {
            "win_rate": _text(one.win_rate),
            "standard_error": _text(one.standard_error),
            "n_wins": str(one.n_wins),
            "n_wins_base": str(one.n_wins_base),
            "n_draws": str(one.n_draws),
            "n_total": str(one.n),
            "discrete_win_rate": _text(one.discrete_win_rate),
            "mode": _MODE,
            "avg_length": str(one.avg_length),
            "length_controlled_winrate": _text(one.lc_win_rate),
            "lc_standard_error": _text(one.lc_se),
        }
        for one in rates
    }


def merged(old: Mapping[str, Mapping[str, str]], new: Leaderboard, *, force: bool = False) -> Leaderboard:
    """``old`` with the rows of ``new``.

    Raises:
        DataError: A model stands in both with other numbers, and ``force`` is not set.
    """
    changed = [name for name in new if name in old and not _same(old[name], new[name])]
    if changed and not force:
        raise DataError(
            f"the leaderboard has other numbers for {shown(map(repr, changed))}: write another file, or add --force to "
            "replace them"
        )
    return {**{name: dict(row) for name, row in old.items()}, **new}


def write_leaderboard(path: Path, rows: Mapping[str, Mapping[str, str]]) -> None:
    """Writes rows as AlpacaEval does, best length-controlled win rate first; a model without one comes last.

    Columns that AlpacaEval does not have are kept. Raises DataError where the place cannot be written to.
    """
    columns = [*COLUMNS, *dict.fromkeys(name for row in rows.values() for name in row if name not in COLUMNS)]
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(["", *columns])
    for name in sorted(rows, key=lambda name: (-_rank(rows[name]), name)):
        writer.writerow([name, *(rows[name].get(column, "") for column in columns)])
    atomic_write_text(path, file.getvalue())


def _rank(row: Mapping[str, str]) -> float:
    try:
        rate = float(row.get("length_controlled_winrate", ""))
    except ValueError:
        return -1.0
    return rate if rate == rate else -1.0


def _same(old: Mapping[str, str], new: Mapping[str, str]) -> bool:
    return all(old.get(column, "") == text for column, text in new.items())


def _text(value: float | None) -> str:
    return "" if value is None else repr(value)
