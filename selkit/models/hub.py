"""Models of the Hugging Face hub: ``hub:NAME[@REVISION]``."""

from __future__ import annotations

from pathlib import Path

from selkit.api import DataError, UsageError
from selkit.models.folder import check_folder

_FILES = ["*.safetensors", "*.json", "*.jinja", "*.txt", "*.model", "1_Pooling/*"]
_TODO = "check the name and the network, or download the model elsewhere and give its folder"


def download(name: str, ref: str) -> Path:
    """The snapshot's folder in the hub's own cache; downloads what is missing. Raises DataError if it cannot be had."""
    from huggingface_hub import snapshot_download

    repository, revision = _parse(name, ref)
    try:
        return Path(snapshot_download(repository, revision=revision, allow_patterns=_FILES))
    except Exception as error:  # the hub client raises errors of several libraries
        raise _unreachable(ref, error) from error


def check(name: str, ref: str) -> None:
    """Asks the hub's cache, then the hub, whether the model is there and has safe weights. Raises DataError if not."""
    from huggingface_hub import HfApi

    repository, revision = _parse(name, ref)
    if (cached := _cached(repository, revision)) is not None:
        check_folder(cached, ref)
        return
    try:
        found = HfApi().model_info(repository, revision=revision, timeout=20)
    except Exception as error:
        raise _unreachable(ref, error) from error
    if not any(file.rfilename.endswith(".safetensors") for file in found.siblings or ()):
        raise DataError(f"model {ref!r} has no .safetensors weights on the hub: convert it, or choose another one")


def _cached(repository: str, revision: str | None) -> Path | None:
    """The folder of a snapshot that is on this machine and has weights; None where the hub has to be asked."""
    from huggingface_hub import snapshot_download

    try:
        folder = Path(snapshot_download(repository, revision=revision, local_files_only=True))
    except Exception:  # several kinds of 'not here'
        return None
    return folder if any(folder.glob("*.safetensors")) else None


def _parse(name: str, ref: str) -> tuple[str, str | None]:
    repository, _, revision = name.partition("@")
    if not repository or repository.count("/") > 1:
        raise UsageError(f"model {ref!r} is not of the form hub:OWNER/NAME or hub:OWNER/NAME@REVISION")
    return repository, revision or None


def _unreachable(ref: str, error: Exception) -> DataError:
    lines = str(error).strip().splitlines()
    reason = f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
    return DataError(f"model {ref!r} cannot be had from the hub ({reason[:200]}): {_TODO}")
