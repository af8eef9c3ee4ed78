"""The spec: strict, with defaults that make a small file enough."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from selkit.api import UsageError
from selkit.experiment import load_spec, parse_spec, quickstart_spec, write_spec
from selkit.experiment.setup.grid import ANCHOR, Arm, cells_of, waves
from selkit.experiment.setup.turns import arms_in_turn
from selkit.judge import CANARIES
from selkit.plugins import build

SMALL = {"name": "small", "pools": "planted", "model": "tiny:words", "recipe": "quickstart", "budgets": 10}


def spec_of(**changes: object) -> dict[str, object]:
    """A small spec with changes; None leaves a key out."""
    spec = {**SMALL, "selectors": ["random", "oracle"], **changes}
    return {key: value for key, value in spec.items() if value is not None}


def test_a_small_file_is_enough() -> None:
    """Single values stand for lists, names for mappings, and runs follow the design's rule."""
    spec = parse_spec(spec_of(testsets={"planted": {"judges": ["reference"]}}))
    assert [pool.label for pool in spec.pools] == ["planted"]
    assert spec.testsets[0].source == "planted"
    assert (spec.runs_of("random"), spec.runs_of("oracle")) == (5, 3)
    many = parse_spec(spec_of(selectors=["random", *({"name": "oracle", "as": f"o{i}"} for i in range(9))]))
    assert many.runs_of("random") == 9


def test_one_judge_with_several_parameters_makes_several() -> None:
    """'as' names each; without it a judge is called by its name, without that of its package."""
    judges = ["selkit:reference", {"name": "reference", "as": "lax", "margin": 5}]
    (testset,) = parse_spec(spec_of(testsets={"planted": {"judges": judges}})).testsets
    assert [judge.label for judge in testset.judge_specs] == ["reference", "lax"]
    assert [judge.parameters for judge in testset.judge_specs] == [{}, {"margin": 5}]


@pytest.mark.parametrize(
    ("given", "names"),
    [
        ("true", tuple(CANARIES)),
        ("false", ()),
        ("echo", ("echo",)),
        ("[echo, null, empty]", ("empty", "null", "echo")),  # YAML takes an unquoted null for none
    ],
)
def test_canaries_are_switched_on_for_a_judge(given: str, names: tuple[str, ...]) -> None:
    """All, none, or some by name; they are no parameter of the judge."""
    judge = yaml.safe_load(f"{{name: reference, canaries: {given}}}")
    (testset,) = parse_spec(spec_of(testsets={"planted": {"judges": [judge]}})).testsets
    (found,) = testset.judge_specs
    assert (found.canaries, found.parameters) == (names, {})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"budgetz": 3, "budgets": None}, r"no key 'budgetz'.*Did you mean 'budgets'"),
        ({"selectors": [{"name": "random", "parameter": {}}]}, r"selectors.0.parameter.*Did you mean 'parameters'"),
        ({"selectors": ["random", "random"]}, "two arms are called 'random'"),
        (
            {"testsets": {"planted": {"judges": ["reference", {"name": "reference"}]}}},
            "two judges are called 'reference'",
        ),
        (
            {"testsets": {"planted": {"judges": [{"name": "reference", "canaries": ["ecco"]}]}}},
            r"there is no canary 'ecco'. Did you mean 'echo'\? Take some of empty, null, injection",
        ),
        (
            {"testsets": {"planted": {"judges": [{"name": "reference", "canaries": 3}]}}},
            "canaries is true, false or a list of names, and not 3",
        ),
        ({"testsets": {"planted": {"turns": "some"}}}, "turns"),
        ({"budgets": ["some"]}, "neither a number of rows"),
        ({"name": "../up"}, "name"),
        ({"keep": "some"}, "keep"),
        ({"testsets": [{"source": "planted", "decoding": "warm"}]}, "no decoding preset 'warm'"),
    ],
)
def test_what_is_wrong_is_named(changes: dict[str, object], message: str) -> None:
    """One sentence: the key, and what would be right."""
    with pytest.raises(UsageError, match=message):
        parse_spec(spec_of(**changes))


def test_files_are_read_strictly(tmp_path: Path) -> None:
    """A missing file, YAML that is none, a key that comes twice, and a tag that would run code."""
    path = tmp_path / "spec.yaml"
    with pytest.raises(UsageError, match="selkit init"):
        load_spec(path)
    for text, word in [
        ("name: [", "not valid YAML"),
        ("name: a\nname: b\n", "comes twice"),
        ("name: !!python/object/apply:os.system [echo]\n", "not valid YAML"),
        ("- a\n", "mapping"),
    ]:
        path.write_text(text, encoding="utf-8")
        with pytest.raises(UsageError, match=word):
            load_spec(path)


def test_init_writes_a_spec_that_loads(tmp_path: Path) -> None:
    """The commented file is valid as it stands, and is not overwritten."""
    path = write_spec("data/my pool.jsonl", tmp_path / "mine.yaml")
    spec = load_spec(path)
    assert spec.pools[0].source == "data/my pool.jsonl"
    assert spec.name == "mine"
    with pytest.raises(Exception, match="is there already"):
        write_spec("x", path)


def test_cells_follow_the_spec() -> None:
    """Anchors first; a given subset brings random at its own size; full stands beside every budget."""
    spec = parse_spec(spec_of(budgets=[10, "5%"], testsets=["planted"], runs={"random": 2, "default": 1}))
    arms = [
        Arm("random", build("selector", "random"), 2),
        Arm("mine", build("selector", "subset", {"file": "x.txt"}), 1),
        Arm("full", build("selector", "full"), 1),
    ]
    cells = cells_of(spec, arms, ["quickstart"], {("planted", "mine", "tiny:words"): 7})
    assert [c.budget for c in cells if c.arm == ANCHOR] == ["10", "5%", "7"]
    assert [(c.budget, c.run) for c in cells if c.arm == "random"] == [
        ("10", 1), ("10", 2), ("5%", 1), ("5%", 2), ("7", 1), ("7", 2),
    ]  # fmt: skip
    assert [c.budget for c in cells if c.arm == "mine"] == ["7"]
    assert [c.budget for c in cells if c.arm == "full"] == [None]
    assert all(c.selection_seed == c.training_seed == c.run for c in cells)


def test_selectors_that_look_at_others_run_after_them() -> None:
    """Methods first, then methods that avoid others, then the controls that need all of them."""
    names = ["strict-random", "random-low-overlap", "longest", "random"]
    arms = [Arm(name, build("selector", name), 1) for name in names]
    assert [[arm.name for arm in wave] for wave in waves(arms)] == [
        ["longest", "random"],
        ["random-low-overlap"],
        ["strict-random"],
    ]


def arm(name: str, selector: str, **parameters: Any) -> Arm:
    """An arm by its name, its selector and the parameters of that."""
    return Arm(name, build("selector", selector, parameters), 1)


def test_arms_choose_after_those_that_they_name() -> None:
    """Also where both are of one kind, and whatever the order of the spec; others keep that order."""
    arms = [
        arm("second", "length-matched-random", like="first"),
        arm("first", "length-matched-random", like="longest"),
        arm("strict", "strict-random"),
        arm("longest", "longest"),
        arm("avoiding", "random-low-overlap", against=["strict-again"]),
        arm("strict-again", "strict-random", without=["longest"]),
        arm("random", "random"),
    ]
    order = [one.name for one in arms_in_turn(arms)]
    assert order == ["longest", "random", "strict-again", "avoiding", "first", "second", "strict"]


@pytest.mark.parametrize(
    ("arms", "said"),
    [
        (
            [arm("lm", "length-matched-random", like="lognest"), arm("longest", "longest"), arm("random", "random")],
            r"arm 'lm' names 'lognest', neither an arm nor a folder .* Did you mean 'longest'\? The arms are",
        ),
        (
            [arm("strict", "strict-random", without=["longest", "rondom"]), arm("longest", "longest")],
            "arm 'strict' names 'rondom', neither",
        ),
        ([arm("lm", "length-matched-random", like="base")], "names 'base', which is given and chooses no rows"),
        ([arm("lm", "length-matched-random", like="lm")], r"wait for each other's rows \(lm after lm\)"),
        (
            [arm("a", "length-matched-random", like="b"), arm("b", "random-low-overlap", against=["a"])],
            r"wait for each other's rows \(b after a after b\)",
        ),
        (
            [arm("avoiding", "random-low-overlap", against=["strict"]), arm("strict", "strict-random")],
            r"\(avoiding after strict after avoiding\)",
        ),
    ],
)
def test_arms_that_name_nothing_or_each_other_are_refused(arms: list[Arm], said: str) -> None:
    """In one sentence, as soon as the spec is checked."""
    with pytest.raises(UsageError, match=said):
        arms_in_turn(arms, parse_spec({**SMALL, "selectors": ["random", "base"]}).given)


def test_a_folder_with_a_selection_may_be_named(tmp_path: Path) -> None:
    """One that `selkit select` wrote; without its manifest it is none."""
    named = arm("lm", "length-matched-random", like=str(tmp_path))
    with pytest.raises(UsageError, match="nor a folder that `selkit select` wrote"):
        arms_in_turn([named])
    (tmp_path / "selection.jsonl").write_text('{"id": "a"}\n', "utf-8")
    (tmp_path / "manifest.json").write_text("{}", "utf-8")
    assert arms_in_turn([named]) == [named]


def test_the_quickstart_is_as_the_issue_asks() -> None:
    """random four times, oracle twice, the others once."""
    spec = quickstart_spec()
    runs = {selector.arm: spec.runs_of(selector.arm) for selector in spec.selectors}
    assert runs == {"random": 4, "oracle": 2, "strict-random": 1, "longest": 1, "full": 1}
