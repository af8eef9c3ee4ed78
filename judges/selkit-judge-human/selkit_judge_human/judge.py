"""The judge ``human``: people label comparisons in a spreadsheet."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from selkit.api import Comparison, Context, DataError, Judgement, Outcome, RoundTripJudge, UsageError
from selkit_judge_human.cells import row_check
from selkit_judge_human.design import KEY, Row, given_order, key_text, plan, read_key, shown
from selkit_judge_human.labels import Labels, Problem, find_key, label_files, read_labels
from selkit_judge_human.sheets import README, instructions, sheet, sheet_name, too_long
from selkit_judge_human.votes import agreement, krippendorff_alpha, majority

SEND = "send"
_SHOWN = 5


@dataclass
class Human(RoundTripJudge):
    """People say which response is better.

    The export is blind: no names of models, and which response stands left is drawn for each comparison, with the key
    kept apart. Several annotators are merged by majority; where labels share the lead it is a tie.

    Args:
        labels: The sheets that came back, or the folder of the export with its sheets filled in.
        key: The key.json of the export; by default the one beside the labels or one folder up.
        annotators: How many people label.
        overlap: Share of the comparisons that every one of them labels; the rest is dealt out.
        lenient: Whether rows that cannot be used become failed judgements instead of stopping the import.
    """

    name = "human"
    symmetric = True
    labels: tuple[Path, ...] = ()
    key: Path | None = None
    annotators: int = 1
    overlap: float = 1.0
    lenient: bool = False

    def __post_init__(self) -> None:
        if self.annotators < 1:
            raise ValueError(f"annotators is a number of people of at least 1, not {self.annotators}")
        if not 0 <= self.overlap <= 1:
            raise ValueError(f"overlap is a share between 0 and 1, not {self.overlap}")
        self._told = False
        self._facts: dict[str, Any] = {}

    def facts(self) -> Mapping[str, Any]:
        """How far the annotators agree; empty where no comparison has two labels."""
        return self._facts

    def export(self, comparisons: Sequence[Comparison], directory: Path, ctx: Context) -> Path:
        """Writes send/ (sheets and a page for the annotators) and key.json; returns the folder send/."""
        rows = plan(comparisons, self.annotators, self.overlap, ctx.rng)
        send = directory / SEND
        send.mkdir(parents=True, exist_ok=True)
        names = [sheet_name(number, self.annotators) for number in range(1, self.annotators + 1)]
        for number, name in enumerate(names, start=1):
            (send / name).write_text(sheet(rows, number), encoding="utf-8", newline="")
        (send / README).write_text(instructions(names), encoding="utf-8")
        (directory / KEY).write_text(key_text([row for row, _ in rows]), encoding="utf-8")
        if cut := too_long(rows):
            ctx.log(f"{len(cut)} rows hold texts that spreadsheets cut off, e.g. {cut[0]}: their labels will not count")
        ctx.log(f"send the folder {send} and keep {directory / KEY} to yourself: it says which response is whose")
        return send

    def compare(self, comparisons: Sequence[Comparison], ctx: Context) -> Iterable[Judgement]:
        """The labels of these comparisons; one without a usable label fails with the reason.

        Raises:
            UsageError: There are no labels yet.
            DataError: The labels have problems (they are listed), unless ``lenient``.
        """
        if not self.labels:
            raise UsageError(
                f"{self.name} has no labels yet: write the sheets with `selkit judge export A B --judge {self.name} "
                "-o DIR`, and name what comes back with -p labels=DIR"
            )
        key = read_key(self.key or find_key(self.labels))
        labels = read_labels(label_files(self.labels), key)
        if labels.problems and not self.lenient:
            raise DataError(_listed(labels.problems))
        self._tell(labels, ctx)
        rows = {row.id: row for row in key.values()}
        for comparison in ctx.track(comparisons, description="labels"):
            yield _judged(comparison, rows.get(comparison.id), labels)

    def _tell(self, labels: Labels, ctx: Context) -> None:
        """Says once how far annotators agree and how many rows were left out."""
        if self._told:
            return
        self._told = True
        if labels.problems:
            ctx.log(f"{_counted(labels.problems)} with the labels, the first: {labels.problems[0]}")
        several = [list(votes.values()) for votes in labels.by_row.values() if len(votes) > 1]
        if (share := agreement(several)) is not None:
            alpha = krippendorff_alpha(several)
            self._facts = {"several_labels": len(several), "pair_agreement": share, "krippendorff_alpha": alpha}
            beyond = "" if alpha is None else f"; Krippendorff's alpha is {alpha:.3f}"
            ctx.log(f"{len(several)} comparisons have several labels; {share:.1%} of the pairs of labels agree{beyond}")


def _judged(comparison: Comparison, row: Row | None, labels: Labels) -> Judgement:
    if row is None:
        return Judgement.failed(comparison, Outcome.MALFORMED, "no label: it was not exported")
    if row_check(row.row, *shown(given_order(comparison), row.left)) != row.check:
        return Judgement.failed(comparison, Outcome.MALFORMED, "no label: its texts are not those that were exported")
    votes: Mapping[int, str] = labels.by_row.get(row.row, {})
    if not votes:
        return Judgement.failed(comparison, Outcome.MALFORMED, labels.trouble(row.row))
    raw = "; ".join(f"annotator {number}: {votes[number]}" for number in sorted(votes))
    return Judgement.of(comparison, _preference(majority(list(votes.values())), row.left, comparison.order), raw)


def _preference(label: str, left: str, order: str) -> float:
    """The preference for the first-shown response of a comparison in ``order``; ``left`` is what people saw left."""
    if label == "tie":
        return 0.5
    winner = left if label == "1" else {"first": "second", "second": "first"}[left]
    return 1.0 if winner == order else 0.0


def _counted(problems: Sequence[Problem]) -> str:
    return f"{len(problems)} problem{'s' if len(problems) > 1 else ''}"


def _listed(problems: Sequence[Problem]) -> str:
    more = f"; and {len(problems) - _SHOWN} more" if len(problems) > _SHOWN else ""
    listed = "; ".join(str(problem) for problem in problems[:_SHOWN])
    return (
        f"{_counted(problems)} with the labels ({listed}{more}): mend these rows, "
        "or take the others alone with -p lenient=true"
    )
