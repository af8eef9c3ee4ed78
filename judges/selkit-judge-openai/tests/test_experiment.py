"""The judge in an experiment: the README's example, checks before anything trains, and one small run."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from selkit_judge_openai.judge import OpenAI

from selkit.api import DataError
from selkit.experiment import parse_spec, run_experiment
from selkit.experiment.setup import prepare
from selkit.plugins import build
from selkit.store import Store
from selkit.testing.chat_server import Call, ChatServer

README = Path(__file__).parents[1] / "README.md"


def spec_of(*judges: dict[str, Any]) -> dict[str, Any]:
    """A very small experiment on the planted pool."""
    return {
        "name": "judged",
        "pools": [{"name": "planted", "source": {"name": "planted", "rows": 120}}],
        "model": "tiny:words?hidden=32&layers=1",
        "recipe": {"preset": "quickstart", "max_steps": 4, "batch_size": 8},
        "selectors": ["random", "oracle"],
        "budgets": [20],
        "runs": {"random": 1, "oracle": 1},
        "testsets": {"planted": {"prompts": 6, "max_new_tokens": 6, "anchor": "reference", "judges": list(judges)}},
        "threads": 1,
    }


def test_the_readmes_example_is_a_spec_whose_judges_can_be_built() -> None:
    """Two prompts of one judge, each under a name of its own."""
    (text,) = re.findall(r"```yaml\n(.*?)```", README.read_text("utf-8"), re.DOTALL)
    (testset,) = parse_spec(yaml.safe_load(text)).testsets
    assert testset.judge_labels == ("shen", "no-length")
    built = [
        build("judge", judge["name"], {key: value for key, value in judge.items() if key not in ("name", "as")})
        for judge in testset.judges
        if isinstance(judge, dict)
    ]
    assert built == [OpenAI(), OpenAI(template="two-score-no-length")]


def test_the_readme_knows_every_parameter_and_default() -> None:
    """The table names them all, and the defaults that it gives are true."""
    rows = dict(re.findall(r"^\| `(\w+)` \| `?([^|`]*)`? \|", README.read_text("utf-8"), re.MULTILINE))
    defaults = OpenAI(template="verdict-letter").parameters() | {"template": OpenAI().template}
    assert set(rows) >= set(defaults)
    for name in ("template", "prompt", "endpoint", "delimiters"):
        assert rows[name] == defaults[name]


@pytest.mark.slow
def test_a_missing_key_is_found_before_anything_trains(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One sentence while the spec is checked."""
    pytest.importorskip("torch")
    pytest.importorskip("openai")
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with pytest.raises(DataError, match="there is no key for gpt-4o"):
        prepare(parse_spec(spec_of({"name": "openai"})), Store(tmp_path))


@pytest.mark.slow
def test_two_prompts_judge_one_experiment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each gives an endpoint of its own with all its passes, and the same experiment again asks nothing."""
    pytest.importorskip("torch")
    pytest.importorskip("openai")
    monkeypatch.setenv("SELKIT_STORE", str(tmp_path / "store"))

    def script(call: Call) -> str:
        return "[[C]]" if "[[A]]" in str(call.body["messages"]) else "7 5\nThe first."

    asked: list[int] = []
    with ChatServer(script) as server:
        judges = [
            {"name": "openai", "as": "scores", "endpoint": server.endpoint()},
            {"name": "openai", "as": "letters", "template": "verdict-letter", "endpoint": server.endpoint()},
        ]
        for _ in range(2):
            run_experiment(parse_spec(spec_of(*judges)), tmp_path / "out", store=Store(tmp_path / "store"))
            asked.append(len(server.calls))
    assert asked[0] == asked[1] == len({json.dumps(call.body) for call in server.calls}) >= 2 * 6 * 2
    report = json.loads((tmp_path / "out/report/report.json").read_text("utf-8"))
    found = {row["testset"]: row for row in report["judges"]}
    assert set(found) == {"planted/scores", "planted/letters"}
    assert all(row["outcomes"] == {"ok": 2 * 6 * 2} for row in found.values())
