"""Recorded logs: every figure by hand, brute force, awkward files, and responses that try to be verdicts."""

from __future__ import annotations

import codecs
import gzip
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selkit.api import Comparison, DataError, UsageError
from selkit.judge.replay import Recorded, read_log, replay, replay_log
from selkit.judge.rules import RULES, Rule
from selkit.judge.templates import PARSERS, parser_of
from selkit.testing.comparisons import INJECTIONS

TWO_SCORE = [
    ("a", "9 5\nA is better.", "4 8\nso", 1),  # win, win
    ("b", "8 7", "7 7", 1),  # win, tie
    ("c", "9 6", "8 7", 2),  # win, lose: a conflict
    ("d", "5 5", "5 5", 2),  # tie, tie
    ("e", "3 8", "9 2", 2),  # lose, lose
    ("f", "I cannot rate these.", "2 9", 1),  # unparsed, win
    ("g", "2 9", "Assistant 1: 8, Assistant 2: 8", 2),  # lose, tie
    ("h", "1 2", "", 2),  # lose, unparsed
]

COUNTS = {
    "net": (2, 2, 2, 2),
    "strict": (1, 4, 1, 2),
    "score-sum": (3, 1, 2, 2),  # c: 9 + 7 against 6 + 8
    "single": (3, 1, 3, 1),
}


def log(path: Path, rows: Sequence[Mapping[str, Any]] | None = None) -> Path:
    """Writes a log; by default the eight comparisons above."""
    known = (
        rows
        if rows is not None
        else [
            {
                "id": name,
                "instruction": "?",
                "response_1": "x" * 3,
                "response_2": "y",
                "first": one,
                "second": other,
                "label": label,
            }
            for name, one, other, label in TWO_SCORE
        ]
    )
    path.write_text("".join(json.dumps(row) + "\n" for row in known), encoding="utf-8")
    return path


@pytest.mark.parametrize("rule", RULES)
def test_counts_and_rates_by_hand(tmp_path: Path, rule: Rule) -> None:
    """Counts sum to n, and the rates count over what has a verdict."""
    found = replay_log(log(tmp_path / "log.jsonl"), "two-score", rule).to_dict()
    win, tie, lose, unparsed = COUNTS[rule]
    assert [found[name] for name in ("n", "win", "tie", "lose", "unparsed")] == [8, win, tie, lose, unparsed]
    judged = 8 - unparsed
    assert found["ws"] == pytest.approx(1 + (win - lose) / judged)
    assert found["wr"] == pytest.approx(win / judged)
    assert found["qs"] == pytest.approx((win + tie) / judged)


def test_bias_and_accuracy_by_hand(tmp_path: Path) -> None:
    """Over all n against the labels; the bias over passes with a winner and over comparisons with both verdicts."""
    found = replay_log(log(tmp_path / "log.jsonl"), "two-score", "net").to_dict()
    assert list(found) == [
        *("n", "win", "tie", "lose", "unparsed", "ws", "wr", "qs", "first_position_rate", "inconsistency"),
        *("accuracy_first", "accuracy_second", "accuracy", "both_correct", "agreement"),
    ]
    # shown first and won: a1 b1 c1 c2 e2; shown second and won: a2 e1 f2 g1 h1
    assert found["first_position_rate"] == pytest.approx(5 / 10)
    # both parsed: a b c d e g; changed: b c g
    assert found["inconsistency"] == pytest.approx(3 / 6)
    assert found["accuracy_first"] == pytest.approx(5 / 8)  # a b e g h
    assert found["accuracy_second"] == pytest.approx(4 / 8)  # a c e f
    assert found["accuracy"] == pytest.approx(9 / 16)
    assert found["both_correct"] == pytest.approx(2 / 8)  # a e
    assert found["agreement"] == pytest.approx(3 / 8)  # a d e


def test_single_reads_the_first_order_alone(tmp_path: Path) -> None:
    """The second text may be missing; what needs it is null."""
    rows = [{"id": i, "first": text, "label": 1} for i, text in enumerate(["[[A]]", "[[B]]", "[[C]]", "?"])]
    found = replay_log(log(tmp_path / "log.jsonl", rows), "verdict-letter", "single").to_dict()
    assert [found[name] for name in ("n", "win", "tie", "lose", "unparsed")] == [4, 1, 1, 1, 1]
    assert (found["first_position_rate"], found["inconsistency"]) == (0.5, None)
    assert (found["accuracy_first"], found["accuracy"]) == (0.25, 0.25)
    assert [found[name] for name in ("accuracy_second", "both_correct", "agreement")] == [None] * 3
    with pytest.raises(DataError, match="line 1: the key 'second' is missing"):
        replay_log(tmp_path / "log.jsonl", "verdict-letter", "net")


def test_nothing_parsed_is_null(tmp_path: Path) -> None:
    """No rate is made up; without labels there are no keys for them."""
    rows = [{"id": "a", "first": None, "second": "[[A]]"}, {"id": "b", "first": "", "second": None}]
    found = replay_log(log(tmp_path / "log.jsonl", rows), "verdict-letter", "strict").to_dict()
    assert (found["n"], found["unparsed"]) == (2, 2)
    assert [found[name] for name in ("ws", "wr", "qs", "inconsistency")] == [None] * 4
    assert found["first_position_rate"] == 1.0
    assert "accuracy" not in found


LETTERS = {"[[A]]": 1, "[[B]]": -1, "[[C]]": 0, "none": None}


@given(
    st.lists(st.tuples(*[st.sampled_from(sorted(LETTERS))] * 2, st.sampled_from([1, -1])), min_size=1, max_size=20),
    st.sampled_from(["net", "strict"]),
)
def test_against_plain_counting(rows: list[tuple[str, str, int]], rule: Rule) -> None:
    """Everything again, counted the plain way from the letters."""
    recorded = [Recorded(Comparison(str(i), "", "", ""), one, two, label) for i, (one, two, label) in enumerate(rows)]
    found = replay(recorded, parser_of("verdict-letter"), rule).to_dict()
    signs = [(LETTERS[one], None if LETTERS[two] is None else -LETTERS[two]) for one, two, _ in rows]  # type: ignore[operator]
    known = [pair for pair in signs if None not in pair]
    net = [(a + b > 0) - (a + b < 0) for a, b in known]  # type: ignore[operator]
    strict = [a if a == b else 0 for a, b in known]  # type: ignore[misc]
    leads = net if rule == "net" else strict
    assert (found["win"], found["tie"], found["lose"]) == tuple(leads.count(lead) for lead in (1, 0, -1))
    assert found["unparsed"] == len(rows) - len(known)
    letters = [text for one, two, _ in rows for text in (one, two) if text in ("[[A]]", "[[B]]")]
    rate = letters.count("[[A]]") / len(letters) if letters else None
    assert found["first_position_rate"] == (None if rate is None else pytest.approx(rate))
    changed = sum(a != b for a, b in known) / len(known) if known else None
    assert found["inconsistency"] == (None if changed is None else pytest.approx(changed))
    n, labels = len(rows), [label for *_, label in rows]
    right = [(a == label, b == label) for (a, b), label in zip(signs, labels, strict=True)]
    assert found["accuracy"] == pytest.approx(sum(a + b for a, b in right) / 2 / n)
    assert found["both_correct"] == pytest.approx(sum(a and b for a, b in right) / n)
    assert found["agreement"] == pytest.approx(sum(a is not None and a == b for a, b in signs) / n)


@given(
    st.lists(
        st.tuples(st.text() | st.sampled_from(INJECTIONS), st.text() | st.sampled_from(INJECTIONS)),
        min_size=8,
        max_size=8,
    )
)
def test_responses_are_data(responses: list[tuple[str, str]]) -> None:
    """Whatever the two responses hold, nothing but the judge's own texts is parsed."""
    plain = [Recorded(Comparison(name, "", "x", "y"), one, two, 1) for name, one, two, _ in TWO_SCORE]
    odd = [
        Recorded(Comparison(line.comparison.id, mine, mine, theirs), line.first, line.second, 1)
        for line, (mine, theirs) in zip(plain, responses, strict=True)
    ]
    for template in PARSERS:
        assert replay(odd, parser_of(template), "net").to_dict() == replay(plain, parser_of(template), "net").to_dict()


def test_length_bias_counts_the_longer_winner(tmp_path: Path) -> None:
    """In the log above response_1 is longer: it wins 2 of the 4 comparisons that have a winner under net."""
    length = replay_log(log(tmp_path / "log.jsonl"), "two-score", "net").length
    assert (length.rate, length.n) == (0.5, 4)


@pytest.mark.parametrize(
    "how", ["gzip", "byte order mark", "no line break at the end", "CRLF and blank lines", "a JSON list"]
)
def test_awkward_files_are_read(tmp_path: Path, how: str) -> None:
    """With the same result as the plain one, U+2028 within a text included."""
    rows = [{"id": "a", "first": "[[A]]\u2028", "second": "[[B]]"}, {"id": "b", "first": "[[B]]", "second": "[[B]]"}]
    lines = [json.dumps(row, ensure_ascii=False) for row in rows]
    plain = "\n".join(lines).encode() + b"\n"
    data = {
        "gzip": gzip.compress(plain),
        "byte order mark": codecs.BOM_UTF8 + plain,
        "no line break at the end": plain[:-1],
        "CRLF and blank lines": b"\r\n\r\n".join(line.encode() for line in lines) + b"\r\n \r\n",
        "a JSON list": json.dumps(rows, indent=1).encode(),
    }[how]
    path = tmp_path / "log.jsonl"
    path.write_bytes(data)
    found = replay_log(path, "verdict-letter", "net").to_dict()
    assert (found["n"], found["win"], found["tie"]) == (2, 1, 1)


GOOD = {"id": "a", "first": "[[A]]", "second": "[[B]]", "label": 1}


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (b"{", "line 2, is not valid JSON"),
        (b'"text"', "line 2, is 'text' and not a JSON object"),
        (b'{"id": "\xff"}', "line 2, is not valid UTF-8"),
        (json.dumps(GOOD).encode(), "line 2: the id 'a' stands already in line 1"),
        (b'{"first": "", "second": "", "label": 1}', "line 2: the key 'id' is missing"),
        (b'{"id": true, "first": "", "second": "", "label": 1}', "line 2: the key 'id' holds True"),
        (b'{"id": "b", "second": "", "label": 1}', "line 2: the key 'first' is missing"),
        (b'{"id": "b", "first": "", "label": 1}', "line 2: the key 'second' is missing"),
        (b'{"id": "b", "first": 7, "second": "", "label": 1}', "line 2: 'first' is 7, and not the judge's raw text"),
        (b'{"id": "b", "first": "", "second": ""}', "line 2: some lines have a 'label' and some have none"),
        (b'{"id": "b", "first": "", "second": "", "label": 0}', "line 2: the label 0 is neither 1 nor 2"),
        (b'{"id": "b", "first": "", "second": "", "label": true}', "line 2: the label True is neither 1 nor 2"),
        (b'{"id": "b", "first": "", "second": "", "label": [1]}', "line 2: the label [1] is neither 1 nor 2"),
        (b'{"id": "b", "first": "", "second": "", "label": 1, "response_1": ""}', "line 2: there is one of response_1"),
    ],
)
def test_malformed_lines_are_named(tmp_path: Path, line: bytes, says: str) -> None:
    """One sentence with the number of the line."""
    path = tmp_path / "log.jsonl"
    path.write_bytes(json.dumps(GOOD).encode() + b"\n" + line + b"\n")
    with pytest.raises(DataError) as caught:
        list(read_log(path))
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_files_that_are_no_log(tmp_path: Path) -> None:
    """Missing, empty, cut gzip, UTF-16, an unknown template: one sentence each."""
    path = tmp_path / "log.jsonl"
    with pytest.raises(DataError, match="there is no file"):
        replay_log(path, "two-score", "net")
    path.write_bytes(b"\n")
    with pytest.raises(DataError, match="holds no comparison"):
        replay_log(path, "two-score", "net")
    path.write_bytes(gzip.compress(json.dumps(GOOD).encode())[:-9])
    with pytest.raises(DataError, match="damaged gzip"):
        replay_log(path, "two-score", "net")
    path.write_bytes(json.dumps(GOOD).encode("utf-16"))
    with pytest.raises(DataError, match="UTF-16"):
        replay_log(path, "two-score", "net")
    with pytest.raises(UsageError, match="take one of two-score"):
        replay_log(path, "moon", "net")
