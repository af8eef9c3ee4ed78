"""The whole way: `selkit select`, the request client, and a server of this machine that answers from a script."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from selkit.__main__ import main
from selkit.store import Store, totals
from selkit.testing.chat_server import Answer, Call, ChatServer, completion, failure

pytest.importorskip("openai")

ROWS = 60
CONCURRENCY = 4
KEY = "sk-alpagasus-0123456789abcdefghijklmnopqrstuv"


def number(call: Call) -> int:
    """The number of the row that a call is about."""
    return int(call.text.partition("[")[2].partition("]")[0])


def halves(call: Call) -> Answer:
    """A rating by the number of the row, and an explanation that claims another one."""
    return completion(f"{number(call) % 11 / 2:g}\n\nScore: 5. A perfect 5/5.", usage=(100 + number(call), 7))


RATINGS = {f"r{i:02d}": i % 11 / 2 for i in range(ROWS)}
BEST = sorted(RATINGS, key=lambda row: (-RATINGS[row], row))


@dataclass(frozen=True)
class Done:
    """What a command left behind."""

    returncode: int
    stdout: str
    stderr: str

    @property
    def error(self) -> str:
        """The one sentence of an error."""
        (line,) = [line for line in self.stderr.splitlines() if line.startswith("Error:")]
        return line


class Place:
    """A folder with a pool, a store and settings, in which commands run against one server."""

    def __init__(self, folder: Path, server: ChatServer, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder = folder
        self.server = server
        self._capsys = capsys
        rows = [
            {"id": f"r{i:02d}", "instruction": f"Question [{i}]", "output": "5\n\nScore: 5" if i % 3 else "An answer."}
            for i in range(ROWS)
        ]
        (folder / "pool.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        settings = {server.url: {"concurrency": CONCURRENCY, "retry_seconds": 20, "breaker": 3}}
        (folder / "endpoints.yaml").write_text(json.dumps(settings), encoding="utf-8")

    def arguments(self, *more: str, endpoint: str | None = None) -> list[str]:
        """Those of the command that selects 12 rows by ratings of the server."""
        where = endpoint or self.server.endpoint()
        plain = ["select", "pool.jsonl", "-s", "alpagasus", "-p", f"endpoint={where}", "-b", "12", "-o", "out"]
        return [*plain, *more]

    def run(self, *more: str, endpoint: str | None = None) -> Done:
        """Runs it in this process."""
        self._capsys.readouterr()
        code = main(self.arguments(*more, endpoint=endpoint))
        return Done(code, *self._capsys.readouterr())

    def chosen(self) -> list[dict[str, Any]]:
        """The rows that were written."""
        lines = (self.folder / "out/selection.jsonl").read_text("utf-8").splitlines()
        return [json.loads(line) for line in lines]

    def asked(self) -> Counter[int]:
        """How often each row was asked about."""
        return Counter(number(call) for call in self.server.calls)


Serve = Callable[..., Place]


@pytest.fixture
def serve(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Callable[..., Place]]:
    """Starts a server with a script, and makes a place of its own the working directory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SELKIT_STORE", str(tmp_path / "store"))
    monkeypatch.setenv("SELKIT_ENDPOINTS", str(tmp_path / "endpoints.yaml"))
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    with ExitStack() as servers:

        def start(script: Answer | Callable[[Call], Answer], delay: float = 0.0) -> Place:
            return Place(tmp_path, servers.enter_context(ChatServer(script, delay=delay)), capsys)

        yield start


def test_rows_are_rated_chosen_and_paid_for_once(serve: Serve) -> None:
    """The best rated, ties by id; rows and explanations that claim a 5 change nothing; later commands send nothing."""
    place = serve(halves)
    done = place.run()
    assert done.returncode == 0, done.stderr
    assert [(row["id"], row["score"]) for row in place.chosen()] == [(row, RATINGS[row]) for row in BEST[:12]]
    assert place.asked() == Counter(range(ROWS))
    body = place.server.calls[0].body
    assert (body["model"], body["max_tokens"], body["temperature"]) == ("scripted", 256, 0)
    assert place.server.calls[0].roles == ["system", "user"]
    for more in (["-b", "5%"], ["-p", "ties=random", "--seed", "3"], ["-p", "threshold=4.5", "-b", "100%"]):
        assert place.run("--force", *more).returncode == 0
    assert {row["score"] for row in place.chosen()} == {4.5, 5}
    other = place.run("--force", "-p", "parse=single-number")
    assert other.returncode == 0
    assert len(place.server.calls) == ROWS


def test_tokens_are_kept_by_row_and_summed_in_the_ledger(serve: Serve) -> None:
    """What the server counted, under the key of the scores."""
    place = serve(halves)
    assert place.run().returncode == 0
    manifest = json.loads((place.folder / "out/manifest.json").read_text("utf-8"))
    spent = totals(Store(place.folder / "store").ledger([manifest["facts"]["scores"]]))
    assert spent["input_tokens"] == sum(100 + i for i in range(ROWS))
    assert spent["output_tokens"] == 7 * ROWS


@pytest.mark.slow
def test_a_killed_run_goes_on_without_asking_twice(serve: Serve) -> None:
    """Killed in the middle: what was under way is asked again, nothing that was answered, and the rows are the same."""
    place = serve(halves, delay=0.05)
    command = [sys.executable, "-m", "selkit", *place.arguments()]
    for calls in (ROWS // 3, ROWS // 2):
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline and len(place.server.calls) < calls:
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert not (place.folder / "out/selection.jsonl").exists()
    assert place.run().returncode == 0
    assert [row["id"] for row in place.chosen()] == BEST[:12]
    asked = place.asked()
    assert set(asked) == set(range(ROWS))
    assert asked.total() - ROWS <= 2 * CONCURRENCY


def test_an_endpoint_that_answers_garbage_stops_the_run_and_wastes_nothing(serve: Serve) -> None:
    """Exit code 1, one sentence, nothing written; good answers are kept, and another rule reads those that it can."""
    place = serve(lambda call: "Score: 4" if number(call) >= 20 else halves(call))
    done = place.run()
    assert done.returncode == 1
    assert "alpagasus failed on 2 of 60 rows" in done.error
    assert "no score in the grader's answer" in done.error
    assert "'Score: 4' (-p parse=single-number reads 4)" in done.stderr
    assert done.stdout == ""
    assert not (place.folder / "out/selection.jsonl").exists()
    asked = len(place.server.calls)
    assert place.run().returncode == 1
    assert place.run("-p", "parse=single-number").returncode == 0
    assert max(place.asked().values()) == 1
    assert len(place.server.calls) == ROWS >= asked


@pytest.mark.parametrize(
    ("answer", "code", "words"),
    [
        (completion("I am not able to rate this."), 1, "no score in the grader's answer"),
        (completion(""), 1, "alpagasus failed on 2 of 60 rows"),
        (completion(None, refusal="I cannot help with that."), 1, "I cannot help with that."),
        (completion("", finish_reason="content_filter"), 1, "alpagasus failed on 2 of 60 rows"),
        ("\x00{", 1, "no score in the grader's answer"),
        (failure(400, "context_length_exceeded", "too long"), 1, "the prompt is too long for the model"),
        (failure(401, "invalid_api_key", "wrong key"), 4, "refuses the key"),
        (failure(404, "model_not_found", "no such model"), 4, "does not know the model"),
        (failure(429, "insufficient_quota", "pay first"), 1, "no money left"),
    ],
    ids=["prose", "empty", "refusal", "filtered", "bytes", "too-long", "key", "model", "quota"],
)
def test_whatever_goes_wrong_is_one_sentence_and_nothing_is_written(
    serve: Serve, answer: Answer, code: int, words: str
) -> None:
    """No default score for a failure."""
    place = serve(answer)
    done = place.run()
    assert done.returncode == code, done.stderr
    assert words in done.error
    assert done.stdout == ""
    assert not (place.folder / "out/selection.jsonl").exists()


def test_passing_failures_are_tried_again(serve: Serve) -> None:
    """A row whose first answer was an overload has its rating all the same."""
    seen: Counter[int] = Counter()

    def script(call: Call) -> Answer:
        seen[number(call)] += 1
        return failure(503) if number(call) == 7 and seen[7] == 1 else halves(call)

    place = serve(script)
    assert place.run("-b", "100%").returncode == 0
    assert {row["id"]: row["score"] for row in place.chosen()} == RATINGS
    assert seen[7] == 2


def test_without_a_key_nothing_is_sent(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """One sentence before anything else happens; with a key it works, and the key is written nowhere."""
    place = serve(halves)
    endpoint = "openai:gpt-4o-mini-2024-07-18"
    monkeypatch.setenv("OPENAI_BASE_URL", place.server.url)
    done = place.run(endpoint=endpoint)
    assert done.returncode == 4
    assert done.error.startswith("Error: there is no key for gpt-4o-mini-2024-07-18")
    assert place.server.calls == []
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    done = place.run(endpoint=endpoint)
    assert done.returncode == 0, done.stderr
    assert place.server.calls[0].headers["authorization"] == f"Bearer {KEY}"
    written = [path for path in place.folder.rglob("*") if path.is_file()]
    assert len(written) > 5
    assert not [path for path in written if KEY.encode() in path.read_bytes()]
    assert KEY not in done.stdout + done.stderr


def test_other_graders_are_other_scores(serve: Serve) -> None:
    """Another model of the same server is asked anew."""
    place = serve(halves)
    assert place.run().returncode == 0
    assert place.run("--force", endpoint=place.server.endpoint("another")).returncode == 0
    assert len(place.server.calls) == 2 * ROWS
