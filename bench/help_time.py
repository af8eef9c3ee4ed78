"""Times ``selkit --help`` against ``python -c "import click"``, the floor of any command line built on click.

    python bench/help_time.py [--pairs 15] [--limit 1.5]

The two take turns, so that a busy machine slows both; the medians are compared. With --limit the exit code is 1 where
the ratio is above it.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import sysconfig
import time
from collections.abc import Sequence
from pathlib import Path


def main() -> int:
    """Prints both medians and their ratio."""
    parser = argparse.ArgumentParser(description="Time selkit --help against importing click.")
    parser.add_argument("--pairs", type=int, default=15, help="how often each is run")
    parser.add_argument("--limit", type=float, default=1.5, help="the largest ratio that passes")
    arguments = parser.parse_args()
    floor = [sys.executable, "-c", "import click"]
    script = Path(sysconfig.get_path("scripts")) / "selkit"
    command = [str(script), "--help"]
    for warm_up in (floor, command):
        seconds(warm_up)
    pairs = [(seconds(floor), seconds(command)) for _ in range(arguments.pairs)]
    click_ms, selkit_ms = (1000 * statistics.median(times) for times in zip(*pairs, strict=True))
    ratio = selkit_ms / click_ms
    print(f"import click: {click_ms:.1f} ms, selkit --help: {selkit_ms:.1f} ms, ratio {ratio:.2f}")
    print(f"median of {arguments.pairs} interleaved pairs, Python {sys.version.split()[0]}")
    return int(ratio > arguments.limit)


def seconds(command: Sequence[str]) -> float:
    """Wall time of one run of ``command``."""
    start = time.perf_counter()
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - start


if __name__ == "__main__":
    sys.exit(main())
