"""Cherry's first stage: the rows that train, against the published procedure; and both stages as one."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from selkit_ifd.experience import PreExperience, clusters_of, evenly_in_band
from selkit_ifd.scorer import Ifd

from selkit.api import ALPACA, DataError, Example, Pool, UsageError
from selkit.experiment.selection.training import ComponentTraining
from selkit.models import load_model
from selkit.select import SelectionResult, select
from selkit.store import Store, totals

torch = pytest.importorskip("torch")
sklearn_cluster = pytest.importorskip("sklearn.cluster")

TINY = "tiny:bytes?hidden=32&heads=2&layers=2&context=512&seed=1"
RECIPE = {"preset": "quickstart", "max_steps": 3, "batch_size": 4, "max_length": 512, "template": "alpaca"}
VERBS = ("Name", "List", "Explain", "Translate", "Count", "解释")
ROWS = [
    Example(
        f"r{n:02}", f"{VERBS[n % 6]} {'the thing ' * (1 + n % 5)}number {n}.", "", f"Answer {n}: {'yes ' * (n % 7)}."
    )
    for n in range(48)
]
POOL = Pool.from_examples(ROWS, name="rows")


def published(labels: np.ndarray, values: np.ndarray, count: int, low: float, high: float) -> list[int]:
    """The rule in words, done row by row: small clusters whole; else those in the band, at even steps."""
    chosen: list[int] = []
    for label in sorted(set(labels.tolist())):
        members = [place for place, found in enumerate(labels) if found == label]
        if len(members) >= count:
            inside = [values[place] for place in members]
            least, most = (np.percentile(inside, share) for share in (low, high))
            members = [place for place in members if least <= values[place] <= most]
            if len(members) >= count:
                step = len(members) // count
                members = [members[position * step] for position in range(count)]
        chosen += members
    return chosen


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_the_rows_are_those_of_the_published_rule(data: st.DataObject) -> None:
    """For clusters of any size, any number a cluster, any band, with equal perplexities."""
    size = data.draw(st.integers(1, 40))
    labels = np.array(data.draw(st.lists(st.integers(0, 4), min_size=size, max_size=size)))
    values = np.array(data.draw(st.lists(st.integers(1, 9), min_size=size, max_size=size)), np.float64)
    count = data.draw(st.integers(1, 6))
    low = data.draw(st.integers(0, 50))
    high = data.draw(st.integers(50, 100))
    assert evenly_in_band(labels, values, count, low, high) == published(labels, values, count, low, high)


def prompts_by_hand() -> tuple[np.ndarray, np.ndarray]:
    """Mean last hidden state and perplexity of each prompt, one forward pass each, in the order of the ids."""
    model = load_model(TINY, device="cpu")
    vectors, perplexities = [], []
    for row in ROWS:
        ids = model.tokenizer(ALPACA.prompt(row))["input_ids"][:512]
        with torch.no_grad():
            output = model.model(torch.tensor([ids]), output_hidden_states=True)
        vectors.append(output.hidden_states[-1][0].mean(0).numpy())
        losses = [-torch.log_softmax(output.logits[0, i - 1].double(), -1)[ids[i]].item() for i in range(1, len(ids))]
        perplexities.append(math.exp(np.mean(losses)))
    return np.array(vectors), np.array(perplexities)


def run(selector: Any, budget: int, store: Store, pool: Pool = POOL, **options: Any) -> SelectionResult:
    """A choice with training at hand."""
    return select(pool, selector, budget, store=store, training=ComponentTraining(store), **options)


def cherry(**parameters: Any) -> Ifd:
    """Both stages in small, without the bound, so that a tiny model leaves every row."""
    return Ifd(**{"model": TINY, "bound": "none", "recipe": RECIPE, "clusters": 6, "per_cluster": 3, **parameters})


def test_the_rows_that_train_are_those_of_the_published_procedure(tmp_path: Path) -> None:
    """Embeddings, k-means with seed 0 and ten starts, percentiles within the cluster, even steps by id."""
    vectors, perplexities = prompts_by_hand()
    labels = sklearn_cluster.KMeans(n_clusters=6, n_init=10, random_state=0).fit(vectors).labels_
    wanted = {ROWS[place].id for place in published(labels, perplexities, 3, 25, 75)}
    stage = PreExperience(model=TINY, clusters=6, per_cluster=3)
    result = select(POOL, stage, len(wanted), store=Store(tmp_path))
    assert set(result.ids) == wanted
    assert 6 < len(wanted) <= 18
    assert result.facts["excluded"] == {"not among the rows chosen of its cluster": len(ROWS) - len(wanted)}


def test_both_stages_are_those_of_the_paper(tmp_path: Path) -> None:
    """The score under a model trained by hand on the rows of the first stage, to 1e-4, and the same ids."""
    from selkit.train import train

    stage = select(POOL, PreExperience(model=TINY, clusters=6, per_cluster=3), "1%", store=Store(tmp_path / "stage"))
    scores = Store(tmp_path / "stage").get(stage.facts["scores"])
    assert scores is not None
    import pyarrow.parquet as pq

    table = pq.read_table(scores.file("scores.parquet"))
    chosen = [i for i, value in zip(table["id"].to_pylist(), table["score"].to_pylist(), strict=True) if value]
    train(TINY, POOL.take(chosen), RECIPE, tmp_path / "trained", seed=0, threads=1)
    result = run(cherry(), len(ROWS), Store(tmp_path / "store"))
    wanted = {}
    for row in ROWS:
        size = len(row.response.encode())
        given = mean_loss(str(tmp_path / "trained"), ALPACA.prompt(row) + row.response, size)
        wanted[row.id] = given / mean_loss(str(tmp_path / "trained"), "### Response:" + row.response, size)
    assert dict(result.selection.scores) == pytest.approx(wanted, abs=1e-4)
    untrained = run(cherry(pre_experience="none"), len(ROWS), Store(tmp_path / "store"))
    assert dict(untrained.selection.scores) != pytest.approx(wanted, abs=1e-3)


def mean_loss(ref: str, text: str, keep: int) -> float:
    """Mean loss of the last ``keep`` tokens of a text (a token a byte)."""
    model = load_model(ref, device="cpu")
    ids = model.tokenizer(text)["input_ids"]
    with torch.no_grad():
        logits = model.model(torch.tensor([ids])).logits[0].double()
    return float(
        np.mean([-torch.log_softmax(logits[i - 1], -1)[ids[i]].item() for i in range(len(ids) - keep, len(ids))])
    )


def test_one_first_stage_and_one_training_serve_every_variant(tmp_path: Path) -> None:
    """Another ratio and another budget train nothing; the cost is charged to each, also from the store."""
    store = Store(tmp_path)
    first = run(cherry(), 5, store)
    second = run(cherry(ratio="perplexity"), 9, store)
    again = run(cherry(), 7, store, seed=3)
    [weights] = [artifact.digest for artifact in store.artifacts(stage="weights")]
    for result in (first, second, again):
        assert weights in result.spent
        assert totals(store.ledger(result.spent))["training.seconds"] > 0
    assert again.ids[:5] == first.ids
    assert len([a for a in store.artifacts(stage="scores") if a.manifest["component"] == "ifd-pre-experience"]) == 1


@pytest.mark.slow
def test_the_order_of_the_pool_changes_nothing(tmp_path: Path) -> None:
    """The same rows train, and the scores are the same bits."""
    turned = Pool.from_examples(ROWS[::-1], name="turned")
    first, second = run(cherry(), 10, Store(tmp_path / "a")), run(cherry(), 10, Store(tmp_path / "b"), turned)
    assert first.selection == second.selection
    assert first.key.digest == second.key.digest


@pytest.mark.slow
def test_what_the_training_depends_on_is_in_the_key(tmp_path: Path) -> None:
    """Recipe, clusters and the band make other scores."""
    store = Store(tmp_path)
    keys = [
        run(selector, 3, store).facts["scores"]
        for selector in (
            cherry(),
            cherry(recipe={**RECIPE, "max_steps": 2}),
            cherry(clusters=5),
            cherry(low=1, high=99),
        )
    ]
    assert len(set(keys)) == 4


def test_few_rows_make_few_clusters_and_say_so(tmp_path: Path) -> None:
    """Five different prompts in nine rows: five clusters, every row of a small cluster trains."""
    rows = [Example(f"r{n}", f"Say {n % 5}.", response=f"It is {n}.") for n in range(9)]
    pool = Pool.from_examples(rows, name="few")
    store = Store(tmp_path)
    result = run(cherry(clusters=100, per_cluster=10), 3, store, pool)
    assert len(result.ids) == 3
    [stage] = store.artifacts(stage="weights")
    assert stage.facts["rows"] == 9


def test_equal_vectors_are_one_cluster() -> None:
    """k-means is not asked for more clusters than there are points, and warns of nothing."""
    assert clusters_of(np.ones((4, 3), np.float32), 1).tolist() == [0, 0, 0, 0]


def test_a_pool_without_usable_prompts_is_one_sentence(tmp_path: Path) -> None:
    """Prompts of a single token have no perplexity; the sentence says what to do."""
    bare = "tiny:words?hidden=32&layers=1"  # its start token is the only one before a blank instruction's line break
    pool = Pool.from_examples([Example(f"r{n}", "", response="one two") for n in range(60)], name="blank")
    with pytest.raises(DataError, match="no prompt of pool 'blank' has two tokens: score with -p pre_experience=none"):
        run(cherry(model=bare, template="plain", recipe={**RECIPE, "template": "plain"}), 3, Store(tmp_path), pool)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"clusters": 0}, "from 1 on"),
        ({"per_cluster": 0}, "from 1 on"),
        ({"low": 80, "high": 20}, "percentiles from 0 to 100, low first, not 80 and 20"),
        ({"recipe": "no-such"}, "no recipe 'no-such'"),
        ({"recipe": {"preset": "quickstart", "epochz": 1}}, "epochz"),
        ({"model": None}, "needs a language model"),
    ],
)
def test_numbers_and_recipes_that_cannot_be_are_refused_first(
    tmp_path: Path, parameters: dict[str, Any], message: str
) -> None:
    """Before any model loads."""
    with pytest.raises(UsageError, match=message):
        run(cherry(**parameters), 3, Store(tmp_path))


def test_without_training_at_hand_the_sentence_says_where_it_is(tmp_path: Path) -> None:
    """A notebook that calls select gets told; the score without the first stage needs none."""
    with pytest.raises(UsageError, match="ifd has a model trained, which is not to be had here"):
        select(POOL, cherry(), 3, store=Store(tmp_path))
    assert len(select(POOL, cherry(pre_experience="none"), 3, store=Store(tmp_path)).ids) == 3
