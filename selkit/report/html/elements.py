"""HTML as values: every text is escaped unless it is markup that these functions made."""

from __future__ import annotations

import re
from collections.abc import Iterable
from html import escape

_VOID = frozenset({"meta", "link", "br", "input", "hr", "wbr"})
_UNSEEN = re.compile("[\0-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")


class Markup(str):
    """Text that is HTML already; whatever is not of this class is escaped."""

    __slots__ = ()


def clean(text: str) -> str:
    """The text with what HTML and UTF-8 cannot hold (control characters, lone surrogates) shown as U+FFFD."""
    return _UNSEEN.sub("\N{REPLACEMENT CHARACTER}", text)


def escaped(text: str) -> Markup:
    """A text as HTML that shows it, in an element or in a quoted attribute."""
    return text if isinstance(text, Markup) else Markup(escape(clean(text), quote=True))


def join(*children: object) -> Markup:
    """Children one after another: None is left out, lists are taken apart, texts and numbers are escaped."""
    return Markup("".join(_parts(children)))


def tag(name: str, /, *children: object, **attributes: object) -> Markup:
    """An element.

    Args:
        name: Its name; void elements such as ``meta`` get no end tag.
        children: See :func:`join`.
        attributes: ``class_`` is class and ``aria_label`` aria-label. None and False are left out, True stands alone.
    """
    start = f"<{name}{''.join(_attributes(attributes))}>"
    return Markup(start) if name in _VOID else Markup(f"{start}{join(*children)}</{name}>")


def _attributes(attributes: dict[str, object]) -> Iterable[str]:
    for name, value in attributes.items():
        spelt = name.rstrip("_").replace("_", "-")
        if value is True:
            yield f" {spelt}"
        elif value is not None and value is not False:
            yield f' {spelt}="{escaped(_text(value))}"'


def _parts(children: Iterable[object]) -> Iterable[str]:
    for child in children:
        if child is None:
            continue
        if isinstance(child, (list, tuple)):
            yield from _parts(child)
        else:
            yield escaped(_text(child))


def _text(value: object) -> str:
    """Numbers of a drawing without needless digits; anything else as ``str`` gives it."""
    if isinstance(value, str):
        return value
    return f"{round(value, 2):g}" if isinstance(value, float) else str(value)
