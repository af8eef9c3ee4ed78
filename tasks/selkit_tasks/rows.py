"""Rows of a local file for lm-eval, past the cache of datasets, which can hand out rows of an earlier file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def load(data: str, **_: Any) -> dict[str, Any]:
    """The rows of a JSON Lines file as the split ``train``; lm-eval hands its metadata over as well.

    Args:
        data: Path of the file.
    """
    from datasets import Dataset

    lines = Path(data).read_text(encoding="utf-8").split("\n")
    return {"train": Dataset.from_list([json.loads(line) for line in lines if line.strip()])}
