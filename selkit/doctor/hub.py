"""Whether the hub of models and data sets can be reached: one short request that cannot hang."""

from __future__ import annotations

import os
import threading
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from selkit.doctor.finding import Finding

PATIENCE = 5.0
"""Seconds in all that the hub has to answer, looking its name up included."""

HUB = "https://huggingface.co"
_REMEDY = (
    "set HF_HUB_OFFLINE=1 to work with what is here (selkit eval prefetch, run where there is a network, says and "
    "fetches what that must be), or set a proxy or HF_ENDPOINT"
)


def hub_finding(patience: float = PATIENCE) -> Finding:
    """What $HF_ENDPOINT, else huggingface.co, answers; in offline mode nothing is asked.

    Args:
        patience: Seconds to wait in all.
    """
    if setting := offline_setting():
        return Finding(
            "hub",
            "ok",
            f"offline mode ({setting}): models, pools and benchmarks must be here already",
            "what an experiment needs: selkit eval prefetch EXPERIMENT",
        )
    address = os.environ.get("HF_ENDPOINT") or HUB
    trouble = _asked(address, patience)
    if trouble is None:
        return Finding("hub", "ok", f"{address} answers")
    return Finding("hub", "failed", f"{address} cannot be reached ({trouble})", _REMEDY)


def offline_setting() -> str:
    """The variable that turns the hub off, with its value; empty where none does."""
    for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"):
        value = os.environ.get(name, "")
        if value.upper() in ("1", "ON", "YES", "TRUE"):
            return f"{name}={value}"
    return ""


def _asked(address: str, patience: float) -> str | None:
    """None where any answer came, else why none did. The request has a thread, as a name's look-up knows no limit."""
    said: list[str | None] = []

    def ask() -> None:
        try:
            with urlopen(Request(address, method="HEAD"), timeout=patience):
                said.append(None)
        except HTTPError:
            said.append(None)  # an answer, too
        except (OSError, ValueError) as error:
            said.append(str(getattr(error, "reason", error)) or type(error).__name__)

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(patience)
    return said[0] if said else f"no answer within {patience:g} s"
