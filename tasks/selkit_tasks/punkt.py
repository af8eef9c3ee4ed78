"""nltk's sentence splitter, which IFEval needs, on machines that reach a package index but not nltk's server."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

from selkit.api import DataError

CARRIER = "llama-index-core==0.14.25"
"""A package that carries punkt_tab among its files; it goes into a temporary folder and only punkt_tab is kept."""

_FOLDER = "tokenizers/punkt_tab"


def ensure_punkt(cache_dir: Path) -> None:
    """Makes nltk find punkt_tab in this process: where it already is, else from a package, kept in ``cache_dir``.

    Raises:
        DataError: It is not installed and cannot be fetched.
    """
    import nltk

    home = cache_dir / "nltk_data"
    if str(home) not in nltk.data.path:
        nltk.data.path.append(str(home))
    if not _found():
        _fetch(home)
    if not _found():
        raise _missing()


def _found() -> bool:
    import nltk

    try:
        nltk.data.find(f"{_FOLDER}/english/")
    except LookupError:
        return False
    return True


def _fetch(home: Path) -> None:
    """Unpacks the carrier beside ``home`` and moves punkt_tab in by one rename; who comes second leaves it as it is."""
    (home / _FOLDER).parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=home.parent) as name:
        work = Path(name)
        done = subprocess.run(
            [*_installer(), "--no-deps", "--target", str(work), CARRIER], capture_output=True, check=False
        )
        made = next((path for path in work.rglob("punkt_tab") if (path / "english").is_dir()), None)
        if done.returncode or made is None:
            raise _missing()
        with suppress(OSError):  # another process was faster
            made.rename(home / _FOLDER)


def _installer() -> list[str]:
    """pip of this Python, or where an environment has none (those of uv), uv or another pip on the path."""
    if importlib.util.find_spec("pip") is None:
        if (uv := shutil.which("uv")) is not None:
            return [uv, "pip", "install", "--quiet", "--python", sys.executable]
        if (pip := shutil.which("pip")) is not None:
            return [pip, "install", "--quiet", "--no-input", "--no-compile"]
    return [sys.executable, "-m", "pip", "install", "--quiet", "--no-input", "--no-compile"]


def _missing() -> DataError:
    return DataError(
        "IFEval needs nltk's punkt_tab, which is not installed and cannot be fetched from the package index: run "
        "`python -m nltk.downloader punkt_tab` where there is network, and name its folder in NLTK_DATA"
    )
