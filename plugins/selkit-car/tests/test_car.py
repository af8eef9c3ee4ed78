"""The selector against the authors' script, done the long way; budgets, ties, and pools that are too small."""

from __future__ import annotations

import importlib.util
import json
import math
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from selkit_car.car import Car
from selkit_car.iqs import Iqs

from selkit.api import Budget, BudgetError, Context, DataError, Example, Pool, RowScore, Scorer, UsageError
from selkit.models import load_model, resolve
from selkit.plugins import build
from selkit.select import SelectionResult, select
from selkit.store import Store
from selkit.testing import awkward_pool, sample_pool

pytest.importorskip("torch")

TINY = "tiny:bytes?hidden=32&heads=2&layers=1&context=512&seed=1"
WORDS = ["sea", "sky", "fox", "oak", "sun", "ice", "gold", "rain", "corn", "iron"]


def rows(count: int = 60) -> list[Example]:
    """Rows about ten things, with lengths that differ and often tie."""
    return [
        Example(
            f"r{n:03}",
            f"Tell me about the {WORDS[n % 10]}.",
            "in short" if n % 3 == 0 else "",
            f"The {WORDS[n % 10]} is " + "very " * (n * 7 % 13) + "nice.",
        )
        for n in range(count)
    ]


def pool(count: int = 60) -> Pool:
    """A pool of such rows, in no order."""
    mixed = np.random.default_rng(5).permutation(count)
    return Pool.from_examples([rows(count)[n] for n in mixed], name="things")


def longest(**parameters: object) -> Scorer:
    """Ranks by words."""
    return build("selector", "longest", {"unit": "words", **parameters})  # type: ignore[return-value]


def choose(selector: Car, budget: int | str, tmp_path: Path, source: Pool | None = None) -> SelectionResult:
    """What the host's engine makes of it."""
    return select(pool() if source is None else source, selector, budget, store=Store(tmp_path / "store"))


def plain(source: Pool, scores: dict[str, float], n1: int, n2: int = 1) -> list[str]:
    """The authors' script: sort, embed, PCA, k-means, the top n1, the best n2 of every cluster, no row twice."""
    from sklearn.cluster import KMeans
    from sklearn.decomposition import PCA

    examples = sorted(source, key=lambda row: row.id)
    texts = [f"Instruction: {row.instruction} Input: {row.input} Response: {row.response}" for row in examples]
    vectors = np.stack([next(load_model(TINY, device="cpu").embed([text])) for text in texts]).astype(np.float64)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    reduced = PCA(n_components=0.95, random_state=42).fit_transform(vectors)
    labels = KMeans(int(math.sqrt(len(texts) / 2)), random_state=42, n_init=10).fit_predict(reduced)
    ranked = sorted(examples, key=lambda row: (-scores[row.id], row.id))
    chosen = [row.id for row in ranked[:n1]]
    for cluster in range(max(labels) + 1):
        members = [row.id for row in ranked if labels[examples.index(row)] == cluster]
        chosen += [row_id for row_id in members[:n2] if row_id not in chosen]
    return chosen


@pytest.mark.parametrize("n2", [1, 2])
def test_the_choice_is_that_of_the_authors_script(n2: int, tmp_path: Path) -> None:
    """The same ids at every size that its n1 leads to, and the top n1 counted as it counts them."""
    source = pool()
    scores = {row.id: float(len(row.response.split())) for row in source}
    for n1 in (10, 25, 40):
        wanted = plain(source, scores, n1, n2)
        given = choose(Car(longest(), embedder=TINY, n1=n1, n2=n2), 60, tmp_path)
        filled = choose(Car(longest(), embedder=TINY, n2=n2), len(wanted), tmp_path)
        assert set(given.ids) == set(filled.ids) == set(wanted)
        assert list(filled.ids) == sorted(wanted, key=lambda row_id: (-scores[row_id], row_id))
        assert filled.facts["rows_changed_by_diversity"] == len(
            set(wanted) - set(sorted(scores, key=lambda row_id: (-scores[row_id], row_id))[: len(wanted)])
        )
        assert filled.facts["clusters"] == 5


def test_ranked_by_iqs(estimator: str, tmp_path: Path) -> None:
    """The paper's pair of components: what iqs scores, car chooses from."""
    ranked = select(pool(), Iqs(estimator), 60, store=Store(tmp_path / "store"))
    wanted = plain(pool(), dict(ranked.selection.scores), 20)
    found = choose(Car(Iqs(estimator), embedder=TINY), len(wanted), tmp_path)
    assert set(found.ids) == set(wanted)
    assert found.selection.scores == {row_id: ranked.selection.scores[row_id] for row_id in wanted}


def test_every_budget_is_exact_and_holds_the_best(tmp_path: Path) -> None:
    """From one row to all of them; the best row of all is always there, and every cluster has its winner in time."""
    selector = Car(longest(), embedder=TINY)
    for budget in (1, 2, 4, 5, 6, 17, 59, 60):
        found = choose(selector, budget, tmp_path)
        assert len(found.ids) == len(set(found.ids)) == budget
        assert found.ids[0] == choose(selector, 1, tmp_path).ids[0]
        assert found.facts["cluster_winners_left_out"] == max(0, 5 - budget)
        assert found.facts["n1"] + found.facts["rows_added_by_clusters"] == budget
    assert choose(selector, "10%", tmp_path).ids == choose(selector, 6, tmp_path).ids


def test_a_given_n1_that_does_not_reach_the_budget_says_so(tmp_path: Path) -> None:
    """The paper's fixed n1 and n2 have a size of their own; the shortfall is declared with its numbers."""
    found = choose(Car(longest(), embedder=TINY, n1=20), 40, tmp_path)
    added = len(found.ids) - 20
    assert found.selection.shortfall == (
        f"n1 = 20 and n2 = 1 reach no more: of the 5 best rows of their clusters {added} are not among the top 20"
    )
    assert choose(Car(longest(), embedder=TINY, n1=20), 20, tmp_path).facts["rows_changed_by_diversity"] == 0
    with pytest.raises(UsageError, match="n1 of car is 20, more than the budget of 19: lower it, or leave it out"):
        choose(Car(longest(), embedder=TINY, n1=20), 19, tmp_path)


def test_ties_go_to_the_smaller_id_and_the_order_of_the_pool_changes_nothing(tmp_path: Path) -> None:
    """Scores are compared as they are: the paper's 0.01 belongs to its accuracy, not to its ranking."""
    selector = Car(longest(), embedder=TINY)
    first = choose(selector, 20, tmp_path)
    turned = select(Pool.from_examples(rows()[::-1], name="things"), selector, 20, store=Store(tmp_path / "other"))
    assert first.ids == turned.ids
    scores = first.selection.scores
    assert list(first.ids) == sorted(first.ids, key=lambda row_id: (-scores[row_id], row_id))


def test_low_scores_first_where_the_scorer_says_so(tmp_path: Path) -> None:
    """A scorer whose small numbers are good is turned round."""
    shortest = build("selector", "shortest", {"unit": "words"})
    found = choose(Car(shortest, embedder=TINY), 12, tmp_path)  # type: ignore[arg-type]
    wanted = plain(pool(), {row.id: -float(len(row.response.split())) for row in pool()}, 0)
    assert set(wanted) <= set(found.ids)


@dataclass
class Some(Scorer):
    """Scores the rows of even number alone, by that number."""

    name = "some"

    def score(self, pool: Pool, ctx: Context) -> Iterator[RowScore]:
        """Half of the rows."""
        for row in pool:
            number = int(row.id[1:])
            yield RowScore.excluded("odd") if number % 2 else RowScore(float(number))


def test_rows_without_a_score_take_no_part(tmp_path: Path) -> None:
    """They are neither chosen nor clustered, and a budget that needs them is not filled."""
    found = choose(Car(Some(), embedder=TINY), 40, tmp_path)
    assert sorted(found.ids) == [f"r{n:03}" for n in range(0, 60, 2)]
    assert found.selection.shortfall == "30 of 60 rows have no score under some"
    assert choose(Car(Some(), embedder=TINY), 10, tmp_path).facts["clusters"] == math.isqrt(15)


@pytest.mark.parametrize("count", [1, 2, 3, 7])
def test_small_pools(count: int, tmp_path: Path) -> None:
    """One cluster at least; one row can be had from one row."""
    for budget in range(1, count + 1):
        assert len(choose(Car(longest(), embedder=TINY), budget, tmp_path, pool(count)).ids) == budget


def test_a_pool_of_copies(tmp_path: Path) -> None:
    """Thirty rows of two texts: fewer clusters than asked for, said in a note, and the budget is exact."""
    copies = [Example(f"c{n:02}", "Same.", response="one" if n % 2 else "one two") for n in range(30)]
    found = choose(Car(longest(), embedder=TINY, clusters=6), 9, tmp_path, Pool.from_examples(copies, name="copies"))
    assert len(found.ids) == 9
    assert found.facts["clusters"] == 2
    assert "car: 2 clusters instead of 6, since no more rows differ" in found.facts["notes"]
    assert "c01" in found.ids  # the best of the worse half is its cluster's winner
    assert found.facts["rows_changed_by_diversity"] == 1


def test_awkward_rows_are_survived(estimator: str, tmp_path: Path) -> None:
    """Empty, blank, very long, duplicated and non-Latin rows, and control characters."""
    found = choose(Car(Iqs(estimator), embedder=TINY), 8, tmp_path, awkward_pool())
    assert len(found.ids) == 8


@pytest.mark.parametrize(
    ("parameters", "sentence"),
    [
        ({"clusters": 61}, "clusters of car is 61, more than the 60 rows of pool 'things': ask for fewer, or leave"),
        ({"clusters": 0}, "clusters of car is a whole number from 1 on, not 0"),
        ({"n2": 0}, "n2 of car is a whole number from 1 on, not 0"),
        ({"n1": -1}, "n1 of car is a whole number from 0 on, not -1"),
        ({"n_init": 0}, "n_init of car is a whole number from 1 on, not 0"),
        ({"random_state": -1}, "random_state of car is a whole number from 0 on, not -1"),
        ({"variance": 0.0}, "variance of car is a share above 0 and up to 1, not 0"),
        ({"variance": 1.5}, "variance of car is a share above 0 and up to 1, not 1.5"),
    ],
)
def test_numbers_that_make_no_sense_are_refused(parameters: dict[str, float], sentence: str, tmp_path: Path) -> None:
    """Before anything is scored or embedded."""
    with pytest.raises(UsageError, match=sentence):
        choose(Car(longest(), embedder=TINY, **parameters), 5, tmp_path)  # type: ignore[arg-type]
    assert not list((tmp_path / "store").rglob("*.parquet"))


def test_embeddings_that_are_no_numbers_are_refused(tmp_path: Path) -> None:
    """An embedder with damaged weights: one sentence, nothing chosen."""
    from safetensors.torch import load_file, save_file

    folder = tmp_path / "broken"
    shutil.copytree(resolve(TINY).path, folder)
    weights = load_file(folder / "model.safetensors")
    weights["model.norm.weight"][0] = float("nan")
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(DataError, match="NaN or infinity") as caught:
        choose(Car(longest(), embedder=str(folder)), 5, tmp_path)
    assert "\n" not in str(caught.value)


def test_embeddings_and_scores_are_made_once(tmp_path: Path) -> None:
    """Other budgets, other numbers of clusters, another scorer: the embeddings are those in the store."""
    selectors = [
        Car(longest(), embedder=TINY),
        Car(longest(), embedder=TINY, clusters=3, n2=2),
        Car(longest(unit="characters"), embedder=TINY),
    ]
    for selector in selectors:
        for budget in (5, 20):
            choose(selector, budget, tmp_path)
    stages = [json.loads(path.read_text("utf-8"))["stage"] for path in (tmp_path / "store").rglob("manifest.json")]
    assert (stages.count("embeddings"), stages.count("scores")) == (1, 2)


def test_template_and_length_change_what_is_embedded(tmp_path: Path) -> None:
    """Each of the named settings leads to other clusters on rows where it matters."""
    wanted = choose(Car(longest(), embedder=TINY), 12, tmp_path)
    others = [Car(longest(), embedder=TINY, template="omit-empty-input"), Car(longest(), embedder=TINY, variance=0.5)]
    for other in others:
        assert choose(other, 12, tmp_path).key.digest != wanted.key.digest
    assert choose(others[1], 12, tmp_path).facts["components"] < wanted.facts["components"]


def test_from_yaml_any_scorer_ranks() -> None:
    """A mapping with a name, as a spec has it, also of another package where it is installed."""
    built = build("selector", "car", {"scorer": {"name": "longest", "unit": "words"}, "embedder": TINY})
    assert built == Car(longest(), embedder=TINY)
    if importlib.util.find_spec("selkit_ifd"):
        nested = build("selector", "car", {"scorer": {"name": "ifd", "ratio": "perplexity"}, "embedder": TINY})
        assert nested.parameters()["scorer"]["ratio"] == "perplexity"


def test_ifd_ranks_for_car(tmp_path: Path) -> None:
    """A score of another package, read by this one's clustering."""
    pytest.importorskip("selkit_ifd")
    ifd = build("selector", "ifd", {"model": TINY, "bound": "none", "pre_experience": "none"})
    ranked = select(sample_pool(), ifd, 30, store=Store(tmp_path / "store"))
    found = choose(Car(ifd, embedder=TINY), 10, tmp_path, sample_pool())  # type: ignore[arg-type]
    assert found.selection.scores == {row_id: ranked.selection.scores[row_id] for row_id in found.ids}


def test_asked_directly_it_refuses_more_rows_than_there_are(tmp_path: Path) -> None:
    """As the host does, before it asks anything of the context."""
    with pytest.raises(BudgetError):
        Car(longest(), embedder=TINY).select(pool(), Budget(count=61), None)  # type: ignore[arg-type]


@pytest.mark.slow
def test_the_report_says_how_many_rows_the_clusters_changed(tmp_path: Path) -> None:
    """A small experiment from a spec, to its report."""
    pytest.importorskip("sacrebleu")
    scorer = {"name": "longest", "unit": "words"}
    spec = {
        "name": "tiny",
        "pools": [{"name": "planted", "source": {"name": "planted", "rows": 120}}],
        "model": "tiny:words?hidden=32&layers=1",
        "recipe": {"preset": "quickstart", "max_steps": 2, "batch_size": 8},
        "selectors": ["random", {"name": "car", "parameters": {"scorer": scorer, "embedder": TINY}}],
        "budgets": [10],
        "runs": {"random": 1, "default": 1},
        "testsets": {"planted": {"prompts": 4, "max_new_tokens": 4}},
        "threads": 1,
    }
    (tmp_path / "spec.yaml").write_text(json.dumps(spec), "utf-8")
    command = [sys.executable, "-m", "selkit", "run", str(tmp_path / "spec.yaml"), "-q", "-o", str(tmp_path / "out")]
    environment = os.environ | {"SELKIT_STORE": str(tmp_path / "store")}
    subprocess.run(command, env=environment, check=True, timeout=600)
    line = next(
        line
        for line in (tmp_path / "out/report/report.md").read_text("utf-8").splitlines()
        if "rows changed by diversity" in line
    )
    document = json.loads((tmp_path / "out/report/report.json").read_text("utf-8"))
    facts = next(row["facts"] for row in document["selections"] if row["arm"] == "car")
    assert f"rows changed by diversity: {facts['rows_changed_by_diversity']}" in line
    assert facts["rows_changed_by_diversity"] > 0
