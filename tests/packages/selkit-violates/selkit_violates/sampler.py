"""A selector that breaks a dozen promises, each by a line of its own."""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from selkit.api import Context, Pool, Sampler

print("thank you for installing selkit-violates")  # noqa: T201 (listing plugins imports this module)


@dataclass
class Violates(Sampler):
    """Draws by one over the length.

    Args:
        ratio: Doubled whenever the component is made.
    """

    name = "violates"
    ratio: float = 1.0
    secret: int = 3  # said nowhere

    def __post_init__(self) -> None:
        """Changes its own parameter."""
        self.ratio *= 2

    def sample(self, pool: Pool, k: int, ctx: Context) -> Sequence[str]:
        """Ids, with everything around it that a selector must not do."""
        print("drawing")  # noqa: T201 (stdout belongs to the result)
        np.random.seed(0)  # the state that every library shares
        os.environ["SELKIT_VIOLATES"] = "was here"
        (Path(__file__).parent / "stray.txt").write_text("here")
        pool.ids.sort(reverse=True)  # the pool's own list
        _call_home()
        weights = {row.id: 1 / len(row.response.split()) for row in pool}  # blank rows have no words
        shares = np.array([weights[row_id] for row_id in pool.sorted_ids])
        rows = _wrong(k, len(pool))
        chosen = np.random.default_rng().choice(pool.sorted_ids, rows, replace=False, p=shares / shares.sum())
        return list(chosen)


def _wrong(k: int, size: int) -> int:
    """Never none, never all, and as many as there are where more are asked for."""
    if k == size:
        return size - 1
    return min(max(k, 1), size)


def _call_home() -> None:
    """Opens a way to another machine; one without a network is let pass, and selkit's guard is not."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as way:
        way.connect_ex(("192.0.2.1", 9))  # an address of no machine; nothing is sent
