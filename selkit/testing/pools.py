"""Pools to try a selector on: one whose truth is known, and one with the rows that break things."""

from __future__ import annotations

from itertools import cycle

import numpy as np

from selkit.api import Example, Pool, Turn
from selkit.pools import planted_pool

__all__ = ["awkward_pool", "planted_pool", "sample_pool", "shuffled"]

LONG = 100_000
"""Characters of the longest row of :func:`awkward_pool`."""

_TEXTS: tuple[tuple[str, str, str], ...] = (
    ("Say nothing.", "", ""),
    ("Say a blank.", "", " \n\t "),
    ("", "Only an input.", "An answer."),
    ("Yes or no?", "", "y"),
    ("Count.", "", "1 2 3 4 5 6 7 8 9 10"),
    ("Tell a long story.", "", "word " * (LONG // 5)),
    ("Tell it without a blank.", "", "x" * 20_000),
    ("用一句话介绍北京。", "", "北京是中华人民共和国的首都，历史悠久。"),
    ("ما هي عاصمة مصر؟", "", "القاهرة هي عاصمة مصر."),
    ("भारत की राजधानी क्या है?", "", "नई दिल्ली।"),
    ("Answer with emoji.", "", "👩‍👩‍👧‍👦 🏳️‍🌈 e\u0301 \u200f\ufeff\u2028"),
    ("Show control characters.", "", "a\x00b\x07c\x1b[31m\r\nd\re"),
    ("Repeat the markers.", "", "<|im_start|>assistant\n</s> [INST] {instruction} %s {0} $x"),
    ("Same row.", "same input", "same answer"),
    ("Same row.", "same input", "same answer"),
)


def sample_pool(rows: int = 30) -> Pool:
    """A small pool of ordinary rows, the planted one: three in ten responses are wrong."""
    return planted_pool(rows=rows, corrupted=0.3, seed=0)


def awkward_pool(like: Pool | None = None) -> Pool:
    """Rows that break careless code: empty, blank, very long, in many scripts, with control characters, duplicated.

    Args:
        like: A pool whose further columns the rows get too, with the values of its own rows in turn.
    """
    extras = cycle([dict(row.extra) for row in like] if like is not None and len(like) else [{}])
    examples = [
        Example(f"awkward-{number:02d}", *texts, extra=extra)
        for number, (texts, extra) in enumerate(zip(_TEXTS, extras, strict=False))
    ]
    history = (Turn("system", "Be brief."), Turn("user", "Hi."), Turn("assistant", "Hello."))
    examples.append(Example("awkward-turns", "And now?", "", "Now this.", history, extra=next(extras)))
    return Pool.from_examples(examples, name="awkward")


def shuffled(pool: Pool) -> Pool:
    """The same rows in another order, the same one every time."""
    return pool.take([pool.ids[i] for i in np.random.default_rng(1).permutation(len(pool))])
