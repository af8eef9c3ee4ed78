"""Parameters: text becomes the declared type, and everything else is refused in one sentence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field

from selkit.api import BaseSelector, Component, DataError, PairwiseJudge, PluginFailed, Sampler, Scorer, UsageError
from selkit.plugins import build, parameters_of, parse_assignments
from selkit.plugins.build import Builder


class Side(Enum):
    """Two sides."""

    LEFT = "left"
    RIGHT = "right"


@dataclass
class Many(Scorer):
    """Parameters of every type.

    Args:
        count: How many
            there are: at least one.
        share (float): A share.
    """

    name = "many"
    count: int = 1
    share: float = 0.5
    flag: bool = False
    word: str = "a"
    unit: Literal["tokens", "words", "none"] | None = "tokens"
    file: Path | None = None
    names: tuple[str, ...] = ()
    pair: tuple[int, float] = (1, 2.0)
    numbers: list[int] = field(default_factory=list)
    some: Sequence[float] | None = None
    limit: int | str = 5
    bounded: Annotated[int, Field(ge=1, le=9)] = 1
    side: Side = Side.LEFT
    options: dict[str, int] = field(default_factory=dict)
    anything: Any = None

    def score(self, pool: Any, ctx: Any) -> list[float]:
        """Nothing."""
        return []


@dataclass
class Inner(Scorer):
    """A scorer that others hold."""

    name = "inner"
    ratio: Literal["loss", "perplexity"] = "perplexity"
    depth: int = 2
    deeper: Scorer | None = None

    def score(self, pool: Any, ctx: Any) -> list[float]:
        """Nothing."""
        return []


@dataclass
class Draw(Sampler):
    """A sampler."""

    name = "draw"

    def sample(self, pool: Any, k: int, ctx: Any) -> list[str]:
        """Nothing."""
        return []


@dataclass
class Verdict(PairwiseJudge):
    """A judge."""

    name = "verdict"

    def compare(self, comparisons: Any, ctx: Any) -> list[Any]:
        """Nothing."""
        return []


@dataclass
class Outer(Draw):
    """Holds other components."""

    name = "outer"
    scorer: Scorer = field(default_factory=lambda: Inner(ratio="loss", depth=7))
    judge: PairwiseJudge | None = None
    any_selector: BaseSelector | None = None
    team: tuple[Scorer, ...] = ()
    arm: Scorer | str | None = None


@dataclass
class Needy(Draw):
    """Cannot do without.

    Args:
        file: The rows to take.
    """

    name = "needy"
    file: Path
    scorer: Scorer


@dataclass
class Picky(Draw):
    """Checks its own parameters."""

    name = "picky"
    share: float = 0.5

    def __post_init__(self) -> None:
        if self.share > 1:
            raise ValueError(f"share is at most 1, not {self.share}")
        if self.share < 0:
            raise DataError("no data for negative shares")


CLASSES = {cls.name: cls for cls in (Many, Inner, Draw, Verdict, Outer, Needy, Picky)}
KIND_OF = {"verdict": "judge"}


def _find(kind: str, name: str) -> type[Component]:
    assert kind == KIND_OF.get(name, "selector")
    return CLASSES[name]


def _make(name: str, /, **parameters: Any) -> Any:
    return Builder(_find).build(CLASSES[name], KIND_OF.get(name, "selector"), parameters)


def _refusal(name: str, /, **parameters: Any) -> str:
    with pytest.raises(UsageError) as caught:
        _make(name, **parameters)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("parameter", "text", "value"),
    [
        ("count", "12", 12),
        ("count", " 12 ", 12),
        ("share", "1e-3", 0.001),
        ("share", "1", 1.0),
        ("flag", "true", True),
        ("flag", "no", False),
        ("flag", "1", True),
        ("word", "none", "none"),
        ("word", "5", "5"),
        ("unit", "words", "words"),
        ("unit", "none", "none"),
        ("unit", "null", None),
        ("file", "a/b.json", Path("a/b.json")),
        ("file", "None", None),
        ("names", "a, b", ("a", "b")),
        ("names", "", ()),
        ("names", "alone", ("alone",)),
        ("pair", "3,4", (3, 4.0)),
        ("numbers", "1,2,3", [1, 2, 3]),
        ("some", "none", None),
        ("some", "0.5,1", [0.5, 1.0]),
        ("limit", "7", 7),
        ("limit", "all", "all"),
        ("bounded", "9", 9),
        ("side", "right", Side.RIGHT),
        ("options", {"a": "1"}, {"a": 1}),
        ("anything", "x", "x"),
    ],
)
def test_text_becomes_the_declared_type(parameter: str, text: Any, value: Any) -> None:
    """What the command line hands over as text arrives as the type that the field declares."""
    built = getattr(_make("many", **{parameter: text}), parameter)
    assert built == value
    assert type(built) is type(value)


@given(
    count=st.integers(-(10**12), 10**12),
    share=st.floats(allow_nan=False, allow_infinity=False),
    flag=st.booleans(),
    word=st.text(),
    numbers=st.lists(st.integers(-99, 99)),
    unit=st.sampled_from(["tokens", "words", "none"]),
)
def test_text_and_yaml_give_the_same_component(**values: Any) -> None:
    """A parameter written on the command line means what the typed value in YAML means."""
    typed = _make("many", **values)
    shown = {key: ",".join(map(str, v)) if isinstance(v, list) else str(v) for key, v in values.items()}
    assignments = [f"{key}={text}" for key, text in shown.items()]
    assert _make("many", **parse_assignments(assignments)) == typed == Many(**values)


@pytest.mark.parametrize(
    ("parameter", "value", "told"),
    [
        ("count", "many", "parameter 'count' of selector 'many' must be a whole number, not 'many'."),
        ("count", "1.5", "must be a whole number, not '1.5'."),
        ("count", True, "must be a whole number, not True."),
        ("count", None, "must be a whole number, not None."),
        ("share", "nan", "must be a number (the number must be finite), not 'nan'."),
        ("share", float("inf"), "must be a number (the number must be finite), not inf."),
        ("share", False, "must be a number, not False."),
        ("flag", "perhaps", "must be true or false, not 'perhaps'."),
        ("word", 5, "must be text, not 5."),
        ("unit", "word", "must be one of 'tokens', 'words', 'none' or none, not 'word'. Did you mean 'words'?"),
        ("file", 3, "must be a path or none, not 3."),
        ("pair", "1", "must be a list, each a whole number, not '1'."),
        ("numbers", "1,x", "must be a list, each a whole number, not '1,x'."),
        ("bounded", "10", "must be a whole number (input should be less than or equal to 9), not '10'."),
        ("side", "centre", "must be one of 'left', 'right', not 'centre'."),
        ("options", "x", "must be a mapping, not 'x'."),
    ],
)
def test_a_wrong_value_is_refused(parameter: str, value: Any, told: str) -> None:
    """The sentence names the parameter, the component, what is expected and what was given."""
    assert _refusal("many", **{parameter: value}).endswith(told)


def test_an_unknown_parameter_gets_the_nearest() -> None:
    """An unknown key is refused with all that there are and the nearest of them."""
    told = _refusal("inner", ration="loss")
    assert told == ("selector 'inner' has no parameter 'ration': it has ratio, depth, deeper. Did you mean 'ratio'?")
    assert _refusal("draw", name="x") == "selector 'draw' has no parameter 'name': it has none."


def test_a_missing_parameter_is_named_with_its_meaning() -> None:
    """A parameter without a default has to be given; the sentence says what it is."""
    assert _refusal("needy") == (
        "selector 'needy' needs its parameter 'file' (The rows to take): give it with -p file=VALUE"
    )


def test_what_a_component_refuses_itself_is_a_usage_error() -> None:
    """A ValueError of __post_init__ becomes a sentence; selkit's own errors keep their exit code."""
    assert (
        _refusal("picky", share="2") == "selector 'picky' does not accept these parameters: share is at most 1, not 2.0"
    )
    with pytest.raises(DataError):
        _make("picky", share="-1")


@pytest.mark.parametrize(
    "parameters",
    [
        {"scorer": {"name": "inner", "ratio": "loss"}},
        parse_assignments(["scorer=inner", "scorer.ratio=loss"]),
        parse_assignments(["scorer.ratio=loss", "scorer.name=inner"]),
        {"scorer": Inner(ratio="loss")},
    ],
)
def test_a_parameter_may_be_a_component(parameters: dict[str, Any]) -> None:
    """The ways to write a nested component mean the same."""
    assert _make("outer", **parameters).scorer == Inner(ratio="loss")


def test_nested_parameters_change_the_default_component() -> None:
    """Without a name, nested parameters apply to the default, whose other settings stay."""
    assert _make("outer", scorer={"depth": "3"}).scorer == Inner(ratio="loss", depth=3)
    assert _make("outer").scorer == Inner(ratio="loss", depth=7)


def test_components_nest_to_any_depth() -> None:
    """A component in a component in a component, from the command line."""
    given_ = parse_assignments(
        ["scorer=inner", "scorer.deeper=inner", "scorer.deeper.deeper=many", "scorer.deeper.deeper.count=4"]
    )
    assert _make("outer", **given_).scorer.deeper.deeper == Many(count=4)


def test_other_places_for_components() -> None:
    """A judge, any selector, a list of scorers, and a name that may also be an arm's."""
    built = _make("outer", judge="verdict", any_selector="draw", team="inner, many", arm="other-arm")
    assert asdict(built) | {"scorer": None} == {
        "scorer": None,
        "judge": {},
        "any_selector": {},
        "team": (asdict(Inner()), asdict(Many())),
        "arm": "other-arm",
    }
    assert _make("outer", team=[{"name": "inner", "depth": 1}]).team == (Inner(depth=1),)
    assert "must be a list, each the name of a scorer, not 7" in _refusal("outer", team=7)
    assert _make("outer", judge="none", arm={"name": "inner"}).arm == Inner()


def test_a_component_of_another_class_is_refused() -> None:
    """A sampler is no scorer, and the sentence says so."""
    assert (
        _refusal("outer", scorer="draw")
        == "parameter 'scorer' of selector 'outer' takes a scorer, and 'draw' is a sampler"
    )
    assert "takes a scorer, not 3" in _refusal("outer", scorer=3)
    assert "names no scorer: add -p scorer=NAME" in _refusal("needy", file="x", scorer={"depth": 1})


def test_a_wrong_nested_parameter_names_the_nested_component() -> None:
    """The sentence is about the component that has the parameter."""
    assert "of selector 'inner' must be one of 'loss', 'perplexity'" in _refusal(
        "outer", scorer={"name": "inner", "ratio": "x"}
    )


def test_a_type_that_cannot_be_checked_is_the_plugins_fault() -> None:
    """A parameter of a class that pydantic knows nothing of is the author's mistake, not the user's."""

    @dataclass
    class Odd(Draw):
        """Odd."""

        name = "odd"
        thing: UsageError | None = None

    with pytest.raises(PluginFailed, match="parameter 'thing' of selector 'odd' has a type"):
        Builder(_find).build(Odd, "selector", {"thing": "x"})


def test_parameters_are_described() -> None:
    """Name, type in words, default, choices and the docstring's words, over continued lines."""
    found = parameters_of(Many)
    assert found["count"].help == "How many there are: at least one."
    assert found["share"].help == "A share."
    assert found["unit"].choices == ("tokens", "words", "none")
    assert found["some"].type == "a list, each a number or none"
    assert found["numbers"].default == []
    assert found["limit"].type == "a whole number or text"
    needy = parameters_of(Needy)
    assert [p.required for p in needy.values()] == [True, True]
    assert needy["scorer"].type == "the name of a scorer"


def test_build_finds_built_ins() -> None:
    """The documented function builds from a kind, a name and texts."""
    assert build("selector", "longest", {"unit": "words"}).parameters() == {"unit": "words", "tokenizer": None}


_KEY = st.text(st.characters(categories=["Ll", "Nd"]), min_size=1, max_size=4)


@given(st.dictionaries(_KEY, st.text(), max_size=5))
def test_flat_assignments_are_a_mapping(values: dict[str, str]) -> None:
    """Whatever stands after the first '=' is the value."""
    assert parse_assignments([f"{key}={value}" for key, value in values.items()]) == values


@given(st.permutations(["s=x", "s.a=1", "s.b.c=2", "s.b=y", "t=3"]))
def test_the_order_of_assignments_is_of_no_account(assignments: list[str]) -> None:
    """Nested keys may come before the name of what they belong to."""
    assert parse_assignments(assignments) == {"s": {"name": "x", "a": "1", "b": {"name": "y", "c": "2"}}, "t": "3"}


@pytest.mark.parametrize(
    ("assignments", "told"),
    [
        (["unit"], "'unit' is not of the form KEY=VALUE"),
        (["=words"], "'=words' is not of the form KEY=VALUE"),
        (["scorer..ratio=1"], "is not of the form KEY=VALUE"),
        (["a=1", "a=2"], "parameter 'a' is given twice, as '1' and as '2': keep one"),
        (["s.a=1", "s.a=1"], "parameter 's.a' is given twice"),
        (["s=x", "s.name=y"], "parameter 's' is given twice, as 's' and as 's.name': keep one"),
    ],
)
def test_bad_assignments_are_refused(assignments: list[str], told: str) -> None:
    """No '=', no key, and a key given twice are refused."""
    with pytest.raises(UsageError) as caught:
        parse_assignments(assignments)
    assert told in str(caught.value)
