"""Benchmarks that break one rule each, for the tests of the conformance kit. The sound ones come first."""

from __future__ import annotations

import os
import random
import socket
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import Any, ClassVar

from selkit.api import BaseBenchmark, Benchmark, BenchmarkGroup, BenchmarkItem

ROWS = [{"question": f"What is {n} plus {n}?", "answer": str(2 * n)} for n in range(1, 7)]
DATA = {"sums/rows.jsonl": ROWS, "other/rows.jsonl": ROWS[:3]}
"""Rows by file."""

_COUNT = count()
"""What differs from call to call without a draw."""


def right(row: Mapping[str, Any]) -> str:
    """The answer that earns full marks."""
    return str(row["answer"])


def score(row: Mapping[str, Any], responses: Sequence[str]) -> dict[str, float]:
    """Whether the answer is met, and the opposite."""
    met = float(responses[0].strip() == row["answer"])
    return {"exact": met, "errors": 1 - met}


@dataclass
class Sums(Benchmark):
    """Sound: sums of two equal numbers."""

    name = "sums"
    requires = ("lm_eval", "datasets")
    size = 6
    metrics: ClassVar[dict[str, bool]] = {"exact": True}
    primary = "exact"
    splits: ClassVar[dict[str, str]] = {"test": "sums/rows.jsonl"}
    hub_data = "nobody/sums"
    columns: ClassVar[dict[str, type]] = {"question": str, "answer": str}

    def task_config(self) -> dict[str, Any]:
        """A task of generation."""
        return {
            "task": "selkit_sums",
            "output_type": "generate_until",
            "test_split": "test",
            "doc_to_text": "{{question}}",
            "doc_to_target": "{{answer}}",
            "generation_kwargs": {"until": [], "do_sample": False},
            "process_results": "!function faulty_benchmarks.score",
            "metric_list": [
                {"metric": m, "aggregation": "mean", "higher_is_better": True} for m in ("exact", "errors")
            ],
        }


@dataclass
class Choices(Sums):
    """Sound: the same as multiple choice."""

    name = "choices"
    metrics: ClassVar[dict[str, bool]] = {"acc": True}
    primary = "acc"

    def task_config(self) -> dict[str, Any]:
        """A task that compares likelihoods."""
        return {
            "task": "selkit_choices",
            "output_type": "multiple_choice",
            "test_split": "test",
            "doc_to_text": "{{question}}",
            "doc_to_choice": [row["answer"] for row in ROWS],
            "doc_to_target": "{{answer|int // 2 - 1}}",
            "metric_list": [{"metric": "acc", "aggregation": "mean", "higher_is_better": True}],
        }


@dataclass
class Others(Sums):
    """Sound: on the other file, with a metric of which the low end is good."""

    name = "others"
    metrics: ClassVar[dict[str, bool]] = {"exact": True, "errors": False}
    splits: ClassVar[dict[str, str]] = {"test": "other/rows.jsonl"}


@dataclass
class Both(BenchmarkGroup):
    """Sound: two benchmarks under one name."""

    name = "both"
    pooled = True

    def members(self) -> Sequence[BaseBenchmark]:
        """The sums and the others."""
        return [Sums(), Others()]


@dataclass
class FutureBenchmark(Sums):
    """Needs an interface that does not exist yet."""

    name = "future-benchmark"
    api_version = 99


@dataclass
class UndocumentedBenchmark(Sums):
    """Does not say what its parameter means."""

    name = "undocumented-benchmark"
    secret: int = 1


@dataclass
class DoublingBenchmark(Sums):
    """Changes its own parameter.

    Args:
        ratio: Doubled whenever the component is made.
    """

    name = "doubling-benchmark"
    ratio: float = 1.0

    def __post_init__(self) -> None:
        self.ratio *= 2


@dataclass
class Empty(Both):
    """A group of nothing."""

    name = "empty"

    def members(self) -> Sequence[BaseBenchmark]:
        """None."""
        return []


@dataclass
class Twins(Both):
    """A group whose members share a label."""

    name = "twins"

    def members(self) -> Sequence[BaseBenchmark]:
        """The same one twice."""
        return [Sums(), Sums()]


@dataclass
class Mixed(Both):
    """A pooled group whose members are scored by different metrics."""

    name = "mixed"

    def members(self) -> Sequence[BaseBenchmark]:
        """One by exact, one by acc."""
        return [Sums(), Choices()]


@dataclass
class Undirected(Sums):
    """Does not say whether high is good."""

    name = "undirected"
    metrics: ClassVar[dict[str, Any]] = {"exact": "mean"}


@dataclass
class NoPrimary(Sums):
    """Names a primary metric that it does not have."""

    name = "no-primary"
    primary = "f1"


@dataclass
class Undecided(Sums):
    """Gives its verdicts on a metric of which neither end is good."""

    name = "undecided"
    metrics: ClassVar[dict[str, bool | None]] = {"exact": None}


@dataclass
class Climbing(Sums):
    """Reads rows outside the folder of data."""

    name = "climbing"
    splits: ClassVar[dict[str, str]] = {"test": "../rows.jsonl"}


@dataclass
class Sizeless(Sums):
    """Says that there are no rows."""

    name = "sizeless"
    size = 0


@dataclass
class Columnless(Sums):
    """Does not say what its rows hold."""

    name = "columnless"
    columns: ClassVar[dict[str, type]] = {}


@dataclass
class Counted(Sums):
    """Another task every time."""

    name = "counted"

    def task_config(self) -> dict[str, Any]:
        """With a number that goes up."""
        return super().task_config() | {"metadata": {"version": next(_COUNT)}}


@dataclass
class Lost(Sums):
    """Scores by a function that is not there."""

    name = "lost"

    def task_config(self) -> dict[str, Any]:
        """With a wrong name."""
        return super().task_config() | {"process_results": "!function faulty_benchmarks.scored"}


@dataclass
class Mute(Sums):
    """Looks at its rows and returns nothing."""

    name = "mute"

    def check_row(self, row: Mapping[str, Any]) -> Any:
        """None in place of a text."""
        return None


@dataclass
class OtherColumns(Sums):
    """Wants a column that its rows do not have."""

    name = "other-columns"
    columns: ClassVar[dict[str, type]] = {"prompt": str}


@dataclass
class Picky(Sums):
    """Refuses its own rows."""

    name = "picky"

    def check_row(self, row: Mapping[str, Any]) -> str:
        """Sums above 10 are too much."""
        return "the sum is above 10" if int(row["answer"]) > 10 else ""


@dataclass
class TooSmall(Sums):
    """Declares fewer rows than there are."""

    name = "too-small"
    size = 5


@dataclass
class Dropping(Sums):
    """Loses a row."""

    name = "dropping"

    def items(self, samples: Sequence[Mapping[str, Any]]) -> list[BenchmarkItem]:
        """All but the last."""
        return super().items(samples)[:-1]


@dataclass
class SameIds(Sums):
    """Calls every item the same."""

    name = "same-ids"

    def item(self, samples: Sequence[Mapping[str, Any]]) -> BenchmarkItem:
        """With one id."""
        return replace(super().item(samples), item="0")


@dataclass
class Enthusiastic(Sums):
    """Gives more than full marks to a plain yes."""

    name = "enthusiastic"

    def item_scores(self, sample: Mapping[str, Any]) -> dict[str, float]:
        """2 for it."""
        return {"exact": 2.0} if sample["resps"][0][0] == "yes" else super().item_scores(sample)


@dataclass
class Percent(Sums):
    """Scores in per cent."""

    name = "percent"

    def item_scores(self, sample: Mapping[str, Any]) -> dict[str, float]:
        """Up to 100."""
        return {"exact": 100 * float(sample["resps"][0][0] != "")}


@dataclass
class Splitting(Sums):
    """Reads the first word of an answer, and there may be none."""

    name = "splitting"

    def response(self, sample: Mapping[str, Any]) -> str:
        """The first word."""
        text = str(sample["resps"][0][0])
        return text.split()[0] if text else ""


@dataclass
class Growing(Sums):
    """Weighs every item more than the one before."""

    name = "growing"

    def item_weights(self, sample: Mapping[str, Any]) -> dict[str, float]:
        """A number that goes up."""
        return {"exact": 1.0 + next(_COUNT)}


@dataclass
class Guessing(Sums):
    """Tosses a coin."""

    name = "guessing-benchmark"

    def item_scores(self, sample: Mapping[str, Any]) -> dict[str, float]:
        """By chance."""
        return {"exact": float(random.random() < 0.5)}


@dataclass
class UpsideDown(Sums):
    """Says that many errors are good."""

    name = "upside-down"
    metrics: ClassVar[dict[str, bool]] = {"exact": True, "errors": True}


@dataclass
class Blind(Sums):
    """Gives everybody the same mark."""

    name = "blind"

    def item_scores(self, sample: Mapping[str, Any]) -> dict[str, float]:
        """Half."""
        return {"exact": 0.5}


@dataclass
class OneRemark(Sums):
    """Remarks in one text in place of a list."""

    name = "one-remark"

    def remarks(self, metrics: Mapping[str, float]) -> Any:
        """A bare text."""
        return "low" if metrics["exact"] < 0.1 else []


@dataclass
class Numbered(Sums):
    """Numbers its clusters."""

    name = "numbered"

    def item(self, samples: Sequence[Mapping[str, Any]]) -> BenchmarkItem:
        """A number where a text belongs."""
        return replace(super().item(samples), cluster=7)  # type: ignore[arg-type]


@dataclass
class SettingBenchmark(Sums):
    """Sets an environment variable."""

    name = "setting-benchmark"

    def check_row(self, row: Mapping[str, Any]) -> str:
        """Sound but for that."""
        os.environ["FAULTY_BENCHMARK"] = "was here"
        return ""


@dataclass
class LitteringBenchmark(Sums):
    """Writes a file where it likes."""

    name = "littering-benchmark"
    place: ClassVar[Path]

    def prepare(self, cache_dir: Path) -> None:
        """Sound but for that."""
        (self.place / "stray.txt").write_text("here")


@dataclass
class PhoningBenchmark(Sums):
    """Asks another machine."""

    name = "phoning-benchmark"

    def prepare(self, cache_dir: Path) -> None:
        """Looks a host up, whether it is known or not."""
        with suppress(socket.gaierror):
            socket.getaddrinfo("selkit.invalid", 443)


@dataclass
class PrintingBenchmark(Sums):
    """Prints to stdout."""

    name = "printing-benchmark"

    def check_row(self, row: Mapping[str, Any]) -> str:
        """Sound but for that."""
        print("working")  # noqa: T201 (the fault)
        return ""
