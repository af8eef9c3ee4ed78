"""The experiment spec: one strict YAML file, defaults that make a small file enough."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from selkit.api import DECODINGS, Budget, DataError, UsageError
from selkit.experiment.judges import JudgeSpec
from selkit.plugins import did_you_mean

_NAME = r"^[a-z0-9][a-z0-9._-]{0,63}$"


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class PoolSpec(_Strict):
    """A pool: ``source`` is anything `selkit pool show` reads; ``rows`` takes a seeded uniform part of it."""

    source: str | dict[str, Any]
    name: str | None = None
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


class SelectorSpec(_Strict):
    """An arm: a selector with its parameters. ``as`` names it where one selector makes several arms."""

    name: str
    as_: str | None = Field(default=None, alias="as", pattern=_NAME)
    parameters: dict[str, Any] = Field(default_factory=dict)

    @property
    def arm(self) -> str:
        """The arm's name."""
        return self.as_ or self.name.rpartition(":")[2]


class TestsetSpec(_Strict):
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


class BenchmarkSpec(_Strict):
    """A benchmark or a group; ``sample`` rows of each are drawn with a fixed seed ('all'; by default as it says)."""

    name: str
    parameters: dict[str, Any] = Field(default_factory=dict)
    sample: Annotated[int, Field(ge=1)] | Literal["all"] | None = None
    data: Path | None = None
    max_new_tokens: int | None = Field(default=None, ge=1)


class Spec(_Strict):
    """A whole experiment.

    ``runs`` gives repetitions per arm: by arm name, with ``random`` and ``default`` for the rest. ``margins`` are in
    points of 100, per benchmark or test set or for the 'composite', in which these count by their ``weights``; ``keep``
    says what becomes of trained weights, and ``engine`` what runs them when they answer; ``max_cost`` is what calls of
    endpoints may cost in all, in dollars; ``processes`` train each model together, spread as ``deepspeed`` says.
    """

    name: str = Field(pattern=_NAME)
    pools: tuple[PoolSpec, ...] = Field(min_length=1)
    model: str
    recipe: str | dict[str, Any]
    selectors: tuple[SelectorSpec, ...] = Field(min_length=1)
    budgets: tuple[int | str, ...] = Field(min_length=1)
    runs: dict[str, int] = Field(default_factory=dict)
    testsets: tuple[TestsetSpec, ...] = ()
    benchmarks: tuple[BenchmarkSpec, ...] = ()
    control: str = "random"
    alpha: float = Field(default=0.05, gt=0, lt=1)
    margins: dict[str, Annotated[float, Field(gt=0, allow_inf_nan=False)]] = Field(default_factory=dict)
    weights: dict[str, Annotated[float, Field(gt=0, allow_inf_nan=False)]] | None = None
    keep: Literal["none", "adapters", "all"] = "none"
    engine: Literal["hf", "vllm"] = "hf"
    max_failed: float = Field(default=0.02, ge=0, le=1)
    max_cost: float | None = Field(default=None, ge=0)
    workers: int | None = Field(default=None, ge=1)
    processes: int = Field(default=1, ge=1)
    deepspeed: str | None = None
    threads: int | None = Field(default=None, ge=1)
    note: str = ""

    @field_validator("recipe", mode="before")
    @classmethod
    def _recipe(cls, value: Any) -> Any:
        if value == "best_on_test":
            raise ValueError(
                "picking each arm's recipe by its test score finds differences where there are none: name one recipe "
                "for all arms"
            )
        return value

    @field_validator("pools", mode="before")
    @classmethod
    def _pools(cls, value: Any) -> Any:
        return [{"source": item} if isinstance(item, str) else item for item in _listed(value)]

    @field_validator("selectors", mode="before")
    @classmethod
    def _selectors(cls, value: Any) -> Any:
        return [{"name": item} if isinstance(item, str) else item for item in _listed(value)]

    @field_validator("testsets", mode="before")
    @classmethod
    def _testsets(cls, value: Any) -> Any:
        return _named(value, "source")

    @field_validator("benchmarks", mode="before")
    @classmethod
    def _benchmarks(cls, value: Any) -> Any:
        return _named(value, "name")

    @field_validator("budgets", mode="before")
    @classmethod
    def _budgets(cls, value: Any) -> Any:
        budgets = _listed(value)
        for budget in budgets:
            Budget.parse(budget)
        return budgets

    @field_validator("selectors")
    @classmethod
    def _distinct(cls, value: tuple[SelectorSpec, ...]) -> tuple[SelectorSpec, ...]:
        arms = [selector.arm for selector in value]
        double = {arm for arm in arms if arms.count(arm) > 1}
        if double:
            raise ValueError(f"two arms are called {sorted(double)[0]!r}: give each a name of its own with 'as'")
        return value

    def runs_of(self, arm: str) -> int:
        """Repetitions of an arm: its own entry, else max(5, ceil(3 sqrt(m))) for the control and 3 for the others."""
        if arm in self.runs:
            return self.runs[arm]
        if arm == self.control:
            others = sum(1 for selector in self.selectors if selector.arm != self.control)
            return max(5, math.ceil(3 * math.sqrt(others)))
        return self.runs.get("default", 3)


def load_spec(path: Path) -> Spec:
    """The spec in a YAML file.

    Raises:
        UsageError: No such file, not YAML, a key that does not exist (with the nearest one that does), a bad value.
    """
    if not path.is_file():
        raise UsageError(f"there is no spec {path}: write one with `selkit init -o {path}`")
    try:
        raw = yaml.load(path.read_text(encoding="utf-8"), Loader=_StrictLoader)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} is not valid YAML: {' '.join(str(error).split())}") from error
    if not isinstance(raw, dict):
        raise UsageError(f"{path} does not hold a spec: it must be a mapping with name, pools, model, selectors, ...")
    return parse_spec(raw, str(path))


def parse_spec(raw: Mapping[str, Any], where: str = "the spec") -> Spec:
    """A spec from plain data; ``where`` names it in errors."""
    try:
        return Spec.model_validate(dict(raw))
    except ValidationError as error:
        raise UsageError(f"{where}: {_sentence(error)}") from error
    except (UsageError, DataError) as error:
        raise UsageError(f"{where}: {error}") from error


def _sentence(error: ValidationError) -> str:
    # A key that does not exist explains a missing one: it is probably that key, misspelt.
    first = min(error.errors(), key=lambda one: one["type"] != "extra_forbidden")
    place = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        key = str(first["loc"][-1])
        known = _keys_at(first["loc"][:-1])
        return f"there is no key {place!r}.{did_you_mean(key, known)} The keys here are {', '.join(known)}"
    if first["type"] == "missing":
        return f"the key {place!r} is missing"
    return f"{place}: {first['msg'].removeprefix('Value error, ')}"


def _keys_at(location: tuple[int | str, ...]) -> list[str]:
    model: type[BaseModel] = Spec
    nested: dict[str, type[BaseModel]] = {
        "pools": PoolSpec,
        "selectors": SelectorSpec,
        "testsets": TestsetSpec,
        "benchmarks": BenchmarkSpec,
    }
    if location and location[0] in nested:
        model = nested[str(location[0])]
    return [field.alias or name for name, field in model.model_fields.items()]


def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, (list, tuple)) else [value]


def _named(value: Any, key: str) -> Any:
    """``{coachlm: {...}}`` and ``[coachlm, {source: ...}]`` mean the same."""
    if isinstance(value, Mapping):
        return [{key: name, **(options or {})} for name, options in value.items()]
    return [{key: item} if isinstance(item, str) else item for item in _listed(value)]


class _StrictLoader(yaml.SafeLoader):
    """YAML without tags, and without a key that comes twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Refuses a mapping in which a key comes twice."""
        keys = [self.construct_object(key, deep=deep) for key, _ in node.value]
        for key in keys:
            if keys.count(key) > 1:
                raise yaml.constructor.ConstructorError(None, None, f"the key {key!r} comes twice", node.start_mark)
        return super().construct_mapping(node, deep=deep)
