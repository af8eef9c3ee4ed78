"""Prints the minutes of every tox environment, from the summary that tox ends with.

    python .ci/minutes.py LOG LIMIT

Exits with 1 where there is no summary or where the sum is above LIMIT minutes.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

_LINE = re.compile(r"^\s*(?P<name>[\w.-]+): (?P<state>OK|FAIL|SKIP)\b.*?\((?P<seconds>[\d.]+)=?.*seconds?\)", re.M)
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")


def minutes_of(log: str) -> dict[str, float]:
    """Minutes by environment."""
    found = _LINE.finditer(_COLOUR.sub("", log))
    return {match["name"]: float(match["seconds"]) / 60 for match in found}


def main() -> int:
    """Prints the table; the exit code says whether the limit holds."""
    minutes = minutes_of(Path(sys.argv[1]).read_text(encoding="utf-8", errors="replace"))
    limit = float(sys.argv[2])
    lines = [f"{name:<24}{value:6.1f} min" for name, value in minutes.items()]
    total = sum(minutes.values())
    sys.stdout.write("\n".join([*lines, f"{'sum':<24}{total:6.1f} min of {limit:g}"]) + "\n")
    return 0 if minutes and total <= limit else 1


if __name__ == "__main__":
    raise SystemExit(main())
