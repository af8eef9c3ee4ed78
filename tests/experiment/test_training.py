"""Training for components: each once, charged to who uses it, and in the keys of what depends on it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("trl")

from selkit.api import Context, Continuation, ContractViolation, Example, Pool, Sampler, Scorer, UsageError
from selkit.experiment.selection.selecting import selection_key
from selkit.experiment.selection.training import ComponentTraining
from selkit.experiment.setup.grid import Arm, Cell
from selkit.models import load_model
from selkit.plugins.builtin.random import Random
from selkit.select import Arms, SelectionResult, score_key, select
from selkit.store import Key, Store, totals

TINY = "tiny:words?hidden=32&layers=1"
RECIPE = {"preset": "quickstart", "max_steps": 2, "batch_size": 4}
ROWS = [Example(f"r{n:02}", f"Add {n} and one.", response=f"three {n}" * (n % 3 + 1)) for n in range(12)]
POOL = Pool.from_examples(ROWS, name="rows")


@pytest.fixture(scope="module", autouse=True)
def _own_models(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Models are built below a folder of these tests; one thread, as the machine of the tests is shared."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SELKIT_CACHE", str(tmp_path_factory.mktemp("models")))
        patch.setenv("SELKIT_DEVICE", "cpu")
        patch.setenv("OMP_NUM_THREADS", "1")
        yield


@dataclass
class Learner(Scorer):
    """Scores with a model trained on the first rows by id."""

    name = "learner"
    models = ("model",)
    requires = ("torch",)

    model: str | None = None
    recipe: Mapping[str, Any] = field(default_factory=lambda: dict(RECIPE))
    rows: int = 4
    scale: float = 1.0
    seen: list[str] = field(default_factory=list, compare=False)

    def trainings(self) -> tuple[tuple[Mapping[str, Any], str | None], ...]:
        """One training."""
        return ((self.recipe, self.model),)

    def parameters(self) -> dict[str, Any]:
        """What the test looked at is no parameter."""
        return {name: value for name, value in super().parameters().items() if name != "seen"}

    def score(self, pool: Pool, ctx: Context) -> Iterable[float]:
        """The mean loss of the response under the trained model."""
        assert ctx.pool is not None
        ref = ctx.train(list(ctx.pool.take(ctx.pool.ids[: self.rows])), self.recipe, self.model)
        self.seen.append(ref)
        for losses in ctx.model(ref).token_losses(Continuation(row.instruction, row.response) for row in pool):
            yield self.scale * losses.mean


def run(selector: Scorer | Sampler, store: Store, pool: Pool = POOL, **options: Any) -> SelectionResult:
    """A choice of three rows with training at hand."""
    return select(pool, selector, 3, store=store, base_model=TINY, training=ComponentTraining(store), **options)


def trained(store: Store) -> list[str]:
    """Digests of the models that the store holds."""
    return [artifact.digest for artifact in store.artifacts(stage="weights")]


def test_a_model_is_trained_once_and_can_be_opened(tmp_path: Path) -> None:
    """Two scorers that differ in something else share it; its reference opens, and its weights are not the base's."""
    store = Store(tmp_path)
    one, other = Learner(), Learner(scale=2.0)
    first, second = run(one, store), run(other, store)
    assert one.seen == other.seen
    assert len(trained(store)) == 1
    assert first.ids == second.ids
    model = load_model(one.seen[0], device="cpu")
    assert model.digest != load_model(TINY, device="cpu").digest


def test_what_training_took_is_in_the_ledger_and_charged(tmp_path: Path) -> None:
    """To the selection that trained, and to one that finds everything in the store."""
    store = Store(tmp_path)
    first, again = run(Learner(), store), run(Learner(), store)
    [weights] = trained(store)
    for result in (first, again):
        assert set(result.spent) >= {weights, result.facts["scores"]}
    spent = totals(store.ledger([weights]))
    assert spent["training.seconds"] > 0
    assert spent["tokens.trained"] > 0


def test_neither_the_order_of_the_rows_nor_the_runs_seed_matters(tmp_path: Path) -> None:
    """Scores serve every seed: the same model, the same bits."""
    one = run(Learner(), Store(tmp_path / "a"))
    turned = Pool.from_examples(ROWS[:4][::-1] + ROWS[4:], name="turned")
    other = run(Learner(), Store(tmp_path / "b"), turned, seed=7)
    assert one.selection == other.selection
    assert trained(Store(tmp_path / "a")) == trained(Store(tmp_path / "b"))


@pytest.mark.slow
def test_other_rows_recipes_and_base_models_are_other_trainings(tmp_path: Path) -> None:
    """Each changes the key of the scores too; so does a preset whose values change under its name."""
    store = Store(tmp_path)
    variants = [Learner(), Learner(rows=5), Learner(recipe={**RECIPE, "max_steps": 3}), Learner(model=TINY + "&seed=3")]
    for variant in variants:
        run(variant, store)
    assert len(set(trained(store))) == len(variants)
    service = ComponentTraining(store)
    named = replace(Learner(model=TINY), recipe={"preset": "quickstart"})
    before = score_key(named, POOL, service)
    with pytest.MonkeyPatch.context() as patch:
        from selkit.train.presets import RECIPES

        patch.setitem(RECIPES, "quickstart", replace(RECIPES["quickstart"], learning_rate=1e-5))
        assert score_key(named, POOL, service) != before
    assert score_key(named, POOL, service) == before


@dataclass
class Trainer(Sampler):
    """Has the experiment's base model trained, which stands in no parameter of it."""

    name = "trainer"

    def trainings(self) -> tuple[tuple[Mapping[str, Any], str | None], ...]:
        """One training of the base model."""
        return ((RECIPE, None),)

    def sample(self, pool: Pool, k: int, ctx: Context) -> list[str]:
        """The first rows."""
        return pool.ids[:k]


@dataclass
class Judged(Scorer):
    """Scores by a model that it has trained from the experiment's base model."""

    name = "judged"

    def trainings(self) -> tuple[tuple[Mapping[str, Any], str | None], ...]:
        """One training of the base model."""
        return ((RECIPE, None),)

    def score(self, pool: Pool, ctx: Context) -> Iterable[float]:
        """No row is better than another."""
        return (0.0 for _ in pool)


def test_what_a_trained_component_leaves_is_kept_apart_by_base_model(tmp_path: Path) -> None:
    """Neither scores nor a selection of one base model are found for another, though no parameter names either."""
    store = Store(tmp_path)
    service, other = ComponentTraining(store), TINY + "&seed=3"
    assert score_key(Judged(), POOL, service, TINY) == score_key(Judged(), POOL, service, TINY)
    assert score_key(Judged(), POOL, service, TINY) != score_key(Judged(), POOL, service, other)
    with pytest.raises(UsageError, match="needs one to start from"):
        score_key(Judged(), POOL, service)
    arm, cell = Arm("trainer", Trainer(), 1), Cell("rows", "3", "trainer", 1)
    keys = [selection_key(arm, cell, POOL, Arms(), service, base) for base in (TINY, other, TINY)]
    assert keys[0] == keys[2] != keys[1]
    results = [select(POOL, Judged(), 3, store=store, base_model=base, training=service) for base in (TINY, other)]
    assert results[0].key != results[1].key
    assert results[0].facts["scores"] != results[1].facts["scores"]


def test_what_models_choose_is_kept_apart_by_device_and_packages(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A GPU's choice is not found on a CPU, nor one of another torch; that of a plain draw is."""
    service = ComponentTraining(Store(tmp_path))
    cell = Cell("rows", "3", "an arm", 1)

    def key(selector: Scorer | Sampler) -> Key:
        return selection_key(Arm("an arm", selector, 1), cell, POOL, Arms(), service, TINY)

    selectors = Learner(model=TINY), Trainer(), Random()
    cpu = [key(one) for one in selectors]
    monkeypatch.setenv("SELKIT_DEVICE", "cuda")
    assert [key(one) == before for one, before in zip(selectors, cpu, strict=True)] == [False, False, True]
    monkeypatch.setenv("SELKIT_DEVICE", "cpu")
    monkeypatch.setattr("selkit.select.keys._version", lambda package: "0")
    assert [key(one) == before for one, before in zip(selectors, cpu, strict=True)] == [False, True, True]


def test_a_sampler_trains_under_its_own_seed(tmp_path: Path) -> None:
    """Its runs are trained apart, and the selection is charged for it."""

    @dataclass
    class Drawn(Sampler):
        name = "drawn"

        def trainings(self) -> tuple[tuple[Mapping[str, Any], str | None], ...]:
            return ((RECIPE, None),)

        def sample(self, pool: Pool, k: int, ctx: Context) -> list[str]:
            ctx.train(ROWS[:4], RECIPE)
            return pool.ids[:k]

    store = Store(tmp_path)
    results = [run(Drawn(), store, seed=seed) for seed in (1, 2, 1)]
    assert len(trained(store)) == 2
    assert results[0].spent == results[2].spent != results[1].spent


def test_a_training_that_was_not_declared_is_refused(tmp_path: Path) -> None:
    """It would be missing in the keys."""

    @dataclass
    class Sly(Learner):
        name = "sly"

        def trainings(self) -> tuple[tuple[Mapping[str, Any], str | None], ...]:
            return ()

    with pytest.raises(ContractViolation, match=r"its trainings\(\) does not name"):
        run(Sly(), Store(tmp_path))

    @dataclass
    class Other(Learner):
        name = "other"

        def trainings(self) -> tuple[tuple[Mapping[str, Any], str | None], ...]:
            return ((self.recipe, TINY + "&seed=3"),)

    with pytest.raises(ContractViolation, match=r"trains 'tiny:.*', which its trainings\(\) does not name"):
        run(Other(), Store(tmp_path))


@pytest.mark.parametrize(
    ("learner", "message"),
    [
        (Learner(recipe={"preset": "no-such"}), "no recipe 'no-such'"),
        (Learner(recipe={**RECIPE, "precision": "bf16"}), "needs a GPU"),
        (Learner(model="nowhere/model"), "nowhere/model"),
    ],
)
def test_what_cannot_be_trained_is_refused_before_any_work(tmp_path: Path, learner: Learner, message: str) -> None:
    """An unknown recipe, one that this machine cannot run, a missing model."""
    with pytest.raises(Exception, match=message):
        run(learner, Store(tmp_path))
    assert learner.seen == []


def test_without_training_or_a_base_model_it_is_one_sentence(tmp_path: Path) -> None:
    """The sentence says where training is to be had."""
    with pytest.raises(UsageError, match="use selkit select or selkit run"):
        select(POOL, Learner(model=TINY), 3, store=Store(tmp_path))
    with pytest.raises(UsageError, match="name one with --model"):
        select(POOL, Learner(), 3, store=Store(tmp_path), training=ComponentTraining(Store(tmp_path)))


def test_scores_of_a_seeded_draw_do_not_leak_into_scores(tmp_path: Path) -> None:
    """A scorer that draws gets the same draws in every run, since its scores are stored for all of them."""

    @dataclass
    class Noisy(Scorer):
        name = "noisy"

        def score(self, pool: Pool, ctx: Context) -> Iterable[float]:
            return np.asarray(ctx.rng.random(len(pool))).tolist()

    first = run(Noisy(), Store(tmp_path / "a"), seed=1)
    assert first.selection == run(Noisy(), Store(tmp_path / "b"), seed=2).selection
