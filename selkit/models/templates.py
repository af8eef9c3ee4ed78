"""Prompt templates by name, and the one that a model brings along: its chat template."""

from __future__ import annotations

import hashlib
import importlib.util
import json
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from selkit.api import TEMPLATES, DataError, Example, MissingExtra, PromptTemplate, UsageError
from selkit.models.folder import ModelFolder
from selkit.models.refs import check_model, resolve, split_ref
from selkit.unchanging import read_once

CHAT = "chat"
"""The name that stands for the model's own chat template."""


@read_once
def prompt_template(name: str, model_ref: str | None = None) -> PromptTemplate:
    """The template of that name; 'chat' is the chat template of the model.

    Raises:
        UsageError: There is no template of that name, or the model has no chat template.
        MissingExtra: A chat template is asked for, and transformers, which renders it, is not installed.
    """
    if name in TEMPLATES:
        return TEMPLATES[name]
    if name != CHAT:
        raise UsageError(f"there is no template {name!r}: choose one of {', '.join((*TEMPLATES, CHAT))}")
    if model_ref is None:
        raise UsageError("the template 'chat' is that of a model: name the model")
    if importlib.util.find_spec("transformers") is None:
        raise MissingExtra.of("rendering a chat template", "train")
    return ChatTemplate(_with_chat(model_ref))


def check_template(name: str, model_ref: str | None = None) -> None:
    """Refuses what :func:`prompt_template` would refuse; asks no network and loads nothing where it can be helped."""
    if name == CHAT and model_ref is not None and split_ref(model_ref)[0] == "path":
        check_model(model_ref)
    prompt_template(name, model_ref)


@dataclass(frozen=True)
class ChatTemplate:
    """A model's chat template, rendered by transformers in its sandbox, up to the point where the model answers.

    Texts that the tokenizer would read as special tokens (``<|im_end|>``) are broken up by a space after their first
    character where they stand in the data, so that a row cannot end its turn or speak as somebody else.

    Args:
        folder: The model.
    """

    folder: ModelFolder
    name: str = field(default=CHAT, init=False)

    @cached_property
    def digest(self) -> str:
        """16 hex digits over the template's text and the special tokens."""
        facts = [self._tokenizer.get_chat_template(), self._special, bool(self._doubled_start)]
        return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:16]

    def prompt(self, example: Example) -> str:
        """The conversation so far and the opening of the assistant's turn.

        The start token that the tokenizer adds by itself is left out, so that it does not stand there twice.

        Raises:
            DataError: The template refuses the conversation, e.g. a system turn that it has no place for.
        """
        turns = [*example.history, ("user", example.question)]
        messages = [{"role": role, "content": self._harmless(text)} for role, text in turns]
        try:
            text: str = self._tokenizer.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
        except Exception as error:  # whatever the template's own code raises
            raise DataError(f"the chat template of {self.folder.ref!r} refuses row {example.id!r} ({error})") from error
        return text.removeprefix(self._doubled_start)

    @cached_property
    def _tokenizer(self) -> Any:
        from selkit.models.load import read_tokenizer

        return read_tokenizer(self.folder)

    @cached_property
    def _special(self) -> list[str]:
        added = self._tokenizer.added_tokens_decoder.values()
        return sorted((str(token) for token in added if token.special), key=len, reverse=True)

    @cached_property
    def _doubled_start(self) -> str:
        """The start token's text, if the tokenizer adds it to every text."""
        start = self._tokenizer.bos_token
        ids = self._tokenizer("a")["input_ids"]
        return start if start and ids and ids[0] == self._tokenizer.bos_token_id else ""

    def _harmless(self, text: str) -> str:
        for token in self._special:
            if len(token) > 1:
                text = text.replace(token, f"{token[0]} {token[1:]}")
        return text


def _with_chat(ref: str) -> ModelFolder:
    folder = resolve(ref)
    if not has_chat_template(folder.path):
        raise UsageError(
            f"model {ref!r} has no chat template: take a chat model, or another template, e.g. alpaca, "
            "where one can be given"
        )
    return folder


def has_chat_template(folder: Path) -> bool:
    """Whether the model's files hold a chat template; loads nothing."""
    if (folder / "chat_template.jinja").is_file() or (folder / "chat_template.json").is_file():
        return True
    config = folder / "tokenizer_config.json"
    return config.is_file() and bool(json.loads(config.read_text("utf-8")).get("chat_template"))
