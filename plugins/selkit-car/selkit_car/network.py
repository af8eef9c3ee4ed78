"""A scorer that runs: encoder, mix and head together; and its folder."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from selkit.api import DataError, ModelFiles
from selkit_car.card import CARD, HEAD, Architecture, Card, Variant, read_card
from selkit_car.encoder import Encoder
from selkit_car.head import closeness, feed_forward, fresh, mix, shapes

if TYPE_CHECKING:
    import torch

HISTORY = "training.json"


class TextScore(NamedTuple):
    """The score of a row's texts, the tokens that were read, and whether a text lost its end."""

    value: float
    tokens: int
    truncated: bool


@dataclass
class Network:
    """A scorer.

    Args:
        architecture: How it is built.
        encoder: The text encoder.
        weights: The tensors of mix and head, on the encoder's device.
    """

    architecture: Architecture
    encoder: Encoder
    weights: dict[str, torch.Tensor]

    @classmethod
    def untrained(cls, architecture: Architecture, folder: Path, ref: str, device: str, seed: int) -> Network:
        """The encoder of a model folder under a head drawn with ``seed``. Raises DataError if it cannot be loaded."""
        mixed = architecture.layers == "sparsemax"
        encoder = Encoder.load(folder, ref, device, max_length=architecture.max_length, all_layers=mixed)
        wanted = _shapes(architecture, encoder.layers, encoder.width)
        weights = {name: tensor.to(device) for name, tensor in fresh(wanted, seed).items()}
        return cls(architecture, encoder, weights)

    def encoder_facts(self) -> dict[str, int]:
        """What the card says of the encoder's shape, so that a head can be checked without loading the encoder."""
        return {"layers": self.encoder.layers, "width": self.encoder.width}

    def score(self, rows: Sequence[tuple[str, ...]]) -> Iterator[TextScore]:
        """The score of each row: of its whole text ('estimator'), or of its anchor and its answer ('comet').

        Equal texts are computed once. Rounding differs with the other rows, by about 1e-7.
        """
        import torch

        if not rows:
            return
        texts = list(dict.fromkeys(text for row in rows for text in row))
        encoded = self.encoder.encode(texts)
        found = dict(self.encoder.each(encoded, lambda states: mix(states, self.weights)))
        vectors = torch.stack([found[position] for position in range(len(texts))]).to(self.encoder.model.device)
        place = {text: position for position, text in enumerate(texts)}
        places = torch.tensor([[place[text] for text in row] for row in rows])
        with torch.inference_mode():
            values = self.judge(*(vectors[column] for column in places.unbind(1))).tolist()
        for value, row in zip(values, places.tolist(), strict=True):
            read = [encoded[position] for position in row]
            yield TextScore(value, sum(len(text.ids) for text in read), any(text.truncated for text in read))

    def judge(self, *vectors: torch.Tensor) -> torch.Tensor:
        """Scores from mixed vectors, one argument per text of a row, each (rows, width) -> (rows,)."""
        if self.architecture.variant == "estimator":
            return feed_forward(vectors[0], self.weights)
        return closeness(vectors[0], vectors[1])


def check_scorer(folder: Path, ref: str, variant: Variant) -> Card:
    """Refuses a folder that holds no scorer of this variant, or one whose head does not fit; reads no weights.

    Raises:
        DataError: It is no scorer, or a damaged one.
        UsageError: It is of the other variant.
    """
    card = read_card(folder, ref, variant)
    try:
        wanted = _shapes(card.architecture, int(card.encoder["layers"]), int(card.encoder["width"]))
        found = _head_shapes(folder) if wanted else {}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"scorer {ref!r} is damaged ({error}): copy it again, or train another") from error
    if found != wanted:
        odd = sorted({*found.items()} ^ {*wanted.items()})[0][0]
        raise DataError(f"the head of scorer {ref!r} does not fit its {CARD} ({odd}): copy it again, or train another")
    return card


def load_scorer(files: ModelFiles, variant: Variant, device: str) -> Network:
    """The scorer of a model folder, ready to score; the last one asked for stays loaded.

    Raises:
        DataError: It is no scorer, or cannot be loaded.
        UsageError: It is of the other variant.
    """
    card = check_scorer(files.path, files.ref, variant)
    return _loaded(card.architecture, files.path, files.ref, files.digest, device)


@lru_cache(maxsize=1)
def _loaded(architecture: Architecture, folder: Path, ref: str, digest: str, device: str) -> Network:
    from safetensors.torch import load_file

    network = Network.untrained(architecture, folder, ref, device, seed=0)
    if network.weights:
        network.weights = load_file(folder / HEAD, device=device)
    return network


def save_scorer(network: Network, card: Card, history: Mapping[str, Any], output: Path) -> None:
    """Writes a scorer's folder so that nobody ever sees a part of it; takes the place of what is there.

    Raises:
        DataError: The place cannot be written to.
    """
    from safetensors import SafetensorError

    output = Path(os.path.abspath(output))
    temporary: Path | None = None
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{output.name}-", dir=output.parent))
        _write(network, card, history, temporary / "new")
        if output.exists():
            output.rename(temporary / "old")
        (temporary / "new").rename(output)
    except (OSError, SafetensorError) as error:
        raise DataError(f"cannot write {output} ({error}): choose another place, or free some space") from error
    finally:
        if temporary is not None:
            shutil.rmtree(temporary, ignore_errors=True)


def _write(network: Network, card: Card, history: Mapping[str, Any], folder: Path) -> None:
    from safetensors.torch import save_file

    folder.mkdir()
    network.encoder.save(folder)
    if network.weights:
        save_file({name: tensor.detach().cpu().contiguous() for name, tensor in network.weights.items()}, folder / HEAD)
    (folder / HISTORY).write_text(json.dumps(dict(history), indent=2) + "\n", "utf-8")
    (folder / CARD).write_text(card.to_json(), "utf-8")
    for path in folder.iterdir():  # safetensors lets nobody else read its files
        path.chmod((folder / CARD).stat().st_mode)


def _shapes(architecture: Architecture, layers: int, width: int) -> dict[str, tuple[int, ...]]:
    mixed, head = architecture.layers == "sparsemax", architecture.variant == "estimator"
    return shapes(layers, width, architecture.hidden_sizes, mixed=mixed, head=head)


def _head_shapes(folder: Path) -> dict[str, tuple[int, ...]]:
    """Names and shapes in the head's file, from its header: eight bytes of length, then JSON."""
    size = (folder / HEAD).stat().st_size
    with open(folder / HEAD, "rb") as file:
        length = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(length)) if length < size else None
    if not isinstance(header, dict):
        raise ValueError(f"{HEAD} is no safetensors file")
    return {name: tuple(entry["shape"]) for name, entry in header.items() if name != "__metadata__"}
