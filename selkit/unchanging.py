"""What lies outside a command (model folders, the code of plugins, devices) read once while many keys are computed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import wraps
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")

_known: ContextVar[dict[tuple[Any, ...], Any] | None] = ContextVar("selkit_known", default=None)


@contextmanager
def unchanging() -> Iterator[None]:
    """In the block, functions marked :func:`read_once` are called once for the same arguments."""
    token = _known.set(_known.get() or {})
    try:
        yield
    finally:
        _known.reset(token)


def read_once(function: Callable[P, R]) -> Callable[P, R]:
    """Marks a function whose result depends on its hashable arguments and on what lies outside.

    Outside of :func:`unchanging` it is called as it is, and so it sees every change.
    """

    @wraps(function)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
        known = _known.get()
        if known is None:
            return function(*args, **kwargs)
        key = (function, args, tuple(sorted(kwargs.items())))
        if key not in known:
            known[key] = function(*args, **kwargs)
        result: R = known[key]
        return result

    return wrapper
