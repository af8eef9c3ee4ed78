"""The whole method against the paper's procedure done by hand, and what it says, stores and refuses."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from selkit_deita.scorers import DeitaComplexity, DeitaQuality
from selkit_deita.selector import Deita
from selkit_deita.texts import vicuna

from selkit.api import BudgetError, Context, DataError, Embeddings, Example, Pool, RowScore, Scorer, Turn, UsageError
from selkit.models import HostContext, load_model
from selkit.models.hf import Embedded, HFModel
from selkit.plugins import build
from selkit.plugins.build import parse_assignments
from selkit.select import select
from selkit.select.embedding import BLOCK
from selkit.store import Store

torch = pytest.importorskip("torch")

TOPICS = ("colours", "rivers", "numbers", "songs", "北京", "القاهرة")
ROWS = [
    *(
        Example(f"r{n:02}", f"Tell me {n % 4} things about {topic}.", response=f"{topic} {number} " * (1 + number))
        for n, (topic, number) in enumerate((topic, number) for topic in TOPICS for number in range(5))
    ),
    Example("copy-1", "Tell me 0 things about colours.", response="colours 0 "),
    Example("copy-2", "Tell me 0 things about colours.", response="colours 0 "),
    Example("empty", "Say nothing.", response=""),
    Example("long", "Tell a story.", response="Once upon a time there was a fox. " * 300),
    Example("talk", "And now?", response="Now.", history=(Turn("user", "Hi."), Turn("assistant", "Hello."))),
]


def pool(rows: Sequence[Example] = ROWS) -> Pool:
    """Six topics in three scripts, two copies, an empty response, 10,000 tokens, a conversation."""
    return Pool.from_examples(rows, name="rows")


def deita(ref: str, **changes: Any) -> Deita:
    """The selector with one model for all three parts."""
    return Deita(**{"complexity": DeitaComplexity(ref), "quality": DeitaQuality(ref), "embedder": ref} | changes)


def last_states(ref: str, rows: Sequence[Example], limit: int = 1024) -> dict[str, np.ndarray]:
    """The last token's last hidden state of each conversation, one text at a time through the whole model."""
    model = load_model(ref, device="cpu")
    found = {}
    for row in rows:
        ids = model.tokenizer(vicuna(row))["input_ids"][:limit]
        with torch.no_grad():
            states = model.model(torch.tensor([ids]), output_hidden_states=True).hidden_states[-1]
        found[row.id] = states[0, -1].double().numpy()
    return found


def by_hand(scores: dict[str, float], vectors: dict[str, np.ndarray], rows: int, threshold: float) -> list[str]:
    """Best first, equal scores by id; a row stays where no kept row is more similar than the threshold."""
    kept: list[str] = []
    for row_id in sorted(scores, key=lambda i: (-scores[i], i)):
        x = vectors[row_id]
        if all((x @ vectors[k]) / np.linalg.norm(x) / np.linalg.norm(vectors[k]) <= threshold for k in kept):
            kept.append(row_id)
        if len(kept) == rows:
            break
    return kept


def row_scores(scorer: Scorer, tmp_path: Path) -> dict[str, RowScore]:
    """What a scorer says of each row."""
    ctx = HostContext(seed=0, device="cpu", cache_dir=tmp_path, pool=pool())
    return dict(zip(pool().ids, scorer.score(pool(), ctx), strict=True))  # type: ignore[arg-type]


def evol(ref: str, tmp_path: Path) -> dict[str, float]:
    """Complexity times quality, added over the turns, from the turns' own ratings."""
    asked, answered = row_scores(DeitaComplexity(ref), tmp_path), row_scores(DeitaQuality(ref), tmp_path)
    found = {}
    for row_id, quality in answered.items():
        if quality.value is not None:
            turns = [name for name in quality.details if name.startswith("turn-")]
            found[row_id] = sum(asked[row_id].details[turn] * quality.details[turn] for turn in turns)
    return found


def test_it_chooses_what_the_paper_chooses(rater: str, tmp_path: Path) -> None:
    """Scores to 1e-4 and the same ids in the same order as the procedure by hand."""
    result = select(pool(), deita(rater), 8, store=Store(tmp_path / "store"))
    scores, vectors = evol(rater, tmp_path), last_states(rater, ROWS)
    assert list(result.ids) == by_hand(scores, vectors, 8, 0.9)
    assert result.selection.scores == pytest.approx({i: scores[i] for i in result.ids}, abs=1e-4)
    assert list(result.ids) != sorted(scores, key=lambda i: (-scores[i], i))[:8]
    facts = result.facts
    assert facts["filter_examined"] == len(result.ids) + facts["filter_dropped"] > 8
    assert facts["rows_changed_by_diversity"] > 0
    assert facts["similarity_threshold"] == 0.9
    assert facts["excluded"] == {"quality: a turn is longer than the 1024 tokens of the model": 1}
    assert facts["embeddings_truncated"] == 1
    assert facts["shortfall"] is None


def test_chasing_randoms_variant_ranks_by_quality_alone(rater: str, tmp_path: Path) -> None:
    """No complexity scorer is looked for, asked or stored."""
    selector = deita(rater, score="quality", complexity=DeitaComplexity(), max_length=260)
    result = select(pool(), selector, 6, store=Store(tmp_path / "store"))
    scores = {i: s.value for i, s in row_scores(DeitaQuality(rater), tmp_path).items() if s.value is not None}
    assert list(result.ids) == by_hand(scores, last_states(rater, ROWS, 260), 6, 0.9)
    assert selector.parameters()["complexity"] is None
    assert 0 < result.facts["embeddings_truncated"] < len(ROWS)


def test_any_scorer_can_feed_the_filter_from_yaml(rater: str, tmp_path: Path) -> None:
    """Here the built-in 'longest', from YAML and from the command line's way of writing; ids as by hand."""
    parameters = yaml.safe_load(f"{{scorer: {{name: longest, unit: characters}}, embedder: '{rater}'}}")
    selector = build("selector", "deita", parameters)
    assignments = ["scorer=longest", "scorer.unit=characters", f"embedder={rater}"]
    assert build("selector", "deita", parse_assignments(assignments)) == selector
    result = select(pool(), selector, 7, store=Store(tmp_path / "store"))  # type: ignore[arg-type]
    scores = {row.id: float(len(row.response)) for row in ROWS}
    assert list(result.ids) == by_hand(scores, last_states(rater, ROWS), 7, 0.9)


def test_ifd_can_feed_the_filter_from_yaml(rater: str, tmp_path: Path) -> None:
    """A score of another plugin package: its own key, so that a plain ifd arm shares the pass."""
    pytest.importorskip("selkit_ifd")
    text = f"{{scorer: {{name: ifd, model: '{rater}', bound: none, pre_experience: none}}, embedder: '{rater}'}}"
    store = Store(tmp_path / "store")
    result = select(pool(), build("selector", "deita", yaml.safe_load(text)), 7, store=store)  # type: ignore[arg-type]
    ifd = build("selector", "ifd", {"model": rater, "bound": "none", "pre_experience": "none"})
    alone = select(pool(), ifd, len(ROWS) - 1, store=store)  # type: ignore[arg-type]
    assert alone.spent[0] in result.spent
    assert list(result.ids) == by_hand(dict(alone.selection.scores), last_states(rater, ROWS), 7, 0.9)


def test_small_scores_come_first_where_a_scorer_says_so(rater: str, tmp_path: Path) -> None:
    """'shortest' ranks the other way round; in a product it has no place."""
    shortest = build("selector", "shortest", {"unit": "characters"})
    result = select(pool(), deita(rater, scorer=shortest, complexity=None, quality=None), 3, store=Store(tmp_path))
    assert result.ids[0] == "empty"
    with pytest.raises(UsageError, match="in shortest small scores are good"):
        select(pool(), deita(rater, quality=shortest), 3, store=Store(tmp_path))


def test_pool_order_and_copies_change_nothing(rater: str, tmp_path: Path) -> None:
    """The pool turned round gives the same ids; of equal rows the smallest id stands for all at this threshold."""
    one = select(pool(), deita(rater), 12, store=Store(tmp_path / "a"))
    other = select(pool(ROWS[::-1]), deita(rater), 12, store=Store(tmp_path / "b"))
    assert one.ids == other.ids
    assert not {"copy-2", "r00"} & set(one.ids)


def test_an_underflow_is_declared_and_handled_as_named(rater: str, tmp_path: Path) -> None:
    """The filter keeps fewer rows than asked for: four policies, each with its own word."""
    store, budget = Store(tmp_path / "store"), 20
    found = {
        policy: select(pool(), deita(rater, step=0.02, underflow=policy), budget, store=store)
        for policy in ("relax", "top-up", "short")
    }
    kept = len(found["short"].ids)
    assert kept < budget
    reason = f"the filter keeps {kept} of 34 rows at similarity 0.9, and underflow is short"
    assert found["short"].selection.shortfall == reason
    said = f"deita: the filter keeps {kept} of the 20 rows wanted at similarity 0.9; "
    assert said + "the selection is that short" in found["short"].facts["notes"]
    relaxed = found["relax"]
    last = relaxed.facts["similarity_threshold"]
    assert len(relaxed.ids) == budget
    assert list(relaxed.ids) == by_hand(evol(rater, tmp_path), last_states(rater, ROWS), budget, last)
    assert said + f"the threshold was raised to {last:g}" in relaxed.facts["notes"]
    assert [each["threshold"] for each in relaxed.facts["filter_passes"]] == pytest.approx(
        np.arange(0.9, last + 0.01, 0.02)
    )
    assert len(found["top-up"].ids) == budget
    assert set(found["short"].ids) < set(found["top-up"].ids)
    assert found["top-up"].facts["topped_up"] == budget - kept
    with pytest.raises(BudgetError, match=rf"deita: the filter keeps {kept} of the 20 rows wanted .* raise threshold"):
        select(pool(), deita(rater, underflow="fail"), budget, store=store)


def test_rows_without_a_score_are_a_shortfall_with_reasons(rater: str, tmp_path: Path) -> None:
    """Nothing fills the place of a row that was not scored, whatever the policy."""
    result = select(pool(), deita(rater), len(ROWS), store=Store(tmp_path / "store"))
    assert len(result.ids) == len(ROWS) - 1
    reason = "1: quality: a turn is longer than the 1024 tokens of the model"
    assert result.selection.shortfall == f"1 of 35 rows have no score ({reason})"


def test_every_budget_seed_and_threshold_shares_scores_and_embeddings(
    rater: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The model works for the first selection alone; another scorer of the same pool takes the embeddings, too."""
    store = Store(tmp_path / "store")
    select(pool(), deita(rater), 5, store=store)

    def never(*_: object, **__: object) -> None:
        raise AssertionError("the model was asked again")

    monkeypatch.setattr(HFModel, "label_probabilities", never)
    monkeypatch.setattr(HFModel, "embedded", never)
    for budget, seed, threshold in [(9, 0, 0.9), (5, 3, 0.7), ("20%", 1, 0.95)]:
        select(pool(), deita(rater, threshold=threshold), budget, seed=seed, store=store)
    longest = build("selector", "longest", {"unit": "characters"})
    select(pool(), deita(rater, scorer=longest, complexity=None, quality=None), 4, store=store)
    with pytest.raises(AssertionError):
        select(pool(), deita(rater, pooling="mean"), 5, store=store)


def test_a_killed_run_goes_on_where_it_stopped(rater: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed while it embeds: no score is computed again, and at most one block of texts is embedded again."""
    rows = [Example(f"r{n:03}", f"Question {n}?", response=f"Answer {n}. " * (1 + n % 4)) for n in range(150)]
    wanted = select(pool(rows), deita(rater), 15, store=Store(tmp_path / "whole"))
    store, embed, seen, limit = Store(tmp_path / "killed"), HFModel.embedded, 0, 100

    def counting(self: HFModel, texts: Sequence[str], **options: Any) -> Iterator[Embedded]:
        nonlocal seen
        for found in embed(self, texts, **options):
            seen += 1
            if seen > limit:
                raise KeyboardInterrupt
            yield found

    monkeypatch.setattr(HFModel, "embedded", counting)
    with pytest.raises(KeyboardInterrupt):
        select(pool(rows), deita(rater), 15, store=store)
    monkeypatch.setattr(HFModel, "label_probabilities", None)
    seen, limit = 0, 10**9
    resumed = select(pool(rows), deita(rater), 15, store=store)
    assert 150 - 100 <= seen <= 150 - 100 + BLOCK
    assert resumed.selection == wanted.selection


def test_embeddings_that_point_nowhere_are_refused(
    rater: str, broken: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """NaN by the host, a vector of zeros here: one sentence that names the row, and no selection."""
    with pytest.raises(DataError, match="NaN"):
        select(pool(), deita(rater, embedder=broken), 5, store=Store(tmp_path / "a"))

    def zeros(self: Context, texts: dict[str, str], ref: str, **_: object) -> Embeddings:
        vectors = np.ones((len(texts), 4), np.float32)
        vectors[3] = 0
        return Embeddings(tuple(texts), vectors, np.zeros(len(texts), np.bool_))

    monkeypatch.setattr(HostContext, "embeddings", zeros)
    with pytest.raises(DataError, match="gives row 'long' an embedding that is zero or no number"):
        select(pool(), deita(rater), 5, store=Store(tmp_path / "b"))


def test_an_encoder_embeds_and_does_not_rate(rater: str, encoder: str, tmp_path: Path) -> None:
    """Any encoder may stand in as embedder, with a pooling of its own; as a scorer it is refused."""
    selector = deita(rater, embedder=encoder, pooling="mean", text="response", threshold=0.999)
    result = select(pool(), selector, 5, store=Store(tmp_path / "a"))
    assert len(result.ids) == 5
    with pytest.raises(DataError, match="is a text encoder"):
        select(pool(), deita(rater, quality=DeitaQuality(encoder)), 5, store=Store(tmp_path / "b"))


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"threshold": 0.0}, "above 0 and at most 1, not 0"),
        ({"threshold": 1.5}, "above 0 and at most 1, not 1.5"),
        ({"step": 0.0}, "so it is above 0, not 0"),
        ({"max_length": 0}, "a number of tokens from 1 on, not 0"),
        ({"embedder": None}, "deita needs a model that embeds"),
        ({"quality": None}, "score=product needs its parameter quality"),
        ({"complexity": None}, "score=product needs its parameter complexity"),
        ({"quality": None, "score": "quality", "complexity": None}, "score=quality needs its parameter quality"),
    ],
)
def test_settings_that_make_no_sense_are_refused_before_any_work(
    changes: dict[str, Any], sentence: str, rater: str, tmp_path: Path
) -> None:
    """One sentence each, and nothing is stored."""
    store = Store(tmp_path / "store")
    with pytest.raises(UsageError, match=sentence):
        select(pool(), deita(rater, **changes), 5, store=store)
    assert list(store.artifacts()) == []


def test_a_scorer_without_work_is_refused() -> None:
    """Who names a scorer that the other settings leave idle has made a mistake."""
    with pytest.raises(UsageError, match="complexity of deita has nothing to do with score=quality"):
        build("selector", "deita", {"score": "quality", "complexity": {"model": "tiny:bytes"}})
    with pytest.raises(UsageError, match="quality of deita has nothing to do with scorer=longest"):
        build("selector", "deita", {"scorer": "longest", "quality": {"model": "tiny:bytes"}})
    assert build("selector", "deita", {"scorer": "longest"}).parameters()["quality"] is None


def test_the_defaults_are_the_papers() -> None:
    """Checkpoints, template, pooling, length and threshold."""
    assert Deita().parameters() == {
        "score": "product",
        "complexity": {
            "name": "deita-complexity",
            "model": "hub:hkust-nlp/deita-complexity-scorer",
            "turns": "all",
            "length": "drop",
        },
        "quality": {
            "name": "deita-quality",
            "model": "hub:hkust-nlp/deita-quality-scorer",
            "turns": "all",
            "length": "drop",
        },
        "scorer": None,
        "embedder": "hub:mistralai/Mistral-7B-v0.1",
        "text": "vicuna",
        "pooling": "last",
        "max_length": 2048,
        "threshold": 0.9,
        "underflow": "relax",
        "step": 0.01,
    }
