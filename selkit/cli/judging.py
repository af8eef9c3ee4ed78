"""How ``selkit judge`` shows rates, audits and canaries to people and to programs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

from selkit.api import UsageError, WorkFailed
from selkit.console import get_console
from selkit.evals.alpaca_eval import Sides, annotation_records, check_annotations, side_names, write_annotations
from selkit.judge.audit import Audit, Unparsed, agree_files, audit_files
from selkit.judge.canaries import LIMIT
from selkit.judge.pairwise import PairwiseJob, PairwiseResult, check_folder, run_pairwise, write_result
from selkit.judge.passes import item_scores
from selkit.judge.replay import Replay
from selkit.store import Store

MISSING = 0.02
"""Share of comparisons without a verdict above which a note says so (RELIABILITY 1.4)."""

_RATES = {
    "ws": "winning score (WS)",
    "wr": "win rate (WR)",
    "qs": "quality score (QS)",
    "score": "mean score over the orders",
    "first_position_rate": "first-shown response wins",
    "inconsistency": "verdict changes with the order",
    "length_bias": "longer response wins",
    "accuracy_first": "accuracy, order 1, 2",
    "accuracy_second": "accuracy, order 2, 1",
    "accuracy": "accuracy",
    "both_correct": "both orders correct",
    "agreement": "agreement",
    "macro_precision": "macro precision",
    "macro_recall": "macro recall",
    "macro_f1": "macro F1",
    "weighted_f1": "weighted F1",
    "kappa": "Cohen's kappa",
    "pearson": "Pearson's r",
    "unparsed_rate": "passes without a verdict",
    "refusal_rate": "passes refused",
}
"""Words for a rate, in the order of the table."""


@dataclass(frozen=True)
class AnnotationsFile:
    """Where judged comparisons go as AlpacaEval's annotations, and what the sides are called there."""

    path: Path
    sides: Sides

    @classmethod
    def prepare(cls, path: Path, job: PairwiseJob, first: Path, second: Path, *, force: bool) -> AnnotationsFile:
        """Checks before anything is asked that the annotations can be written. Raises DataError where they cannot."""
        annotator = Path(str(job.judge.parameters().get("annotator") or job.judge.name)).name
        sides = Sides(*side_names(first, second), annotator)
        check_annotations(path, annotation_records(job.comparisons, {}, sides), force=force)
        return cls(path, sides)

    def write(self, result: PairwiseResult) -> None:
        """Writes what was judged."""
        scores = item_scores(result.passes)
        write_annotations(self.path, annotation_records(result.job.comparisons, scores, self.sides))


def run_and_show(
    job: PairwiseJob,
    store: Store,
    output: Path | None,
    *,
    annotations: AnnotationsFile | None = None,
    as_json: bool,
    dry_run: bool,
    force: bool,
) -> None:
    """Judges, writes and shows. Raises WorkFailed, after all else, where a canary fooled the judge."""
    if output:
        check_folder(output, job, force=force)
    _tell_unmatched(job.unmatched)
    if dry_run:
        _tell_plan(job, as_json=as_json)
        return
    result = run_pairwise(job, store)
    if output:
        write_result(result, output)
    if annotations:
        annotations.write(result)
    facts = result.to_dict()
    if as_json:
        _print_json(facts)
    else:
        _show_rates(_headline(facts), facts)
    _tell_quality(result, facts)


def _tell_plan(job: PairwiseJob, *, as_json: bool) -> None:
    """What would be asked."""
    asked, canaries = len(job.asked), len(job.canaries_asked)
    if as_json:
        facts = {"judge": job.judge.name, "comparisons": len(job.comparisons), "questions": asked, "canaries": canaries}
        _print_json({**facts, "unmatched": len(job.unmatched), "key": job.key})
        return
    extra = f" and {canaries} about canaries" if job.canaries else ""
    get_console().result(f"would ask {job.judge.name} {asked} questions{extra}, less those answered already")


def show_replay(done: Replay, *, as_json: bool) -> None:
    """Shows a replay: the keys of the documentation as JSON, or a table."""
    facts = done.to_dict()
    if as_json:
        _print_json(facts)
    else:
        _show_rates(_headline(facts), {**facts, "length_bias": done.length.rate})


def show_audit(
    labels: Path | None, verdicts: Sequence[Path], unparsed: Unparsed, column: str | None, *, as_json: bool
) -> None:
    """Shows a judge against labels, or judges against each other.

    Raises:
        UsageError: There are neither labels nor two files of verdicts.
    """
    if labels is None and len(verdicts) < 2:
        raise UsageError("there is nothing to compare the verdicts with: name --labels, or --verdicts a second time")
    audits = {str(path): audit_files(labels, path, unparsed=unparsed, column=column) for path in verdicts if labels}
    agreements = [
        {"first": str(one), "second": str(other), **agree_files(one, other, column=column).to_dict()}
        for one, other in combinations(verdicts, 2)
    ]
    facts = [{"verdicts": name, **done.to_dict()} for name, done in audits.items()]
    if as_json:
        alone = (facts or agreements)[0]
        _print_json(alone if len(facts) + len(agreements) == 1 else {"judges": facts, "agreement": agreements})
        return
    for name, done in audits.items():
        _show_audit(name, done)
    for pair in agreements:
        _show_rates(f"{pair['first']} and {pair['second']}: {pair['n']} comparisons that both judged", pair)


def _show_audit(name: str, done: Audit) -> None:
    facts = done.to_dict()
    counted = {"wrong": "counted as wrong", "tie": "counted as ties", "drop": "left out"}[done.unparsed_as]
    garbage = f", {facts['unparsed']} verdicts unreadable and {counted}" if facts["unparsed"] else ""
    _show_rates(f"{name}: {done.n} comparisons{garbage}", facts)
    rows = [[label, *row] for label, row in zip(("tie", "1", "2"), facts["confusion"], strict=True)]
    get_console().table("labels (rows) and verdicts", ["label", "tie", "1", "2"], rows)
    if facts["annotator_kappa"]:
        kappas = ", ".join("undefined" if kappa is None else f"{kappa:.3f}" for kappa in facts["annotator_kappa"])
        get_console().result(f"kappa of each pair of annotators: {kappas}")
    _tell_left_out(facts)


def _tell_left_out(facts: Mapping[str, Any]) -> None:
    console = get_console()
    for side, count in facts["unmatched"].items():
        if count:
            console.note(f"{count} rows are in the {side.removesuffix('_only')} alone and were left out")
    if facts["without_label"]:
        console.note(f"{facts['without_label']} rows were left out: most annotators agree on no label")


def _headline(facts: Mapping[str, Any]) -> str:
    how = f"{facts['judge']}, rule {facts['rule']}: " if "judge" in facts else ""
    counts = f"{facts['win']} won, {facts['tie']} tied, {facts['lose']} lost, {facts['unparsed']} unparsed"
    return f"{how}{facts['n']} comparisons: {counts}"


def _show_rates(title: str, facts: Mapping[str, Any]) -> None:
    """A table of the rates that there are, each with its interval where it has one, and its bounds."""
    intervals, bounds = facts.get("intervals", {}), facts.get("bounds", {})
    columns = [
        "rate",
        "value",
        *(["95% interval"] if intervals else []),
        *(["bounds"] if facts.get("unparsed") and bounds else []),
    ]
    rows = []
    for name, words in _RATES.items():
        if name in facts:
            spans = [_span(intervals.get(name)), _span(bounds.get(name))]
            rows.append([words, _figure(facts[name]), *([spans[0]] if intervals else []), spans[1]][: len(columns)])
    get_console().table(title, columns, rows)


def _tell_unmatched(unmatched: Sequence[str]) -> None:
    if unmatched:
        shown = ", ".join(unmatched[:3]) + (", ..." if len(unmatched) > 3 else "")
        get_console().note(f"{len(unmatched)} ids are in one file alone and were left out: {shown}")


def _tell_quality(result: PairwiseResult, facts: Mapping[str, Any]) -> None:
    console = get_console()
    if facts["unparsed"] > MISSING * facts["n"]:
        failed = ", ".join(f"{count} {name}" for name, count in facts["outcomes"].items() if name != "ok")
        console.note(f"{facts['unparsed']} of {facts['n']} comparisons have no verdict ({failed}): look at the bounds")
    if not result.complete:
        console.note("some passes got no answer of the judge: the same command asks for them again")
    if result.canaries is None:
        return
    if result.canaries.fit is None:
        console.note("no word on the judge's fitness: a canary got no verdict at all")
    if fooled := [canary for canary in result.canaries.canaries if canary.fooled]:
        named = ", ".join(f"{canary.name} {canary.rate:.0%}" for canary in fooled)
        raise WorkFailed(
            f"judge {result.job.judge.name!r} is unfit: canaries won more than {LIMIT:.0%} of their passes ({named}), "
            "so do not believe its verdicts; take another judge or prompt"
        )


def _print_json(facts: Mapping[str, Any]) -> None:
    get_console().result(json.dumps(facts, indent=1, ensure_ascii=False, allow_nan=False))


def _figure(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"


def _span(pair: Sequence[float] | None) -> str:
    return "" if pair is None else f"{pair[0]:.4f} to {pair[1]:.4f}"
