"""Packs the items for the page: every text once, in compressed blocks that the browser unpacks when it needs them."""

from __future__ import annotations

import base64
import json
import zlib
from collections import defaultdict
from typing import Any

from selkit.report.html.elements import Markup, tag
from selkit.report.html.items import OUTCOMES, Item, Items

BLOCK = 200_000
"""Characters of text in a block, about: small enough to unpack one within a few milliseconds."""

SNIPPET = 110
"""Characters of a prompt that the list shows, which it holds without unpacking anything."""


class Texts:
    """Numbers for texts, equal ones the same; they are laid out in blocks in the order in which they come."""

    def __init__(self) -> None:
        self.numbers: dict[str, int] = {}
        self.blocks: list[list[str]] = [[]]
        self.size = 0

    def number(self, text: str | None) -> int:
        """The number of a text; -1 for None."""
        if text is None:
            return -1
        if text not in self.numbers:
            self.numbers[text] = len(self.numbers)
            if self.size >= BLOCK:
                self.blocks.append([])
                self.size = 0
            self.blocks[-1].append(text)
            self.size += len(text)
        return self.numbers[text]


def packed(items: Items) -> Markup:
    """The data elements of the page: an index, and blocks of texts. They hold base64 only, so nothing can end them."""
    texts = Texts()
    index = _index(items, texts)
    index["blocks"] = [len(block) for block in texts.blocks]
    elements = [_block("items-index", index), *(_block(f"items-{n}", block) for n, block in enumerate(texts.blocks))]
    return Markup("\n".join(elements))


def _block(name: str, value: Any) -> Markup:
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    data = zlib.compress(text.encode("utf-8", "replace"), 6)  # lone surrogates are no text: they show as ?
    return tag("script", Markup(base64.b64encode(data).decode("ascii")), type="application/octet-stream", id=name)


def _index(items: Items, texts: Texts) -> dict[str, Any]:
    """Columns of numbers; texts that belong to one prompt come one after another, so that few blocks show it."""
    by_prompt: dict[int, list[int]] = defaultdict(list)
    for number, item in enumerate(items.items):
        by_prompt[item.prompt].append(number)
    spoken: dict[int, dict[int, int]] = defaultdict(dict)
    prompts, lines, words = [], {}, _Words()
    answered: dict[int, list[tuple[int, str]]] = defaultdict(list)
    for (cell, place), answer in items.answers.items():
        answered[place].append((cell, answer))
    for place, prompt in enumerate(items.prompts):
        snippet = " ".join(prompt.text[: 3 * SNIPPET].split())[:SNIPPET]
        prompts.append(
            [
                prompt.id,
                snippet,
                texts.number(prompt.text),
                words.number(prompt.category),
                texts.number(prompt.reference),
            ]
        )
        for cell, answer in answered[place]:
            spoken[place][cell] = texts.number(answer)
        for number in by_prompt[place]:
            lines[number] = _line(items.items[number], texts, words)
    return {
        "cells": items.cells,
        "benchmarks": items.benchmarks,
        "outcomes": OUTCOMES,
        "prompts": prompts,
        "answers": [sorted(spoken[place].items()) for place in range(len(prompts))],
        "items": [lines[number] for number in range(len(items.items))],
        "words": list(words.numbers),
        "left_out": items.left_out,
    }


class _Words:
    """Short texts that come again and again: outcomes, orders, categories."""

    def __init__(self) -> None:
        self.numbers: dict[str, int] = {}

    def number(self, text: str | None) -> int:
        return -1 if text is None else self.numbers.setdefault(text, len(self.numbers))


def _line(item: Item, texts: Texts, words: _Words) -> list[Any]:
    """[cell, benchmark, prompt, response, other, score, outcome, passes], the passes flat, five values each."""
    passes = [
        value
        for one in item.passes
        for value in (
            words.number(one.order),
            words.number(one.outcome),
            one.preference,
            texts.number(one.raw),
            texts.number(one.reason or None),
        )
    ]
    return [
        item.cell,
        item.benchmark,
        item.prompt,
        texts.number(item.response),
        texts.number(item.other),
        item.score,
        OUTCOMES.index(item.outcome),
        passes,
    ]
