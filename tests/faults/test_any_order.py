"""Whatever happens to runs, in whatever order: the last one writes the report of an undisturbed run."""

from __future__ import annotations

import os
import shutil
import signal
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test
from world import World

from selkit.store import Store

SETTINGS = settings(
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.generate],  # moments in time do not come again, so that shrinking would chase other failures
    suppress_health_check=list(HealthCheck),
)


class Runs(RuleBasedStateMachine):
    """Runs of one experiment on one store, and what may happen to them."""

    world: World  # of a subclass

    def __init__(self) -> None:
        super().__init__()
        self.folder = self.world.new()
        self.running: list[int] = []
        self.broken = 0
        self.world.throttled, self.world.out_of_money = 0, False
        self.world.answered.clear()

    @precondition(lambda self: len(self.running) < 2)
    @rule()
    def start(self) -> None:
        """The same command, even while it runs already."""
        self.running.append(self.world.zygote.start(self.folder))

    @precondition(lambda self: self.running)
    @rule(share=st.floats(0, 1))
    def work(self, share: float) -> None:
        """Some time passes."""
        time.sleep(share * self.world.seconds)

    @precondition(lambda self: self.running)
    @rule(share=st.floats(0, 1), number=st.sampled_from([signal.SIGKILL, signal.SIGKILL, signal.SIGINT]))
    def end(self, share: float, number: signal.Signals) -> None:
        """A kill, or Ctrl-C, at any moment."""
        self.work(share)
        pid = self.running.pop()
        os.kill(pid, number)
        os.kill(pid, signal.SIGCONT)  # Ctrl-C reaches a run that stands still when it goes on
        self.broken += 1
        assert self.world.zygote.wait(pid) in (0, 1, -number, 130), self.said

    @precondition(lambda self: self.running)
    @rule()
    def stop(self) -> None:
        """A run stands still, with what it holds; others may start, and wait for it."""
        os.kill(self.running[0], signal.SIGSTOP)

    @precondition(lambda self: self.running)
    @rule()
    def go_on(self) -> None:
        """Runs that stood still go on."""
        for pid in self.running:
            os.kill(pid, signal.SIGCONT)

    @precondition(lambda self: not self.running)
    @rule(limit=st.integers(0, 20_000))
    def fill_the_disk(self, limit: int) -> None:
        """A run to whose files no byte can be added beyond some size ends with a sentence."""
        self.broken += 1
        code = self.world.run(self.folder, limit=limit)
        assert code in (0, 1, 4), self.said

    @rule(times=st.integers(1, 3))
    def throttle(self, times: int) -> None:
        """The server asks some of the next requests to wait."""
        self.world.throttled = times

    @precondition(lambda self: not self.running)
    @rule()
    def run_out_of_money(self) -> None:
        """A run whose server answers no more ends with a sentence, unless it had all answers."""
        self.world.out_of_money = True
        code = self.world.run(self.folder)
        self.world.out_of_money = False
        assert code in (0, 1), self.said

    @precondition(lambda self: not self.running)
    @rule(which=st.sets(st.integers(0, 9), min_size=1), how=st.sampled_from(["cut", "cut", "lost", "flipped"]))
    def corrupt(self, which: set[int], how: str) -> None:
        """Files of a finished run are cut off, lost or changed; what keeps its size is found by comparing digests."""
        assert self.world.run(self.folder) == 0, self.said
        for file in [file for number, file in enumerate(self.files) if number % 10 in which]:
            data = file.read_bytes()
            place = len(data) // 2
            if how == "lost":
                file.unlink()
            elif data:
                file.write_bytes(data[:place] + (b"" if how == "cut" else bytes([data[place] ^ 1]) + data[place + 1 :]))
        if how == "flipped":
            Store(self.folder / "store").verify()

    @precondition(lambda self: not self.running)
    @rule(size=st.integers(1, 40))
    def tear(self, size: int) -> None:
        """The last bytes of what is appended to are lost: ledger, and rows of unfinished stages."""
        store = self.folder / "store"
        for file in (store / "ledger.jsonl", *store.glob("partial/**/*.jsonl")):
            if file.exists():
                os.truncate(file, max(0, file.stat().st_size - size))

    def teardown(self) -> None:
        """The same command to its end: the report of the undisturbed run, and hardly a request twice."""
        self.go_on()
        for pid in self.running:
            assert self.world.zygote.wait(pid) == 0, self.said
        assert self.world.run(self.folder) == 0, self.said
        assert self.world.report(self.folder) == self.world.wanted
        assert max(self.world.answered.values()) <= 1 + self.broken
        store = Store(self.folder / "store")
        assert store.verify() == []
        assert list(store.layout.temporary.iterdir()) == []
        shutil.rmtree(self.folder)

    @property
    def files(self) -> list[Path]:
        """Every file of a finished result."""
        return sorted(path for path in self.folder.glob("store/objects/**/*") if path.is_file())

    @property
    def said(self) -> str:
        """What the runs said."""
        log = self.folder / "log"
        return log.read_text() if log.exists() else ""


def check(world: World, examples: int, steps: int) -> None:
    """Runs so many orders of so many events."""
    runs = type("RunsHere", (Runs,), {"world": world})
    run_state_machine_as_test(runs, settings=settings(SETTINGS, max_examples=examples, stateful_step_count=steps))


def test_stages_end_in_the_same_report_whatever_happens(light: World) -> None:
    """Scenarios 1, 2, 7, 10, 12, 14, 16, 18, 19, 26, 27: a graph of stages, a few orders of events."""
    check(light, 2, 5)


@pytest.mark.slow
def test_stages_end_in_the_same_report_in_many_orders(light: World) -> None:
    """The same, in many more orders."""
    check(light, 10, 8)


@pytest.mark.slow
def test_an_experiment_ends_in_the_same_report_whatever_happens(real: World) -> None:
    """The same with an experiment that trains, answers and is judged by a server."""
    check(real, 4, 6)
