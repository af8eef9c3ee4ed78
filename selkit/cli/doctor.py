"""``selkit doctor``: what is here, what is missing, and what to do about it."""

from __future__ import annotations

import click

from selkit.cli import options


@click.command()
@click.option("--deep", is_flag=True, help="Read every stored result, too, and put damaged ones aside.")
@options.store
@options.as_json
@options.verbosity
def command(deep: bool, store: str | None, as_json: bool) -> None:
    """Look at Python, packages, devices, data, the hub, caches, plugins and the store.

    Each line says how a thing is (ok, note or failed) and what to do about it. A note limits what can be done here, as
    a missing extra does, and may well be meant so. Nothing is changed. The exit code is 1 where a check failed.

    Stored results are checked by the sizes of their files. With --deep every byte is compared with its digest: each
    damaged result is named and put aside, so that the next command that needs it makes it anew.
    """
    import json
    from dataclasses import asdict

    from selkit.api import WorkFailed
    from selkit.console import get_console
    from selkit.doctor import Finding, examine

    console = get_console()
    findings: list[Finding] = []
    for finding in examine(store, deep=deep):
        findings.append(finding)
        if not as_json:
            console.result(finding.line)
    failed = [finding for finding in findings if finding.state == "failed"]
    if as_json:
        found = {"schema_version": 1, "ok": not failed, "findings": [asdict(finding) for finding in findings]}
        console.result(json.dumps(found, indent=2, ensure_ascii=False))
    if failed:
        raise WorkFailed(
            f"{len(failed)} of {len(findings)} checks failed: each line that begins with failed has its remedy"
        )
    notes = sum(finding.state == "note" for finding in findings)
    console.note(f"{len(findings)} checks, none failed" + (f"; {notes} notes" if notes else ""))
