"""One of the processes that train together: ``python -m selkit.train.rank FOLDER [-q] [-v]``.

The job is in FOLDER. Where it fails, the reason is written there, for the process that started this one.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from selkit.api import SelkitError
from selkit.console import get_console
from selkit.train.batches import TooLarge
from selkit.train.launch import JOB, Failure, failure_file
from selkit.train.ranks import Ranks


def main(arguments: Sequence[str]) -> int:
    """Runs the job in the folder; returns 0, or ends the process where the job fails."""
    from selkit.train.worker import read_job, run_job

    folder = Path(arguments[0])
    console = get_console()
    console.quiet, console.verbose = "-q" in arguments, arguments.count("-v")
    try:
        run_job(read_job(folder / JOB))
    except SelkitError as error:
        text = " ".join(str(error).split())
        failure = Failure(error.exit_code, text, isinstance(error, TooLarge))
        (folder / failure_file(Ranks.here().rank)).write_text(json.dumps(asdict(failure)), "utf-8")
        os._exit(error.exit_code)  # at once: threads of the group may wait for processes that are gone
    return 0


if __name__ == "__main__":
    from selkit.train.worker import follow_parent

    follow_parent()
    sys.exit(main(sys.argv[1:]))
