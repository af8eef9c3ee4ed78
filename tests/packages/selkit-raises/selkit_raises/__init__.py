"""A package that cannot be imported."""

from __future__ import annotations

raise RuntimeError("the licence server does not answer")
