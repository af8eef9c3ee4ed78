"""The entries of an experiment spec: pools, base models, selectors, test sets and benchmarks, each strict."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from selkit.api import DECODINGS
from selkit.experiment.spec.judges import JudgeSpec

NAME = r"^[a-z0-9][a-z0-9._-]{0,63}$"
"""What experiments, arms and base models may be called."""

PRINTABLE = r"^[^\x00-\x1f\x7f-\x9f]{1,100}$"
"""What tables show: anything but what could drive a terminal or end a line."""


class Strict(BaseModel):
    """No key that does not exist, and no change afterwards."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class PoolSpec(Strict):
    """A pool: ``source`` is anything `selkit pool show` reads; ``rows`` takes a seeded uniform part of it."""

    source: str | dict[str, Any]
    name: str | None = Field(default=None, pattern=PRINTABLE)
    rows: int | None = Field(default=None, ge=1)

    @property
    def label(self) -> str:
        """What tables call the pool."""
        if self.name:
            return self.name
        source = (
            self.source if isinstance(self.source, str) else str(self.source.get("name") or self.source.get("path"))
        )
        return Path(source).stem if "/" in source or "." in source else source.replace(":", "-")


class ModelSpec(Strict):
    """A base model: a reference, and with ``as`` the name that tables call it by."""

    model: str
    as_: str | None = Field(default=None, alias="as", pattern=NAME)

    @property
    def label(self) -> str:
        """What tables call the model: of a folder its own name."""
        return self.as_ or (Path(self.model).name if ":" not in self.model else self.model)


class Seeds(Strict):
    """One seed that is pinned, so that runs differ by the other alone, which is the run's number."""

    selection: int | None = Field(default=None, ge=0)
    training: int | None = Field(default=None, ge=0)

    @model_validator(mode="after")
    def _one(self) -> Seeds:
        if self.selection is not None and self.training is not None:
            raise ValueError("with both seeds pinned every run is the same: pin one")
        return self

    def of(self, run: int) -> tuple[int, int] | None:
        """Selection and training seed of a run; None where nothing is pinned."""
        if self.selection is None and self.training is None:
            return None
        return (run if self.selection is None else self.selection), (run if self.training is None else self.training)


BASE = "base"
"""What stands for the base model itself, untrained."""


class SelectorSpec(Strict):
    """An arm: a selector with its parameters. ``as`` names it where one selector makes several arms.

    Or an arm that is given: ``model`` answers as it is ('base' is the experiment's base model), ``outputs`` is a file
    of answers. Given arms need ``as``, but for 'base'.
    """

    name: str = ""
    as_: str | None = Field(default=None, alias="as", pattern=NAME)
    parameters: dict[str, Any] = Field(default_factory=dict)
    model: str | None = None
    outputs: Path | None = None

    @model_validator(mode="after")
    def _one_kind(self) -> SelectorSpec:
        kinds = [kind for kind in ("name", "model", "outputs") if getattr(self, kind)]
        if len(kinds) != 1:
            raise ValueError(f"an arm has one of name, model and outputs, and here are {' and '.join(kinds) or 'none'}")
        if self.is_given and self.parameters:
            raise ValueError(f"an arm that is given has no parameters: leave them out, or take name for {kinds[0]}")
        if self.is_given and not self.as_ and self.model != BASE:
            raise ValueError(f"an arm that is given by its {kinds[0]} needs a name: add as")
        return self

    @property
    def is_given(self) -> bool:
        """Whether the arm chooses and trains nothing."""
        return not self.name

    @property
    def arm(self) -> str:
        """The arm's name."""
        return self.as_ or self.name.rpartition(":")[2] or BASE


class TestsetSpec(Strict):
    """Open-ended prompts, who judges the answers, and what they are compared with.

    A judge is a name, or a mapping with ``name``, its parameters, ``as`` where one judge with several parameters makes
    several, and ``canaries`` (true, or names of canaries) where it is to be fooled. ``turns`` says whether only the
    first turn of every conversation is answered and judged, or all.

    ``anchor`` is 'random', 'reference', a file of responses or a model. ``direct`` also sets every run against the
    control's own runs, which is shown and gets no verdict: 'paired' with the run of the same number, 'sampled' with a
    control run drawn per prompt (as in 'Chasing Random'), 'pooled' with all of them.
    """

    __test__ = False  # not a test class, whatever pytest thinks of the name

    source: str
    judges: tuple[str | dict[str, Any], ...] = ("reference",)
    orders: Literal["both", "random", "first"] = "both"
    anchor: str = "random"
    direct: Literal["paired", "sampled", "pooled"] | None = None
    decoding: str = "greedy"
    max_new_tokens: int | None = Field(default=None, ge=1)
    prompts: int | None = Field(default=None, ge=1)
    turns: Literal["first", "all"] = "first"

    @field_validator("decoding")
    @classmethod
    def _known(cls, value: str) -> str:
        if value not in DECODINGS:
            raise ValueError(f"there is no decoding preset {value!r}: take one of {', '.join(DECODINGS)}")
        return value

    @field_validator("judges")
    @classmethod
    def _distinct(cls, value: tuple[str | dict[str, Any], ...]) -> tuple[str | dict[str, Any], ...]:
        labels = [JudgeSpec.of(judge).label for judge in value]
        if double := {label for label in labels if labels.count(label) > 1}:
            raise ValueError(f"two judges are called {min(double)!r}: give each a name of its own with 'as'")
        return value

    @property
    def label(self) -> str:
        """What tables call the test set."""
        return Path(self.source).stem if "/" in self.source else self.source

    @property
    def judge_specs(self) -> tuple[JudgeSpec, ...]:
        """The judges, in their order."""
        return tuple(JudgeSpec.of(judge) for judge in self.judges)


class BenchmarkSpec(Strict):
    """A benchmark or a group; ``sample`` rows of each are drawn with a fixed seed ('all'; by default as it says)."""

    name: str
    parameters: dict[str, Any] = Field(default_factory=dict)
    sample: Annotated[int, Field(ge=1)] | Literal["all"] | None = None
    data: Path | None = None
    max_new_tokens: int | None = Field(default=None, ge=1)


class SideSpec(Strict):
    """One side of a comparison: an arm, and as far as it stands in several places, in which."""

    arm: str
    pool: str | None = None
    budget: int | str | None = None
    recipe: str | None = None
    model: str | None = None


class CompareSpec(Strict):
    """Two arms against each other, the second as control: ``[longest, {arm: oracle, budget: 100}]``."""

    arm: SideSpec
    control: SideSpec

    @model_validator(mode="before")
    @classmethod
    def _two(cls, value: Any) -> Any:
        if isinstance(value, (list, tuple)):
            if len(value) != 2:
                raise ValueError(f"a comparison has two sides, and here are {len(value)}: the second is the control")
            value = {"arm": value[0], "control": value[1]}
        if not isinstance(value, dict):
            raise ValueError("a comparison is a list of two arms, the second the control")
        return {name: {"arm": side} if isinstance(side, str) else side for name, side in value.items()}


class SearchSpec(Strict):
    """How the best recipe of every arm is found: on rows held out of the pools, never on a test set.

    ``by`` is the loss on them, or 'judged': a ``judge`` compares answers to them with the rows' own responses.
    ``share`` of a pool is held out, at most ``rows`` rows.
    """

    by: Literal["held-out-loss", "judged"] = "held-out-loss"
    share: float = Field(default=0.05, gt=0, le=0.5)
    rows: int = Field(default=1000, ge=1)
    judge: str | dict[str, Any] | None = None
    max_new_tokens: int | None = Field(default=None, ge=1)

    @model_validator(mode="after")
    def _judge(self) -> SearchSpec:
        if self.by == "judged" and self.judge is None:
            raise ValueError("a search that is judged needs a judge: add judge")
        if self.by != "judged" and (self.judge or self.max_new_tokens):
            raise ValueError(
                f"a search by {self.by} asks no judge: leave judge and max_new_tokens out, or set by: judged"
            )
        return self
