"""The rating of "Alpagasus: Training a Better Alpaca with Fewer Data" (Chen et al., 2023): a model grades each row."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from selkit.api import ChatReply, Context, Decoding, Example, Outcome, Pool, RowScore, Scorer, UsageError, WorkFailed
from selkit_alpagasus.citations import ALPAGASUS
from selkit_alpagasus.parsing import HIGHEST, LOWEST, RULES, RuleName
from selkit_alpagasus.remarks import Remarks
from selkit_alpagasus.rubrics import RUBRICS, Dimension, RubricName, TieRule

_REMOTE = ("openai:", "http://", "https://")
"""How references of endpoints begin that are no local model."""


@dataclass
class Alpagasus(Scorer):
    """Rating by a language model: a grader gives every row 0 to 5, and the best rated are chosen.

    A rubric is a prompt, how the grader answers it and how the answer is read, as somebody published it. The
    parameters below that have no value are the rubric's.

    Args:
        rubric: 'original' (Alpagasus's code), 'shen' ('Rethinking Data Selection') or 'chasing-random'.
        dimension: What is rated. Helpfulness was published for 'original' alone; elsewhere the word is exchanged.
        endpoint: The grader: a model of an OpenAI-compatible server, or a local model.
        parse: How the answer is read: as Alpagasus's code does ('original'), as that of 'Chasing Random' does
            ('substring', for which 5.0 is 0), or the one number in its first line ('single-number').
        threshold: Rows rated below it are left out: 4.5 in Alpagasus, 4 in 'Chasing Random'.
        ties: Rows with equal ratings: the smaller id first, or at random by the seed (Shen).
        max_tokens: Longest answer, in tokens of the grader.
        temperature: 0 is greedy.
    """

    name: ClassVar[str] = "alpagasus"
    citation: ClassVar[str] = ALPAGASUS

    rubric: RubricName = "original"
    dimension: Dimension = "accuracy"
    endpoint: str | None = None
    parse: RuleName | None = None
    threshold: float | None = None
    ties: TieRule | None = None
    max_tokens: int | None = None
    temperature: float | None = None

    def __post_init__(self) -> None:
        """Puts the rubric's values where none were given, so that keys and manifests name what is done."""
        rubric = RUBRICS[self.rubric]
        self.endpoint = rubric.endpoint if self.endpoint is None else self.endpoint
        self.parse = rubric.rule if self.parse is None else self.parse
        self.ties = rubric.ties if self.ties is None else self.ties
        self.max_tokens = rubric.max_tokens if self.max_tokens is None else self.max_tokens
        self.temperature = rubric.temperature if self.temperature is None else self.temperature

    @property
    def seeded(self) -> bool:  # type: ignore[override]
        """Only a draw among equals depends on the seed."""
        return self.ties == "random"

    def model_parameters(self) -> tuple[str, ...]:
        """``endpoint`` where it names a local model, whose weights then stand in the keys."""
        return () if (self.endpoint or "").lower().startswith(_REMOTE) else ("endpoint",)

    def tie_break(self) -> TieRule:
        """Follows ``ties``."""
        return self.ties or "id"

    @property
    def decoding(self) -> Decoding:
        """How the grader answers."""
        return Decoding(max_new_tokens=self.max_tokens or 0, temperature=self.temperature or 0.0)

    def preflight(self, pool: Pool, ctx: Context) -> None:
        """Refuses what cannot work, an endpoint without its key too, before anything is sent. Raises SelkitError."""
        if self.threshold is not None and not LOWEST <= self.threshold <= HIGHEST:
            raise UsageError(f"the threshold of alpagasus is a rating from 0 to 5, not {self.threshold:g}")
        if self.decoding.max_new_tokens < 1:
            raise UsageError(f"max_tokens of alpagasus is a number of tokens from 1 on, not {self.max_tokens}")
        if not 0 <= self.decoding.temperature <= 2:
            raise UsageError(f"the temperature of alpagasus is from 0 to 2, not {self.temperature:g}")
        ctx.chat(self.endpoint or "")

    def score(self, pool: Pool, ctx: Context) -> Iterator[RowScore]:
        """One rating per row; details hold the tokens and dollars of each answer, where the endpoint counts them.

        Raises:
            WorkFailed: The cap on costs is reached. Stored answers are not paid for again.
        """
        rubric = RUBRICS[self.rubric]
        ctx.log(
            f"alpagasus: {self.dimension} by rubric {rubric.name}, version {rubric.version} ({rubric.digest}), "
            f"rated by {self.endpoint}, read by rule {self.parse}"
        )
        yield from ctx.track(self._ratings(pool, ctx), total=len(pool), description="alpagasus")

    def _ratings(self, pool: Pool, ctx: Context) -> Iterator[RowScore]:
        rubric, remarks = RUBRICS[self.rubric], Remarks(ctx.log)
        # Asked for within the progress of the pass, so that the endpoint shows none of its own.
        replies = ctx.chat(self.endpoint or "").complete(
            (rubric.messages(row, self.dimension) for row in pool if not unratable(row)), decoding=self.decoding
        )
        for row in pool:
            if fault := unratable(row):
                yield RowScore.excluded(fault)
                continue
            reply = next(replies)
            if reply.outcome == Outcome.BUDGET_STOP:
                raise WorkFailed(
                    f"alpagasus stopped before row {row.id!r} ({reply.reason}): raise the cap and run the same command "
                    "again, which pays for no answer twice"
                )
            yield self.row_score(reply, row.id, remarks)
        remarks.close()

    def row_score(self, reply: ChatReply, row_id: str = "", remarks: Remarks | None = None) -> RowScore:
        """The rating in one answer of the grader; what stands in the row itself is not looked at."""
        details = {name: float(value) for name, value in reply.usage.items()}
        if not answered(reply):
            return RowScore.failed(reply.reason or f"the grader's answer ended with {reply.outcome}", **details)
        reading = RULES[self.parse or "original"](reply.text)
        if remarks is not None:
            remarks.add(row_id, reply.text, reading)
        if reading.score is None:
            return RowScore.failed(reading.reason, **details)
        details["rating"] = reading.score
        if self.threshold is not None and reading.score < self.threshold:
            return RowScore.excluded(f"rated below {self.threshold:g}", **details)
        return RowScore(reading.score, details=details)


def answered(reply: ChatReply) -> bool:
    """Whether there is an answer to read. The score comes first, so that a cut explanation does no harm; with no text
    at all, the prompt was too long or the grader never came to the score."""
    return reply.outcome == Outcome.OK or (reply.outcome == Outcome.TRUNCATED and bool(reply.text.strip()))


def unratable(row: Example) -> str:
    """Why there is nothing to rate in a row; empty where there is something."""
    if not row.response.strip():
        return "the response is empty"
    if not row.instruction.strip() and not row.input.strip():
        return "the instruction is empty"
    return ""
