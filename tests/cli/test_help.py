"""Help is complete, and as cheap as click."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module

import click
import pytest
from fake_packages import FakePackages

from selkit.__main__ import main
from selkit.cli import COMMANDS, cli

HEAVY = (
    "numpy", "pyarrow", "rich", "pluggy", "pydantic", "yaml", "torch", "transformers", "datasets", "pandas", "scipy",
    "trl", "lm_eval", "tokenizers", "importlib.metadata", "asyncio",
)  # fmt: skip

CHECK = """
import sys
from selkit.__main__ import main
sys.stdout = open({null!r}, "w")
assert main({arguments!r}) == 0
print(*sorted(set({heavy!r}) & set(sys.modules)), file=sys.stderr)
"""


def _commands(group: click.Group, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        yield (*path, name), command
        if isinstance(command, click.Group):
            yield from _commands(command, (*path, name))


ALL = dict(_commands(cli))


def _imports_of(*arguments: str) -> list[str]:
    """The heavy packages that ``selkit ARGUMENTS`` imports in a process of its own."""
    import os

    script = CHECK.format(null=os.devnull, arguments=list(arguments), heavy=HEAVY)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return done.stderr.split()


def test_help_imports_click_and_no_command() -> None:
    """The front page loads neither a heavy package nor any command's module."""
    assert _imports_of("--help") == []
    script = (
        "import sys; from selkit.__main__ import main; main(['-h']); print([m for m in sys.modules if 'selkit' in m])"
    )
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert loaded.splitlines()[-1] == "['selkit', 'selkit.cli', 'selkit.__main__']"


def test_help_of_every_command_is_light() -> None:
    """No command's help loads a heavy package; one process asks for all of them."""
    script = (
        "import sys; from selkit.__main__ import main; from os import devnull; sys.stdout = open(devnull, 'w')\n"
        f"for path in {list(ALL)!r}:\n"
        "    assert main([*path, '--help']) == 0, path\n"
        f"    heavy = set({HEAVY!r}) & set(sys.modules)\n"
        "    assert not heavy, (path, heavy)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_check_sees_heavy_imports() -> None:
    """The test above would notice: listing plugins does load them."""
    assert {"numpy", "pluggy", "pyarrow"} <= set(_imports_of("plugins"))


def test_help_never_loads_a_plugin(packages: FakePackages) -> None:
    """Help, the version, and a built-in's page leave an installed package alone; listing loads it."""
    marker = packages.folder / "imported"
    packages.install("acme-slow", f"open({str(marker)!r}, 'w')")
    for arguments in (["--help"], ["plugins", "--help"], ["--version"], ["plugins", "show", "random"]):
        assert packages.selkit(*arguments).returncode == 0
        assert not marker.exists()
    packages.selkit("plugins")
    assert marker.exists()


@pytest.mark.parametrize("name", COMMANDS)
def test_each_row_of_the_table_is_a_command(name: str) -> None:
    """Every row names a module with a click command, and its line of help is a sentence."""
    module, text = COMMANDS[name]
    assert isinstance(import_module(module).command, click.Command)
    assert text[0].isupper()
    assert text.endswith(".")
    assert len(text) <= 70


@pytest.mark.parametrize("path", ALL, ids=" ".join)
def test_everything_has_help(path: tuple[str, ...]) -> None:
    """Every command and every option says what it does."""
    command = ALL[path]
    assert command.help
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            assert parameter.help, parameter.opts


@pytest.mark.parametrize("path", ALL, ids=" ".join)
def test_shared_options_mean_the_same(path: tuple[str, ...]) -> None:
    """The letters and names that several commands share stand for the same option everywhere."""
    shared = {
        "-o": "--output", "-q": "--quiet", "-v": "--verbose", "-n": "--dry-run", "-f": "--force", "-p": "--parameter",
    }  # fmt: skip
    for parameter in ALL[path].params:
        for short in set(parameter.opts) & set(shared):
            assert shared[short] in parameter.opts
        for long in set(parameter.opts) & set(shared.values()):
            assert {short for short, name in shared.items() if name == long} <= set(parameter.opts)


@pytest.mark.parametrize("arguments", [[], ["-h"], ["--help"]])
def test_the_front_page_lists_every_command(capsys: pytest.CaptureFixture[str], arguments: list[str]) -> None:
    """selkit alone shows its help on stdout, with a line for each command."""
    assert main(arguments) == 0
    out = capsys.readouterr().out
    for name, (_, text) in COMMANDS.items():
        assert name in out
        assert text.split()[0] in out


def test_short_help_works_below() -> None:
    """-h is help in every command."""
    assert main(["plugins", "show", "-h"]) == 0


@pytest.mark.parametrize(
    ("shell", "sign"), [("bash", "complete -o"), ("zsh", "#compdef selkit"), ("fish", "complete --no-files")]
)
def test_completion_prints_a_script(capsys: pytest.CaptureFixture[str], shell: str, sign: str) -> None:
    """The script of each shell is on stdout."""
    assert main(["completion", shell]) == 0
    out = capsys.readouterr().out
    assert sign in out
    assert "_SELKIT_COMPLETE" in out


def test_completion_completes(packages: FakePackages) -> None:
    """What the script asks for is answered: commands, and options of a command."""

    def complete(words: str, position: int) -> str:
        return packages.selkit(_SELKIT_COMPLETE="bash_complete", COMP_WORDS=words, COMP_CWORD=str(position)).stdout

    assert complete("selkit plu", 1) == "plain,plugins\n"
    assert "plain,--timings" in complete("selkit plugins list --t", 3)
