"""The page: one file without any request, under a content security policy that allows its own style and script only."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from importlib import resources
from typing import Any

from selkit.report.html.elements import Markup, join, tag
from selkit.report.html.items import Items
from selkit.report.html.pack import packed
from selkit.report.html.sections import Section, sections


def html_page(document: Mapping[str, Any], items: Items | None = None) -> str:
    """report.html of a document as report.json holds it, and of the items of its run."""
    shown = [section for section in sections(document, items) if section.body]
    style, script = asset("report.css"), asset("report.js")
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=policy(style, script)),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("meta", name="referrer", content="no-referrer"),
        tag("meta", name="generator", content=f"selkit {document['selkit']}"),
        tag("title", f"{document['name']} \N{MIDDLE DOT} selkit report"),
        tag("link", rel="icon", href="data:,"),  # else a browser would ask the server for one
        tag("style", Markup(style)),
    )
    data = packed(items) if items and items.items else None
    main = tag("main", map_sections(shown))
    body = tag("body", _header(document, shown), main, data, tag("script", Markup(script)))
    return f"<!doctype html>\n{tag('html', head, body, lang='en')}\n"


def policy(style: str, script: str) -> str:
    """The content security policy of a page with this one style and this one script.

    Nothing may be fetched, no form sent and no frame opened; ``trusted-types`` forbids the script to make elements of
    text, so what a model wrote cannot become any.
    """
    return "; ".join(
        [
            "default-src 'none'",
            f"script-src '{_hash(script)}'",
            f"style-src '{_hash(style)}'",
            "img-src data:",
            "base-uri 'none'",
            "form-action 'none'",
            "require-trusted-types-for 'script'",
            "trusted-types 'none'",
        ]
    )


@cache
def asset(name: str) -> str:
    """A file of the page that ships with selkit."""
    return resources.files("selkit.report.html").joinpath("static", name).read_text(encoding="utf-8")


def map_sections(shown: Iterable[Section]) -> list[Markup]:
    """Every section as an element with its heading."""
    return [tag("section", tag("h2", one.title), one.body, id=one.name) for one in shown]


def _header(document: Mapping[str, Any], shown: Sequence[Section]) -> Markup:
    links = [tag("li", tag("a", one.title, href=f"#{one.name}")) for one in shown]
    note = tag("p", document["note"], class_="note") if document["note"] else None
    return join(
        tag("header", tag("p", "selkit report", class_="kicker"), tag("h1", document["name"]), note),
        tag("nav", tag("ul", links), aria_label="Sections"),
    )


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode("utf-8")).digest()).decode("ascii")
