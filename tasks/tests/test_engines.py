"""``selkit eval --engine``: a served model on benchmarks that generate and on benchmarks that compare likelihoods."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

pytest.importorskip("openai")

from click.testing import CliRunner, Result

from selkit.__main__ import main
from selkit.cli import cli
from selkit.testing import Call, ChatServer, Served


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with an empty store and rows of GSM8K and WinoGrande, and no settings of a person."""
    for name in ("SELKIT_PRICES", "SELKIT_ENDPOINTS", "OPENAI_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("SELKIT_STORE", str(tmp_path / "store"))
    monkeypatch.chdir(tmp_path)
    write("gsm8k/test.jsonl", [{"question": f"What is {i} + 1?", "answer": f"#### {i + 1}"} for i in range(8)])
    rows = [{"sentence": f"No {i}: the _ fell.", "option1": "cat", "option2": "dog", "answer": "2"} for i in range(8)]
    write("winogrande/validation.jsonl", rows)
    write("winogrande/train.jsonl", rows)
    return tmp_path


def write(name: str, rows: list[dict[str, Any]]) -> None:
    """A file of JSON lines."""
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def run(*words: str) -> Result:
    """``selkit eval`` on the local rows."""
    return CliRunner().invoke(cli, ["eval", *words, "--data", ".", "--json"])


def adds(call: Call) -> str:
    """The sum in the last question, but for one that is wrong."""
    *_, number = re.findall(r"What is (\d+) \+ 1", call.text)
    return f"The answer is {int(number) + (number != '3')}."


def likelier(call: Call) -> Served:
    """A model that finds a text likely where its last sentence, after the examples, is about a dog."""
    tokens = [part for part in call.body["prompt"].replace(" ", "\0 ").split("\0") if part] + ["!"]
    value = -0.1 if "dog" in call.body["prompt"].rpartition("No ")[2] else -3.0
    logprobs = {"tokens": tokens, "token_logprobs": [None, *[value] * (len(tokens) - 1)]}
    choice = {"text": "".join(tokens), "logprobs": logprobs, "finish_reason": "length"}
    return Served({"model": "", "choices": [choice], "usage": {"prompt_tokens": 9, "completion_tokens": 1}})


def test_a_served_model_is_scored(folder: Path) -> None:
    """Its metrics with errors and its items as of a local model; the second time nothing is asked."""
    words = ("-b", "gsm8k", "--engine", "openai", "-o", "out")
    with ChatServer(adds) as server:
        first, second = (run(server.endpoint(), *words) for _ in range(2))
        assert first.exit_code == 0, first.output
        assert len(server.calls) == 8
        assert {call.path for call in server.calls} == {"/v1/chat/completions"}
    document = json.loads(first.stdout)
    assert document == json.loads(second.stdout)
    assert document["subject"]["engine"] == "openai"
    assert document["subject"]["template"]["name"] == "chat"
    assert document["benchmarks"]["gsm8k"]["metrics"]["exact_match"]["value"] == 7 / 8
    assert "The answer is 3." in pq.read_table("out/items/gsm8k.parquet")["response"].to_pylist()


def test_likelihoods_of_a_server_are_compared(folder: Path) -> None:
    """Under a template that selkit renders, a server that echoes likelihoods is measured by them."""
    with ChatServer(likelier) as server:
        done = run(server.endpoint(), "-b", "winogrande", "--engine", "openai", "--template", "raw")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["benchmarks"]["winogrande"]["metrics"]["acc"]["value"] == 1.0


def test_a_server_without_likelihoods_is_one_sentence(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It says that the benchmark needs them and which engine gives them; exit code 2, and nothing on stdout."""
    with ChatServer("cat") as server:
        words = ["eval", server.endpoint(), "-b", "winogrande", "--engine", "openai", "--data", "."]
        assert main(words) == 2
        assert server.calls == []
    out, err = capsys.readouterr()
    assert out == ""
    assert "this benchmark compares likelihoods" in err
    assert "engine hf or vllm gives likelihoods of a local model" in err
