"""The working folder: what survives a kill, who may write, and that the output appears as a whole."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from selkit.api import DataError
from selkit.train.workplace import claimed, mark_checkpoint, newest_checkpoint

JOB = {"seed": 1}


def checkpoint(folder: Path, step: int) -> Path:
    """A checkpoint with two files, marked as whole."""
    path = folder / f"checkpoint-{step}"
    path.mkdir(parents=True)
    (path / "model.safetensors").write_bytes(b"weights")
    (path / "optimizer.pt").write_bytes(b"moments")
    mark_checkpoint(path)
    return path


def test_the_newest_whole_checkpoint_counts(tmp_path: Path) -> None:
    """By step, not by name; one without its mark, or with a file cut short or missing, is passed over."""
    assert newest_checkpoint(tmp_path) is None
    second, tenth, torn, short = (checkpoint(tmp_path, step) for step in (2, 10, 20, 30))
    (torn / "complete.json").unlink()
    (short / "optimizer.pt").write_bytes(b"mom")
    assert newest_checkpoint(tmp_path) == tenth
    (tenth / "model.safetensors").unlink()
    assert newest_checkpoint(tmp_path) == second


def test_the_same_job_finds_its_checkpoint_and_another_finds_none(tmp_path: Path) -> None:
    """A checkpoint of other settings is removed, not resumed from."""
    with claimed(tmp_path / "out", None, force=False) as place:
        assert place.begin(JOB, resume=True) is None
        made = checkpoint(place.checkpoints, 3)
        assert place.begin(JOB, resume=True) == made
        assert place.begin({"seed": 2}, resume=True) is None
        assert not made.exists()


def test_without_resume_it_starts_again(tmp_path: Path) -> None:
    """The checkpoint of the same job is removed where resuming is not wanted."""
    with claimed(tmp_path / "out", None, force=False) as place:
        place.begin(JOB, resume=True)
        checkpoint(place.checkpoints, 3)
        assert place.begin(JOB, resume=False) is None


@pytest.mark.parametrize("kept", [True, False])
def test_a_checkpoint_outlives_a_failure_and_an_empty_folder_does_not(tmp_path: Path, kept: bool) -> None:
    """What can be resumed stays in the hidden folder; without a checkpoint nothing stays."""

    def fail() -> None:
        with claimed(tmp_path / "out", None, force=False) as place:
            place.begin(JOB, resume=True)
            if kept:
                checkpoint(place.checkpoints, 3)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert (tmp_path / ".out.partial").exists() == kept


def test_the_output_appears_by_renaming(tmp_path: Path) -> None:
    """Nothing is at the output before the commit, all of it after, and the working folder is gone."""
    with claimed(tmp_path / "out", None, force=False) as place:
        place.begin(JOB, resume=True)
        checkpoint(place.checkpoints, 3)
        place.result.mkdir()
        (place.result / "model.safetensors").write_bytes(b"weights")
        assert not place.output.exists()
        place.commit()
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["model.safetensors"]


def test_an_empty_folder_may_be_the_output(tmp_path: Path) -> None:
    """A folder that somebody made beforehand is filled."""
    (tmp_path / "out").mkdir()
    with claimed(tmp_path / "out", None, force=False) as place:
        place.begin(JOB, resume=True)
        place.result.mkdir()
        (place.result / "file").touch()
        place.commit()
    assert (tmp_path / "out" / "file").exists()


def test_a_second_process_is_refused(tmp_path: Path) -> None:
    """Two trainings into one folder at once would spoil each other."""
    with (
        claimed(tmp_path / "out", None, force=False),
        pytest.raises(DataError, match="another process is training into"),
        claimed(tmp_path / "out", None, force=False),
    ):
        pass


@pytest.mark.parametrize("force", [False, True])
def test_what_selkit_did_not_train_is_never_replaced(tmp_path: Path, force: bool) -> None:
    """Not even with --force: a folder without training.json is somebody else's."""
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.tex").touch()
    with (
        pytest.raises(DataError, match="did not train" if force else "is not empty"),
        claimed(tmp_path / "out", None, force=force),
    ):
        pass
    assert (tmp_path / "out" / "thesis.tex").exists()


def test_a_file_is_no_output(tmp_path: Path) -> None:
    """The output is a folder."""
    (tmp_path / "out").touch()
    with pytest.raises(DataError, match="is a file"), claimed(tmp_path / "out", None, force=True):
        pass


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    """In one sentence with the place."""
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(DataError, match="cannot write"), claimed(tmp_path / "out", None, force=False):
            pass
    finally:
        tmp_path.chmod(0o700)


def test_a_place_that_cannot_exist_is_told(tmp_path: Path) -> None:
    """Below a file there are no folders."""
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match="cannot write"), claimed(tmp_path / "file" / "out", None, force=False):
        pass
