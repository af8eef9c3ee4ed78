"""kill -9 at random moments of an experiment. bench/kill.py does thirty, and its checks are those here."""

from __future__ import annotations

import os
import random
import signal
import time

import pytest
from world import World, load_kill

from selkit.store import Store


@pytest.mark.slow
def test_kill_nine_at_random_moments_ends_in_the_same_report(real: World) -> None:
    """Scenarios 1, 2, 3 and 55: five kills, each followed by the same run: the same report, and no finished stage
    again."""
    kill = load_kill()
    rng = random.Random(7)
    for _ in range(5):
        folder = real.new()
        pid = real.zygote.start(folder)
        time.sleep(rng.uniform(0, real.seconds))
        os.kill(pid, signal.SIGKILL)
        real.zygote.wait(pid)
        before = kill.finished(Store(folder / "store"))
        assert real.run(folder) == 0, (folder / "log").read_text()
        kill.check(folder, before, real.wanted)
