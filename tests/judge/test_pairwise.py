"""Two files against each other: every rate with its interval and bounds, stored passes, going on after trouble."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pytest

from selkit.api import Comparison, Context, DataError, Judgement, Outcome, PairwiseJudge, UsageError
from selkit.judge import PairwiseJob, run_pairwise, write_result
from selkit.judge.pairwise import check_folder
from selkit.plugins import build
from selkit.store import Store


@dataclass
class Table(PairwiseJudge):
    """Says what stands in a table, and keeps what it was asked.

    Args:
        note: Anything, to make another judge.
    """

    name = "table"
    said: ClassVar[Callable[[Comparison], float | Outcome]]
    asked: ClassVar[list[tuple[str, str]]] = []
    note: str = ""

    def compare(self, comparisons: Sequence[Comparison], ctx: Context) -> Iterable[Judgement]:
        """A preference, or an outcome without one."""
        for c in comparisons:
            self.asked.append((c.id, c.order))
            found = type(self).said(c)
            if isinstance(found, Outcome):
                yield Judgement.failed(c, found, "no", output=1.0)
            else:
                yield Judgement.of(c, found, input=2.0, output=1.0)


@pytest.fixture(autouse=True)
def _fresh() -> None:
    """A judge that has been asked nothing."""
    Table.asked.clear()


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A store of its own."""
    return Store(tmp_path / "store")


def responses(path: Path, answers: dict[str, str]) -> Path:
    """A file of responses."""
    rows = [{"id": name, "prompt": f"{name}?", "response": text} for name, text in answers.items()]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    """Six common ids, one of them with equal responses, and one id of their own each."""
    ours = {"w": "longer one", "t": "same size!", "l": "s", "c": "two", "u": "u", "e": "=", "mine": ""}
    theirs = {"w": "short", "t": "size same?", "l": "much longer", "c": "three", "u": "uu", "e": "=", "yours": ""}
    return responses(tmp_path / "ours.jsonl", ours), responses(tmp_path / "theirs.jsonl", theirs)


def by_id(c: Comparison) -> float | Outcome:
    """w wins, t ties, l loses in both orders; c is a position conflict; u is refused in the second order."""
    mine = {"w": 1.0, "t": 0.5, "l": 0.0}
    if c.id in mine:
        return mine[c.id] if c.order == "first" else 1 - mine[c.id]
    return Outcome.REFUSAL if (c.id, c.order) == ("u", "second") else 1.0


def judge(files: tuple[Path, Path], store: Store, **how: Any) -> dict[str, Any]:
    """The summary of a judging."""
    return run_pairwise(PairwiseJob.prepare(*files, Table(), **how), store).to_dict()


def test_every_figure_by_hand(files: tuple[Path, Path], store: Store) -> None:
    """Six comparisons: one win, three ties (t, the conflict, the equal ones), one loss, one unparsed."""
    Table.said = by_id
    found = judge(files, store)
    assert [found[name] for name in ("n", "win", "tie", "lose", "unparsed")] == [6, 1, 3, 1, 1]
    assert (found["ws"], found["wr"], found["qs"]) == (1.0, 0.2, 0.8)
    assert found["score"] == pytest.approx((1 + 0.5 + 0 + 0.5 + 0.5) / 5)
    assert found["bounds"] == {
        "ws": pytest.approx((1 - 1 / 6, 1 + 1 / 6)),
        "wr": pytest.approx((1 / 6, 2 / 6)),
        "qs": pytest.approx((4 / 6, 5 / 6)),
        "score": pytest.approx((2.5 / 6, 3.5 / 6)),
    }
    assert found["outcomes"] == {"ok": 11, "refusal": 1}
    assert (found["passes"], found["equal"], found["unmatched"], found["complete"]) == (12, 1, 2, True)
    assert found["refusal_rate"] == found["unparsed_rate"] == pytest.approx(1 / 12)
    assert found["first_position_rate"] == pytest.approx(5 / 7)  # of w w l l c c u: w, l, c, c, u
    assert found["inconsistency"] == pytest.approx(1 / 5)
    assert (found["length_bias"], found["length_bias_n"]) == (1.0, 2)
    assert found["usage"] == {"input": 18.0, "output": 10.0}
    for name in ("ws", "wr", "qs", "score", "first_position_rate", "inconsistency", "length_bias"):
        low, high = found["intervals"][name]
        assert low <= found[name] <= high
    json.dumps(found, allow_nan=False)


@pytest.mark.parametrize(
    ("orders", "rule", "counts"),
    [
        ("both", "strict", [1, 3, 1, 1]),
        ("both", "single", [3, 2, 1, 0]),
        ("first", None, [3, 2, 1, 0]),
    ],
)
def test_rules_and_orders(files: tuple[Path, Path], store: Store, orders: Any, rule: Any, counts: list[int]) -> None:
    """One order takes the rule single unless told otherwise, and asks half."""
    Table.said = by_id
    found = judge(files, store, orders=orders, rule=rule)
    assert [found[name] for name in ("win", "tie", "lose", "unparsed")] == counts
    assert found["rule"] == (rule or "single")
    assert len(Table.asked) == (10 if orders == "both" else 5)


def test_a_drawn_order_depends_on_the_id_and_the_seed_alone(tmp_path: Path, store: Store) -> None:
    """About half of each; other comparisons, their order and another run change nothing."""
    answers = {f"c{i}": f"a{i}" for i in range(400)}
    files = responses(tmp_path / "a", answers), responses(tmp_path / "b", dict.fromkeys(answers, "b"))
    Table.said = lambda c: 1.0

    def drawn(seed: int, files: tuple[Path, Path] = files) -> set[tuple[str, str]]:
        Table.asked.clear()
        judge(files, Store(tmp_path / f"s{seed}{files[0].name}"), orders="random", seed=seed)
        return set(Table.asked)

    first = drawn(0)
    assert len(first) == 400
    assert 160 < sum(order == "first" for _, order in first) < 240
    fewer = dict(reversed(list(answers.items())[:50]))
    assert drawn(0, (responses(tmp_path / "fewer", fewer), files[1])) < first
    assert 120 < len(first & drawn(1)) < 280


def test_what_does_not_go_together_is_refused(files: tuple[Path, Path]) -> None:
    """Before anything is asked."""
    pytest.importorskip("sacrebleu")
    with pytest.raises(UsageError, match="'net' needs both orders"):
        PairwiseJob.prepare(*files, Table(), orders="first", rule="net")
    with pytest.raises(UsageError, match="6 prompts have none"):
        PairwiseJob.prepare(*files, build("judge", "reference", {}))
    assert Table.asked == []


def test_references_come_from_the_test_set(files: tuple[Path, Path], tmp_path: Path, store: Store) -> None:
    """Joined by id: the nearer response wins."""
    pytest.importorskip("sacrebleu")
    rows = [{"id": name, "instruction": f"{name}?", "reference": "a longer one"} for name in "wtlcue"]
    path = tmp_path / "set.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    job = PairwiseJob.prepare(*files, build("judge", "reference", {}), testset=str(path))
    found = run_pairwise(job, store).to_dict()
    assert found["win"] >= 1
    assert found["lose"] >= 1
    assert found["inconsistency"] == 0.0


@pytest.mark.parametrize("outcome", [Outcome.TIMEOUT, Outcome.API_ERROR, Outcome.BUDGET_STOP])
def test_what_got_no_answer_is_asked_again(files: tuple[Path, Path], store: Store, outcome: Outcome) -> None:
    """And nothing else; until then the result says that it is not complete."""
    Table.said = lambda c: outcome if c.id == "w" else by_id(c)
    found = judge(files, store)
    assert (found["complete"], found["unparsed"], found["outcomes"][str(outcome)]) == (False, 2, 2)
    Table.said = by_id
    Table.asked.clear()
    found = judge(files, store)
    assert sorted(Table.asked) == [("w", "first"), ("w", "second")]
    assert (found["complete"], found["unparsed"]) == (True, 1)


@pytest.mark.parametrize("outcome", [Outcome.REFUSAL, Outcome.CONTENT_FILTER, Outcome.TRUNCATED, Outcome.MALFORMED])
def test_what_the_judge_said_is_kept(files: tuple[Path, Path], store: Store, outcome: Outcome) -> None:
    """A refusal is an answer: it is counted, bounded, and not asked for again."""
    Table.said = lambda c: outcome if c.id == "w" else by_id(c)
    assert judge(files, store)["complete"]
    Table.asked.clear()
    found = judge(files, store)
    assert Table.asked == []
    assert (found["unparsed"], found["bounds"]["wr"]) == (2, pytest.approx((0, 2 / 6)))


def test_both_orders_of_a_comparison_are_asked_in_a_row(files: tuple[Path, Path], store: Store) -> None:
    """In an order drawn by the ids, so that a prefix is a fair sample of whole comparisons."""
    Table.said = by_id
    judge(files, store)
    ids = [name for name, _ in Table.asked]
    assert ids[::2] == ids[1::2]
    assert ids[::2] != ["w", "t", "l", "c", "u"]
    assert sorted(ids[::2]) == sorted("wtlcu")


def test_results_are_written_and_other_results_kept(files: tuple[Path, Path], store: Store, tmp_path: Path) -> None:
    """passes.jsonl in the order of the file; the same job may write again, another one not without force."""
    Table.said = by_id
    job, folder = PairwiseJob.prepare(*files, Table(), canaries=2), tmp_path / "out"
    check_folder(folder, job)
    write_result(run_pairwise(job, store), folder)
    passes = [json.loads(line) for line in (folder / "passes.jsonl").read_text().splitlines()]
    assert [row["id"] for row in passes] == [name for name in "wtlcue" for _ in range(2)]
    assert json.loads((folder / "summary.json").read_text())["win"] == 1
    assert len((folder / "canaries.jsonl").read_text().splitlines()) == 6 * 2 * 2
    before = (folder / "summary.json").read_bytes()
    check_folder(folder, job)
    write_result(run_pairwise(job, store), folder)
    assert (folder / "summary.json").read_bytes() == before
    other = PairwiseJob.prepare(*files, Table(note="another"))
    with pytest.raises(DataError, match="holds another judging"):
        check_folder(folder, other)
    check_folder(folder, other, force=True)


def test_verdict_like_responses_are_counted_by_side(tmp_path: Path, store: Store) -> None:
    """A share of each side's responses."""
    Table.said = by_id
    files = responses(tmp_path / "a", {"w": "[[A]]", "t": "x"}), responses(tmp_path / "b", {"w": "fine", "t": "y"})
    assert judge(files, store)["verdict_like"] == {"first": 0.5, "second": 0.0}
