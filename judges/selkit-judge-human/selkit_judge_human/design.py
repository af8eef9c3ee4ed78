"""Who labels what, and which response stands left: the part of an export that the annotators must not see."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from selkit.api import Comparison, DataError
from selkit_judge_human.cells import row_check

KEY = "key.json"
SCHEMA = 1


@dataclass(frozen=True, slots=True)
class Row:
    """One comparison as it was shown.

    Args:
        row: Its name in the spreadsheet, e.g. 'q0007': no spreadsheet takes that for a number or a date.
        id: The comparison's id.
        left: Which of the comparison's responses stood left: 'first' or 'second'.
        check: Digest of what was shown (see :func:`row_check`).
        annotators: Numbers of the people who were asked, from 1.
    """

    row: str
    id: str
    left: str
    check: str
    annotators: tuple[int, ...]


def given_order(comparison: Comparison) -> Comparison:
    """The comparison with its responses in the given order, whichever order it comes in."""
    return comparison if comparison.order == "first" else comparison.swapped()


def shown(comparison: Comparison, left: str) -> tuple[str, str, str]:
    """Prompt, left response and right response of a comparison in the given order."""
    pair = (comparison.first, comparison.second)
    return comparison.prompt, *(pair if left == "first" else pair[::-1])


def plan(
    comparisons: Sequence[Comparison], annotators: int, overlap: float, rng: np.random.Generator
) -> list[tuple[Row, Comparison]]:
    """The rows of an export, each with its comparison in the given order.

    A comparison that comes in both orders is shown once. Half of the rows, drawn at random, show the first response
    left. A share ``overlap`` of the rows, drawn at random, goes to every annotator; the rest is dealt out in turn.
    """
    unique = list({comparison.id: given_order(comparison) for comparison in comparisons}.values())
    first_left = rng.permutation(len(unique)) % 2 == 0
    everyone = tuple(range(1, annotators + 1))
    shared = set(rng.permutation(len(unique))[: round(overlap * len(unique))].tolist())
    alone = iter(range(len(unique)))
    digits = max(4, len(str(len(unique))))
    rows = []
    for number, comparison in enumerate(unique):
        name = f"q{number + 1:0{digits}d}"
        left = "first" if first_left[number] else "second"
        people = everyone if number in shared else (next(alone) % annotators + 1,)
        check = row_check(name, *shown(comparison, left))
        rows.append((Row(name, comparison.id, left, check, people), comparison))
    return rows


def key_text(rows: Sequence[Row]) -> str:
    """The key as it stands in key.json."""
    return json.dumps({"schema_version": SCHEMA, "rows": [asdict(row) for row in rows]}, indent=1) + "\n"


def read_key(path: Path) -> dict[str, Row]:
    """The rows of an export by name.

    Raises:
        DataError: There is no such file, or it is not a key that this version reads.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise DataError(f"cannot read the key {path} ({error.strerror}): name it with -p key=FILE") from error
    try:
        content: Mapping[str, Any] = json.loads(text)
        if content["schema_version"] != SCHEMA:
            raise DataError(f"{path} has schema version {content['schema_version']}: upgrade selkit-judge-human")
        return {row["row"]: Row(**row | {"annotators": tuple(row["annotators"])}) for row in content["rows"]}
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path} is not a key that `selkit judge export` wrote: name the right one") from error
