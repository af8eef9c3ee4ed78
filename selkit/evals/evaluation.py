"""A model, or stored outputs, on benchmarks: every metric with its error."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa

from selkit import __version__
from selkit.api import RAW, BaseBenchmark, DataError, PromptTemplate
from selkit.evals.data import departures, read_rows, rows_digest
from selkit.evals.groups import endpoints, leaves, walk
from selkit.evals.harness import (
    BenchmarkJob,
    benchmark_items,
    benchmark_key,
    item_table,
    read_items,
    run_benchmark,
)
from selkit.evals.outputs import StoredOutputs, outputs_lm, read_outputs
from selkit.evals.room import POLICY
from selkit.evals.summary import Metric, primary_of, summaries
from selkit.models import has_chat_template, prompt_template, resolve
from selkit.models.engines import Engine, TextModel, engine_of
from selkit.models.templates import CHAT
from selkit.store import Store

SCHEMA_VERSION = 1
"""Version of the JSON form of an evaluation."""


@dataclass(frozen=True)
class Subject:
    """What is evaluated: a model under a template, or stored outputs.

    Args:
        name: What tables call it.
        digest: Digest of the weights, or of the file.
        template: What formats its prompts; RAW for stored outputs.
        outputs: The stored outputs; None for a model.
        partial: Whether rows without a stored output are left out.
        note: What a reader must know of the template.
        engine: What runs the model; None for stored outputs.
    """

    name: str
    digest: str
    template: PromptTemplate
    outputs: StoredOutputs | None = None
    partial: bool = False
    note: str = ""
    engine: Engine | None = None

    def model(self) -> TextModel:
        """The model, ready to be asked."""
        return (self.engine or engine_of()).open(self.name)


def model_subject(ref: str, template: str | None = None, engine: Engine | None = None) -> Subject:
    """A model under a template: the named one, else that of its training, else its own chat template.

    Args:
        ref: Reference of the model, or the name of a served one.
        template: Name of the template.
        engine: What runs the model, by default what :func:`selkit.models.engines.engine_of` takes.

    Raises:
        DataError: There is no such model.
        UsageError: There is no such template, or none was named and the model brings none.
        MissingExtra: What the engine needs is not installed.
    """
    engine = engine or engine_of()
    engine.check(ref)
    if engine.name == "openai":
        return Subject(ref, engine.digest(ref), engine.template(template or CHAT, ref), engine=engine)
    folder = resolve(ref)
    trained = _trained_with(folder.path)
    name = template or trained.get("name") or (CHAT if has_chat_template(folder.path) else "alpaca")
    chosen = prompt_template(name, ref)
    return Subject(ref, folder.digest, chosen, note=_template_note(ref, trained, chosen), engine=engine)


def outputs_subject(path: Path, *, partial: bool = False) -> Subject:
    """Stored outputs. Raises DataError where the file is no good."""
    outputs = read_outputs(path, partial=partial)
    return Subject(str(path), outputs.digest, RAW, outputs, partial)


def subject(ref: str, template: str | None = None, *, partial: bool = False, engine: Engine | None = None) -> Subject:
    """A file of outputs or a model, whichever the reference names."""
    return outputs_subject(Path(ref), partial=partial) if Path(ref).is_file() else model_subject(ref, template, engine)


@dataclass(frozen=True)
class Plan:
    """The benchmarks of an evaluation; by label their checked jobs, and how their rows differ from the declared."""

    benchmarks: tuple[BaseBenchmark, ...]
    jobs: Mapping[str, BenchmarkJob]
    departures: Mapping[str, list[str]] = field(default_factory=dict)


def plan_benchmarks(
    benchmarks: Sequence[BaseBenchmark],
    *,
    data: Path | None = None,
    sample: int | Literal["all"] | None = None,
    seed: int = 0,
    max_new_tokens: int | None = None,
) -> Plan:
    """Finds and checks the rows of every benchmark; see :func:`selkit.evals.endpoints` for the arguments."""
    jobs: dict[str, BenchmarkJob] = {}
    for benchmark in benchmarks:
        found = endpoints(benchmark, data, sample=sample, seed=seed, max_new_tokens=max_new_tokens)
        for job in (job for endpoint in found for job in endpoint.jobs):
            if jobs.setdefault(job.benchmark.label, job) != job:
                raise DataError(
                    f"benchmark {job.benchmark.label!r} is asked for twice with different settings: take one at a time"
                )
    return Plan(tuple(benchmarks), jobs, {label: departures(job.benchmark, job.data) for label, job in jobs.items()})


@dataclass(frozen=True)
class Evaluation:
    """The items of a subject by benchmark, and their means.

    Args:
        subject: What was evaluated.
        items: Items of each benchmark, by label.
        metrics: The metrics of benchmarks and groups, by label.
        remarks: What a reader must know, by label.
    """

    subject: Subject
    items: Mapping[str, pa.Table]
    metrics: Mapping[str, Mapping[str, Metric]]
    remarks: Mapping[str, list[str]]


def evaluate(plan: Plan, subject: Subject, store: Store, *, threads: int) -> Evaluation:
    """Runs what is not stored yet.

    Args:
        plan: The benchmarks.
        subject: The model or outputs.
        store: Where items are kept.
        threads: Threads that a model computes with.

    Raises:
        DataError: Rows and outputs do not fit.
        MissingExtra: What a benchmark needs is not installed.
    """
    found = {label: _items(job, subject, store, threads) for label, job in plan.jobs.items()}
    items = {label: table for label, (table, _) in found.items()}
    metrics: dict[str, dict[str, Metric]] = {}
    remarks: dict[str, list[str]] = {}
    for benchmark in plan.benchmarks:
        metrics |= summaries(benchmark, items)
        for leaf in leaves(benchmark):
            said = leaf.remarks({m: metric.value for m, metric in metrics[leaf.label].items()})
            remarks[leaf.label] = [*said, *_cut_remark(items[leaf.label]), *found[leaf.label][1]]
    return Evaluation(subject, items, metrics, {label: said for label, said in remarks.items() if said})


def _items(job: BenchmarkJob, subject: Subject, store: Store, threads: int) -> tuple[pa.Table, list[str]]:
    """The items of a benchmark, and what a reader must know of the stored outputs behind them."""
    if subject.outputs is None:
        engine = subject.engine or engine_of()
        key = benchmark_key(job, subject.digest, subject.template, threads, engine)
        return read_items(run_benchmark(job, key, subject.model, subject.template, store, engine.together)), []
    # Texts are scored in seconds, and what does not fit must be said each time: they do not go through the store.
    lm = outputs_lm(subject.outputs, subject.partial, job.benchmark)
    return item_table(job.benchmark, benchmark_items(job, lm)), lm.remarks()


def truncated(items: pa.Table) -> int:
    """Items whose question lost its beginning."""
    return int(sum(items["truncated"].to_pylist()))


def _cut_remark(items: pa.Table) -> list[str]:
    count = truncated(items)
    said = f"{count} of {items.num_rows} questions were longer than the model's context and lost their beginning"
    return [said] if count else []


def refuse_unused(plan: Plan, subject: Subject) -> None:
    """Refuses stored outputs that nothing asked for, unless a part of the rows was drawn or ``partial`` says so.

    Raises:
        DataError: There are some.
    """
    if subject.outputs is not None and not subject.partial and _whole(plan):
        subject.outputs.refuse_unused()


def _whole(plan: Plan) -> bool:
    return all(job.sample is None for job in plan.jobs.values())


def document(plan: Plan, evaluation: Evaluation) -> dict[str, Any]:
    """The evaluation for JSON: ``benchmarks.NAME.metrics.METRIC.{value,se,n}``, groups beside their members."""
    return {
        "schema_version": SCHEMA_VERSION,
        "selkit": __version__,
        "subject": subject_of(evaluation),
        "left_out": _left_out(plan, evaluation.subject),
        "truncation": POLICY,
        "benchmarks": {
            one.label: _benchmark(one, plan, evaluation) for whole in plan.benchmarks for one in walk(whole)
        },
    }


def _left_out(plan: Plan, subject: Subject) -> list[str]:
    """Stored outputs that ``partial`` left aside, as clauses; those outside a draw are no matter."""
    return subject.outputs.left_out() if subject.outputs and _whole(plan) else []


def _benchmark(benchmark: BaseBenchmark, plan: Plan, evaluation: Evaluation) -> dict[str, Any]:
    job = plan.jobs.get(benchmark.label)
    drawn = {"sample": job.sample, "seed": job.seed, "published_rows": job.benchmark.size} if job else {}
    return {
        "metrics": {name: metric.as_dict() for name, metric in evaluation.metrics[benchmark.label].items()},
        "primary": primary_of(benchmark),
        "remarks": evaluation.remarks.get(benchmark.label, []),
        **({"data": _data(job, plan)} if job else {}),
        **({"truncated": truncated(evaluation.items[benchmark.label])} if job else {}),
        **drawn,
    }


def _data(job: BenchmarkJob, plan: Plan) -> dict[str, Any]:
    """What is known of the rows: the digest of every split, the declared one where there is one, and differences."""
    benchmark = job.benchmark
    splits = {
        split: {
            "digest": rows_digest(read_rows(path), benchmark.columns),
            "declared_digest": benchmark.digests.get(split),
        }
        for split, path in job.data.items()
    }
    return {"splits": splits, "departures": list(plan.departures.get(benchmark.label, []))}


def subject_of(evaluation: Evaluation) -> dict[str, Any]:
    """What was evaluated, for JSON."""
    subject = evaluation.subject
    template = {"name": subject.template.name, "digest": subject.template.digest}
    return {
        "name": subject.name,
        "digest": subject.digest,
        "template": None if subject.outputs else template,
        "engine": None if subject.outputs else (subject.engine or engine_of()).name,
        "note": subject.note,
    }


def _trained_with(folder: Path) -> dict[str, str]:
    """Name and digest of the template that selkit's training recorded beside the weights; empty where it did not."""
    record = folder / "training.json"
    if not record.is_file():
        return {}
    return json.loads(record.read_text("utf-8")).get("template") or {}


def _template_note(ref: str, trained: Mapping[str, str], chosen: PromptTemplate) -> str:
    """What to warn of where a model is asked under another template than it was trained with; empty otherwise."""
    name, digest = trained.get("name"), trained.get("digest")
    if name and name != chosen.name:
        return f"{ref} was trained with the template {name}, not {chosen.name}"
    if digest and digest != chosen.digest:
        return f"{ref} was trained with another version of the template {chosen.name} than it is asked under now"
    return ""
