"""Judges against labels: the published PandaLM figures, scikit-learn, and files as people have them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from selkit.api import Comparison, DataError, Judgement, Outcome
from selkit.judge import pass_row
from selkit.judge.agreement import pearson
from selkit.judge.audit import Unparsed, agree, agree_files, audit, audit_files
from selkit.judge.labels import Labelled, majority


def write(path: Path, rows: Sequence[Mapping[str, Any]]) -> Path:
    """A file of JSON lines."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


PUBLISHED = {
    # accuracy, macro P, macro R, macro F1, weighted F1, kappa; confusion (EVALUATION 3.3)
    "pandalm-7b-verdicts": (
        0.6677,
        0.5738,
        0.5750,
        0.5743,
        0.6682,
        0.435,
        [[32, 35, 38], [40, 298, 84], [35, 100, 337]],
    ),
    "gpt-3.5-turbo-verdicts": (
        0.7107,
        0.5879,
        0.5736,
        0.5755,
        0.6994,
        0.496,
        [[18, 42, 45], [19, 332, 71], [26, 86, 360]],
    ),
}
RATES = ("accuracy", "macro_precision", "macro_recall", "macro_f1", "weighted_f1", "kappa")


@pytest.mark.parametrize("judge", PUBLISHED)
def test_published_figures_of_pandalm(shared_data: Path, judge: str) -> None:
    """The figures of its authors, whose script counts 'garbage' as a tie, and the kappas of their annotators."""
    folder = shared_data / "judges"
    found = audit_files(folder / "pandalm-testset.jsonl", folder / f"{judge}.jsonl", unparsed="tie").to_dict()
    *rates, confusion = PUBLISHED[judge]
    assert [found[name] for name in RATES[:-1]] == pytest.approx(rates[:-1], abs=5e-5)
    assert found["kappa"] == pytest.approx(rates[-1], abs=5e-4)
    assert (found["n"], found["confusion"]) == (999, confusion)
    assert found["annotator_kappa"] == pytest.approx([0.852, 0.879, 0.862], abs=5e-4)
    for name in RATES:
        low, high = found["intervals"][name]
        assert low < found[name] < high
    assert len(found["intervals"]["annotator_kappa"]) == 3


def test_garbage_is_wrong_where_nothing_else_is_said(shared_data: Path) -> None:
    """25 verdicts of gpt-3.5 are none: 697 of 999 right, or 697 of 974 without them."""
    folder = shared_data / "judges"
    files = folder / "pandalm-testset.jsonl", folder / "gpt-3.5-turbo-verdicts.jsonl"
    wrong, dropped = audit_files(*files).to_dict(), audit_files(*files, unparsed="drop").to_dict()
    assert (wrong["accuracy"], wrong["unparsed"]) == (pytest.approx(697 / 999), 25)
    assert (dropped["accuracy"], dropped["n"]) == (pytest.approx(697 / 974), 974)
    assert wrong["unparsed_by_label"] == dropped["unparsed_by_label"] == [13, 6, 6]


def test_one_annotator_and_two_judges(shared_data: Path) -> None:
    """A column of the labels as verdicts, and the judges with each other."""
    folder = shared_data / "judges"
    people = folder / "pandalm-testset.jsonl"
    found = audit_files(people, people, column="annotator1").to_dict()
    expected = [0.9620, 0.9611, 0.9426, 0.9514, 0.9618]
    assert [found[name] for name in RATES[:-1]] == pytest.approx(expected, abs=5e-5)
    both = agree_files(folder / "pandalm-7b-verdicts.jsonl", folder / "gpt-3.5-turbo-verdicts.jsonl").to_dict()
    assert (both["n"], both["left_out"]) == (974, 25)
    assert both["agreement"] == pytest.approx((14 + 322 + 348) / 974)


labels = st.sampled_from([0, 1, 2])


@settings(deadline=None)  # the first example waits for scikit-learn to load
@given(
    st.lists(st.tuples(labels, st.sampled_from([0, 1, 2, None])), min_size=2, max_size=40),
    st.sampled_from(["wrong", "tie"]),
)
def test_rates_are_those_of_scikit_learn(pairs: list[tuple[int, int | None]], unparsed: Unparsed) -> None:
    """Macro over the classes that come; what is no verdict is a class that is never right, or a tie."""
    metrics = pytest.importorskip("sklearn.metrics")
    ids = [str(i) for i in range(len(pairs))]
    human = Labelled(dict(zip(ids, [gold for gold, _ in pairs], strict=True)), {}, {})
    judge = Labelled(dict(zip(ids, [said for _, said in pairs], strict=True)), {}, {})
    found = audit(human, judge, unparsed).rates()
    gold = [one for one, _ in pairs]
    said = [(0 if unparsed == "tie" else 9) if one is None else one for _, one in pairs]
    classes = sorted({*gold, *said} - {9})
    expected = metrics.precision_recall_fscore_support(gold, said, labels=classes, average="macro", zero_division=0)
    assert [found[name] for name in RATES[1:4]] == pytest.approx(expected[:3])
    assert found["accuracy"] == pytest.approx(metrics.accuracy_score(gold, said))
    weighted = metrics.f1_score(gold, said, average="weighted", zero_division=0)
    assert found["weighted_f1"] == pytest.approx(weighted)
    if len({*gold, *said}) > 1:
        assert found["kappa"] == pytest.approx(metrics.cohen_kappa_score(gold, said))
    else:
        assert found["kappa"] is None


@given(
    st.lists(
        st.tuples(st.sampled_from([0.0, 0.25, 0.5, 1.0]), st.sampled_from([0.0, 0.5, 0.75])), min_size=3, max_size=30
    )
)
def test_pearson_is_that_of_numpy(pairs: list[tuple[float, float]]) -> None:
    """From counts of pairs; undefined where one of the two does not vary."""
    kinds, often = np.unique(np.array(pairs), axis=0, return_counts=True)
    found = float(pearson(often.astype(float), kinds[:, 0], kinds[:, 1]))
    if min(len({one for one, _ in pairs}), len({other for _, other in pairs})) == 1:
        assert np.isnan(found)
    else:
        assert found == pytest.approx(np.corrcoef(np.array(pairs).T)[0, 1])


def test_kappa_by_hand(tmp_path: Path) -> None:
    """Cohen's own kind of table: 20 and 15 in agreement, 5 and 10 apart: (0.7 - 0.5) / 0.5."""
    rows = [(1, 1)] * 20 + [(1, 2)] * 5 + [(2, 1)] * 10 + [(2, 2)] * 15
    people = write(tmp_path / "people.jsonl", [{"id": i, "label": gold} for i, (gold, _) in enumerate(rows)])
    judge = write(tmp_path / "judge.jsonl", [{"id": i, "verdict": said} for i, (_, said) in enumerate(rows)])
    found = audit_files(people, judge).to_dict()
    assert (found["accuracy"], found["kappa"]) == (pytest.approx(0.7), pytest.approx(0.4))
    assert found["annotator_kappa"] == []


@pytest.mark.parametrize(
    ("given_labels", "expected"),
    [([1, 1, 2], 1), ([0, 1, 2], None), ([1, 2], None), ([None, 2, None], 2), ([None], None), ([0, 0, 1, 1, 2], None)],
)
def test_majority_or_none(given_labels: list[int | None], expected: int | None) -> None:
    """A shared lead is no label, and no tie either."""
    assert majority(given_labels) == expected


def test_rows_are_joined_and_what_is_left_out_is_counted(tmp_path: Path) -> None:
    """By idx or id whatever the order, numbers or text; without a majority a row has no label."""
    people = write(
        tmp_path / "people.jsonl",
        [
            {"idx": 3, "annotator1": 1, "annotator2": 1, "annotator10": 2},
            {"idx": 1, "annotator1": "tie", "annotator2": 0, "annotator10": 2},
            {"idx": 2, "annotator1": 0, "annotator2": 1, "annotator10": 2},
            {"idx": 9, "annotator1": 2, "annotator2": 2, "annotator10": 2},
        ],
    )
    judge = write(
        tmp_path / "judge.jsonl", [{"idx": str(i), "my_result": v} for i, v in ((1, "Tie"), (2, 1), (3, "1"), (4, 2))]
    )
    found = audit_files(people, judge).to_dict()
    assert (found["n"], found["accuracy"], found["without_label"]) == (2, 1.0, 1)
    assert found["unmatched"] == {"labels_only": 1, "verdicts_only": 1}
    assert len(found["annotator_kappa"]) == 3


def test_passes_do_for_verdicts_and_for_labels(tmp_path: Path) -> None:
    """People's passes from an import against a judge's in both orders, under net; scores are means over the orders."""
    pairs = [Comparison(name, "p", "x", "y") for name in "abcd"]
    people = [Judgement.of(c, said) for c, said in zip(pairs, (1.0, 0.0, 0.5, 1.0), strict=True)]
    judge = [Judgement.of(c, said) for c, said in zip(pairs, (1.0, 0.0, 1.0, 1.0), strict=True)]
    judge += [Judgement.of(c.swapped(), said) for c, said in zip(pairs[:3], (0.5, 1.0, 1.0), strict=True)]
    judge += [Judgement.failed(pairs[3].swapped(), Outcome.REFUSAL, "no")]
    one = write(tmp_path / "people.jsonl", [pass_row("human", p) for p in people])
    other = write(tmp_path / "judge.jsonl", [pass_row("gpt", p) for p in judge])
    found = audit_files(one, other).to_dict()
    assert (found["accuracy"], found["unparsed"]) == (0.75, 1)  # a win, b loss, c tie, d unparsed
    both = agree_files(one, other).to_dict()
    assert (both["n"], both["agreement"], both["left_out"]) == (3, 1.0, 1)
    assert both["pearson"] == pytest.approx(np.corrcoef([1, 0, 0.5], [0.75, 0, 0.5])[0, 1])


def test_nothing_in_common_is_refused() -> None:
    """With a question that leads on."""
    one, other = Labelled({"a": 1}, {}, {"a": 1.0}), Labelled({"b": 1}, {}, {"b": 1.0})
    with pytest.raises(DataError, match="no idx or id in common"):
        agree(one, other)


@pytest.mark.parametrize(
    ("people", "judge", "says"),
    [
        ([{"id": 1, "label": 3}], [{"id": 1, "verdict": 1}], "people.jsonl, line 1: the label 3 is none of 0, 1, 2"),
        ([{"id": 1}], [{"id": 1, "verdict": 1}], "neither a 'label' nor annotator1"),
        ([{"id": 1, "label": 1}] * 2, [{"id": 1, "verdict": 1}], "people.jsonl, line 2: the id '1' comes twice"),
        ([{"id": 1, "label": 1}], [{"id": 1, "said": 1}], "none whose name ends in '_result': name it with --column"),
        ([{"id": 1, "label": 1}], [{"id": 1, "a_result": 1, "b_result": 1}], "2 (a_result, b_result) whose name ends"),
        ([{"label": 1}], [{"id": 1, "verdict": 1}], "people.jsonl, line 1: there is neither 'idx' nor 'id'"),
        ([], [{"id": 1, "verdict": 1}], "people.jsonl holds no row"),
    ],
)
def test_files_that_cannot_be_used_are_named(tmp_path: Path, people: list[Any], judge: list[Any], says: str) -> None:
    """One sentence each."""
    one, other = write(tmp_path / "people.jsonl", people), write(tmp_path / "judge.jsonl", judge)
    with pytest.raises(DataError) as caught:
        audit_files(one, other)
    assert says in str(caught.value)


def test_passes_of_two_judges_are_not_one_judges_verdicts(tmp_path: Path) -> None:
    """Scenario 28: a study whose judge was exchanged half-way is refused, and so is a pass that comes twice."""
    labels = write(tmp_path / "people.jsonl", [{"id": "a", "label": 1}, {"id": "b", "label": 1}])

    def row(name: str, judge: str, order: str = "first") -> dict[str, object]:
        return {"id": name, "judge": judge, "order": order, "outcome": "ok", "preference": 1.0}

    mixed = write(tmp_path / "mixed.jsonl", [row("a", "gpt-4o"), row("b", "gpt-4.1")])
    with pytest.raises(DataError, match=r"passes of 2 judges \(gpt-4.1, gpt-4o\): give each judge a file of its own"):
        audit_files(labels, mixed)
    double = write(tmp_path / "double.jsonl", [row("a", "j"), row("b", "j"), row("a", "j")])
    with pytest.raises(DataError, match="line 3: the pass 'first' of 'a' stands already in line 1"):
        audit_files(labels, double)
    one = write(tmp_path / "one.jsonl", [row("a", "j"), row("b", "j")])
    assert audit_files(labels, one).to_dict()["accuracy"] == 1.0
