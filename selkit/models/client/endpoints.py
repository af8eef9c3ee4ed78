"""Endpoint references: from what a person types to where a chat request goes.

==============================  ==========================================================================
``openai:MODEL``                OpenAI's API, or whatever serves at $OPENAI_BASE_URL; key in $OPENAI_API_KEY
``http://HOST:PORT/v1#MODEL``   any OpenAI-compatible server; key in the variable that the settings name
a model reference               a local model behind its own chat template (:mod:`selkit.models.refs`)
==============================  ==========================================================================
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from urllib.parse import urlsplit

from selkit.api import UsageError
from selkit.files import digest_text

OPENAI_URL = "https://api.openai.com/v1"
OPENAI_KEY = "OPENAI_API_KEY"
_PREFIX = "openai:"


@dataclass(frozen=True)
class Endpoint:
    """A model behind an OpenAI-compatible API.

    Args:
        url: Base address, without a slash at its end.
        model: The model's name, as the server knows it.
        openai: Whether this is OpenAI's own dialect, where some fields have other names and others are refused.
        key_variable: The environment variable that holds the key; empty where the server asks for none.
    """

    url: str
    model: str
    openai: bool = False
    key_variable: str = ""

    @property
    def label(self) -> str:
        """The endpoint for people."""
        return f"{self.model} at {self.url}"


def parse_endpoint(ref: str) -> Endpoint | None:
    """The endpoint of a reference; None where it names a local model.

    Raises:
        UsageError: The reference is empty, names no model, or holds a login or a key.
    """
    if not ref.strip():
        raise UsageError(
            "the endpoint is empty: give openai:MODEL, http://localhost:8000/v1#MODEL, or a model reference"
        )
    if ref.startswith(_PREFIX):
        model = ref.removeprefix(_PREFIX)
        _need_model(model, "openai:", "openai:gpt-4o-2024-08-06")
        address = os.environ.get("OPENAI_BASE_URL") or OPENAI_URL
        return Endpoint(_checked(address, "$OPENAI_BASE_URL"), model, openai=True, key_variable=OPENAI_KEY)
    if ref.lower().startswith(("http://", "https://")):
        address, _, model = ref.partition("#")
        address = _checked(address, "the endpoint")
        _need_model(model, address, f"{address}#MODEL")
        return Endpoint(address, model)
    return None


def address_inputs(component: object) -> dict[str, str]:
    """What keys must know of a component's endpoints beside its parameters: which address ``openai:`` stands for where
    $OPENAI_BASE_URL names another than OpenAI's. The same name of a model at another server is another model.

    Returns:
        A digest for each parameter of that kind.
    """
    found = {}
    for name, value in vars(component).items():
        if isinstance(value, str) and value.startswith(_PREFIX) and value != _PREFIX:
            endpoint = parse_endpoint(value)
            if endpoint is not None and endpoint.url != OPENAI_URL:
                found[f"{name}:address"] = digest_text(endpoint.url)
    return found


def _need_model(model: str, shown: str, example: str) -> None:
    if not model.strip():
        raise UsageError(f"the endpoint {shown} names no model: write {example}")


def _checked(address: str, what: str) -> str:
    """The address as it goes into keys; one that carries a secret is refused without being shown."""
    try:
        parts = urlsplit(address)
        secret, host = parts.username or parts.password or parts.query, parts.hostname
    except ValueError:
        secret, host = "", None
    if secret:
        raise UsageError(
            f"the address of {what} holds a login or a query, which would stand in manifests: "
            "leave them out, and name the variable that holds the key in the settings of endpoints"
        )
    if not host or parts.scheme.lower() not in ("http", "https"):
        raise UsageError(f"{what} is no address of a server: write http://HOST:PORT/v1 and so on")
    return address.rstrip("/")
