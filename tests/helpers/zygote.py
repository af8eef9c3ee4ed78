"""Experiments that start in no time: a process that has loaded everything forks one for every run.

    with Zygote("light", endpoint) as zygote:
        pid = zygote.start(folder)
        os.kill(pid, signal.SIGKILL)
        assert zygote.wait(pid) == -signal.SIGKILL

'light' is a small graph of stages on the store, one of which asks an endpoint; 'real' is the experiment of
bench/kill.py with a judge behind the endpoint. A run leaves its report and what it said on stderr in its folder.
"""

from __future__ import annotations

import gc
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, NoReturn, Self

from selkit.api import Decoding, SelkitError, Turn
from selkit.models.client import ChatService
from selkit.store import Draft, Key, Store, append_jsonl, atomic_write_text, read_jsonl

BENCH = Path(__file__).resolve().parents[2] / "bench"
NUMBERS = 6
INTERRUPTED = 130


class Zygote:
    """The loaded process.

    Args:
        kind: What its forks run, 'light' or 'real'.
        endpoint: Whom they ask.
        variables: Further environment variables.
    """

    def __init__(self, kind: str, endpoint: str, **variables: str) -> None:
        pipe = subprocess.PIPE
        proxies = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
        environment = {name: value for name, value in os.environ.items() if name.upper() not in proxies} | {
            "OMP_NUM_THREADS": "1",
            "TOKENIZERS_PARALLELISM": "false",
            "PYTHONPATH": os.pathsep.join(sys.path),
            **variables,
        }
        command = [sys.executable, __file__, kind, endpoint]
        self._process = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, env=environment)

    def __enter__(self) -> Self:
        assert self._say() == "ready"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(60)

    def start(self, folder: Path, limit: int | None = None, **changes: Any) -> int:
        """Starts a run; returns the id of its process.

        Args:
            folder: Where its store and its report are.
            limit: Bytes that no file may grow beyond, as if the disk were full then.
            **changes: Parts of the spec that are others, of a real experiment; ``output`` names its folder for reports.
        """
        return int(self._say({"start": str(folder), "limit": limit, "changes": changes}))

    def wait(self, pid: int) -> int:
        """The exit code of a run, when it has ended; negative for a signal."""
        return int(self._say({"wait": pid}))

    def _say(self, order: Any = None) -> str:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        if order is not None:
            self._process.stdin.write(json.dumps(order) + "\n")
            self._process.stdin.flush()
        return self._process.stdout.readline().strip()


def light(folder: Path, endpoint: str, output: str = "out") -> int:
    """Numbers, what the endpoint says of each, and a sum: every stage takes some hundredths of a second."""
    store = Store(folder / "store")
    with ChatService(store) as service:
        numbers = store.obtain(Key("numbers"), _numbers)

        def ask(draft: Draft) -> None:
            asked = [[Turn("user", f"number {number}")] for number in read_jsonl(numbers.file("rows.jsonl"))]
            replies = service.open(endpoint).complete(asked, decoding=Decoding(max_new_tokens=8))
            atomic_write_text(draft.directory / "texts.json", json.dumps([reply.text for reply in replies]))

        answers = store.obtain(Key("answers", inputs={"numbers": numbers.digest}), ask)

        def count(draft: Draft) -> None:
            time.sleep(0.02)
            texts = json.loads(answers.file("texts.json").read_text())
            (draft.directory / "sum").write_text(str(sum(map(len, texts))))

        total = store.obtain(Key("total", inputs={"answers": answers.digest}), count)
    report = {
        "texts": json.loads(answers.file("texts.json").read_text()),
        "total": int(total.file("sum").read_text()),
        "manifests": [{**one.manifest, "measured": None} for one in (numbers, answers, total)],
    }
    atomic_write_text(folder / "report.json", json.dumps(report))
    return 0


def _numbers(draft: Draft) -> None:
    rows = draft.partial / "rows.jsonl"
    done = read_jsonl(rows) if rows.exists() else []
    with append_jsonl(rows) as writer:
        for number in range(len(done), NUMBERS):
            writer.append(number)
            time.sleep(0.01)
    (draft.directory / "rows.jsonl").write_bytes(rows.read_bytes())


def real(folder: Path, endpoint: str, output: str = "out", **changes: Any) -> int:
    """The experiment of bench/kill.py, judged by the endpoint."""
    sys.path.insert(0, str(BENCH))
    import kill

    from selkit.experiment import parse_spec, run_experiment

    judge = {"name": "openai", "endpoint": endpoint}
    # drawn answers: after so little training the likeliest are the same everywhere, and equal ones need no judge
    testsets = {"planted": {**kill.SPEC["testsets"]["planted"], "judges": [judge], "decoding": "car"}}
    spec = parse_spec({**kill.SPEC, "testsets": testsets, **changes})
    document = run_experiment(spec, folder / output, store=Store(folder / "store"), executor=kill.Inline())
    return 1 if document["failures"] else 0


def _serve(work: Callable[..., int], endpoint: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        work(Path(folder), endpoint)  # loads whatever is imported on the way
    gc.freeze()
    _tell("ready")
    told: dict[int, tuple[Path, int]] = {}
    for line in sys.stdin:
        order = json.loads(line)
        if "wait" in order:
            code = os.waitstatus_to_exitcode(os.waitpid(order["wait"], 0)[1])
            _keep(*told.pop(order["wait"]))
            _tell(code)
        else:
            place = Path(order["start"])
            # what a run says goes through a pipe, which no limit on files cuts off
            reading, writing = os.pipe()
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # a child listens when it can
            run = partial(work, place, endpoint, **order["changes"])
            pid = os.fork() or _child(run, order["limit"], writing)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
            os.close(writing)
            told[pid] = place, reading
            _tell(pid)


def _keep(folder: Path, reading: int) -> None:
    """Adds what a run said to its log."""
    with open(reading, encoding="utf-8") as pipe, open(folder / "log", "a", encoding="utf-8") as log:
        log.write(pipe.read())


def _tell(word: object) -> None:
    sys.stdout.write(f"{word}\n")
    sys.stdout.flush()


def _child(run: Callable[[], int], limit: int | None, writing: int) -> NoReturn:
    """A run, which ends as `selkit run` does: with a sentence on stderr and an exit code."""
    code = 70
    try:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
        os.dup2(writing, 1)
        os.dup2(writing, 2)
        if limit is not None:
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
        code = run()
    except SelkitError as error:
        sys.stderr.write(f"{error}\n")
        code = error.exit_code
    except KeyboardInterrupt:
        code = INTERRUPTED
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


if __name__ == "__main__":
    _serve({"light": light, "real": real}[sys.argv[1]], sys.argv[2])
