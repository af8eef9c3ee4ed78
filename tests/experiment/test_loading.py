"""Spec files: what they include, what the command line sets, and the schema by which editors know them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from selkit.api import BudgetError, UsageError
from selkit.experiment import load_spec, parse_spec, quickstart_spec, write_spec
from selkit.experiment.spec.overrides import merged, with_overrides
from selkit.experiment.spec.schema import schema_text, spec_schema
from selkit.experiment.spec.wording import in_a_spec

ROOT = Path(__file__).resolve().parents[2]
BASE = """\
name: base
pools: planted
model: tiny:words
recipe: quickstart
selectors: [random, oracle]
budgets: 10
runs: {random: 5, default: 2}
"""


def written(folder: Path, **files: str) -> Path:
    """Files of these names in a folder; returns that of the first."""
    for name, text in files.items():
        (folder / f"{name}.yaml").write_text(text, encoding="utf-8")
    return folder / f"{next(iter(files))}.yaml"


def test_a_file_lays_its_keys_over_those_that_it_includes(tmp_path: Path) -> None:
    """Mappings key by key, later files over earlier ones, and recipes in place of recipe."""
    (tmp_path / "parts").mkdir()
    written(tmp_path / "parts", base=BASE, more="include: base.yaml\nbudgets: [20]\nruns: {oracle: 4}\n")
    mine = written(tmp_path, mine="include: [parts/more.yaml]\nname: mine\nrecipes: [lima, car]\nruns: {random: 9}\n")
    spec = load_spec(mine)
    assert (spec.name, spec.budgets, spec.model) == ("mine", (20,), "tiny:words")
    assert spec.runs == {"random": 9, "default": 2, "oracle": 4}
    assert spec.recipe_specs == ("lima", "car")


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"a": "include: b.yaml\n", "b": "include: c.yaml\n", "c": "include: b.yaml\n"}, "b.yaml includes c.yaml incl"),
        ({"a": "include: a.yaml\n"}, r"a circle \(a.yaml includes a.yaml\)"),
        ({"a": "include: none.yaml\n"}, "there is no file .*none.yaml to include; it is looked for beside a.yaml"),
        ({"a": "include: [{}]\n"}, "include names files, not {}"),
        ({"a": "include: b.yaml\n", "b": "- x\n"}, "b.yaml does not hold a spec"),
    ],
)
def test_bad_includes_are_refused(tmp_path: Path, files: dict[str, str], message: str) -> None:
    """One sentence that names the file, or the circle."""
    with pytest.raises(UsageError, match=message):
        load_spec(written(tmp_path, **files))


@pytest.mark.parametrize(
    ("assignment", "key", "value"),
    [
        ("runs.random=7", "runs", {"random": 7, "default": 2}),
        ("budgets=[10, 5%]", "budgets", [10, "5%"]),
        ("recipe.max_steps=3", "recipe", {"preset": "quickstart", "max_steps": 3}),
        ("pools.0.rows=50", "pools", [{"source": "planted", "rows": 50}]),
        ("selectors.1.as=mine", "selectors", ["random", {"name": "oracle", "as": "mine"}]),
        ("seeds.selection=3", "seeds", {"selection": 3}),
        ("testsets.planted.prompts=5", "testsets", {"planted": {"prompts": 5}}),
        ("note=a = b", "note", "a = b"),
    ],
)
def test_a_value_is_set_at_its_path(assignment: str, key: str, value: Any) -> None:
    """Everything else stays as it is, and so does what was given."""
    raw = yaml.safe_load(BASE)
    found = with_overrides(raw, [assignment])
    assert found == {**raw, key: value}
    assert raw == yaml.safe_load(BASE)


def test_a_judge_that_is_a_name_takes_keys() -> None:
    """Those of a test set in any of its spellings, and that of a recipe search."""
    given = {"testsets": [{"source": "a", "judges": ["x", "y"]}], "search": {"by": "judged", "judge": "x"}}
    found = with_overrides(given, ["testsets.0.judges.1.reasks=1", "search.judge.reasks=2"])
    assert found["testsets"] == [{"source": "a", "judges": ["x", {"name": "y", "reasks": 1}]}]
    assert found["search"] == {"by": "judged", "judge": {"name": "x", "reasks": 2}}
    named = with_overrides({"testsets": {"judges": "a", "b": {"judges": "x"}}}, ["testsets.b.judges.reasks=1"])
    assert named["testsets"] == {"judges": "a", "b": {"judges": {"name": "x", "reasks": 1}}}


def test_the_plural_takes_the_place_of_the_singular() -> None:
    """And the other way round; later assignments come over earlier ones."""
    raw = yaml.safe_load(BASE)
    assert "model" not in with_overrides(raw, ["models=[a, b]"])
    assert with_overrides(raw, ["models=[a, b]", "model=c"])["model"] == "c"
    assert merged({"recipes": ["a"]}, {"recipe": "b"}) == {"recipe": "b"}


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("runs", "is not KEY.PATH=VALUE"),
        (".x=1", "is not KEY.PATH=VALUE"),
        ("budgetz=3", "a spec has no key 'budgetz'. Did you mean 'budgets'"),
        ("selectors.1.parameter.unit=words", "no key 'selectors.1.parameter'. Did you mean 'parameters'"),
        ("selectors.5.as=x", "selectors has 2 entries, from 0"),
        ("budgets.0.rows=3", "budgets.0 is 10, which has no keys"),
        ("runs.random=[1", "is no YAML value"),
        ("recipe.epochz=3", "no key 'epochz'"),
    ],
)
def test_bad_assignments_are_refused(tmp_path: Path, assignment: str, message: str) -> None:
    """With the nearest key that there is."""
    from selkit.train import load_recipe

    with pytest.raises(UsageError, match=message):
        load_recipe(load_spec(written(tmp_path, base=BASE), [assignment]).recipe_specs[0])


def test_the_quickstart_takes_assignments() -> None:
    """So that it can be made smaller without a file."""
    assert quickstart_spec(["pools.0.source.rows=200", "runs.random=3"]).runs["random"] == 3


def test_the_published_schema_is_that_of_the_code() -> None:
    """docs/reference/experiment.schema.json."""
    path = ROOT / "docs" / "reference" / "experiment.schema.json"
    assert path.read_text("utf-8") == schema_text(), "run `python docs/build_reference.py` and commit what it writes"


def test_the_schema_takes_what_selkit_takes(tmp_path: Path) -> None:
    """Every spec of the repository and the starter; and marks a misspelt key."""
    jsonschema = pytest.importorskip("jsonschema")
    check = jsonschema.Draft202012Validator(spec_schema())
    starter = write_spec("rows.jsonl", tmp_path / "mine.yaml")
    assert starter.read_text("utf-8").startswith("# yaml-language-server: $schema=experiment.schema.json\n")
    files = [starter, ROOT / "selkit/experiment/quickstart.yaml", *sorted((ROOT / "examples").glob("**/*.yaml"))]
    for path in files:
        raw = yaml.safe_load(path.read_text("utf-8"))
        assert not [error.message for error in check.iter_errors(json.loads(json.dumps(raw)))], path
    short = {**yaml.safe_load(BASE), "compare": [["oracle", {"arm": "random", "budget": 10}]], "include": "x.yaml"}
    assert check.is_valid(short)
    assert not check.is_valid({**short, "budgetz": 3})
    assert not check.is_valid({**short, "selectors": [{"name": "random", "parameter": {}}]})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"runs": 3}, r"runs is 3, and a mapping belongs there, such as \{random: 10, default: 3\}"),
        ({"runs": {"random": "x"}}, r"runs.random is 'x', and a whole number belongs there$"),
        ({"runs": {"random": 0}}, "runs.random is 0, and has to be at least 1"),
        ({"pools": 3}, r"pools.0 is 3, and a mapping belongs there, such as my-rows.jsonl"),
        ({"selectors": []}, r"selectors is empty: give at least one, such as \[random"),
        ({"keep": "some"}, "keep is 'some': it is one of 'none', 'adapters', 'all'"),
        ({"alpha": 2}, "alpha is 2, and has to be less than 1"),
        ({"name": "A b"}, "name is 'A b': a name is of 1 to 64 small letters"),
        ({"recipe": 3}, "the spec: recipe is 3, and a text belongs there, such as lima"),
        ({"testsets": {"mine": 3}}, "what belongs to 'mine' is a mapping of its keys, and not 3"),
        ({"budgets": "2.5"}, "budget '2.5' is neither a number of rows such as 1000 nor a share such as 5%"),
    ],
)
def test_a_wrong_value_is_told_with_what_belongs_there(changes: dict[str, Any], message: str) -> None:
    """The key as it stands in the file, the value, and an example or the bound; none of pydantic's words."""
    small = {"name": "a", "pools": "alpaca", "model": "m", "recipe": "lima", "selectors": "random", "budgets": 9}
    with pytest.raises(UsageError, match=message) as raised:
        parse_spec({**small, **changes})
    assert "Input should" not in str(raised.value)


def test_options_of_the_command_line_are_told_as_keys_of_a_spec() -> None:
    """Those of nested components too; what names none stays as it is."""
    told = r"^take `scorer: \{ratio: loss\}` or `unit: words`, under arm 'a'$"
    with pytest.raises(UsageError, match=told), in_a_spec("under arm 'a'"):
        raise UsageError("take -p scorer.ratio=loss or -p unit=words")
    with pytest.raises(BudgetError, match=r"^take fewer$"), in_a_spec("under arm 'a'"):
        raise BudgetError("take fewer")
