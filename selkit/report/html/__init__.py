"""report.html: one self-contained page that shows what report.json and the items of a run hold."""

from __future__ import annotations

from selkit.report.html.items import Items, read_items
from selkit.report.html.page import html_page

__all__ = ["Items", "html_page", "read_items"]
