"""`selkit eval`: a model or stored outputs on benchmarks and on judged test sets, checked first, then run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from selkit.api import BaseBenchmark, PairwiseJudge, UnknownComponent, UsageError
from selkit.evals.against import against_baseline, against_seeds
from selkit.evals.evaluation import (
    Evaluation,
    Plan,
    Subject,
    document,
    evaluate,
    model_subject,
    outputs_subject,
    plan_benchmarks,
    refuse_unused,
    subject,
)
from selkit.experiment.evaluation.duels import (
    REFERENCE,
    Answers,
    JudgedTestSet,
    answers_of,
    check_duels,
    generation,
    judge_duel,
    plan_testset,
    reference_answers,
)
from selkit.experiment.evaluation.winrates import WIN_RATE, Judged, judged
from selkit.models import default_threads
from selkit.models.client import ChatService
from selkit.models.engines import Engine, engine_of
from selkit.plugins import build, did_you_mean
from selkit.pools.testsets import SIZES, is_testset
from selkit.store import Store


@dataclass(frozen=True)
class Request:
    """What a person asks `selkit eval` for.

    Args:
        names: Benchmarks, groups and test sets.
        model: Reference of the model, or the name of a served one; None with ``responses``.
        responses: File of stored outputs, in place of a model.
        partial: Whether rows without a stored output are left out.
        baseline: A model, a file of outputs, or 'reference' (a test set's own answers).
        seeds_of: Models, or files of outputs, of several random seeds.
        judge: Name of the judge of test sets.
        parameters: Its parameters.
        engine: Name of what runs models, see :func:`selkit.models.engines.engine_of`.
        template: Name of the template; None takes that of the model's training.
        data: Folder of local rows.
        sample: Rows of each benchmark and test set.
        seed: Seed of the draw, and of what is resampled.
        max_new_tokens: Longest answer, in tokens.
    """

    names: Sequence[str]
    model: str | None = None
    responses: str | None = None
    partial: bool = False
    baseline: str | None = None
    seeds_of: Sequence[str] = ()
    judge: str | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)
    engine: str | None = None
    template: str | None = None
    data: Path | None = None
    sample: int | Literal["all"] | None = None
    seed: int = 0
    max_new_tokens: int | None = None


@dataclass(frozen=True)
class EvalJob:
    """A checked evaluation; made by :func:`prepare_evaluation`.

    Args:
        request: What was asked for.
        plan: The benchmarks.
        testsets: The test sets.
        judge: Their judge; None where there are none.
        mine: What is evaluated.
        other: The baseline; None where there is none, or where it is the test sets' own answers.
        seeds: Models of several seeds.
    """

    request: Request
    plan: Plan
    testsets: tuple[JudgedTestSet, ...]
    judge: PairwiseJudge | None
    mine: Subject
    other: Subject | None
    seeds: tuple[Subject, ...]

    @property
    def subjects(self) -> tuple[Subject, ...]:
        """Everything that answers, the evaluated one first."""
        return (self.mine, *([self.other] if self.other else []), *self.seeds)


@dataclass(frozen=True)
class Done:
    """A finished evaluation: its JSON ``document``, the items of benchmarks, and the judged test sets by name."""

    document: dict[str, Any]
    plan: Plan
    evaluation: Evaluation
    judged: Mapping[str, Judged]


def prepare_evaluation(request: Request, store: Store, chat: ChatService) -> EvalJob:
    """Checks everything that can be checked before a model loads or a judge is asked.

    Raises:
        SelkitError: Whatever would stop the evaluation later and can be known now.
    """
    if (request.model is None) == (request.responses is None):
        raise UsageError("name either a MODEL or stored outputs with --responses")
    names = list(dict.fromkeys(request.names))
    testsets = [name for name in names if is_testset(name, request.data)]
    _check_asked(request, testsets, benchmarks=len(testsets) < len(names))
    # what a person named is looked up before data are read: a misspelt name is the first thing to say
    benchmarks = [find_benchmark(name) for name in names if name not in testsets]
    judge = _judge(request) if testsets else None
    settings: dict[str, Any] = {
        "data": request.data,
        "seed": request.seed,
        "max_new_tokens": request.max_new_tokens,
    }
    plan = plan_benchmarks(benchmarks, sample=request.sample, **settings)
    part = request.sample if isinstance(request.sample, int) else None
    planned = tuple(plan_testset(name, judge, sample=part, **settings) for name in testsets) if judge else ()
    engine = engine_of(request.engine, service=chat)
    mine = (
        model_subject(request.model, request.template, engine)
        if request.model
        else outputs_subject(Path(str(request.responses)), partial=request.partial)
    )
    named = [request.baseline] if request.baseline not in (None, REFERENCE) else []
    other, *_ = _subjects(request, named, engine) or (None,)
    job = EvalJob(request, plan, planned, judge, mine, other, tuple(_subjects(request, request.seeds_of, engine)))
    _check_duels(job, store, chat)
    return job


def run_evaluation(job: EvalJob, store: Store, chat: ChatService) -> Done:
    """Runs what is not stored yet: answers, then benchmarks, then judging.

    Raises:
        DataError: Rows and outputs do not fit.
        MissingExtra: What a benchmark needs is not installed.
    """
    theirs = {one.label: _baseline(job, one, store) for one in job.testsets}
    own = {subject.name: {one.label: answers_of(one, subject, store) for one in job.testsets} for subject in _own(job)}
    finished = _evaluated(job, job.mine, store)
    found = document(job.plan, finished)
    if any(testset.sample is not None for testset in job.testsets):
        found["left_out"] = []  # responses outside a draw are no matter
    if job.other:
        baseline = _evaluated(job, job.other, store)
        found |= {"baseline": against_baseline(job.plan, finished, baseline)} if job.plan.jobs else {}
    runs = [_evaluated(job, one, store) for one in job.seeds]
    duels = {
        subject.name: dict(_judged(job, own[subject.name], theirs, store, chat)) for subject in (job.mine, *job.seeds)
    }
    mine = duels[job.mine.name]
    found["benchmarks"] |= {label: {"baseline": _named(job), **one.to_dict()} for label, one in mine.items()}
    if job.seeds:
        primaries = {label: one.benchmark.primary for label, one in job.plan.jobs.items()}
        primaries |= dict.fromkeys(mine, WIN_RATE)
        every = [replace(one, items={**one.items, **_tables(duels[one.subject.name])}) for one in (finished, *runs)]
        found["seeds"] = against_seeds(primaries, every[0], every[1:])
    return Done(found, job.plan, finished, mine)


def _check_asked(request: Request, testsets: Sequence[str], *, benchmarks: bool) -> None:
    """Whether a judge and a baseline were named where test sets are to be judged, and nowhere else."""
    if testsets and not (request.judge and request.baseline):
        lacking = [
            words
            for words, given in (("--judge NAME", request.judge), ("--baseline MODEL|FILE|reference", request.baseline))
            if not given
        ]
        raise UsageError(
            f"test set {testsets[0]!r} has no right answers, so its responses are judged against those of a baseline: "
            f"add {' and '.join(lacking)}"
        )
    if request.judge and not testsets:
        raise UsageError(f"a judge is for test sets, and none is named: leave --judge {request.judge} out")
    if request.baseline == REFERENCE and benchmarks:
        raise UsageError("only a test set has answers of its own: name a model or a file as the baseline of benchmarks")


def find_benchmark(name: str) -> BaseBenchmark:
    """The benchmark of that name. Raises UnknownComponent, with the test set that may be meant."""
    try:
        component = build("benchmark", name)
    except UnknownComponent as error:
        if not (near := did_you_mean(name, SIZES)):
            raise
        raise UnknownComponent(f"No benchmark or test set named '{name}'.{near} See: selkit plugins") from error
    assert isinstance(component, BaseBenchmark)
    return component


def _judge(request: Request) -> PairwiseJudge:
    component = build("judge", str(request.judge), request.parameters)
    if not isinstance(component, PairwiseJudge):
        raise UsageError(f"{component.name!r} is not a judge")
    return component


def _subjects(request: Request, refs: Sequence[str | None], engine: Engine) -> list[Subject]:
    return [subject(str(ref), request.template, partial=request.partial, engine=engine) for ref in refs]


def _check_duels(job: EvalJob, store: Store, chat: ChatService) -> None:
    if job.judge is None:
        return
    check_duels(job.judge, chat, store)
    for planned in job.testsets:
        if job.request.baseline == REFERENCE:
            reference_answers(planned)
        for one in job.subjects:
            if one.outputs is None:
                generation(planned, one)


def _baseline(job: EvalJob, planned: JudgedTestSet, store: Store) -> Answers:
    return reference_answers(planned) if job.other is None else answers_of(planned, job.other, store)


def _own(job: EvalJob) -> Iterator[Subject]:
    yield job.mine
    yield from job.seeds


def _evaluated(job: EvalJob, one: Subject, store: Store) -> Evaluation:
    evaluation = evaluate(job.plan, one, store, threads=default_threads())
    if all(testset.sample is None for testset in job.testsets):
        refuse_unused(job.plan, one)
    return evaluation


def _judged(
    job: EvalJob, mine: Mapping[str, Answers], theirs: Mapping[str, Answers], store: Store, chat: ChatService
) -> Iterator[tuple[str, Judged]]:
    for planned in job.testsets:
        assert job.judge is not None
        sides = mine[planned.label], theirs[planned.label]
        result = judge_duel(planned, job.judge, *sides, store, chat)
        yield planned.label, judged(planned, result, *sides, seed=job.request.seed)


def _named(job: EvalJob) -> dict[str, Any]:
    if job.other is None:
        return {"name": REFERENCE}
    return {"name": job.other.name, "digest": job.other.digest}


def _tables(duels: Mapping[str, Judged]) -> dict[str, Any]:
    """The items of judged test sets; one without a verdict has no score to compare."""
    return {label: one.items.filter(one.items[WIN_RATE].is_valid()) for label, one in duels.items()}
