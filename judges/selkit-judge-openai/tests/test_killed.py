"""A big judging that is killed: what was answered is paid for once, and no key is left anywhere."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from selkit.testing.chat_server import Call, ChatServer, completion

pytest.importorskip("openai")

ROWS = 1000
CONCURRENCY = 16
KEY = "sk-killed-51d84b607f3a9c2e0123456789abcdefghij"


def answer(call: Call) -> object:
    """A verdict that follows from the question, with a name for the call, after a while."""
    scores = "8 6" if len(call.text) % 2 else "6 8"
    return completion(f"{scores}\n{KEY[:2]}", delay=0.01, headers={"x-request-id": f"req-{call.number}"})


def write(folder: Path, name: str) -> Path:
    """A file of responses."""
    rows = [{"id": f"r{i}", "prompt": f"Question {i}?", "response": f"{name} {i}"} for i in range(ROWS)]
    path = folder / f"{name}.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return path


def stored(path: Path) -> dict[str, str]:
    """The requests that have an answer, each with the server's name for the call."""
    with sqlite3.connect(path) as connection:
        return dict(connection.execute("SELECT request, request_id FROM answers").fetchall())


@pytest.mark.slow
def test_a_killed_judging_of_two_thousand_calls_repeats_only_what_was_under_way(tmp_path: Path) -> None:
    """Scenario 39: kill -9 in the middle, then the same command: at most as many calls twice as were under way, none
    whose answer was stored, each stored call under the server's name for it, and no key in any file or line."""
    settings = tmp_path / "endpoints.yaml"
    settings.write_text(f"default: {{concurrency: {CONCURRENCY}, key_variable: OPENAI_API_KEY}}", "utf-8")
    log = tmp_path / "log.txt"
    with ChatServer(answer) as server:
        command = [sys.executable, "-m", "selkit", "judge", "pairwise", str(write(tmp_path, "a"))]
        command += [str(write(tmp_path, "b")), "--judge", "openai", "-p", f"endpoint={server.endpoint()}"]
        command += ["-o", str(tmp_path / "out"), "--store", str(tmp_path / "store"), "--json", "-v"]
        environment = os.environ | {
            "SELKIT_ENDPOINTS": str(settings),
            "OPENAI_API_KEY": KEY,
            "OPENAI_LOG": "debug",
            "SELKIT_DEBUG": "1",
        }
        with log.open("w", encoding="utf-8") as file:
            process = subprocess.Popen(command, stdout=file, stderr=file, env=environment)
            end = time.monotonic() + 120
            while len(server.calls) < 700:
                assert process.poll() is None
                assert time.monotonic() < end, "it never came so far"
                time.sleep(0.002)
            process.send_signal(signal.SIGKILL)
            process.wait()
        time.sleep(0.5)  # what was sent arrives
        before = len(server.calls)
        done = stored(tmp_path / "store" / "chat.sqlite3")
        again = subprocess.run(command, capture_output=True, text=True, env=environment, check=True, timeout=300)
        later = server.calls[before:]
    assert before - len(done) <= CONCURRENCY
    assert len(server.calls) <= 2 * ROWS + CONCURRENCY
    sent = {json.dumps(call.body, sort_keys=True, separators=(",", ":")) for call in later}
    assert len(sent) == len(later) == 2 * ROWS - len(done)
    assert not sent & set(done)
    assert all(name.startswith("req-") for name in done.values())
    assert json.loads(again.stdout)["outcomes"] == {"ok": 2 * ROWS}
    assert all(call.headers["authorization"] == f"Bearer {KEY}" for call in server.calls)
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert {"chat.sqlite3", "passes.jsonl", "summary.json", "log.txt"} <= {path.name for path in files}
    assert not [path for path in files if KEY.encode() in path.read_bytes()]
    assert KEY not in again.stdout + again.stderr
