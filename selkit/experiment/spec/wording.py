"""What components say in the words of the command line, in those of a spec."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from selkit.api import DataError, UsageError

_OPTION = re.compile(r"-p ([a-z_][a-z0-9_.]*)=([^\s,;)]+)")


@contextmanager
def in_a_spec(where: str) -> Iterator[None]:
    """Errors of the block that name an option of the command line name the key of a spec instead.

    ``clusters=100`` after ``-p`` becomes ``clusters: 100`` in the place that ``where`` says.

    Raises:
        UsageError, DataError: As the block raises them.
    """
    try:
        yield
    except (UsageError, DataError) as error:
        text = _OPTION.sub(_key, str(error))
        if text == str(error):
            raise
        raise type(error)(f"{text}, {where}") from error


def _key(option: re.Match[str]) -> str:
    *above, name = option[1].split(".")
    found = f"{name}: {option[2]}"
    for key in reversed(above):
        found = f"{key}: {{{found}}}"
    return f"`{found}`"
