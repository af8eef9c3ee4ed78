"""Judges that break one rule each, for the tests of the conformance kit. The sound ones come first."""

from __future__ import annotations

import os
import re
import socket
import sys
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from selkit.api import Comparison, Context, Judgement, Outcome, PairwiseJudge, PromptJudge, RoundTripJudge, Turn

COMPLETIONS = {"Verdict: 1": 1.0, "Verdict: 2": 0.0, "Verdict: tie": 0.5}
"""What the model of :class:`SoundPrompt` answers."""

_VERDICTS = {"1": 1.0, "2": 0.0, "tie": 0.5}


@dataclass
class SoundRule(PairwiseJudge):
    """Prefers the longer response."""

    name = "sound-rule"
    symmetric = True

    def compare(self, comparisons: Sequence[Comparison], ctx: Context) -> Iterable[Judgement]:
        """One verdict per comparison; none where both responses are blank."""
        for comparison in ctx.track(comparisons):
            yield self.judge(comparison)

    def judge(self, comparison: Comparison) -> Judgement:
        """The verdict on one comparison."""
        if not (comparison.first + comparison.second).strip():
            return Judgement.failed(comparison, Outcome.MALFORMED, "both responses are blank")
        lead = len(comparison.first) - len(comparison.second)
        return Judgement.of(comparison, 0.5 if lead == 0 else float(lead > 0))


@dataclass
class SoundPrompt(PromptJudge):
    """Asks a model.

    Args:
        endpoint: The model.
    """

    name = "sound-prompt"
    endpoint: str = "scripted"

    def messages(self, comparison: Comparison) -> Sequence[Turn]:
        """One user turn."""
        return [Turn("user", f"{comparison.prompt}\n\n[1]\n{comparison.first}\n\n[2]\n{comparison.second}\n\nVerdict?")]

    def parse(self, text: str) -> float | None:
        """The word after 'Verdict:'."""
        found = re.fullmatch(r"Verdict: (1|2|tie)", text.strip())
        return _VERDICTS[found[1]] if found else None


@dataclass
class SoundRoundTrip(RoundTripJudge):
    """People answer later; here they always say tie.

    Args:
        labels: What came back.
    """

    name = "sound-round-trip"
    symmetric = True
    labels: tuple[Path, ...] = ()

    def export(self, comparisons: Sequence[Comparison], directory: Path, ctx: Context) -> Path:
        """A text file."""
        path = directory / "questions.txt"
        path.write_text("\n".join(comparison.prompt for comparison in comparisons), encoding="utf-8")
        return path

    def compare(self, comparisons: Sequence[Comparison], ctx: Context) -> Iterable[Judgement]:
        """Ties."""
        return [Judgement.of(comparison, 0.5) for comparison in comparisons]


@dataclass
class FutureJudge(SoundRule):
    """Needs an interface that does not exist yet."""

    name = "future-judge"
    api_version = 99


@dataclass
class UndocumentedJudge(SoundRule):
    """Does not say what its parameter means."""

    name = "undocumented-judge"
    secret: int = 1


@dataclass
class DoublingJudge(SoundRule):
    """Changes its own parameter.

    Args:
        margin: Doubled whenever the judge is made.
    """

    name = "doubling-judge"
    margin: float = 1.0

    def __post_init__(self) -> None:
        self.margin *= 2


@dataclass
class Backwards(SoundRule):
    """Answers the last comparison first."""

    name = "backwards"

    def compare(self, comparisons: Sequence[Comparison], ctx: Context) -> Iterable[Judgement]:
        """Sound verdicts in the wrong order."""
        return [self.judge(comparison) for comparison in reversed(comparisons)]


@dataclass
class OutOfRange(SoundRule):
    """Gives percentages."""

    name = "out-of-range"

    def judge(self, comparison: Comparison) -> Judgement:
        """100 for a win."""
        return Judgement.of(comparison, 100.0)


@dataclass
class CarriedAway(SoundRule):
    """Gives percentages where a response is long."""

    name = "carried-away"

    def judge(self, comparison: Comparison) -> Judgement:
        """100 in place of 1."""
        fair = super().judge(comparison)
        return Judgement.of(comparison, 100.0) if len(comparison.first) > 10_000 else fair


@dataclass
class Sulking(SoundRule):
    """Gives no reason where both responses are not plain text."""

    name = "sulking"

    def judge(self, comparison: Comparison) -> Judgement:
        """A failure that explains nothing."""
        fair = super().judge(comparison)
        plain = (comparison.first + comparison.second).isprintable() or len(comparison.first) < 20
        return fair if plain else Judgement.failed(comparison, Outcome.MALFORMED, " ")


@dataclass
class SkipsBlank(SoundRule):
    """Says nothing of a comparison with a blank response."""

    name = "skips-blank"

    def compare(self, comparisons: Sequence[Comparison], ctx: Context) -> Iterable[Judgement]:
        """Fewer judgements than comparisons."""
        return [self.judge(c) for c in ctx.track(comparisons) if c.first.strip() and c.second.strip()]


@dataclass
class Defaulting(SoundRule):
    """Fails with a preference and without a reason."""

    name = "defaulting"

    def judge(self, comparison: Comparison) -> Judgement:
        """A tie where it failed."""
        return Judgement(comparison.id, comparison.order, Outcome.TIMEOUT, 0.5)


@dataclass
class Silent(SoundRule):
    """Never decides."""

    name = "silent"

    def judge(self, comparison: Comparison) -> Judgement:
        """No verdict."""
        return Judgement.failed(comparison, Outcome.REFUSAL, "I would rather not")


@dataclass
class Fragile(SoundRule):
    """Cannot take an empty response."""

    name = "fragile"

    def judge(self, comparison: Comparison) -> Judgement:
        """Compares first characters."""
        return Judgement.of(comparison, float(comparison.first[0] > comparison.second[0]))


@dataclass
class Relative(SoundRule):
    """Compares with the mean of the batch."""

    name = "relative"
    symmetric = False

    def compare(self, comparisons: Sequence[Comparison], ctx: Context) -> Iterable[Judgement]:
        """1 where the first response is longer than the mean of the batch."""
        mean = np.mean([len(comparison.first) for comparison in comparisons])
        return [Judgement.of(comparison, float(len(comparison.first) > mean)) for comparison in comparisons]


@dataclass
class LikesFirst(SoundRule):
    """Declares itself symmetric and prefers what stands first."""

    name = "likes-first"

    def judge(self, comparison: Comparison) -> Judgement:
        """1."""
        return Judgement.of(comparison, 1.0)


@dataclass
class LikesEqual(SoundRule):
    """Prefers the first of two equal responses."""

    name = "likes-equal"

    def judge(self, comparison: Comparison) -> Judgement:
        """No ties."""
        return Judgement.of(comparison, float(len(comparison.first) >= len(comparison.second)))


@dataclass
class ForgetsOrder(SoundRule):
    """Answers as if every comparison came in the given order."""

    name = "forgets-order"

    def judge(self, comparison: Comparison) -> Judgement:
        """A verdict under the order 'first'."""
        return Judgement(comparison.id, "first", Outcome.OK, 0.5)


@dataclass
class SeedingJudge(SoundRule):
    """Seeds numpy's global generator."""

    name = "seeding-judge"

    def judge(self, comparison: Comparison) -> Judgement:
        """Sound verdicts."""
        np.random.seed(0)
        return super().judge(comparison)


@dataclass
class LitteringJudge(SoundRule):
    """Writes a file where it likes."""

    name = "littering-judge"
    place: ClassVar[Path]

    def judge(self, comparison: Comparison) -> Judgement:
        """Sound verdicts."""
        (self.place / "stray.txt").write_text("here")
        return super().judge(comparison)


@dataclass
class PhoningJudge(SoundRule):
    """Asks another machine past the host's chat service."""

    name = "phoning-judge"

    def compare(self, comparisons: Sequence[Comparison], ctx: Context) -> Iterable[Judgement]:
        """Sound verdicts, whether the host is known or not."""
        with suppress(socket.gaierror):
            socket.getaddrinfo("selkit.invalid", 443)
        return super().compare(comparisons, ctx)


@dataclass
class PrintingJudge(SoundRule):
    """Prints to stdout."""

    name = "printing-judge"

    def judge(self, comparison: Comparison) -> Judgement:
        """Sound verdicts."""
        sys.stdout.write("working\n")
        os.write(1, b"working\n")
        return super().judge(comparison)


@dataclass
class Stripping(SoundPrompt):
    """Tidies up the responses before it shows them."""

    name = "stripping"

    def messages(self, comparison: Comparison) -> Sequence[Turn]:
        """Lines joined."""
        shown = [" ".join(text.split()) for text in (comparison.prompt, comparison.first, comparison.second)]
        return [Turn("user", "\n\n".join(shown))]


@dataclass
class Cutting(SoundPrompt):
    """Shows no more than a thousand characters of a response."""

    name = "cutting"

    def messages(self, comparison: Comparison) -> Sequence[Turn]:
        """Both cut."""
        first, second = comparison.first[:1000], comparison.second[:1000]
        return super().messages(Comparison(comparison.id, comparison.prompt, first, second))


@dataclass
class LongestFirst(SoundPrompt):
    """Always shows the longer response first.

    Args:
        endpoint: The model.
    """

    name = "longest-first"

    def messages(self, comparison: Comparison) -> Sequence[Turn]:
        """The order of the comparison is lost."""
        longer, shorter = sorted((comparison.first, comparison.second), key=len, reverse=True)
        return super().messages(Comparison(comparison.id, comparison.prompt, longer, shorter))


@dataclass
class SwappedLabels(SoundPrompt):
    """Takes a win of the first response for one of the second."""

    name = "swapped-labels"

    def parse(self, text: str) -> float | None:
        """The wrong way round."""
        preference = super().parse(text)
        return None if preference is None else 1 - preference


@dataclass
class TieByDefault(SoundPrompt):
    """Reads what it does not understand as a tie."""

    name = "tie-by-default"

    def parse(self, text: str) -> float | None:
        """0.5 for garbage."""
        preference = super().parse(text)
        return 0.5 if preference is None else preference


@dataclass
class SilenceIsATie(SoundPrompt):
    """Reads an empty answer as a tie."""

    name = "silence-is-a-tie"

    def parse(self, text: str) -> float | None:
        """0.5 for nothing."""
        return super().parse(text) if text.strip() else 0.5


@dataclass
class ReadsResponses(SoundPrompt):
    """Looks for the verdict in the responses too."""

    name = "reads-responses"

    def compare(self, comparisons: Sequence[Comparison], ctx: Context) -> Iterable[Judgement]:
        """A verdict in a response counts."""
        for comparison, judgement in zip(comparisons, super().compare(comparisons, ctx), strict=True):
            fake = self.parse(comparison.first)
            yield judgement if fake is None else Judgement.of(comparison, fake, judgement.raw, **judgement.usage)


@dataclass
class BlameTheModel(SoundPrompt):
    """Calls every failure malformed."""

    name = "blame-the-model"

    def compare(self, comparisons: Sequence[Comparison], ctx: Context) -> Iterable[Judgement]:
        """One outcome for all failures."""
        for comparison, judgement in zip(comparisons, super().compare(comparisons, ctx), strict=True):
            failed = Judgement.failed(comparison, Outcome.MALFORMED, "it failed", **judgement.usage)
            yield judgement if judgement.outcome == Outcome.OK else failed


@dataclass
class Spendthrift(SoundPrompt):
    """Does not say what an answer cost."""

    name = "spendthrift"

    def compare(self, comparisons: Sequence[Comparison], ctx: Context) -> Iterable[Judgement]:
        """Usage left out."""
        for judgement in super().compare(comparisons, ctx):
            yield Judgement(
                judgement.id, judgement.order, judgement.outcome, judgement.preference, "", judgement.reason
            )


@dataclass
class SendsNothing(SoundRoundTrip):
    """Exports an empty file.

    Args:
        labels: What came back.
    """

    name = "sends-nothing"

    def export(self, comparisons: Sequence[Comparison], directory: Path, ctx: Context) -> Path:
        """A file without a question."""
        path = directory / "questions.txt"
        path.touch()
        return path
