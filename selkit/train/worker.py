"""One training in a process of its own: ``python -m selkit.train.worker JOB.json``.

The job is a JSON object with the arguments of :func:`selkit.train.train`: ``model``, ``data`` (a pool's source),
``recipe`` (its name or its fields) and ``output``; and, where they are not to be the defaults, ``turns``, ``seed``,
``device``, ``threads``, ``resume``, ``force``, ``partial``, ``checkpoint_seconds``, ``processes``, ``deepspeed``.
Progress and notes go to stderr; the last line there says what went wrong, and the exit code is that of the error. The
report is in the output folder.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from selkit.api import DataError, SelkitError, UsageError

REQUIRED = ("model", "data", "recipe", "output")
OPTIONAL = (
    *("turns", "seed", "device", "threads", "resume", "force", "partial", "checkpoint_seconds"),
    *("processes", "deepspeed"),
)
_ORPHANED = 143


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the job in the file named by the only argument and returns the exit code."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    try:
        if len(given) != 1:
            raise UsageError("usage: python -m selkit.train.worker JOB.json")
        run_job(read_job(Path(given[0])))
    except SelkitError as error:
        from selkit.console import get_console

        get_console().error("Error: " + " ".join(str(error).split()))
        return error.exit_code
    return 0


def read_job(path: Path) -> dict[str, Any]:
    """The job in a file.

    Raises:
        DataError: The file cannot be read.
        UsageError: It is no JSON object, lacks a key, or has one that does not exist.
    """
    try:
        job = json.loads(path.read_text("utf-8"))
    except OSError as error:
        raise DataError(f"cannot read the job {path} ({error.strerror})") from error
    except ValueError as error:
        raise UsageError(f"the job {path} is not JSON ({error})") from error
    if not isinstance(job, dict):
        raise UsageError(f"the job {path} is not a JSON object")
    wrong = [f"lacks {key}" for key in REQUIRED if key not in job]
    wrong += [f"has an unknown key {key!r}" for key in job if key not in REQUIRED + OPTIONAL]
    if wrong:
        raise UsageError(f"the job {path} {' and '.join(wrong)}")
    return job


def run_job(job: Mapping[str, Any]) -> None:
    """Runs a job; raises what :func:`selkit.train.train` raises."""
    from selkit.pools import load_pool
    from selkit.train.sft import train

    options = {key: job[key] for key in OPTIONAL if key in job and key != "turns"}
    if options.get("partial") is not None:
        options["partial"] = Path(options["partial"])
    pool = load_pool(job["data"], turns=job.get("turns", "last"))
    train(job["model"], pool, job["recipe"], Path(job["output"]), **options)


def follow_parent() -> None:
    """Ends this process soon after the one that started it has gone, however it went."""
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(_ORPHANED)

    threading.Thread(target=watch, name="follow-parent", daemon=True).start()


if __name__ == "__main__":
    follow_parent()
    sys.exit(main())
