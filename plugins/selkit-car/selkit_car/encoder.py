"""The encoder of a scorer: averages over the tokens of a text, one vector per layer.

selkit's own engine serves the last layer alone, and without gradients. This is a plain forward pass of a model of
transformers, used in training and in scoring alike.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from selkit.api import DataError

if TYPE_CHECKING:
    import torch

_CPU_TOKENS = 2048
_GPU_TOKENS = 32_768
_NO_LIMIT = 10**6  # what tokenizers say that know no limit is larger


@dataclass(frozen=True, slots=True)
class Encoded:
    """A text as token ids; ``truncated`` where it was longer than allowed and lost its end."""

    ids: tuple[int, ...]
    truncated: bool


class Encoder:
    """A text encoder in float32.

    Args:
        model: A model of transformers, without a head.
        tokenizer: Its tokenizer, a fast one.
        max_length: Most tokens of a text, special tokens counted; the encoder's own limit where that is lower.
        all_layers: Whether every layer counts (the embeddings are the first), or the last alone.
    """

    def __init__(self, model: Any, tokenizer: Any, *, max_length: int, all_layers: bool) -> None:
        self.model = model
        self.tokenizer = tokenizer
        self.all_layers = all_layers
        self._inner = tokenizer.backend_tokenizer
        self._inner.no_truncation()
        self._inner.no_padding()
        positions = getattr(model.config, "max_position_embeddings", None) or _NO_LIMIT
        self.max_length = min(max_length, positions, int(min(tokenizer.model_max_length, _NO_LIMIT)))

    @classmethod
    def load(cls, folder: Path, ref: str, device: str, *, max_length: int, all_layers: bool) -> Encoder:
        """The encoder of a model folder; no code of the folder runs.

        Raises:
            DataError: It cannot be loaded, lacks weights, or is no encoder.
        """
        import torch
        from transformers import AutoConfig, AutoModel, AutoTokenizer
        from transformers.utils import logging

        logging.disable_progress_bar()
        logging.set_verbosity_error()
        try:
            config = AutoConfig.from_pretrained(folder, trust_remote_code=False)
            options = {"dtype": torch.float32, "use_safetensors": True, "trust_remote_code": False}
            model, info = AutoModel.from_pretrained(folder, config=config, output_loading_info=True, **options)
            tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
        except (ValueError, OSError, KeyError, ImportError, RuntimeError) as error:
            reason = " ".join(str(error).split())[:200]
            raise DataError(f"encoder {ref!r} cannot be loaded ({reason}): give another one") from error
        missing = sorted(name for name in info["missing_keys"] if "pooler" not in name)
        if missing:  # transformers would fill them with random numbers
            raise DataError(f"encoder {ref!r} lacks {len(missing)} of its weights, e.g. {missing[0]}: copy it again")
        if getattr(config, "is_encoder_decoder", False) or not tokenizer.is_fast:
            raise DataError(f"encoder {ref!r} has a decoder, or no fast tokenizer: give a text encoder such as a BERT")
        return cls(model.to(device).eval(), tokenizer, max_length=max_length, all_layers=all_layers)

    @property
    def layers(self) -> int:
        """Vectors per text: the encoder's layers and its embeddings, or one."""
        return int(self.model.config.num_hidden_layers) + 1 if self.all_layers else 1

    @property
    def width(self) -> int:
        """Width of a vector."""
        return int(self.model.config.hidden_size)

    @property
    def batch_tokens(self) -> int:
        """Tokens of one forward pass, padding counted."""
        return _CPU_TOKENS if self.model.device.type == "cpu" else _GPU_TOKENS

    def encode(self, texts: Sequence[str]) -> list[Encoded]:
        """Token ids with the model's special tokens; a closing one stays where a long text loses its end."""
        return [self._cut(encoding) for encoding in self._inner.encode_batch(list(texts))]

    def states(self, rows: Sequence[Encoded]) -> torch.Tensor:
        """Averages over the tokens of each text, shape (rows, layers, width); padding does not count."""
        import torch

        device = self.model.device
        lengths = torch.tensor([len(row.ids) for row in rows], device=device)
        longest = int(lengths.max())
        pad = getattr(self.model.config, "pad_token_id", None) or 0
        ids = torch.tensor([[*row.ids, *[pad] * (longest - len(row.ids))] for row in rows], device=device)
        mask = torch.arange(longest, device=device)[None, :] < lengths[:, None]
        output = self.model(input_ids=ids, attention_mask=mask.long(), output_hidden_states=self.all_layers)
        layers = output.hidden_states if self.all_layers else (output.last_hidden_state,)
        kept = mask[:, :, None]
        return torch.stack([(layer * kept).sum(1) / lengths[:, None] for layer in layers], dim=1)

    def batches(self, rows: Sequence[Sequence[Encoded]]) -> Iterator[list[int]]:
        """Positions of ``rows`` (each one text or several), similar lengths together, longest first.

        A batch has at most :attr:`batch_tokens` tokens, padding counted, or one row.
        """
        size = [max(len(text.ids) for text in row) * len(row) for row in rows]
        batch: list[int] = []
        for position in sorted(range(len(rows)), key=lambda i: (-size[i], i)):
            if batch and size[batch[0]] * (len(batch) + 1) > self.batch_tokens:
                yield batch
                batch = []
            batch.append(position)
        if batch:
            yield batch

    def each(
        self, rows: Sequence[Encoded], function: Callable[[torch.Tensor], torch.Tensor]
    ) -> Iterator[tuple[int, torch.Tensor]]:
        """Position and ``function`` of the states of each row, batch by batch; without gradients, on the CPU.

        ``function`` takes states of shape (batch, layers, width) and returns (batch, ...).
        """
        import torch

        for batch in self.batches([(row,) for row in rows]):
            with torch.inference_mode():
                found = function(self.states([rows[position] for position in batch])).cpu()
            yield from zip(batch, found, strict=True)

    def layer_groups(self) -> list[list[torch.nn.Parameter]]:
        """Parameters from the top layer down to the embeddings, which come last; what follows the layers is on top."""
        layers = _layer_list(self.model)
        inside = {id(p): place for place, layer in enumerate(layers) for p in layer.parameters()}
        groups: list[list[torch.nn.Parameter]] = [[] for _ in range(len(layers) + 1)]
        for name, parameter in self.model.named_parameters():
            place = inside.get(id(parameter), -1 if "embed" in name else len(layers) - 1)
            groups[len(layers) - 1 - place].append(parameter)
        return groups

    def save(self, folder: Path) -> None:
        """Writes configuration, weights and tokenizer into ``folder``."""
        self.model.save_pretrained(folder)
        self.tokenizer.save_pretrained(folder)

    def _cut(self, encoding: Any) -> Encoded:
        ids = tuple(encoding.ids)
        if len(ids) <= self.max_length:
            return Encoded(ids, False)
        closing = ids[-1:] if encoding.special_tokens_mask[-1] else ()
        return Encoded((*ids[: self.max_length - len(closing)], *closing), True)


def _layer_list(model: Any) -> list[Any]:
    """The list of the model's layers: the module list that is as long as the configuration says."""
    import torch

    count = model.config.num_hidden_layers
    for module in model.modules():
        if isinstance(module, torch.nn.ModuleList) and len(module) == count:
            return list(module)
    raise DataError(f"the layers of a {type(model).__name__} cannot be told apart: train with a frozen encoder")
