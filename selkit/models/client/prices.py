"""What tokens and devices cost: one table that the user can edit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from selkit.models.client.endpoints import OPENAI_URL, Endpoint
from selkit.models.client.settings import config_folder, read_yaml, settings_file

PRICES_FILE = "prices.yaml"
PRICES_VARIABLE = "SELKIT_PRICES"
_MILLION = 1_000_000


class Price(BaseModel):
    """Dollars per million tokens. ``cached_input`` is for input that the server had in its own cache."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    input: float = Field(ge=0)
    output: float = Field(ge=0)
    cached_input: float | None = Field(default=None, ge=0)

    def dollars(self, usage: Mapping[str, float]) -> float | None:
        """What a call cost; None where the server did not count its tokens."""
        if "input" not in usage or "output" not in usage:
            return None
        cached = min(usage.get("cached_input", 0.0), usage["input"])
        cached_price = self.input if self.cached_input is None else self.cached_input
        fresh = usage["input"] - cached
        return (fresh * self.input + cached * cached_price + usage["output"] * self.output) / _MILLION

    def at_most(self, input_tokens: int, output_tokens: int) -> float:
        """What a call can cost at most."""
        return (input_tokens * max(self.input, self.cached_input or 0.0) + output_tokens * self.output) / _MILLION


class DevicePrice(BaseModel):
    """What an hour of one device costs, in dollars, and how many operations a second training gets out of it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    dollars_per_hour: float | None = Field(default=None, ge=0)
    flops: float | None = Field(default=None, gt=0)

    def dollars(self, seconds: float) -> float | None:
        """What ``seconds`` of the device cost; None where nobody said its price."""
        return None if self.dollars_per_hour is None else self.dollars_per_hour * seconds / 3600


class PriceFile(BaseModel):
    """A file of prices: by model, or by ``ADDRESS#MODEL`` where only that address is meant.

    Attributes:
        models: The prices of tokens.
        devices: Devices, by a part of the name that their driver gives them, or 'cpu'.
        read: The day on which they were read.
        source: Where.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    models: dict[str, Price] = {}
    devices: dict[str, DevicePrice] = {}
    read: date | None = None
    source: str = ""


@dataclass(frozen=True)
class PriceTable:
    """The user's prices, and below them the ones that selkit brings along, which hold for OpenAI's models only."""

    own: PriceFile
    embedded: PriceFile

    def of(self, endpoint: Endpoint) -> Price | None:
        """The price of an endpoint; None where nobody said it."""
        models = self.own.models
        price = models.get(f"{endpoint.url}#{endpoint.model}") or models.get(endpoint.model)
        if price is None and (endpoint.openai or endpoint.url == OPENAI_URL):
            price = self.embedded.models.get(endpoint.model)
        return price

    def source(self, endpoint: Endpoint) -> str:
        """Where the price of an endpoint stands, for the ledger."""
        models = self.own.models
        own = f"{endpoint.url}#{endpoint.model}" in models or endpoint.model in models
        file = self.own if own else self.embedded
        day = f" of {file.read.isoformat()}" if file.read else ""
        return f"{'own prices' if own else 'list prices'}{day}"

    def device(self, name: str) -> DevicePrice:
        """The entry of a device: the longest name that its own holds, each field the user's before the embedded one."""
        own, embedded = (_entry(file.devices, name) for file in (self.own, self.embedded))
        return DevicePrice(**(embedded.model_dump(exclude_none=True) | own.model_dump(exclude_none=True)))


def _entry(devices: Mapping[str, DevicePrice], name: str) -> DevicePrice:
    known = [one for one in devices if one.lower() in name.lower()]
    return devices[max(known, key=len)] if known else DevicePrice()


def prices_place() -> Path:
    """The user's file of prices, which need not be there yet."""
    return settings_file(PRICES_VARIABLE, PRICES_FILE) or config_folder() / PRICES_FILE


def read_prices() -> PriceTable:
    """The prices of the file that $SELKIT_PRICES names, else of prices.yaml in the user's configuration folder, over
    those that selkit brings along. Raises UsageError where a file is not as it should be."""
    path = settings_file(PRICES_VARIABLE, PRICES_FILE)
    own = PriceFile() if path is None else read_yaml(path, PriceFile)
    return PriceTable(own, read_yaml(Path(__file__).with_name(PRICES_FILE), PriceFile))
