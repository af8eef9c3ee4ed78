"""The function behind `selkit select`, as a notebook uses it."""

from __future__ import annotations

from pathlib import Path

import pytest

from selkit.api import DataError
from selkit.plugins import build
from selkit.select import prepare_output, read_manifest, read_selection
from selkit.select.command import SelectJob, run_job


def test_a_job_writes_what_can_be_read_back(tmp_path: Path) -> None:
    """Ids in the order of the selection; the manifest is the mark that it is whole."""
    job = SelectJob("planted", build("selector", "oracle"), "20", output=tmp_path / "out")
    result = run_job(job)
    assert result is not None
    assert tuple(read_selection(tmp_path / "out")) == result.ids
    assert all(row.extra["truth"] for row in result.rows)
    (tmp_path / "out/manifest.json").unlink()
    assert read_manifest(tmp_path / "out") is None
    with pytest.raises(DataError, match="no finished selection"):
        read_selection(tmp_path / "out")


def test_a_folder_with_other_files_is_left_alone(tmp_path: Path) -> None:
    """Somebody else's files are named, and nothing is written beside them without force."""
    (tmp_path / "notes.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(DataError, match=r"notes\.txt"):
        prepare_output(tmp_path)
    prepare_output(tmp_path, force=True)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]
    prepare_output(tmp_path / "new" / "folder")
    assert not (tmp_path / "new" / "folder").exists()
