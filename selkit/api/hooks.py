"""The marker that plugins put on their hook implementations."""

from __future__ import annotations

import pluggy

hookimpl = pluggy.HookimplMarker("selkit")
"""Marks a function as an implementation of one of selkit's hooks."""
