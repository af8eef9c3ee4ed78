"""``selkit eval`` as a group, and its table for people."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from selkit.__main__ import main


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Iterator[Callable[..., tuple[int, str, str]]]:
    """Runs ``selkit eval ARGUMENTS``."""
    before = signal.getsignal(signal.SIGTERM)
    yield lambda *arguments: (main(["eval", *arguments]), *capsys.readouterr())
    signal.signal(signal.SIGTERM, before)


def test_people_get_a_table(world: Any, evaluate: Callable[..., Any]) -> None:
    """A row for each model on stdout; what is not identified says so there and why on stderr."""
    long = [{**row, "output_2": row["output_2"] + 2000 * "m"} for row in world.rows("longest")]
    paths = world.write("m.jsonl", world.rows("m")), world.write("longest.jsonl", long)
    words = [word for path in paths for word in ("--annotations", path)]
    done = evaluate(*words, "--eval-set", world.write_eval_set(), "--mode", "direct", "--bootstraps", 50)
    table = done.out.splitlines()
    assert done.code == 0
    assert table[0].split()[:4] == ["model", "n", "win", "rate"]
    assert table[2].split()[:2] == ["m", "120"]
    assert "not identified" in table[3]
    assert done.err.startswith("longest: not identified: the model's response is the longer one in all but 0.0%")


@pytest.mark.parametrize("word", ["some/model", "./prefetch", "alpaca-evals", "--sample=3"])
def test_a_first_word_that_is_no_subcommand_is_a_model(run: Callable[..., Any], word: str) -> None:
    """It is not taken for a mistyped command: what misses is what the evaluation of a model needs."""
    code, out, err = run(word)
    assert (code, out) == (2, "")
    assert "See 'selkit eval MODEL --help'" in err


@pytest.mark.parametrize("words", [[], ["--help"], ["-h"]])
def test_help_lists_the_subcommands(run: Callable[..., Any], words: list[str]) -> None:
    """alpaca-eval is there, the command behind MODEL is not."""
    _, out, err = run(*words)
    assert "alpaca-eval" in out + err
    assert "MODEL:" not in out
    assert "\n  MODEL" not in out


def test_annotations_are_required(run: Callable[..., Any]) -> None:
    """Exit code 2 without them."""
    code, _, err = run("alpaca-eval")
    assert (code, "Missing option '--annotations'" in err) == (2, True)
