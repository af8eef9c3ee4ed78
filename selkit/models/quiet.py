"""Keeps the libraries off the terminal: progress and notes are the console's."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout


@contextmanager
def quiet_imports() -> Iterator[None]:
    """What libraries say while they are imported goes to stderr, stdout being for results.

    DeepSpeed, which transformers imports where it is there, keeps the stream that it finds for all that it logs later.
    """
    with redirect_stdout(sys.stderr), quiet_deepspeed():
        yield


@contextmanager
def quiet_deepspeed() -> Iterator[None]:
    """Nothing but errors from DeepSpeed, which warns as soon as it is imported, and sets its own level."""
    logger = logging.getLogger("DeepSpeed")

    def is_error(record: logging.LogRecord) -> bool:
        return record.levelno >= logging.ERROR

    logger.addFilter(is_error)
    try:
        yield
    finally:
        logger.removeFilter(is_error)


def hush_libraries() -> None:
    """Turns off the progress bars and the advice of transformers; its errors still arrive as exceptions."""
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")
    from transformers.utils import logging as chatter

    chatter.disable_progress_bar()
    chatter.set_verbosity(logging.ERROR)
