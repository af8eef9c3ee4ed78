"""Models of the Hugging Face hub."""

from __future__ import annotations

from pathlib import Path

from selkit.api import DataError, MissingExtra


def download(ref: str) -> Path:
    """The local snapshot of ``hub:NAME[@REVISION]``; taken from the cache where the hub cannot be reached.

    Raises:
        DataError: The hub does not have it, or cannot be reached and nothing is cached.
    """
    try:
        from huggingface_hub import snapshot_download
    except ImportError as error:
        raise MissingExtra.of("a model from the hub", "train") from error
    name, _, revision = ref.removeprefix("hub:").partition("@")
    patterns = ["*.json", "*.safetensors", "*.jinja", "*.model", "*.txt"]
    try:
        return Path(snapshot_download(name, revision=revision or None, allow_patterns=patterns))
    except Exception as error:  # the hub's client raises many classes, none of them documented as its contract
        why = " ".join(str(error).split())[:200]
        raise DataError(
            f"model {ref!r} cannot be had ({type(error).__name__}: {why}): download it on a machine with network, "
            "or name a local folder"
        ) from error
