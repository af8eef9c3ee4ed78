"""The entry point: runs the command line and turns whatever ends it into one line and an exit code."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from threading import Event, Timer, current_thread, main_thread
from types import FrameType

import click

from selkit.cli import cli

# Exit codes that no error class carries; those of refusals are on the classes in selkit.api.errors. What stands below
# each is its line in docs/reference/exit-codes.md.
DONE = 0
"""The work is done."""
INTERNAL = 70
"""selkit's own fault, or that of the plugin that is named; the traceback is saved and its place is printed."""
INTERRUPTED = 130
"""Interrupted (Ctrl-C); the same command takes up what it finished."""
BROKEN_PIPE = 141
"""Whoever read the output has gone."""
TERMINATED = 143
"""Terminated (SIGTERM); the same command takes up what it finished."""


_AGAIN_SECONDS = 0.05
"""How long after a signal was lost it is sent again."""


class _Terminated(KeyboardInterrupt):
    """SIGTERM arrived. A kind of Ctrl-C, since that is what asyncio and libraries in C (Ray) let through at once."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs ``selkit ARGUMENTS`` (default: those of the process) and returns the exit code."""
    if "_SELKIT_COMPLETE" in os.environ:
        cli.main(prog_name="selkit")
    arrived = _raise_at_signals()
    try:
        code = _run(sys.argv[1:] if arguments is None else list(arguments), arrived)
        sys.stdout.flush()
    except BrokenPipeError:
        _discard_output()
        code = BROKEN_PIPE
    return code


def _run(arguments: list[str], arrived: Event) -> int:
    """The command's exit code. ``arrived`` is set where SIGTERM has arrived, whatever a library made of it."""
    try:
        with cli.make_context("selkit", arguments) as context:
            cli.invoke(context)
    except click.exceptions.Exit as exit_:
        return exit_.exit_code
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)  # a page of help, not a sentence
        return error.exit_code
    except click.ClickException as error:
        return _complain(_sentence(error), error.exit_code)
    except (KeyboardInterrupt, click.Abort, EOFError):
        word, code = ("Terminated", TERMINATED) if arrived.is_set() else ("Interrupted", INTERRUPTED)
        return _complain(f"{word}; the same command takes up what it finished.", code)
    except BrokenPipeError:
        raise
    except Exception as error:
        return _report(error)
    return DONE


def _report(error: Exception) -> int:
    """One line for a refusal of selkit's own; for anything else, a line and the place of the traceback."""
    # Not imported here: it needs numpy, and a broken installation must be reported too.
    errors = sys.modules.get("selkit.api.errors")
    refusal = errors is not None and isinstance(error, errors.SelkitError)
    if _is_on("SELKIT_DEBUG") or (not refusal and _is_on("SELKIT_RAISE_PLUGIN_ERRORS")):
        import traceback

        traceback.print_exception(error)
    if refusal:
        return _complain(str(error), getattr(error, "exit_code", INTERNAL))
    plugin = _plugin_at_fault(error)
    what, whom = (f"The plugin {plugin}", " to its authors") if plugin else ("selkit", "")
    return _complain(
        f"{what} failed unexpectedly ({type(error).__name__}: {error}). The traceback is in {_save_traceback(error)}; "
        f"please report it{whom}.",
        INTERNAL,
    )


def _is_on(variable: str) -> bool:
    return os.environ.get(variable, "0") not in ("", "0")


def _plugin_at_fault(error: Exception) -> str:
    """Name and version of the plugin whose code, or a library that it called, raised this; empty where selkit's did."""
    import traceback

    host = sys.modules.get("selkit.plugins.manager")
    if host is None or not host.manager.cache_info().currsize:  # no plugin has run
        return ""
    for frame, _ in reversed(list(traceback.walk_tb(error.__traceback__))):
        package = str(frame.f_globals.get("__name__", "")).partition(".")[0]
        if package == "selkit":
            return ""
        if owner := host.manager().owner_of(package):
            return " ".join(owner)
    return ""


def _save_traceback(error: Exception) -> str:
    """Writes the traceback to a new file in the temporary folder, without secrets, and returns its path."""
    import tempfile
    import traceback

    text = f"command: {' '.join(sys.argv)}\n" + "".join(traceback.format_exception(error))
    with tempfile.NamedTemporaryFile("w", prefix="selkit-", suffix=".txt", delete=False, encoding="utf-8") as file:
        file.write(_without_secrets(text))
    return file.name


def _without_secrets(text: str) -> str:
    try:
        from selkit.store.secret import redact_text
    except (ImportError, SyntaxError):  # a broken installation: nothing has run that could have seen a secret
        return text
    return redact_text(text)


def _complain(message: str, code: int) -> int:
    from selkit.console import get_console

    get_console().error("Error: " + " ".join(_without_secrets(message).split()))
    return code


def _sentence(error: click.ClickException) -> str:
    """click's message with the command whose help explains it."""
    message = error.format_message()
    context = getattr(error, "ctx", None)
    return f"{message} See '{context.command_path} --help'." if context is not None else message


def _raise_at_signals() -> Event:
    """Lets SIGTERM unwind the stack, so that leases are given back and files are closed; no signal is lost.

    Returns:
        What is set when SIGTERM arrives.
    """
    arrived = Event()

    def terminate(signum: int, frame: FrameType | None) -> None:
        arrived.set()
        raise _Terminated

    def send_again(lost: sys.UnraisableHookArgs) -> None:
        # A signal that arrives within a finalizer or a callback from C is raised there, where nothing can pass it on.
        if issubclass(lost.exc_type, KeyboardInterrupt):
            number = signal.SIGTERM if arrived.is_set() else signal.SIGINT
            Timer(_AGAIN_SECONDS, os.kill, (os.getpid(), number)).start()
        else:
            sys.__unraisablehook__(lost)

    if current_thread() is main_thread():
        signal.signal(signal.SIGTERM, terminate)
        if sys.unraisablehook is sys.__unraisablehook__:  # a host of this function may have its own
            sys.unraisablehook = send_again
    return arrived


def _discard_output() -> None:
    """Points stdout at nothing: its reader has gone, and the interpreter flushes once more when it ends."""
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, sys.stdout.fileno())


if __name__ == "__main__":
    sys.exit(main())
