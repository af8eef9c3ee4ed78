"""How many rows are scored again when scoring is killed: counted in rows, with kill -9 at random moments.

    python bench/scoring_resume.py [--rows 2000] [--kills 3] [--seed 0]

A child process scores made-up rows with ifd and a tiny model, and counts every row that it has scored. It is killed
`--kills` times and started again; then it may finish. Each kill may cost at most one block of rows, and the scores must
be the bytes of a run that nobody killed. The exit code is 1 where that is not so.
"""

from __future__ import annotations

import argparse
import os
import platform
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from selkit_ifd.scorer import Ifd

from selkit.api import Context, Example, Pool, RowScore
from selkit.select import select
from selkit.select.scoring import BLOCK, SCORES
from selkit.store import Store

MODEL = "tiny:bytes?hidden=32&heads=2&layers=2&context=512&seed=1"
COUNTER = "SELKIT_BENCH_COUNTER"


@dataclass
class Counting(Ifd):
    """ifd that adds a byte to a file for every row that it has scored."""

    name = "counting-ifd"
    code_version = "1"

    model: str | None = MODEL
    pre_experience: Literal["cherry", "none"] = "none"
    bound: Literal["at-most-one", "below-one", "none"] = "none"

    def score(self, pool: Pool, ctx: Context) -> Iterator[RowScore]:
        """What ifd says of each row."""
        file = os.open(os.environ[COUNTER], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        for row in super().score(pool, ctx):
            os.write(file, b".")
            yield row
        os.close(file)


def rows(count: int) -> Pool:
    """Rows of different lengths; one in ten comes twice."""
    numbers = [n if n % 10 else n + 1 for n in range(count)]
    return Pool.from_examples(
        (
            Example(f"r{place:05}", f"Question {n}?", "", f"Answer {n}. " * (1 + n % 7))
            for place, n in enumerate(numbers)
        ),
        name="made",
    )


def child(store: Path, count: int) -> None:
    """Scores whatever has no score yet."""
    select(rows(count), Counting(), 1, store=Store(store))


def start(store: Path, counter: Path, count: int) -> subprocess.Popen[bytes]:
    """The child in a process of its own."""
    command = [sys.executable, __file__, "--child", str(store), "--rows", str(count)]
    environment = os.environ | {COUNTER: str(counter), "OMP_NUM_THREADS": "1", "SELKIT_DEVICE": "cpu"}
    return subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)


def scored(counter: Path) -> int:
    """Rows scored so far, in all attempts together."""
    return counter.stat().st_size if counter.exists() else 0


def killed(store: Path, counter: Path, count: int, moments: list[int], chance: random.Random) -> int:
    """Starts the child once per moment (rows scored in all) and kills it a little later; returns how often that was."""
    kills = 0
    for moment in moments:
        process = start(store, counter, count)
        while process.poll() is None and scored(counter) < moment:
            time.sleep(0.001)
        time.sleep(chance.random() * 0.05)
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
            kills += 1
        process.wait()
    return kills


def stored(store: Path) -> bytes:
    """The scores that the store holds."""
    [artifact] = Store(store).artifacts(stage="scores")
    return artifact.file(SCORES).read_bytes()


def main() -> int:
    """Kills, resumes, counts and compares."""
    parser = argparse.ArgumentParser(description="Count the rows that are scored again after kills.")
    parser.add_argument("--rows", type=int, default=2000, help="rows of the pool")
    parser.add_argument("--kills", type=int, default=3, help="how often the child is killed")
    parser.add_argument("--seed", type=int, default=0, help="seed of the moments")
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child is not None:
        child(arguments.child, arguments.rows)
        return 0
    chance = random.Random(arguments.seed)
    moments = sorted(chance.randrange(arguments.rows) for _ in range(arguments.kills))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        kills = killed(folder / "killed", folder / "rows", arguments.rows, moments, chance)
        before = scored(folder / "rows")
        assert start(folder / "killed", folder / "rows", arguments.rows).wait() == 0
        assert start(folder / "calm", folder / "calm-rows", arguments.rows).wait() == 0
        again = scored(folder / "rows") - arguments.rows
        same = stored(folder / "killed") == stored(folder / "calm")
        assert scored(folder / "calm-rows") == arguments.rows
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    print(f"{arguments.rows} rows, killed {kills} times, after {before} scored rows for the last time")
    print(f"{again} rows scored again, at most {kills * BLOCK} allowed (a block of {BLOCK} a kill)")
    print(f"scores are {'the same bytes as' if same else 'OTHER than those of'} a run that nobody killed")
    return int(again > kills * BLOCK or not same)


if __name__ == "__main__":
    sys.exit(main())
