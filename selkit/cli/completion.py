"""``selkit completion``: the script that makes a shell complete selkit's commands and options."""

from __future__ import annotations

import click


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def command(shell: str) -> None:
    """Print the completion script of a SHELL.

    \b
    bash:  eval "$(selkit completion bash)"     in ~/.bashrc
    zsh:   eval "$(selkit completion zsh)"      in ~/.zshrc
    fish:  selkit completion fish > ~/.config/fish/completions/selkit.fish
    """
    from click.shell_completion import get_completion_class

    from selkit.cli import cli

    script = get_completion_class(shell)
    if script is None:
        raise click.UsageError(f"click has no completion for '{shell}'.")
    click.echo(script(cli, {}, "selkit", "_SELKIT_COMPLETE").source())
