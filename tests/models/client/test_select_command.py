"""`selkit select` with a selector that asks an endpoint: exit codes, the cap, Ctrl-C, what is stored and charged."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pytest
from fake_packages import FakePackages

pytest.importorskip("openai")

from asking import SHORT, echo

from selkit.api import Context, Pool, Scorer, Turn
from selkit.select import select
from selkit.store import Store
from selkit.testing import ChatServer, completion, failure

PLUGIN = '''
"""A scorer that asks a model."""
from dataclasses import dataclass
from selkit.api import Decoding, RowScore, Scorer, Turn, hookimpl

@dataclass
class Asker(Scorer):
    """Asks for a number.

    Args:
        endpoint: Who is asked.
    """

    name = "asker"
    endpoint: str = ""

    def preflight(self, pool, ctx):
        ctx.chat(self.endpoint)

    def score(self, pool, ctx):
        asked = ([Turn("user", row.instruction)] for row in pool)
        for reply in ctx.chat(self.endpoint).complete(asked, decoding=Decoding(max_new_tokens=8)):
            yield RowScore(float(reply.text)) if reply.outcome == "ok" else RowScore.failed(reply.reason)

@hookimpl
def selkit_selectors():
    return [Asker]
'''
ROWS = 60


@pytest.fixture
def start(tmp_path: Path, packages: FakePackages, settings: Any) -> Callable[..., subprocess.Popen[str]]:
    """Starts `selkit select` on a pool of :data:`ROWS` rows with the plugin's scorer."""
    packages.install("asker-plugin", PLUGIN)
    rows = [{"id": f"r{i:02d}", "instruction": str(i), "output": "x"} for i in range(ROWS)]
    (tmp_path / "pool.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    (tmp_path / "prices.yaml").write_text("models: {scripted: {input: 0, output: 125000}}", "utf-8")

    def command(endpoint: str, *options: str) -> subprocess.Popen[str]:
        arguments = ["select", "pool.jsonl", "-s", "asker", "-p", f"endpoint={endpoint}", "-b", "5", "-o", "-"]
        return subprocess.Popen(
            [sys.executable, "-m", "selkit", *arguments, *options],
            cwd=tmp_path,
            env={**os.environ, "SELKIT_STORE": str(tmp_path / "store"), "SELKIT_PRICES": "prices.yaml"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    return command


def ended(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    """Exit code, stdout and stderr."""
    out, err = process.communicate(timeout=300)
    return process.returncode, out, err


def number(call: Any) -> Any:
    """A script that answers with the number asked for, for an eighth of a dollar."""
    return completion(call.text, usage=(0, 1), delay=0.02)


@pytest.mark.slow
def test_a_selection_by_an_endpoint(start: Callable[..., Any], tmp_path: Path) -> None:
    """The highest numbers win; the scores are charged with the calls; the same again asks nothing."""
    with ChatServer(number) as server:
        code, out, err = ended(start(server.endpoint()))
        assert (code, out.split()) == (0, ["r59", "r58", "r57", "r56", "r55"]), err
        assert ended(start(server.endpoint()))[:2] == (0, out)
        assert len(server.calls) == ROWS
    store = Store(tmp_path / "store")
    (scores,) = store.artifacts(stage="scores")
    charged = {row.resource: row.quantity for row in store.ledger([scores.key]) if row.stage == "chat"}
    assert charged == {"calls": ROWS, "output_tokens": ROWS, "dollars": ROWS / 8}


@pytest.mark.slow
def test_the_cap_stops_the_command(start: Callable[..., Any]) -> None:
    """Exit code 1 and one sentence; with more money it goes on, and pays for no answer twice."""
    with ChatServer(number) as server:
        code, out, err = ended(start(server.endpoint(), "--max-cost", "2", "--concurrency", "4"))
        assert (code, out) == (1, "")
        assert "the cap of $2 could be passed" in err
        sent = len(server.calls)
        assert sent <= 16
        code, _, _ = ended(start(server.endpoint(), "--max-cost", "2"))
        assert (code, len(server.calls)) == (1, sent)
        code, out, err = ended(start(server.endpoint(), "--max-cost", "9"))
        assert (code, out.split()[0]) == (0, "r59"), err
        assert len(server.calls) == ROWS


@pytest.mark.slow
@pytest.mark.parametrize(
    ("trouble", "code", "said"),
    [
        (failure(401, "invalid_api_key"), 4, "refuses the key"),
        (failure(404, "model_not_found"), 4, "does not know the model"),
        (failure(429, "insufficient_quota"), 1, "has no money left"),
    ],
)
def test_what_cannot_get_better_ends_the_command(start: Callable[..., Any], trouble: Any, code: int, said: str) -> None:
    """One sentence on stderr; what was answered before is not asked again."""
    with ChatServer(lambda call: trouble if call.number > 10 else number(call)) as server:
        found, out, err = ended(start(server.endpoint(), "--concurrency", "2"))
        assert (found, out) == (code, "")
        assert said in err
        assert "Traceback" not in err
        assert len(server.calls) <= 12
        server.script = number
        before = len(server.calls)
        assert ended(start(server.endpoint()))[0] == 0
        assert len(server.calls) == before + ROWS - 10


@pytest.mark.slow
@pytest.mark.parametrize(
    ("endpoint", "code", "said"),
    [
        ("openai:gpt-4o", 4, "set $OPENAI_API_KEY"),
        ("openai:", 2, "names no model"),
        ("http://localhost:8000/v1", 2, "names no model"),
        ("https://me:secret-1234@host/v1#m", 2, "holds a login"),
        ("", 2, "the endpoint is empty"),
        ("no-such-folder", 4, "does not exist"),
    ],
)
def test_bad_endpoints_are_refused_before_any_work(
    start: Callable[..., Any], endpoint: str, code: int, said: str
) -> None:
    """Also on a dry run."""
    for options in ((), ("-n",)):
        found, out, err = ended(start(endpoint, *options))
        assert (found, out) == (code, ""), err
        assert said in err
        assert "secret-1234" not in err


@pytest.mark.slow
def test_an_unknown_price_and_a_cap_do_not_go_together(start: Callable[..., Any]) -> None:
    """Refused before any work."""
    found, _, err = ended(start("http://localhost:1/v1#unpriced", "--max-cost", "1"))
    assert found == 2
    assert "prices.yaml" in err


@pytest.mark.slow
def test_ctrl_c_ends_the_command_with_130(start: Callable[..., Any]) -> None:
    """What was under way is stored: the same command asks for the rest alone."""
    with ChatServer(lambda call: completion(echo(call)[4:], delay=0.3)) as server:
        process = start(server.endpoint(), "--concurrency", "4")
        while len(server.calls) < 6:
            assert process.poll() is None
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        assert ended(process)[0] == 130
        server.script = number
        assert ended(start(server.endpoint()))[0] == 0
        assert len(server.calls) == ROWS


@dataclass
class Lengths(Scorer):
    """What a server says of each row."""

    name: ClassVar[str] = "lengths"
    endpoint: str = ""

    def score(self, pool: Pool, ctx: Context) -> Iterator[float]:
        """One question a row."""
        asked = ([Turn("user", row.instruction)] for row in pool)
        for reply in ctx.chat(self.endpoint).complete(asked, decoding=SHORT):
            yield float(len(reply.text))


def test_a_selection_in_python_serves_endpoints_by_itself(pool: Pool, store: Store, settings: Any) -> None:
    """Answers are kept in the selection's store and charged to the scores; the costs are in the ledger afterwards."""
    with ChatServer(echo) as server:
        result = select(pool, Lengths(server.endpoint()), 3, store=store)
        again = select(pool, Lengths(server.endpoint()), 5, store=store)
    assert len(server.calls) == len(pool)
    assert again.ids[:3] == result.ids
    charged = [row for row in store.ledger(result.spent) if row.stage == "chat"]
    assert {row.resource: row.quantity for row in charged}["calls"] == len(pool)
