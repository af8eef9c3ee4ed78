"""The sections of the page, in their order."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from selkit.report.html.elements import Markup
from selkit.report.html.items import Items
from selkit.report.html.sections.browser import browser
from selkit.report.html.sections.verdicts import failures, verdict_table, verdicts


class Section(NamedTuple):
    """A part of the page: the name that links use, its heading, and its content; empty content is not shown."""

    name: str
    title: str
    body: Markup


def sections(document: Mapping[str, Any], items: Items | None) -> list[Section]:
    """All sections of a document, also those that hold nothing."""
    return [
        Section("verdicts", "Verdicts", verdicts(document)),
        Section("failed", "Failed", failures(document)),
        Section("table", "Verdict table", verdict_table(document)),
        Section("items", "Items", browser(items)),
    ]
