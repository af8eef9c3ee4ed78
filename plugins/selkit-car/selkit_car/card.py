"""What a saved scorer says of itself: ``iqs.json`` in its folder, beside the encoder's own files and the head."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from selkit.api import DataError, UsageError

CARD = "iqs.json"
HEAD = "head.safetensors"
FORMAT = "selkit-car iqs 1"

Variant = Literal["estimator", "comet"]
"""'estimator' puts a number on a whole text (IQS); 'comet' says how near an answer is to its instruction."""

Layers = Literal["sparsemax", "last"]
"""A learnt mix of all layers of the encoder, or its last layer alone."""

_TODO = "train a scorer with `python -m selkit_car train`, or give another folder"


@dataclass(frozen=True)
class Architecture:
    """How a scorer is built.

    Args:
        variant: 'estimator' or 'comet'.
        layers: 'sparsemax' (a learnt mix) or 'last'.
        hidden_sizes: Widths of the head's hidden layers; a comet scorer has no head.
        max_length: Most tokens of a text.
    """

    variant: Variant = "estimator"
    layers: Layers = "sparsemax"
    hidden_sizes: tuple[int, ...] = (2048, 1024)
    max_length: int = 512


@dataclass(frozen=True)
class Card:
    """What is known of a saved scorer.

    Args:
        architecture: How it is built.
        encoder: Reference and digest of the encoder that training began with, whether it was left as it was, how many
            vectors it gives per text (layers), and their width.
        training: Facts of the training: settings, seed, data, the best epoch.
        accuracy: Pairwise accuracy on test pairs, None where it was trained without any.
    """

    architecture: Architecture
    encoder: Mapping[str, Any] = field(default_factory=dict)
    training: Mapping[str, Any] = field(default_factory=dict)
    accuracy: Mapping[str, Any] | None = None

    def to_json(self) -> str:
        """The card as it stands in its file."""
        document = {"format": FORMAT, **asdict(self.architecture)}
        document |= {"encoder": dict(self.encoder), "training": dict(self.training), "accuracy": self.accuracy}
        return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def read_card(folder: Path, ref: str, variant: Variant) -> Card:
    """The card of the scorer in ``folder``.

    Raises:
        DataError: There is no scorer, or its card is damaged or of another version.
        UsageError: The scorer is of the other variant.
    """
    if not folder.is_dir():
        what = "is a file, and a scorer is a folder with iqs.json in it" if folder.exists() else "does not exist"
        raise DataError(f"scorer {ref!r} {what}: {_TODO}")
    if not (folder / CARD).is_file():
        raise DataError(f"{ref!r} holds no {CARD}, so it is no IQS scorer: {_TODO}")
    try:
        card = _parse(json.loads((folder / CARD).read_text("utf-8")))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"the {CARD} of scorer {ref!r} cannot be read ({error}): {_TODO}") from error
    found = card.architecture.variant
    if found != variant:
        raise UsageError(f"scorer {ref!r} is of variant {found}, not {variant}: set variant={found}, or give another")
    return card


def _parse(document: dict[str, Any]) -> Card:
    if document["format"] != FORMAT:
        raise ValueError(f"its format is {document['format']!r}, and this version reads {FORMAT!r}")
    architecture = Architecture(
        variant=_one_of(document, "variant", ("estimator", "comet")),
        layers=_one_of(document, "layers", ("sparsemax", "last")),
        hidden_sizes=tuple(int(size) for size in document["hidden_sizes"]),
        max_length=int(document["max_length"]),
    )
    return Card(architecture, document["encoder"], document["training"], document["accuracy"])


def _one_of(document: dict[str, Any], name: str, choices: tuple[str, ...]) -> Any:
    if document[name] not in choices:
        raise ValueError(f"{name} is {document[name]!r}, neither {' nor '.join(choices)}")
    return document[name]
