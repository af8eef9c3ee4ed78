"""Python, and the packages that selkit and its extras ask for, from metadata alone."""

from __future__ import annotations

import platform
import sys
from collections.abc import Iterator, Sequence
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from importlib.util import find_spec
from typing import TYPE_CHECKING

from selkit.doctor.finding import Finding
from selkit.store import package_version

if TYPE_CHECKING:
    from packaging.requirements import Requirement

HOST = "selkit-eval"
NAMESAKE = "selkit"
"""An unrelated project of the package index whose import package and command have the same name."""


def package_findings() -> Iterator[Finding]:
    """Python; selkit's own requirements; one line per extra; pip, which fetches models that come as packages."""
    try:
        host = distribution(HOST)
    except PackageNotFoundError:
        yield Finding(
            "packages", "failed", f"{HOST} is not installed, it only lies on the path", "pip install -e . in its folder"
        )
        return
    yield _python(host)
    if (version := package_version(NAMESAKE)) is not None:
        yield Finding(
            "packages",
            "failed",
            f"the unrelated package {NAMESAKE} {version} is installed too, and both are imported as {NAMESAKE}",
            f"pip uninstall {NAMESAKE}, then pip install --force-reinstall --no-deps {HOST}",
        )
    requirements = _requirements(host)
    yield _core([need for need in requirements if _wanted(need, "")])
    for extra in host.metadata.get_all("Provides-Extra") or ():
        if extra != "all":
            yield _extra(extra, [need for need in requirements if _wanted(need, extra) and not _wanted(need, "")])
    if find_spec("pip") is None:
        yield Finding(
            "packages", "note", "pip is not here, so models named pypi:NAME cannot be fetched", "python -m ensurepip"
        )


def _python(host: Distribution) -> Finding:
    from packaging.specifiers import SpecifierSet

    needed = (host.metadata.get_all("Requires-Python") or [""])[0]
    text = f"{platform.python_version()} ({sys.executable})"
    if SpecifierSet(needed).contains(platform.python_version(), prereleases=True):
        return Finding("python", "ok", text)
    return Finding("python", "failed", f"{text}, and selkit needs {needed}", "make an environment with such a Python")


def _requirements(host: Distribution) -> list[Requirement]:
    from packaging.requirements import Requirement

    return [Requirement(text) for text in host.requires or ()]


def _wanted(need: Requirement, extra: str) -> bool:
    return need.marker is None or bool(need.marker.evaluate({"extra": extra}))


def _core(needs: Sequence[Requirement]) -> Finding:
    faults = [*_missing(needs), *_unfit(needs)]
    if faults:
        text = f"{HOST} {package_version(HOST)} lacks {', '.join(faults)}"
        return Finding("packages", "failed", text, f"pip install --upgrade {HOST}")
    return Finding("packages", "ok", f"{HOST} {package_version(HOST)} with {_installed(needs)}")


def _extra(name: str, needs: Sequence[Requirement]) -> Finding:
    missing, unfit = _missing(needs), _unfit(needs)
    remedy = f"pip install --upgrade '{HOST}[{name}]'"
    if unfit:
        return Finding("packages", "failed", f"extra {name} does not fit: {', '.join(unfit)}", remedy)
    if missing:
        text = f"extra {name} is not installed ({', '.join(missing)} missing)"
        return Finding("packages", "note", text, f"for it: {remedy}")
    return Finding("packages", "ok", f"extra {name} with {_installed(needs)}")


def _missing(needs: Sequence[Requirement]) -> list[str]:
    return list(dict.fromkeys(need.name for need in needs if package_version(need.name) is None))


def _unfit(needs: Sequence[Requirement]) -> list[str]:
    found = [(need, package_version(need.name)) for need in needs]
    return [
        f"{need.name} {version}, which is not {need.specifier}"
        for need, version in found
        if version is not None and not need.specifier.contains(version, prereleases=True)
    ]


def _installed(needs: Sequence[Requirement]) -> str:
    return ", ".join(dict.fromkeys(f"{need.name} {package_version(need.name)}" for need in needs))
