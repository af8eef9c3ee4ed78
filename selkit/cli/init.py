"""``selkit init``: a commented spec for the user's own pool."""

from __future__ import annotations

from pathlib import Path

import click

from selkit.cli import options


@click.command("init")
@click.argument("pool", required=False, default="my-pool.jsonl")
@options.output("File to write the spec to.")
@click.option("--schema", is_flag=True, help="Print the JSON schema of specs instead, for editors.")
@options.force
@options.verbosity
def command(pool: str, output: str | None, schema: bool, force: bool) -> None:
    """Write a commented experiment spec for POOL."""
    from selkit.console import get_console
    from selkit.experiment import write_spec
    from selkit.experiment.spec.schema import schema_text

    if schema:
        get_console().result(schema_text().rstrip())
        return
    path = write_spec(pool, Path(output or "experiment.yaml"), force=force)
    get_console().result(f"{path}: look it over, then `selkit run --dry-run {path}` and `selkit run {path}`")
