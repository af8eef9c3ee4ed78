"""Two broken packages, installed like anyone's: selkit survives the one and catches everything about the other."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from fake_packages import FakePackages

from selkit.__main__ import main

BROKEN = Path(__file__).resolve().parents[1] / "packages"

VIOLATIONS = {
    "documents_its_parameters": "does not say what these parameters mean: secret",
    "light_import": "prints 'thank you for installing selkit-violates'",
    "parameters_round_trip": '"ratio": 4.0',
    "same_seed_same_choice": "draw with ctx.rng alone",
    "pool_order_irrelevant": "when the pool is in another order",
    "budget_zero": "asked for 0 rows it chose 1",
    "budget_all": "chose 29 rows where the budget is 30",
    "budget_too_large": "asked for 31 of 30 rows it chose 30",
    "awkward_rows": "ZeroDivisionError",
    "leaves_pool_alone": "it changed the pool's list of ids",
    "leaves_process_alone": "the environment variables SELKIT_VIOLATES",
    "writes_only_to_its_folder": "stray.txt",
    "works_offline": "the network is cut",
    "silent_on_stdout": "it printed 'drawing",
}
"""What selkit-violates does wrong: the check that catches each, with words of its reason."""

OF_SCORERS = {
    "pool_order_irrelevant": "when the pool is in another order",
    "missing_scores_are_reported": "the score -inf",
    "tracks_progress": "iterate over ctx.track(pool)",
    "killed_pass_resumes": "declare independent = False",
}
"""What its scorer does wrong."""


def test_the_host_survives_a_package_that_raises(packages: FakePackages, capsys: pytest.CaptureFixture[str]) -> None:
    """It is listed as failed with its reason; listing, showing and checking others work, with exit code 0."""
    packages.install_folder(BROKEN / "selkit-raises")
    packages.works("acme-good", "good")
    assert main(["plugins", "--json"]) == 0
    rows = {row["distribution"]: row for row in json.loads(capsys.readouterr().out)}
    assert rows["selkit-raises"]["status"] == "failed"
    assert rows["selkit-raises"]["reason"] == "RuntimeError: the licence server does not answer"
    assert (rows["acme-good"]["status"], rows["selkit-eval"]["status"]) == ("ok", "ok")
    assert main(["plugins", "show", "random"]) == 0
    assert main(["plugins", "check", "good"]) == 0
    capsys.readouterr()


def test_checking_a_package_that_raises_says_why(packages: FakePackages, capsys: pytest.CaptureFixture[str]) -> None:
    """One sentence with the package and its exception, and the exit code of a failed plugin."""
    packages.install_folder(BROKEN / "selkit-raises")
    assert main(["plugins", "check", "raises"]) == 3
    out, err = capsys.readouterr()
    assert out == ""
    assert "selkit-raises 0.1.0 does not load: RuntimeError: the licence server does not answer" in err


@pytest.mark.parametrize(("name", "violations"), [("violates", VIOLATIONS), ("violates-scores", OF_SCORERS)])
def test_the_kit_catches_each_violation(
    name: str, violations: dict[str, str], packages: FakePackages, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each by its own check with its own reason; no other check fails, and the exit code is that of failed checks."""
    packages.install_folder(BROKEN / "selkit-violates")
    assert main(["plugins", "check", name, "--json"]) == 1
    out, err = capsys.readouterr()
    report = json.loads(out)
    reasons = {check["name"]: check["reason"] for check in report["checks"] if check["status"] == "failed"}
    assert set(reasons) == set(violations)
    assert len(VIOLATIONS) >= 12
    wrong = {check: reasons[check] for check, words in violations.items() if words not in reasons[check]}
    assert not wrong
    assert report["failed"] == len(violations)
    assert all(check in err for check in violations)


@pytest.mark.slow
def test_a_component_that_violates_leaves_the_host_as_it_was(packages: FakePackages) -> None:
    """In a process of its own: the JSON on stdout is whole although the component prints, and others still run."""
    packages.install_folder(BROKEN / "selkit-violates")
    done = packages.selkit("plugins", "check", "violates", "--json")
    assert (done.returncode, json.loads(done.stdout)["component"]) == (1, "violates")
    assert packages.selkit("plugins", "check", "random").returncode == 0
