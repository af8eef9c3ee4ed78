"""Recorded logs of judges, parsed and aggregated again: another parser or rule needs no new calls."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from selkit.api import Comparison, DataError, Judgement, Outcome
from selkit.judge.passes import order_bias, share, sign
from selkit.judge.rates import LengthBias, Rates, length_bias
from selkit.judge.rows import read_rows, text_of
from selkit.judge.rules import Rule, verdicts
from selkit.judge.templates import Parser, parser_of

LABELS: Mapping[int | str, int] = {1: 1, 2: -1, "1": 1, "2": -1}
"""A label of a log, as the sign of the first response's lead."""


@dataclass(frozen=True)
class Recorded:
    """One line of a recorded log.

    Args:
        comparison: The two responses, ``first`` being response_1; both empty where the log has none.
        first: The judge's text for the order 1, 2; None where it gave none.
        second: Its text for the order 2, 1.
        label: 1 where people prefer response_1, -1 where response_2; None where the log has no labels.
    """

    comparison: Comparison
    first: str | None
    second: str | None
    label: int | None


@dataclass(frozen=True)
class Accuracy:
    """A judge's passes against labels, as shares of all comparisons; a pass without a verdict is neither right nor in
    agreement. Under ``single`` only the first order is read, and what needs the other is None.

    Args:
        first: Share of the passes in the order 1, 2 that name the labelled response.
        second: The same in the order 2, 1.
        both: Share of the comparisons in which both passes do.
        agreement: Share of the comparisons in which both passes say the same, right or wrong.
    """

    first: float
    second: float | None
    both: float | None
    agreement: float | None

    @property
    def mean(self) -> float:
        """The mean of first and second; first alone under ``single``."""
        return self.first if self.second is None else (self.first + self.second) / 2


@dataclass(frozen=True)
class Replay:
    """What a log comes to under a template and a rule.

    Args:
        rates: Counts and rates of response_1.
        first_position_rate: How often the first-shown response won, among passes with a winner.
        inconsistency: Share of the comparisons with a verdict in both orders whose verdicts differ.
        length: How often the longer response won.
        accuracy: The passes against the labels; None where the log has none.
    """

    rates: Rates
    first_position_rate: float | None
    inconsistency: float | None
    length: LengthBias
    accuracy: Accuracy | None

    def to_dict(self) -> dict[str, Any]:
        """The result as JSON writes it."""
        rates, accuracy = self.rates, self.accuracy
        shares = {"ws": rates.ws, "wr": rates.wr, "qs": rates.qs}
        counts = {"n": rates.n, "win": rates.win, "tie": rates.tie, "lose": rates.lose, "unparsed": rates.unparsed}
        bias = {"first_position_rate": self.first_position_rate, "inconsistency": self.inconsistency}
        labelled = accuracy and {
            "accuracy_first": accuracy.first,
            "accuracy_second": accuracy.second,
            "accuracy": accuracy.mean,
            "both_correct": accuracy.both,
            "agreement": accuracy.agreement,
        }
        return {**counts, **shares, **bias, **(labelled or {})}


def replay_log(path: Path, template: str, rule: Rule) -> Replay:
    """A recorded log under a template's parser and a rule.

    Args:
        path: JSON Lines with id, first, second (the judge's raw texts for the orders 1, 2 and 2, 1; ``single`` needs no
            second), and where they are known response_1, response_2, instruction, and label (1 or 2).
        template: What the judge was asked for, see :data:`selkit.judge.templates.PARSERS`.
        rule: How two passes become one verdict.

    Raises:
        UsageError: There is no such template.
        DataError: The log is missing, empty or malformed; the line is named.
    """
    parse = parser_of(template)
    return replay(list(read_log(path, both=rule != "single")), parse, rule)


def replay(log: Sequence[Recorded], parse: Parser, rule: Rule) -> Replay:
    """Recorded lines under a parser and a rule."""
    passes = [one for line in log for one in _passes(line, parse, both=rule != "single")]
    by_id = verdicts(passes, rule)
    bias = order_bias(passes)
    return Replay(
        Rates.of(by_id.values()),
        bias.first_position_rate,
        bias.inconsistency,
        length_bias([line.comparison for line in log], by_id),
        _accuracy(log, passes) if log and log[0].label is not None else None,
    )


def read_log(path: Path, *, both: bool = True) -> Iterator[Recorded]:
    """The lines of a recorded log; ``both`` says whether the text of the second order must be there.

    Raises:
        DataError: As :func:`replay_log`.
    """
    seen: dict[str, int] = {}
    labelled: bool | None = None
    for number, row in read_rows(path):
        recorded = _recorded(row, path, number, both)
        name = recorded.comparison.id
        if name in seen:
            raise DataError(
                f"{path}, line {number}: the id {name!r} stands already in line {seen[name]}: keep one of the two"
            )
        seen[name] = number
        if labelled not in (None, recorded.label is not None):
            raise DataError(f"{path}, line {number}: some lines have a 'label' and some have none: label all or none")
        labelled = recorded.label is not None
        yield recorded
    if not seen:
        raise DataError(f"{path} holds no comparison: a recorded log has id, first and second on each line")


def _recorded(row: Mapping[str, Any], path: Path, number: int, both: bool) -> Recorded:
    if ("response_1" in row) != ("response_2" in row):
        raise DataError(f"{path}, line {number}: there is one of response_1 and response_2: give both, or none")
    comparison = Comparison(
        text_of(row, "id", path, number),
        str(row.get("instruction") or ""),
        _response(row.get("response_1")),
        _response(row.get("response_2")),
    )
    first = _said(row, "first", path, number)
    second = _said(row, "second", path, number) if both else None
    return Recorded(comparison, first, second, _label(row, path, number))


def _response(value: Any) -> str:
    return "" if value is None else str(value)  # published logs hold responses that became truth values


def _said(row: Mapping[str, Any], key: str, path: Path, number: int) -> str | None:
    if key not in row:
        raise DataError(f"{path}, line {number}: the key {key!r} is missing: it holds the judge's raw text")
    value = row[key]
    if not isinstance(value, (str, type(None))):
        raise DataError(f"{path}, line {number}: {key!r} is {value!r:.40}, and not the judge's raw text")
    return value


def _label(row: Mapping[str, Any], path: Path, number: int) -> int | None:
    value = row.get("label")
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, str)) or value not in LABELS:
        raise DataError(f"{path}, line {number}: the label {value!r:.40} is neither 1 nor 2")
    return LABELS[value]


def _passes(line: Recorded, parse: Parser, *, both: bool) -> Iterator[Judgement]:
    yield _judgement(line.comparison, line.first, parse)
    if both:
        yield _judgement(line.comparison.swapped(), line.second, parse)


def _judgement(comparison: Comparison, text: str | None, parse: Parser) -> Judgement:
    said = parse(text or "")
    if said is None:
        return Judgement.failed(comparison, Outcome.MALFORMED, "no verdict in the judge's answer", text or "")
    return Judgement.of(comparison, said, text or "")


def _accuracy(log: Sequence[Recorded], passes: Sequence[Judgement]) -> Accuracy:
    labels = {line.comparison.id: line.label for line in log}
    said: dict[str, dict[str, int | None]] = {"first": {}, "second": {}}
    for one in passes:
        said[one.order][one.id] = _lead(one)
    right = {order: {name: lead == labels[name] for name, lead in leads.items()} for order, leads in said.items()}
    n, first, second = len(log), right["first"], right["second"]
    if not second:
        return Accuracy(sum(first.values()) / n, None, None, None)
    same = sum(lead is not None and lead == said["second"][name] for name, lead in said["first"].items())
    both = sum(first[name] and second[name] for name in first)
    return Accuracy(sum(first.values()) / n, sum(second.values()) / n, both / n, share(same, n))


def _lead(one: Judgement) -> int | None:
    """1 where the pass prefers the comparison's first response, -1 the other, 0 for a tie; None without a verdict."""
    if one.preference is None:
        return None
    return sign(one.preference - 0.5) * (1 if one.order == "first" else -1)
