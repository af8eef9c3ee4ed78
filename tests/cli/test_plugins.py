"""selkit plugins: what is installed and in what state."""

from __future__ import annotations

import json

import pytest
from fake_packages import SCORER, FakePackages

from selkit.__main__ import main

FIELDS = {"name", "kind", "distribution", "version", "status", "reason"}


def _json(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[dict[str, str]]:
    assert main(["plugins", *arguments]) == 0
    rows: list[dict[str, str]] = json.loads(capsys.readouterr().out)
    return rows


@pytest.mark.parametrize("arguments", [("--json",), ("list", "--json"), ("--json", "list")])
def test_json_tells_every_state(
    packages: FakePackages,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
) -> None:
    """A list of objects with the promised fields, one for each of the four states."""
    packages.works("acme-good", "good")
    packages.install("acme-bad", "raise RuntimeError('no licence')")
    packages.install("acme-new", SCORER.format(name="new").replace("floor: int = 3", "api_version = 99"))
    packages.works("acme-off", "off")
    monkeypatch.setenv("SELKIT_DISABLE_PLUGINS", "acme-off")
    rows = _json(capsys, *arguments)
    assert all(set(row) >= FIELDS for row in rows)
    assert {row["kind"] for row in rows} <= {"selector", "judge", "benchmark"}
    states = {row["distribution"]: row["status"] for row in rows}
    assert states["selkit-eval"] == states["acme-good"] == "ok"
    assert (states["acme-bad"], states["acme-new"], states["acme-off"]) == ("failed", "incompatible", "blocked")
    assert all(row["reason"] for row in rows if row["status"] != "ok")


def test_the_table_tells_the_same(packages: FakePackages, capsys: pytest.CaptureFixture[str]) -> None:
    """People see name, kind, package, state and reason, and a guessed kind as a guess."""
    packages.install("acme-bad", "raise RuntimeError('no licence')", version="2.0")
    assert main(["plugins"]) == 0
    (line,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("acme-bad")]
    assert line.split() == [
        "acme-bad", "selector?", "acme-bad", "2.0", "failed", "RuntimeError:", "no", "licence",
    ]  # fmt: skip


def test_timings_warn_of_slow_imports(packages: FakePackages, capsys: pytest.CaptureFixture[str]) -> None:
    """--timings has a column of milliseconds and a note on stderr for each slow package."""
    packages.install("acme-slow", "import time; time.sleep(0.12)")
    packages.works("acme-good", "good")
    assert main(["plugins", "--timings"]) == 0
    out, err = capsys.readouterr()
    assert "import ms" in out.splitlines()[0]
    assert "Importing acme-slow took" in err
    assert "acme-good" not in err
    assert main(["plugins", "--timings", "-q"]) == 0
    assert capsys.readouterr().err == ""
    assert main(["plugins"]) == 0
    assert "import ms" not in capsys.readouterr().out


def test_show_tells_parameters_and_origin(packages: FakePackages, capsys: pytest.CaptureFixture[str]) -> None:
    """A component's page has its summary, package, parameters with type, default and meaning."""
    packages.works("acme-good", "good", version="7.7")
    assert main(["plugins", "show", "good"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("good (selector): Counts words.\npackage: acme-good 7.7, acme_good.Overlap\n")
    assert out.splitlines()[-1].split() == ["floor", "a", "whole", "number", "3", "The", "least", "that", "counts."]


def test_show_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    """The page for programs has the same facts."""
    assert main(["plugins", "show", "longest", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert (facts["name"], facts["kind"], facts["distribution"]) == ("longest", "selector", "selkit-eval")
    assert len(facts["code"]) == 64
    assert facts["parameters"][0] == {
        "name": "unit",
        "type": "one of 'tokens', 'characters', 'words'",
        "choices": ["tokens", "characters", "words"],
        "required": False,
        "default": "tokens",
        "help": "What length is counted in.",
    }


def test_show_names_what_is_missing(packages: FakePackages, capsys: pytest.CaptureFixture[str]) -> None:
    """A component whose packages are absent is shown with the command that installs them."""
    source = SCORER.format(name="heavy").replace("floor: int", "requires = ('no_torch_here',)\n    floor: int")
    packages.install("acme-heavy", source)
    assert main(["plugins", "show", "heavy"]) == 0
    assert "no_torch_here; not installed: no_torch_here (pip install 'no_torch_here')" in capsys.readouterr().out


def test_show_needs_the_kind_only_where_it_helps(packages: FakePackages, capsys: pytest.CaptureFixture[str]) -> None:
    """A name of two kinds is shown twice; --kind picks one."""
    path = packages.works("acme-both", "both")
    judge = (
        "\nfrom selkit.api import PairwiseJudge\n@dataclass\nclass Judge(PairwiseJudge):\n    name = 'both'\n"
        "    def compare(self, comparisons, ctx): return []\n@hookimpl\ndef selkit_judges(): return [Judge]\n"
    )
    path.write_text(path.read_text() + judge)
    assert main(["plugins", "show", "both"]) == 0
    assert [line for line in capsys.readouterr().out.splitlines() if line.startswith("both")] == [
        "both (selector): Counts words.",
        "both (judge)",
    ]
    assert main(["plugins", "show", "both", "--kind", "judge"]) == 0
    assert capsys.readouterr().out.startswith("both (judge)")


@pytest.mark.parametrize("name", ["randm", "acme-bad", "twin", "no-such-package:random"])
def test_show_of_what_cannot_be_had(packages: FakePackages, capsys: pytest.CaptureFixture[str], name: str) -> None:
    """An unknown, failed or ambiguous name is one line on stderr and exit code 3."""
    packages.install("acme-bad", "raise RuntimeError('no licence')")
    packages.works("acme-one", "twin")
    packages.works("acme-two", "twin")
    assert main(["plugins", "show", name]) == 3
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert name.partition(":")[0] in err


def test_a_hostile_package_stops_nobody(packages: FakePackages) -> None:
    """In a process of its own: packages that exit, print and raise leave a clean JSON list."""
    packages.install("acme-exits", "import sys; sys.exit('bye')")
    packages.install("acme-prints", "print('{not json')")
    packages.metadata("acme-garbled", "[selkit]\ngarbage\n")
    packages.works("acme-good", "good")
    done = packages.selkit("plugins", "--json")
    assert done.returncode == 0
    states = {row["distribution"]: row["status"] for row in json.loads(done.stdout)}
    assert (states["acme-exits"], states["acme-prints"], states["acme-good"]) == ("failed", "failed", "ok")
