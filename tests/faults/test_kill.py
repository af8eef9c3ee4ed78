"""kill -9 at random moments of an experiment; the kills themselves are those of bench/kill.py."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

BENCH = Path(__file__).resolve().parents[2] / "bench" / "kill.py"


@pytest.mark.slow
def test_kill_nine_at_random_moments_ends_in_the_same_report(tmp_path: Path) -> None:
    """Scenarios 1, 2 and 3: five kills, each followed by the same run: the same report, and no finished stage again."""
    for package in ("torch", "trl", "sacrebleu", "scipy", "statsmodels"):
        pytest.importorskip(package)
    command = [sys.executable, str(BENCH), "--kills", "5", "--seed", "7"]
    environment = os.environ | {"TMPDIR": str(tmp_path)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("5 kills within")
