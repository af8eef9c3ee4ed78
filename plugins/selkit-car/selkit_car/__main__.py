"""``python -m selkit_car train``: trains the scorer that ``iqs`` reads. selkit itself has no commands from plugins."""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args, get_type_hints

from selkit.api import SelkitError, open_context
from selkit_car.settings import HELP, Settings
from selkit_car.training import PAPER_ENCODER, Trained, train

_INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command and returns its exit code; the codes are those of selkit."""
    given = _parser().parse_args(arguments)
    values = {name: getattr(given, name) for name in HELP}
    settings = Settings(**values | {"hidden_sizes": tuple(given.hidden_sizes)})
    try:
        with tempfile.TemporaryDirectory(prefix="selkit-car-") as scratch:
            ctx = open_context(Path(scratch), seed=given.seed, device=given.device)
            done = train(
                given.train,
                given.valid,
                given.output,
                ctx,
                encoder=given.encoder,
                test_csv=given.test,
                settings=settings,
                seed=given.seed,
                force=given.force,
            )
    except SelkitError as error:
        print(f"Error: {error}", file=sys.stderr)  # noqa: T201
        return error.exit_code
    except KeyboardInterrupt:
        print("Interrupted; nothing was written.", file=sys.stderr)  # noqa: T201
        return _INTERRUPTED
    print(done.card.to_json().rstrip() if given.json else _said(done))  # noqa: T201
    return 0


def _said(done: Trained) -> str:
    best = done.card.training["best"]
    lines = [
        str(done.output),
        f"epoch {best['epoch']} of {len(done.history)}: Kendall's tau {best['kendall']:.3f} and accuracy "
        f"{best['accuracy']:.2%} on the validation pairs",
    ]
    return "\n".join([*lines, *([f"test pairs: {done.accuracy}"] if done.accuracy is not None else [])])


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m selkit_car", description="Scorers for selkit's selector iqs.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    command = commands.add_parser(
        "train",
        help="train a scorer on original and revised texts",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
        description="Train a scorer on original and revised texts. The CSV files have the columns src (the text) and "
        "score (0 original, 1 revised), each two successive rows a pair. The defaults are the paper's settings.",
    )
    command.add_argument("--train", type=Path, required=True, metavar="CSV", help="rows to train on")
    command.add_argument("--valid", type=Path, required=True, metavar="CSV", help="pairs to choose the epoch by")
    command.add_argument("--test", type=Path, metavar="CSV", help="pairs whose accuracy is reported at the end")
    command.add_argument("--encoder", default=PAPER_ENCODER, metavar="REF", help="text encoder: folder, hub: or pypi:")
    command.add_argument("-o", "--output", type=Path, required=True, metavar="DIR", help="folder for the scorer")
    command.add_argument("--seed", type=int, default=0, help="of head, order and dropout")
    command.add_argument("--device", default="auto", help="cpu or cuda")
    command.add_argument("--force", action="store_true", help="replace what is in the folder")
    command.add_argument("--json", action="store_true", help="print the scorer's card as JSON")
    for name, text in HELP.items():
        _add_setting(command, name, getattr(Settings(), name), text)
    return parser


def _add_setting(command: argparse.ArgumentParser, name: str, default: Any, text: str) -> None:
    """An option for a field of :class:`Settings`, of the field's own type."""
    kind = get_type_hints(Settings)[name]
    option = f"--{name.replace('_', '-')}"
    if kind is bool:
        command.add_argument(option, action="store_true", help=text)
    elif kind == tuple[int, ...]:
        command.add_argument(option, type=int, nargs="*", default=default, metavar="N", help=text)
    elif choices := [value for value in get_args(kind) if isinstance(value, str)]:
        command.add_argument(option, choices=choices, default=default, help=text)
    else:
        number = float if kind is float else int
        command.add_argument(option, type=number, default=default, metavar="N", help=text)


if __name__ == "__main__":
    sys.exit(main())
