"""Whatever ends a command, stderr gets one line and the exit code says which kind of end it was."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from fake_packages import FakePackages

from selkit.__main__ import main
from selkit.api import errors
from selkit.cli import COMMANDS
from selkit.console import get_console

WAITS = """
import time, click
@click.command()
def command():
    try:
        print("started", flush=True)
        time.sleep(60)
    finally:
        print("cleaned up", flush=True)
"""

LOSES = """
import time, click
class Closing:
    def __del__(self):
        print("started", flush=True)
        time.sleep(60)
@click.command()
def command():
    Closing()
    time.sleep(60)
"""


@pytest.fixture(autouse=True)
def _keep_signals_and_console() -> Iterator[None]:
    """The command line sets a handler for SIGTERM and the console; give both back."""
    before, console = signal.getsignal(signal.SIGTERM), get_console()
    quiet, verbose = console.quiet, console.verbose
    yield
    signal.signal(signal.SIGTERM, before)
    console.quiet, console.verbose = quiet, verbose


@pytest.fixture
def fails(monkeypatch: pytest.MonkeyPatch) -> Callable[[BaseException], int]:
    """Runs a command that ends with an exception; returns its exit code."""

    def run(error: BaseException) -> int:
        @click.command()
        def command() -> None:
            raise error

        module = type(sys)("failing_command")
        module.command = command  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "failing_command", module)
        monkeypatch.setitem(COMMANDS, "fail", ("failing_command", "Fail."))
        return main(["fail"])

    return run


def _errors() -> list[type[errors.SelkitError]]:
    return [e for e in vars(errors).values() if isinstance(e, type) and issubclass(e, errors.SelkitError)]


@pytest.mark.parametrize("error", _errors())
def test_each_refusal_has_its_exit_code(
    fails: Callable[..., int], capsys: pytest.CaptureFixture[str], error: type[errors.SelkitError]
) -> None:
    """An error of selkit's own is its sentence on stderr, with the code of its class."""
    assert fails(error("no such\n  thing: make one")) == error.exit_code
    assert capsys.readouterr() == ("", "Error: no such thing: make one\n")


def test_the_exit_codes_are_those_of_the_design() -> None:
    """The documented numbers, spelled out."""
    codes = {error.__name__: error.exit_code for error in _errors()}
    assert codes["WorkFailed"] == codes["ContractViolation"] == 1
    assert codes["UsageError"] == 2
    assert codes["UnknownComponent"] == codes["PluginFailed"] == codes["MissingExtra"] == 3
    assert codes["DataError"] == codes["BudgetError"] == 4
    assert codes["SelkitError"] == 70


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["plgins"], "No such command 'plgins'. Did you mean 'plugins'? See 'selkit --help'."),
        (["wholly-other"], "No such command 'wholly-other'. See 'selkit --help'."),
        (["plugins", "--jsn"], "No such option '--jsn'. Did you mean '--json'? See 'selkit plugins --help'."),
        (["plugins", "show"], "Missing argument 'NAME'. See 'selkit plugins show --help'."),
        (["plugins", "show", "x", "--kind", "y"], "Invalid value for '--kind'"),
        (["--nonsense"], "No such option '--nonsense'."),
    ],
)
def test_misuse_is_one_sentence(capsys: pytest.CaptureFixture[str], arguments: list[str], told: str) -> None:
    """What click refuses is one line with the help to read, exit code 2, and nothing on stdout."""
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert _bare(told.split(". Did")[0]).rstrip(".") in _bare(err)
    assert err.startswith("Error: ")
    assert err.count("\n") == 1


def _bare(text: str) -> str:
    """Without the marks that click has set differently from version to version."""
    return text.translate(dict.fromkeys(map(ord, "':")))


def test_our_own_fault_is_saved(
    fails: Callable[..., int], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """An unexpected exception is one line with the path of its traceback, which holds no secret."""
    monkeypatch.setenv("ACME_API_KEY", "sk-verysecretvalue1")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert fails(RuntimeError("odd\nstate with sk-verysecretvalue1")) == 70
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert "RuntimeError: odd state" in err
    (saved,) = tmp_path.iterdir()
    assert str(saved) in err
    text = saved.read_text()
    assert "Traceback (most recent call last)" in text
    assert "in command" in text
    assert "verysecret" not in text + err


def test_a_plugin_s_fault_is_named_as_its(
    packages: FakePackages, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """What a plugin's code raises is told as that plugin's, by name and version; its authors hear of it."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    module = packages.works("acme-odd", "odd")
    module.write_text(module.read_text().replace("return [float", "return 1 / 0, [float"))
    packages.forget()
    (tmp_path / "pool.jsonl").write_text('{"instruction": "Count.", "response": "one"}\n')
    monkeypatch.setenv("SELKIT_STORE", str(tmp_path / "store"))
    assert main(["select", str(tmp_path / "pool.jsonl"), "-s", "odd", "-b", "1", "-o", str(tmp_path / "chosen")]) == 70
    said = capsys.readouterr().err
    assert "The plugin acme-odd 0.1 failed unexpectedly (ZeroDivisionError: division by zero)" in said
    assert "please report it to its authors" in said
    assert said.count("\n") == 1
    monkeypatch.setenv("SELKIT_RAISE_PLUGIN_ERRORS", "1")
    assert main(["select", str(tmp_path / "pool.jsonl"), "-s", "odd", "-b", "1", "-o", str(tmp_path / "chosen")]) == 70
    assert "Traceback (most recent call last)" in capsys.readouterr().err


@pytest.mark.parametrize(("value", "shown"), [("1", True), ("0", False), ("", False)])
def test_debug_shows_the_traceback(
    fails: Callable[..., int],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    value: str,
    shown: bool,
) -> None:
    """SELKIT_DEBUG=1 shows the traceback of refusals too."""
    monkeypatch.setenv("SELKIT_DEBUG", value)
    assert fails(errors.DataError("gone")) == 4
    assert ("Traceback" in capsys.readouterr().err) is shown


@pytest.mark.parametrize("error", [KeyboardInterrupt(), click.Abort(), EOFError()])
def test_an_interruption_is_130(
    fails: Callable[..., int], capsys: pytest.CaptureFixture[str], error: BaseException
) -> None:
    """Ctrl-C, and a question that nobody answers, end with one line and 130."""
    assert fails(error) == 130
    assert capsys.readouterr().err.startswith("Error: Interrupted")


def test_click_exit_codes_pass_through(fails: Callable[..., int]) -> None:
    """A command may end early by click's own means."""
    assert fails(click.exceptions.Exit(0)) == 0
    assert fails(click.exceptions.Exit(1)) == 1


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_signals_unwind(packages: Any, number: int, code: int) -> None:
    """A signal lets the command clean up and ends it with 128 + its number and one line."""
    out, err, ended = signalled(packages.folder, WAITS, number)
    assert ended == code
    assert out == "cleaned up\n"
    assert re.fullmatch(r"Error: (Terminated|Interrupted); .*\n", err)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_is_not_lost_in_a_finalizer(packages: Any, number: int, code: int) -> None:
    """Python drops what is raised there, and the command would go on as if nobody had asked it to end."""
    _, err, ended = signalled(packages.folder, LOSES, number)
    assert ended == code
    assert re.fullmatch(r"Error: (Terminated|Interrupted); .*\n", err)


def test_sigterm_is_told_though_a_library_makes_ctrl_c_of_it(packages: Any) -> None:
    """As Ray does, in whose calls a signal is that and nothing else."""
    caught = "except KeyboardInterrupt:\n        raise KeyboardInterrupt from None\n    finally:"
    _, err, ended = signalled(packages.folder, WAITS.replace("finally:", caught), signal.SIGTERM)
    assert (ended, err.partition(";")[0]) == (143, "Error: Terminated")


def signalled(folder: Path, command: str, number: int) -> tuple[str, str, int]:
    """What a command that says 'started' says after that, and its exit code, when it gets a signal then."""
    folder.mkdir(exist_ok=True)
    (folder / "waits.py").write_text(command)
    start = (
        "import sys; from selkit.cli import COMMANDS; COMMANDS['wait'] = ('waits', '.'); "
        "from selkit.__main__ import main; sys.exit(main(['wait']))"
    )
    with subprocess.Popen(
        [sys.executable, "-c", start], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "started\n"
        process.send_signal(number)
        out, err = process.communicate(timeout=50)
    return out, err, process.returncode


def test_a_closed_pipe_is_quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    """A reader that goes away early ends the command without a word, though the result was still in the buffer."""
    monkeypatch.delenv("PYTHONUNBUFFERED", raising=False)
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "w") as closed:
        arguments = [sys.executable, "-m", "selkit", "plugins", "show", "random"]
        done = subprocess.run(arguments, stdout=closed, stderr=subprocess.PIPE, check=False)
    assert done.stderr == b""
    assert done.returncode == 141


def test_the_installed_script_runs_main(capsys: pytest.CaptureFixture[str]) -> None:
    """The console script of the distribution is this entry point."""
    from importlib.metadata import entry_points

    (script,) = entry_points(group="console_scripts", name="selkit")
    assert script.load() is main
    assert main(["--version"]) == 0
    assert re.fullmatch(r"selkit \d+\.\d+\.\d+\S*\n", capsys.readouterr().out)


def test_quiet_and_verbose_reach_the_console(capsys: pytest.CaptureFixture[str]) -> None:
    """-q and -v work before and after a subcommand."""
    main(["plugins", "-q", "-vv", "show", "random"])
    assert (get_console().quiet, get_console().verbose) == (True, 2)
    main(["plugins", "show", "random"])
    assert (get_console().quiet, get_console().verbose) == (False, 0)
    capsys.readouterr()
