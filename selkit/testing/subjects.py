"""What checks work on: a component with all it takes to run it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TypeVar

from selkit.api import (
    BaseSelector,
    Budget,
    ChatReply,
    Comparison,
    Component,
    Context,
    Embeddings,
    Judgement,
    PairwiseJudge,
    Pool,
    Pooling,
    PromptJudge,
    RowScore,
    Scorer,
    Selection,
    Selector,
    SelkitError,
)
from selkit.models import HostContext
from selkit.plugins import check_requirements, missing_requirements
from selkit.select import Arms, Recipe, SelectionResult, Training, select
from selkit.select.embedding import stored_embeddings
from selkit.select.engine import fill_models
from selkit.select.training import nested
from selkit.store import Store
from selkit.testing.chat import ScriptedChat
from selkit.testing.comparisons import sample_comparisons
from selkit.testing.pools import sample_pool

T = TypeVar("T")


@dataclass
class Subject(ABC):
    """A component under test.

    Args:
        component: The component.
        folder: An empty folder for everything that the host and the component write.
        refusal: Why the component cannot run on what it was given, where a trial run has shown it.
    """

    component: Component
    folder: Path
    refusal: SelkitError | None = field(default=None, kw_only=True)

    @property
    @abstractmethod
    def kind(self) -> str:
        """'selector', 'judge' or 'benchmark'."""

    @abstractmethod
    def run(self) -> None:
        """Runs the component once on its sample data."""

    @abstractmethod
    def ways(self) -> list[str]:
        """What can be given to the checks of such a component: under pytest, and as an option of the command."""

    def try_out(self) -> None:
        """Makes sure that what the component needs is installed, and runs it once."""
        check_requirements(self.component)
        self.run()

    def new_folder(self) -> Path:
        """A folder that nothing else uses, so that no run finds what another one stored."""
        self._folders = getattr(self, "_folders", 0) + 1
        folder = self.folder / f"run-{self._folders}"
        folder.mkdir(parents=True)
        return folder

    def libraries(self) -> tuple[str, ...]:
        """Import names of the packages that the component needs."""
        return type(self.component).requires

    def cannot_run(self) -> str:
        """Why the component cannot run on this machine or on what it was given; empty where it can."""
        missing = missing_requirements(type(self.component))
        if missing:
            return f"it needs {' and '.join(missing)}, not installed here"
        return str(self.refusal or "")

    def _parameters(self) -> list[str]:
        """The way to give parameters, where the component has any."""
        return ["its parameters (-p KEY=VALUE)"] if fields(self.component) else []  # type: ignore[arg-type]


@dataclass
class SelectorSubject(Subject):
    """A selector under test.

    Args:
        component: The selector.
        folder: An empty folder.
        pool: A pool that the selector can work on, of at least 10 rows.
        base_model: Reference of the model that fills its unset model parameters.
        arms: The other arms, where the selector compares itself with them.
    """

    component: BaseSelector
    pool: Pool = field(default_factory=sample_pool)
    base_model: str | None = None
    arms: Arms | None = None

    @property
    def kind(self) -> str:
        """'selector'."""
        return "selector"

    @property
    def third(self) -> int:
        """A budget of a third of the pool."""
        return len(self.pool) // 3

    def run(self) -> None:
        """Chooses a third of the pool."""
        self.choose(self.third)

    def ways(self) -> list[str]:
        """Parameters, a base model and other arms where they are of use, and a pool."""
        parts = list(nested(self.component))
        model = any(part.model_parameters() or part.trainings() for part in parts)
        others = any(part.after_others for part in parts)
        return [
            *self._parameters(),
            *(["a base_model (--model REF)"] if model else []),
            *(["other arms (--arm NAME=FILE)"] if others else []),
            "a pool (--pool FILE)",
        ]

    def choose(self, budget: int, *, pool: Pool | None = None, seed: int = 0) -> Selection:
        """What the host's own engine makes of the selector, with a store of its own."""
        return self.result(budget, pool=pool, seed=seed).selection

    def result(
        self, budget: int, *, pool: Pool | None = None, seed: int = 0, store: Store | None = None
    ) -> SelectionResult:
        """The same with all that the host knows of it; in ``store``, where one is given."""
        store = Store(self.new_folder()) if store is None else store
        return select(
            self.pool if pool is None else pool,
            self.component,
            budget if self.component.sized else None,
            seed=seed,
            store=store,
            base_model=self.base_model,
            arms=self.arms,
            training=training_in(store),
        )

    def directly(self, work: Callable[[BaseSelector, Pool, Context], T], *, pool: Pool | None = None) -> T:
        """What ``work`` returns for the selector, a pool and the context that the host's engine makes."""
        component = fill_models(self.component, self.base_model)
        found: list[T] = []

        def inside(pool: Pool, ctx: Context) -> None:
            check_requirements(component)
            component.preflight(pool, ctx)
            found.append(work(component, pool, ctx))

        store = Store(self.new_folder())
        select(
            self.pool if pool is None else pool,
            _Inside(inside, component),
            store=store,
            base_model=self.base_model,
            arms=self.arms,
            training=training_in(store),
        )
        return found[0]

    def scores(self, *, pool: Pool | None = None) -> list[RowScore]:
        """What a scorer says of each row of a pool, in its order."""
        return self.directly(lambda scorer, rows, ctx: scored(scorer, rows, ctx), pool=pool)


@dataclass
class JudgeSubject(Subject):
    """A judge under test.

    Args:
        component: The judge.
        folder: An empty folder.
        comparisons: Comparisons that the judge can judge, with different responses.
        completions: For a judge that is a prompt: answers of its model, each with the preference it stands for.
    """

    component: PairwiseJudge
    comparisons: Sequence[Comparison] = field(default_factory=sample_comparisons)
    completions: Sequence[tuple[str | ChatReply, float]] = ()

    @property
    def kind(self) -> str:
        """'judge'."""
        return "judge"

    def run(self) -> None:
        """Judges the sample comparisons."""
        self.judge(self.comparisons)

    def ways(self) -> list[str]:
        """Parameters, comparisons, and completions of a prompt's model."""
        prompt = isinstance(self.component, PromptJudge)
        return [
            *self._parameters(),
            "comparisons (--comparisons FILE)",
            *(["completions (--completions FILE)"] if prompt else []),
        ]

    def judge(self, comparisons: Sequence[Comparison], chat: ScriptedChat | None = None) -> list[Judgement]:
        """What the judge says of these comparisons; a chat endpoint answers with the first of ``completions``."""
        return list(self.component.compare(comparisons, self.context(chat)))

    def context(self, chat: ScriptedChat | None = None) -> HostContext:
        """A context of the host whose chat endpoints are all ``chat``."""
        answer = self.completions[0][0] if self.completions else "no completion was given"
        chosen = chat or ScriptedChat(answer)
        return HostContext(seed=0, cache_dir=self.new_folder(), chat_service=lambda endpoint: chosen)


def scored(scorer: BaseSelector, pool: Pool, ctx: Context) -> list[RowScore]:
    """A scorer's scores of ``pool``, bare numbers wrapped."""
    assert isinstance(scorer, Scorer)
    return [as_row_score(score) for score in scorer.score(pool, ctx)]


def as_row_score(score: float | RowScore) -> RowScore:
    """A score as a :class:`RowScore`; NaN stays NaN."""
    return score if isinstance(score, RowScore) else RowScore(float(score))


@dataclass(init=False)
class _Inside(Selector):
    """Chooses nothing and runs a function with the context that the engine hands to selectors."""

    name = "conformance-probe"
    seeded = False
    sized = False

    def __init__(self, work: Callable[[Pool, Context], None], component: BaseSelector) -> None:
        self._work = work
        self._trainings = tuple(training for part in nested(component) for training in part.trainings())

    def trainings(self) -> tuple[tuple[Recipe, str | None], ...]:
        return self._trainings

    def select(self, pool: Pool, budget: Budget, ctx: Context) -> Selection:
        self._work(pool, ctx)
        return Selection(())


def training_in(store: Store) -> Training:
    """What serves the trainings of components, with its results in ``store``."""
    from selkit.experiment.selection.training import ComponentTraining

    return ComponentTraining(store)


def make_context(folder: Path, *, seed: int = 0, pool: Pool | None = None) -> Context:
    """A context of the host for an author's own tests; it writes below ``folder``."""

    def embed(ctx: Context, texts: Mapping[str, str], ref: str, pooling: Pooling, max_length: int | None) -> Embeddings:
        store = Store(folder / "store")
        return stored_embeddings(texts, ref, pooling=pooling, max_length=max_length, ctx=ctx, store=store)[0]

    return HostContext(seed=seed, cache_dir=folder, pool=pool, embeddings_service=embed)


def ids_of(rows: Iterable[Comparison]) -> list[tuple[str, str]]:
    """Id and order of each comparison."""
    return [(row.id, row.order) for row in rows]
