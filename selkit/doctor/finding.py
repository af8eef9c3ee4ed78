"""One thing that was looked at, and how it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

State = Literal["ok", "note", "failed"]


@dataclass(frozen=True)
class Finding:
    """One line of ``selkit doctor``.

    Args:
        topic: 'python', 'packages', 'devices', 'data', 'hub', 'caches', 'plugins' or 'store'.
        state: 'ok'; 'note' for what limits what can be done here, and may well be meant so; 'failed' for what will
            stop a command that needs it.
        text: What was found, in one line.
        remedy: What to do about it, a command where there is one; empty only where nothing has to be done.
    """

    topic: str
    state: State
    text: str
    remedy: str = ""

    @property
    def line(self) -> str:
        """The finding as people read it."""
        return f"{self.state:<7}{self.topic}: {self.text}" + (f"; {self.remedy}" if self.remedy else "")
