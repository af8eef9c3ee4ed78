"""`selkit eval prefetch` against a server of this machine that the hub's own clients take for the hub."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

pytest.importorskip("datasets")
pytest.importorskip("lm_eval")
pytest.importorskip("selkit_tasks")

from hub_server import hub_server

from selkit.__main__ import main

ROWS = [{"question": f"What is {i} + 1?", "answer": f"#### {i + 1}"} for i in range(5)]
CARD = """---
configs:
- config_name: main
  data_files:
  - {split: test, path: main/test.jsonl}
  - {split: train, path: main/train.jsonl}
- config_name: socratic
  data_files:
  - {split: test, path: socratic/test.jsonl}
---
"""


def lines(rows: list[dict[str, Any]]) -> bytes:
    """Rows as JSON Lines."""
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


GSM8K = {
    "README.md": CARD.encode(),
    "main/test.jsonl": lines(ROWS),
    "main/train.jsonl": lines(ROWS[:2]),
    "socratic/test.jsonl": lines(ROWS[:1]),
}
ALPACA = {"alpaca_eval_gpt4_baseline.json": json.dumps([{"instruction": "Say hi.", "output": "hi"}]).encode()}


def selkit(folder: Path, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """``selkit eval`` in a process of its own (the hub's clients read their settings when they are imported)."""
    own = {
        "HF_HOME": str(folder / "hf"),
        "SELKIT_CACHE": str(folder / "cache"),
        "SELKIT_STORE": str(folder / "store"),
        "SELKIT_DEVICE": "cpu",
    }
    left = ("SELKIT_SHARED_DATA", "SELKIT_TESTSETS", "HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE", "HF_ENDPOINT")
    kept = {name: value for name, value in os.environ.items() if name not in left}
    command = [sys.executable, "-m", "selkit", "eval", *words]
    return subprocess.run(
        command, env={**kept, **own, **variables}, cwd=folder, capture_output=True, text=True, check=False
    )


def states(done: subprocess.CompletedProcess[str]) -> dict[str, str]:
    """State by name, from its JSON."""
    return {item["name"]: item["state"] for item in json.loads(done.stdout)}


@pytest.mark.slow
def test_rows_are_fetched_and_then_here(tmp_path: Path) -> None:
    """The asked configuration's rows, in the file that `selkit eval` reads; a part that is missing fails alone."""
    repositories = {"datasets/openai/gsm8k": GSM8K, "datasets/tatsu-lab/alpaca_eval": ALPACA}
    with hub_server(repositories) as address:
        words = ("-b", "gsm8k", "-b", "arc_easy", "-b", "llmbar_set", "-b", "alpaca-eval", "-b", "koala", "--json")
        done = selkit(tmp_path, "prefetch", *words, HF_ENDPOINT=address)
    assert done.returncode == 1, done.stderr
    assert states(done) == {
        "gsm8k": "fetched",
        "arc_easy": "missing",
        "llmbar_natural": "missing",
        "alpaca-eval": "fetched",
        "koala": "missing",
    }
    reasons = {item["name"]: item["reason"] for item in json.loads(done.stdout)}
    assert "allenai/ai2_arc (test) could not be fetched" in reasons["arc_easy"]
    assert "no data set of the hub holds them" in reasons["llmbar_natural"]
    assert reasons["koala"].startswith("there is no test set 'koala': put koala.jsonl into a folder")
    assert "3 of 5 are missing, the first of them benchmark arc_easy" in done.stderr
    rows = (tmp_path / "cache" / "benchmarks" / "gsm8k" / "test.jsonl").read_text("utf-8").splitlines()
    assert [json.loads(row) for row in rows] == ROWS
    again = selkit(tmp_path, "prefetch", "-b", "gsm8k", "-b", "alpaca-eval", "--json", HF_HUB_OFFLINE="1")
    assert (again.returncode, states(again)) == (0, {"gsm8k": "here", "alpaca-eval": "here"})
    answers = tmp_path / "answers.jsonl"
    answers.write_bytes(lines([{"id": i, "response": f"The answer is {i + 1}."} for i in range(5)]))
    scored = selkit(tmp_path, "-b", "gsm8k", "--responses", str(answers), "--json", HF_HUB_OFFLINE="1")
    metric = json.loads(scored.stdout)["benchmarks"]["gsm8k"]["metrics"]["exact_match"]
    assert (metric["value"], metric["n"]) == (1.0, 5)
    assert "5 rows, and 1319 are published" in scored.stderr


@pytest.mark.slow
def test_without_a_network_every_item_says_so_and_none_waits(tmp_path: Path) -> None:
    """A hub that nobody answers for is asked once; the same in offline mode."""
    dead = selkit(tmp_path, "prefetch", "-b", "bbh", "--json", HF_ENDPOINT="http://127.0.0.1:9")
    assert dead.returncode == 1
    assert set(states(dead).values()) == {"missing"}
    assert len(states(dead)) == 27
    first = json.loads(dead.stdout)[0]["reason"]
    assert "SaylorTwift/bbh cannot be fetched: the hub cannot be reached" in first
    offline = selkit(tmp_path, "prefetch", "-b", "gsm8k", "--json", HF_HUB_OFFLINE="1")
    assert "offline mode is on (HF_HUB_OFFLINE); run this where there is a network" in offline.stdout


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        ((), 2, "name an EXPERIMENT, or a benchmark with -b"),
        (("-b", "gsm9k"), 3, "Did you mean 'gsm8k'"),
        (("nowhere.yaml",), 2, "there is no spec nowhere.yaml"),
    ],
)
def test_bad_input_is_one_sentence(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: tuple[str, ...],
    code: int,
    message: str,
) -> None:
    """Before anything is fetched."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert main(["eval", "prefetch", *words]) == code
    assert message in capsys.readouterr().err


@pytest.mark.slow
def test_an_experiment_and_then_an_evaluation_offline(tmp_path: Path) -> None:
    """Model, pool and rows of an experiment are fetched; what is served only there then runs without a network."""
    pytest.importorskip("torch")
    from selkit.models import resolve

    model = {path.name: path.read_bytes() for path in resolve("tiny:bytes?context=4096&layers=1").path.iterdir()}
    pool = {"data.jsonl": lines([{"instruction": f"Say {i}.", "output": str(i)} for i in range(6)])}
    repositories = {
        "models/me/tiny": model,
        "datasets/me/pool": pool,
        "datasets/openai/gsm8k": GSM8K,
    }
    spec = {
        "name": "small",
        "pools": ["hub:me/pool"],
        "model": "hub:me/tiny",
        "recipe": "quickstart",
        "selectors": ["random"],
        "budgets": [2],
        "testsets": ["planted"],
        "benchmarks": ["gsm8k"],
    }
    (tmp_path / "small.yaml").write_text(yaml.safe_dump(spec), "utf-8")
    with hub_server(repositories) as address:
        done = selkit(tmp_path, "prefetch", "small.yaml", "--json", HF_ENDPOINT=address)
    assert done.returncode == 0, done.stdout + done.stderr
    assert states(done) == {
        "gsm8k": "fetched",
        "planted": "here",
        "pool": "fetched",
        "hub:me/tiny": "fetched",
    }
    words = ("hub:me/tiny", "-b", "gsm8k", "--sample", "2", "--max-new-tokens", "3", "--json")
    scored = selkit(tmp_path, *words, HF_HUB_OFFLINE="1")
    assert scored.returncode == 0, scored.stderr
    assert json.loads(scored.stdout)["benchmarks"]["gsm8k"]["metrics"]["exact_match"]["n"] == 2
