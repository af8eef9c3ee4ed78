"""Times help and listing with fifty installed plugins, of which five are broken, against none.

    python bench/plugins_time.py [--pairs 15]

The plugins are made up and lie in a folder on the path, found as installed ones are. First it asserts that every
package is listed and every fault is named. With and without plugins take turns; medians are compared. The exit code is
1 where help takes more than 10% and more than 10 ms longer, or where listing takes 1.5 s or more.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PLUGINS, BROKEN = 50, 5
SHARE, MILLISECONDS, LISTING = 0.10, 10.0, 1.5

SOUND = '''
from dataclasses import dataclass
from selkit.api import Scorer, hookimpl

@dataclass
class Mine(Scorer):
    """Counts characters."""

    name = "{name}"

    def score(self, pool, ctx):
        return [float(len(row.response)) for row in pool]

@hookimpl
def selkit_selectors():
    return [Mine]
'''


def main() -> int:
    """Prints the medians and what they differ by."""
    parser = argparse.ArgumentParser(description="Time selkit with fifty plugins against none.")
    parser.add_argument("--pairs", type=int, default=15, help="how often each is run")
    pairs = parser.parse_args().pairs
    with tempfile.TemporaryDirectory() as folder:
        install(Path(folder))
        without = {**os.environ, "SELKIT_PLUGINS": ""}
        without.pop("PYTHONPATH", None)
        within = {**os.environ, "PYTHONPATH": folder}
        check(within)
        late = [compare(arguments, without, within, pairs) for arguments in (("--help",), ("plugins", "--help"))]
        listing = statistics.median(seconds(("plugins",), within) for _ in range(pairs))
    print(f"selkit plugins with {PLUGINS} plugins, {BROKEN} of them broken: {listing:.2f} s")
    print(f"medians of {pairs} interleaved pairs, Python {sys.version.split()[0]}, {os.cpu_count()} CPUs")
    return int(any(late) or listing >= LISTING)


def install(folder: Path) -> None:
    """Makes the packages: a module and what pip would have written of it."""
    for number in range(PLUGINS):
        name = f"made-up-{number:02d}"
        broken = number < BROKEN
        source = f"raise RuntimeError('fault {number}')\n" if broken else SOUND.format(name=name)
        (folder / f"made_up_{number:02d}.py").write_text(source, encoding="utf-8")
        info = folder / f"made_up_{number:02d}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n", encoding="utf-8")
        (info / "entry_points.txt").write_text(f"[selkit]\n{name} = made_up_{number:02d}\n", encoding="utf-8")


def check(environment: dict[str, str]) -> None:
    """Every package is listed, and every broken one with its own fault."""
    command = [sys.executable, "-m", "selkit", "plugins", "--json"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    rows = {row["distribution"]: row for row in json.loads(done.stdout)}
    for number in range(PLUGINS):
        row = rows[f"made-up-{number:02d}"]
        assert row["status"] == ("failed" if number < BROKEN else "ok"), row
        assert number >= BROKEN or row["reason"] == f"RuntimeError: fault {number}", row


def compare(arguments: tuple[str, ...], without: dict[str, str], within: dict[str, str], pairs: int) -> bool:
    """Prints both medians; whether plugins make the command later than they may."""
    for environment in (without, within):
        seconds(arguments, environment)
    times = [(seconds(arguments, without), seconds(arguments, within)) for _ in range(pairs)]
    before, after = (1000 * statistics.median(column) for column in zip(*times, strict=True))
    print(f"selkit {' '.join(arguments)}: {before:.1f} ms without plugins, {after:.1f} ms with {PLUGINS}")
    return after - before > max(MILLISECONDS, SHARE * before)


def seconds(arguments: tuple[str, ...], environment: dict[str, str]) -> float:
    """Wall time of one command."""
    command = [sys.executable, "-m", "selkit", *arguments]
    start = time.perf_counter()
    subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
    return time.perf_counter() - start


if __name__ == "__main__":
    sys.exit(main())
