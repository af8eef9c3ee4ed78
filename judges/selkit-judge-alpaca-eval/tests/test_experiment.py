"""The judge in an experiment: the README's example, checks before anything trains, and one small run."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from selkit_judge_alpaca_eval.judge import AlpacaEval

from selkit.api import UsageError
from selkit.experiment import parse_spec, run_experiment
from selkit.experiment.setup.experiment import prepare
from selkit.plugins import build
from selkit.store import Store
from selkit.testing.chat_server import Answer, Call, ChatServer, completion

pytest.importorskip("tiktoken")
README = Path(__file__).parents[1] / "README.md"


def spec_of(*judges: dict[str, Any], **more: Any) -> dict[str, Any]:
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
        **more,
    }


def test_the_readmes_example_is_a_spec_whose_judges_can_be_built() -> None:
    """Two annotators, each under a name of its own."""
    (text,) = re.findall(r"```yaml\n(.*?)```", README.read_text("utf-8"), re.DOTALL)
    (testset,) = parse_spec(yaml.safe_load(text)).testsets
    assert [judge.label for judge in testset.judge_specs] == ["gpt4-mini", "ranking"]
    built = [
        build("judge", judge["name"], {key: value for key, value in judge.items() if key not in ("name", "as")})
        for judge in testset.judges
        if isinstance(judge, dict)
    ]
    assert [judge.parameters()["requests"] for judge in built] == ["selkit", "selkit"]
    assert built[0].parameters()["endpoint"] == "openai:gpt-4o-mini-2024-07-18"


def test_the_readme_knows_every_parameter_and_default() -> None:
    """The table names them all, and the defaults that it gives are true."""
    rows = dict(re.findall(r"^\| `(\w+)` \| `?([^|`]*)`? \|", README.read_text("utf-8"), re.MULTILINE))
    defaults = AlpacaEval().parameters()
    assert set(rows) == set(defaults)
    for name in ("annotator", "read_cut", "fold_system", "reasks", "seed"):
        assert rows[name].strip() == str(defaults[name]).lower()


@pytest.mark.slow
def test_a_cap_that_cannot_hold_is_refused_before_anything_trains(tmp_path: Path) -> None:
    """Where alpaca_eval would send the requests itself."""
    pytest.importorskip("torch")
    pytest.importorskip("openai")
    spec = parse_spec(spec_of({"name": "alpaca-eval", "annotator": "guanaco_33b"}, max_cost=1))
    with pytest.raises(UsageError, match=r"huggingface_api_completions.*cannot cap"):
        prepare(spec, Store(tmp_path))


@pytest.mark.slow
def test_two_annotators_judge_one_experiment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each gives an endpoint of its own with all its passes, and the same experiment again asks nothing."""
    pytest.importorskip("torch")
    pytest.importorskip("openai")
    monkeypatch.setenv("SELKIT_STORE", str(tmp_path / "store"))

    def script(call: Call) -> Answer:
        if call.body.get("logprobs"):
            return completion("M", finish_reason="length", logprobs=[{"M": -0.2, "m": -1.8}])
        return "[{'model': 'model_2', 'rank': 1}, {'model': 'model_1', 'rank': 2}]"

    asked: list[int] = []
    with ChatServer(script) as server:
        judges = [
            {"name": "alpaca-eval", "as": "weighted", "endpoint": server.endpoint()},
            {"name": "alpaca-eval", "as": "ranking", "annotator": "alpaca_eval_gpt4", "endpoint": server.endpoint()},
        ]
        for _ in range(2):
            run_experiment(parse_spec(spec_of(*judges)), tmp_path / "out", store=Store(tmp_path / "store"))
            asked.append(len(server.calls))
    assert asked[0] == asked[1] == len({json.dumps(call.body) for call in server.calls}) >= 2 * 6 * 2
    report = json.loads((tmp_path / "out/report/report.json").read_text("utf-8"))
    found = {row["testset"]: row for row in report["judges"]}
    assert set(found) == {"planted/weighted", "planted/ranking"}
    assert all(row["outcomes"] == {"ok": 2 * 6 * 2} for row in found.values())
