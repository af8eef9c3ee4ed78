"""Keeps the libraries off the terminal: progress and notes are the console's."""

from __future__ import annotations

import logging
import os


def hush_libraries() -> None:
    """Turns off the progress bars and the advice of transformers; its errors still arrive as exceptions."""
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")
    from transformers.utils import logging as chatter

    chatter.disable_progress_bar()
    chatter.set_verbosity(logging.ERROR)
