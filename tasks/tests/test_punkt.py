"""The sentence splitter: taken from a package where nltk has none, kept, and refused in one sentence."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

CODE = """
import sys
from pathlib import Path
import nltk
nltk.data.path[:] = []
from selkit_tasks.punkt import ensure_punkt
ensure_punkt(Path(sys.argv[1]))
print(nltk.tokenize.sent_tokenize("Dr. Smith came. He left."))
"""


def in_a_process(cache: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Sets the splitter up in a fresh Python, whose nltk knows no folder of its own."""
    command = [sys.executable, "-c", CODE, str(cache)]
    return subprocess.run(command, capture_output=True, text=True, env=os.environ | environment, check=False)


def test_without_network_one_sentence_says_what_to_do(tmp_path: Path) -> None:
    """Neither installed nor to be had: DataError with the command, and nothing half-made is left."""
    nowhere = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(tmp_path), "UV_NO_INDEX": "1", "PIP_CONFIG_FILE": os.devnull}
    done = in_a_process(tmp_path / "cache", **nowhere)
    assert done.returncode == 1
    assert "DataError: IFEval needs nltk's punkt_tab" in done.stderr.splitlines()[-1]
    assert "python -m nltk.downloader punkt_tab" in done.stderr
    assert not list((tmp_path / "cache").rglob("*.pickle")) + list((tmp_path / "cache").rglob("punkt_tab"))


@pytest.mark.usefixtures("punkt")
def test_what_is_in_the_cache_serves_without_network() -> None:
    """The folder that an earlier call left is used as it stands."""
    from selkit.models import models_cache

    cache = models_cache().parent
    if not (cache / "nltk_data").is_dir():
        pytest.skip("nltk has a punkt_tab of its own here")
    done = in_a_process(cache, PIP_NO_INDEX="1", UV_NO_INDEX="1")
    assert done.stdout.strip() == "['Dr. Smith came.', 'He left.']"


@pytest.mark.slow
@pytest.mark.usefixtures("punkt")
def test_it_is_fetched_once(tmp_path: Path) -> None:
    """A first call fetches it from the package index, and only it stays."""
    assert in_a_process(tmp_path).stdout.strip() == "['Dr. Smith came.', 'He left.']"
    assert [path.name for path in tmp_path.iterdir()] == ["nltk_data"]
    assert in_a_process(tmp_path, PIP_NO_INDEX="1", UV_NO_INDEX="1").returncode == 0
