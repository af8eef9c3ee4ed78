"""``python -m selkit_tasks DIR``: the tasks as YAML files for lm-eval's ``--include_path``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from selkit.api import SelkitError
from selkit_tasks.export import export


def main(arguments: Sequence[str] | None = None) -> int:
    """Writes the files; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m selkit_tasks", description=__doc__)
    parser.add_argument("directory", type=Path, metavar="DIR", help="folder to write the YAML files to")
    parser.add_argument("--data", type=Path, help="folder of the rows; without it, lm-eval takes them from the hub")
    given = parser.parse_args(arguments)
    try:
        written = export(given.directory, given.data)
    except SelkitError as error:
        print(f"Error: {error}", file=sys.stderr)  # noqa: T201
        return error.exit_code
    print(f"{len(written)} tasks and groups: lm_eval run --include_path {given.directory} --tasks {written[0]} ...")  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main())
