"""Linear layers on a CPU through oneDNN, which torch brings along, instead of the BLAS library that it is built with.

In float32 torch multiplies matrices with MKL, and MKL uses the wide instructions of a processor only if Intel made it.
oneDNN uses what is there: on an AMD EPYC with AVX-512 it is about twice as fast, with the same rounding errors.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch


def through_onednn(model: Any) -> Any:
    """``model`` itself, whose linear layers now compute through oneDNN wherever no gradients are asked for.

    Weights stay where they are. Where this torch has no oneDNN, or it does not give the same products, nothing changes.

    Args:
        model: A model of transformers in float32 on a CPU.
    """
    import torch
    from transformers.pytorch_utils import Conv1D

    if not _works():
        return model
    linear, conv = _classes()
    for module in model.modules():
        if type(module) is torch.nn.Linear:
            module.__class__ = linear
        elif type(module) is Conv1D:  # GPT-2's name for a linear layer with its weights turned round
            module.__class__ = conv
    return model


@lru_cache(maxsize=1)
def _works() -> bool:
    """Whether oneDNN is there and multiplies a small matrix as torch does."""
    import torch

    if not torch.backends.mkldnn.is_available():
        return False
    x, weight = (torch.linspace(-1, 1, 12 * 16).reshape(12, 16) for _ in range(2))
    bias = torch.linspace(-1, 1, 12)
    turned = weight.t().contiguous().t()  # as GPT-2 keeps its weights
    try:
        with torch.inference_mode():
            found = [_product(x, weight, bias), _product(x, turned, bias), _product(x, weight, None) + bias]
    except (AttributeError, RuntimeError, TypeError):
        return False
    wanted = torch.nn.functional.linear(x, weight, bias)
    return all(torch.allclose(product, wanted, atol=1e-5) for product in found)


def _product(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
    """``x @ weight.T + bias``. The operator is the one that torch.compile puts in place of linear layers."""
    import torch

    found: torch.Tensor = torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")
    return found


@lru_cache(maxsize=1)
def _classes() -> tuple[type, type]:
    """The layers' classes, with nothing but their forward changed."""
    import torch
    from transformers.pytorch_utils import Conv1D

    class OneDnnLinear(torch.nn.Linear):  # type: ignore[misc]
        """A linear layer."""

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            if torch.is_grad_enabled() or x.dtype != torch.float32:
                result: torch.Tensor = super().forward(x)
                return result
            return _product(x, self.weight, self.bias)

    class OneDnnConv1D(Conv1D):  # type: ignore[misc]
        """The same with its weights turned round."""

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            if torch.is_grad_enabled() or x.dtype != torch.float32:
                result: torch.Tensor = super().forward(x)
                return result
            return _product(x, self.weight.t(), self.bias)

    return OneDnnLinear, OneDnnConv1D
