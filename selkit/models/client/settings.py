"""What the user says about endpoints: keys' variables, pace and patience, by address."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from selkit.api import UsageError
from selkit.models.client.endpoints import Endpoint

ENDPOINTS_FILE = "endpoints.yaml"
ENDPOINTS_VARIABLE = "SELKIT_ENDPOINTS"
CONFIG_HINT = "in ~/.config/selkit, or wherever $SELKIT_PRICES says"
CONCURRENCY = 64
"""Requests under way at once. OpenAI's limits are far above it for most accounts, and servers of one's own batch about
as many; a server that is asked too much slows the client down by itself."""

DEFAULT = "default"

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
T = TypeVar("T")


class EndpointSettings(BaseModel):
    """Settings of one address.

    Attributes:
        key_variable: Environment variable that holds the key; None for the endpoint's own.
        concurrency: Requests under way at once.
        timeout: Seconds that one call may take in all.
        retry_seconds: Seconds for which a request is tried again after passing failures.
        contact_seconds: Seconds that a server may take to answer at all, before the run ends: it may be starting, or
            its address be wrong.
        backoff: Seconds up to which the first wait between tries is drawn; doubles with each, up to a minute.
        breaker: Requests that must fail one after the other, each after all its tries, for the run to stop.
        fold_system: Whether system turns always go to the head of the user's turn.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    key_variable: str | None = Field(default=None, pattern=rf"^{_VARIABLE.pattern}$")
    concurrency: int = Field(default=CONCURRENCY, ge=1, le=1000)
    timeout: float = Field(default=120.0, gt=0)
    retry_seconds: float = Field(default=600.0, ge=0)
    contact_seconds: float = Field(default=60.0, ge=0)
    backoff: float = Field(default=1.0, gt=0)
    breaker: int = Field(default=20, ge=1)
    fold_system: bool = False


def read_settings() -> dict[str, EndpointSettings]:
    """The settings by address (without a slash at its end), and 'default' for all others: of the file that
    $SELKIT_ENDPOINTS names, else of endpoints.yaml in the user's configuration folder, else none.

    Raises:
        UsageError: The file named does not exist, or a file holds something else than settings.
    """
    path = settings_file(ENDPOINTS_VARIABLE, ENDPOINTS_FILE)
    found = {} if path is None else read_yaml(path, dict[str, EndpointSettings])
    return {address.rstrip("/"): settings for address, settings in found.items()}


def settings_of(endpoint: Endpoint) -> EndpointSettings:
    """The settings of an endpoint's address. Raises UsageError as :func:`read_settings`."""
    found = read_settings()
    return found.get(endpoint.url) or found.get(DEFAULT) or EndpointSettings()


def settings_file(variable: str, name: str) -> Path | None:
    """The file that an environment variable names, else the one of that name in the configuration folder, if any."""
    if given := os.environ.get(variable):
        path = Path(given).expanduser()
        if not path.is_file():
            raise UsageError(f"${variable} names {path}, which is no file: correct the variable, or unset it")
        return path
    path = config_folder() / name
    return path if path.is_file() else None


def config_folder() -> Path:
    """selkit's folder among the user's configurations: below $XDG_CONFIG_HOME, or what the system uses for it."""
    configured = os.environ.get("XDG_CONFIG_HOME") or os.environ.get("APPDATA")
    return (Path(configured) if configured else Path.home() / ".config") / "selkit"


def read_yaml(path: Path, kind: type[T]) -> T:
    """The content of a YAML file as ``kind``. Raises UsageError, without showing values, where it is something else."""
    try:
        document: Any = yaml.safe_load(path.read_text("utf-8"))
        return TypeAdapter(kind).validate_python({} if document is None else document)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"]) or "the whole"
        raise UsageError(f"{path}: {place}: {first['msg']}; correct the file") from None
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UsageError(f"{path} cannot be read as YAML ({type(error).__name__}): mend it") from None
