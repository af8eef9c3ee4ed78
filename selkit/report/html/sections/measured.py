"""Settings, and all that depends on clock and machine."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from selkit.report import evidence
from selkit.report.costs import machine, totals
from selkit.report.html.elements import Markup, join, tag
from selkit.report.html.sections.costs import costs
from selkit.report.html.tables import html_table, note


def settings(document: Mapping[str, Any]) -> Markup:
    """What was set."""
    return _pairs(evidence.settings(document))


def measured(document: Mapping[str, Any]) -> Markup:
    """Times, machine and quantities; nothing else of the page depends on them."""
    found = document["measured"]
    facts = [
        ("this command", f"{found['wall_seconds']:,.0f} s, finished {found['finished']}"),
        ("machine", machine(document)),
    ]
    rows = [list(pair) for pair in totals(document)]
    return join(
        note("All that depends on clock and machine stands here; the rest of the page is the same for the same store."),
        costs(document),
        tag("h3", "This command"),
        _pairs(facts),
        html_table(["resource", "in all"], rows) if rows else None,
    )


def _pairs(pairs: list[tuple[str, str]]) -> Markup:
    return tag("dl", [(tag("dt", name), tag("dd", value)) for name, value in pairs])
