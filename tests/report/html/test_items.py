"""Items of a run: read, thinned and packed without loss."""

from __future__ import annotations

import base64
import json
import re
import zlib
from pathlib import Path
from typing import Any

import pytest
from report_world import write_run

from selkit.api import DataError
from selkit.report.html.items import Item, Items, Pass, Prompt, read_items
from selkit.report.html.pack import Texts, packed


def unpacked(markup: str) -> tuple[dict[str, Any], list[str]]:
    """The index and all texts of the page's data elements, as the browser unpacks them."""
    found = re.findall(r'<script type="application/octet-stream" id="([^"]*)">([A-Za-z0-9+/=]*)</script>', markup)
    blocks = {name: json.loads(zlib.decompress(base64.b64decode(text))) for name, text in found}
    index = blocks.pop("items-index")
    texts = [text for number in range(len(blocks)) for text in blocks[f"items-{number}"]]
    assert [len(blocks[f"items-{number}"]) for number in range(len(blocks))] == index["blocks"]
    return index, texts


def test_items_come_from_the_folder_as_they_were_written(tmp_path: Path) -> None:
    """Responses, what they were compared with, passes turned to the response, scores, categories and references."""
    found = read_items(write_run(tmp_path))
    assert found is not None
    assert len(found.cells) == 4
    assert len(found.items) == 4 * 12 * 2
    item = next(one for one in found.items if found.prompts[one.prompt].id == "p0" and one.other is not None)
    assert item.response == "answer of cell 0 on p0"
    assert item.other == "anchor on p0"
    assert found.prompts[item.prompt] == Prompt("p0", "Question p0?", "writing", "reference 0")
    assert item.score == pytest.approx(sum(one.preference or 0.0 for one in item.passes) / 2)
    silent = next(one for one in found.items if found.prompts[one.prompt].id == "p3" and one.other is not None)
    assert silent.score is None
    assert silent.outcome == "no verdict"
    assert silent.passes[0].reason == "the judge declined"
    scored = [one for one in found.items if one.other is None]
    assert [one.outcome for one in scored[:2]] == ["right", "wrong"]


def test_scores_are_the_mean_of_both_orders_turned_to_the_response(tmp_path: Path) -> None:
    """Against the lines of passes.jsonl: in the second order the other response was shown first."""
    found = read_items(write_run(tmp_path))
    assert found is not None
    by_hand: dict[str, list[float | None]] = {}
    for line in (tmp_path / "passes/0.jsonl").read_text("utf-8").splitlines():
        row = json.loads(line)
        value = row["preference"]
        mine = value if row["order"] == "first" or value is None else 1 - value
        by_hand.setdefault(row["id"], []).append(mine)
    shown = {found.prompts[one.prompt].id: one.score for one in found.items if one.cell == 0 and one.other is not None}
    assert shown == {name: None if None in said else sum(said) / 2 for name, said in by_hand.items()}
    assert set(shown.values()) >= {0.0, 0.5, 1.0, None}


def test_a_folder_without_items_has_none(tmp_path: Path) -> None:
    """A run of an older selkit: no files.json."""
    assert read_items(tmp_path) is None


@pytest.mark.parametrize("what", ["gone", "elsewhere", "damaged"])
def test_what_is_missing_is_named(tmp_path: Path, what: str) -> None:
    """A file that files.json names and that is not there, one outside of the folder, and a files.json cut short."""
    write_run(tmp_path)
    if what == "gone":
        (tmp_path / "passes/0.jsonl").unlink()
    else:
        path = tmp_path / "files.json"
        text = path.read_text("utf-8")
        path.write_text(text[:50] if what == "damaged" else text.replace("passes/0.jsonl", "../0.jsonl"), "utf-8")
    with pytest.raises(DataError, match="again"):
        read_items(tmp_path)


@pytest.mark.parametrize(
    ("preferences", "outcome"),
    [
        ((1.0, 1.0), "win"),
        ((1.0, 0.5), "win"),
        ((0.0, 0.0), "loss"),
        ((0.5, 0.5), "tie"),
        ((1.0, 0.0), "orders disagree"),
    ],
)
def test_outcomes(preferences: tuple[float, ...], outcome: str) -> None:
    """What the two orders say together."""
    passes = tuple(Pass("first", "ok", one, "", "") for one in preferences)
    assert Item(0, 0, 0, "a", "b", sum(preferences) / 2, passes).outcome == outcome


def test_too_many_items_are_thinned_by_whole_prompts(tmp_path: Path) -> None:
    """Every k-th prompt stays with all of its cells, and the others are counted."""
    whole = read_items(write_run(tmp_path))
    part = read_items(tmp_path, limit=50)
    assert whole is not None
    assert part is not None
    assert len(part.items) == 48
    assert part.left_out == 48
    assert {prompt.id for prompt in part.prompts} == {f"p{number}" for number in range(0, 12, 2)}
    for item in part.items:
        same = [
            one
            for one in whole.items
            if whole.prompts[one.prompt] == part.prompts[item.prompt]
            and (one.cell, one.benchmark) == (item.cell, item.benchmark)
        ]
        assert [one.response for one in same] == [item.response]


def test_packing_loses_nothing_and_holds_every_text_once(tmp_path: Path) -> None:
    """The index leads back to every text."""
    found = read_items(write_run(tmp_path))
    assert found is not None
    index, texts = unpacked(packed(found))
    assert len(texts) == len(set(texts))
    for line, item in zip(index["items"], found.items, strict=True):
        cell, benchmark, prompt, response, other, score, outcome, passes = line
        assert (cell, benchmark, prompt, score) == (item.cell, item.benchmark, item.prompt, item.score)
        assert index["outcomes"][outcome] == item.outcome
        assert texts[index["prompts"][prompt][2]] == found.prompts[item.prompt].text
        assert texts[response] == item.response
        assert (None if other < 0 else texts[other]) == item.other
        raws = [texts[number] for number in passes[3::5]]
        assert raws == [one.raw for one in item.passes]


def test_lone_surrogates_do_not_stop_the_page() -> None:
    """A model may emit half a character."""
    items = Items(
        [{"arm": "a", "run": 1}], [{"name": "b", "kind": "score", "by": "b", "against": "x"}], [Prompt("1", "\ud800?")]
    )
    items.items.append(Item(0, 0, 0, "\udfff", None, 1.0))
    assert "?" in unpacked(packed(items))[1]


def test_texts_are_laid_out_in_blocks() -> None:
    """A block ends where it is full, and a text is found by its number."""
    texts = Texts()
    numbers = [texts.number(f"{number:05d}" * 1000) for number in range(100)]
    assert numbers == list(range(100))
    assert texts.number("00003" * 1000) == 3
    assert sum(len(block) for block in texts.blocks) == 100
    assert len(texts.blocks) > 1
