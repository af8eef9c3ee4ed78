"""HTML as values: what is text stays text."""

from __future__ import annotations

from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selkit.report.html.elements import Markup, clean, join, tag


class Reader(HTMLParser):
    """Tags, attributes and texts as a parser finds them."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[str] = []
        self.values: list[str | None] = []
        self.text = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Remembers a tag and the values of its attributes."""
        self.tags.append(tag)
        self.values += [value for _, value in attrs]

    def handle_data(self, data: str) -> None:
        """Remembers text."""
        self.text += data


@given(st.text())
def test_any_text_comes_back_as_text(text: str) -> None:
    """In an element and in an attribute a parser finds the very text, and no further tag."""
    found = Reader(tag("p", text, title=text))
    assert found.tags == ["p"]
    shown = clean(text).replace("\r\n", "\n").replace("\r", "\n")
    assert found.text.replace("\r\n", "\n").replace("\r", "\n") == shown
    assert found.values == [clean(text)]


def test_what_html_cannot_hold_is_shown_as_a_replacement() -> None:
    """Control characters and lone surrogates, but not tabs and line ends."""
    assert clean("a\0b\x1bc\ud800d\te\nf") == "a\ufffdb\ufffdc\ufffdd\te\nf"


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (tag("td", None, 3, ["a", ("b", Markup("<i>c</i>"))]), "<td>3ab<i>c</i></td>"),
        (tag("meta", charset="utf-8"), '<meta charset="utf-8">'),
        (
            tag("a", class_="x", aria_label="y", hidden=True, title=None, id=False),
            '<a class="x" aria-label="y" hidden></a>',
        ),
        (tag("line", x1=1.23456, y1=10.0), '<line x1="1.23" y1="10"></line>'),
        (join("<", Markup("&lt;")), "&lt;&lt;"),
    ],
)
def test_spelling(made: Markup, expected: str) -> None:
    """Children, void elements, attributes and numbers of a drawing."""
    assert made == expected
