"""Keys: the digest changes exactly when something that counts changes."""

from __future__ import annotations

import enum
import hashlib
import math
import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from selkit.api import SelkitError, UsageError
from selkit.store import Key, canonical_json

LEAVES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
VALUES = st.recursive(LEAVES, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=8)
PARTS = st.fixed_dictionaries(
    {
        "stage": st.sampled_from(["scores", "training"]),
        "component": st.sampled_from(["", "ifd"]),
        "parameters": st.dictionaries(st.sampled_from("abc"), VALUES, max_size=3),
        "versions": st.dictionaries(st.sampled_from("xy"), st.text(max_size=3), max_size=2),
        "inputs": st.dictionaries(st.sampled_from("xy"), st.text(max_size=3), max_size=2),
        "conditions": st.dictionaries(st.sampled_from("abc"), VALUES, max_size=2),
        "schema": st.integers(1, 3),
    }
)


def shuffled(value: Any, rng: random.Random) -> Any:
    """The same value with every mapping in another order."""
    if isinstance(value, dict):
        items = [(name, shuffled(item, rng)) for name, item in value.items()]
        rng.shuffle(items)
        return dict(items)
    return [shuffled(item, rng) for item in value] if isinstance(value, list) else value


def exactly(value: Any) -> Any:
    """A form that compares as JSON texts do: types, signs of zeros and bytes count, the order of mappings does not."""
    if isinstance(value, dict):
        return "object", frozenset((name, exactly(item)) for name, item in value.items())
    if isinstance(value, (list, tuple)):
        return "array", tuple(map(exactly, value))
    return type(value).__name__, value, math.copysign(1, value) if isinstance(value, float) else None


@settings(max_examples=60, deadline=None)
@given(PARTS, st.randoms(use_true_random=False))
def test_order_of_mappings_does_not_count(parts: dict[str, Any], rng: random.Random) -> None:
    """The digest is the same however the mappings were filled."""
    assert Key(**parts).digest == Key(**shuffled(parts, rng)).digest


@settings(max_examples=60, deadline=None)
@given(PARTS, PARTS)
def test_digests_are_equal_only_where_all_parts_are(one: dict[str, Any], other: dict[str, Any]) -> None:
    """Two keys share a digest where every part is exactly the same, and nowhere else."""
    assert (Key(**one).digest == Key(**other).digest) == (exactly(one) == exactly(other))
    assert (Key(**one) == Key(**other)) == (exactly(one) == exactly(other))


@settings(max_examples=60, deadline=None)
@given(PARTS, st.sampled_from(["stage", "component", "parameters", "versions", "inputs", "conditions", "schema"]))
def test_every_part_counts(parts: dict[str, Any], name: str) -> None:
    """Changing any one part changes the digest."""
    value = parts[name]
    changed = {str: f"{value}x", int: value + 1 if name == "schema" else 0}.get(type(value)) or {**value, "new": "v"}
    assert Key(**{**parts, name: changed}).digest != Key(**parts).digest


@settings(max_examples=60, deadline=None)
@given(PARTS)
def test_a_key_survives_its_own_dictionary(parts: dict[str, Any]) -> None:
    """A key read back from a manifest's entries is the same key."""
    assert Key.from_dict(Key(**parts).as_dict()) == Key(**parts)


def test_digest_is_the_same_in_every_version() -> None:
    """A digest computed once stays: stored results must be found again by later versions and on other machines."""
    key = Key("scores", "ifd", {"ratio": 0.1, "größe": ["é", True, None, 1, 1.0, -0.0, 1e22]}, {"selkit": "0.1.0"})
    text = (
        r'{"component":"ifd","conditions":{},"inputs":{},"parameters":{"gr\u00f6\u00dfe":'
        r'["\u00e9",true,null,1,1.0,-0.0,1e+22],"ratio":0.1},"stage":"scores","stage_schema":1,'
        r'"versions":{"selkit":"0.1.0"}}'
    )
    assert canonical_json(key.as_dict()) == text
    assert key.digest == hashlib.sha256(text.encode("ascii")).hexdigest()


def test_subclasses_of_plain_types_count_as_plain() -> None:
    """A tuple is a list, and members of enums are their values."""

    class Word(enum.StrEnum):
        LOSS = "loss"

    class Number(enum.IntEnum):
        TWO = 2

    odd = Key("s", parameters={"a": (1, 2), "b": Word.LOSS, "c": Number.TWO})
    assert odd == Key("s", parameters={"a": [1, 2], "b": "loss", "c": 2})
    assert type(odd.parameters["b"]) is str
    assert type(odd.parameters["c"]) is int


def test_later_changes_of_the_arguments_do_not_reach_the_key() -> None:
    """A key keeps what it was given."""
    parameters = {"a": [1]}
    key = Key("s", parameters=parameters)
    parameters["a"].append(2)
    assert key == Key("s", parameters={"a": [1]})


@pytest.mark.parametrize(
    "value",
    [float("nan"), float("inf"), b"x", {1, 2}, object(), {1: "x"}, [{"a": {"b": 1j}}]],
    ids=["nan", "infinity", "bytes", "set", "object", "number-as-key", "complex-inside"],
)
def test_values_that_are_not_json_are_refused(value: object) -> None:
    """What has no place in JSON is refused, and the sentence says where it is."""
    with pytest.raises(SelkitError, match=r"scores/ifd: parameters\.odd"):
        Key("scores", "ifd", {"odd": value})


@pytest.mark.parametrize("stage", ["", "../x", "A", "a b", "x" * 65])
def test_stages_have_plain_names(stage: str) -> None:
    """A stage's name must be a name."""
    with pytest.raises(SelkitError, match="cannot name a stage"):
        Key(stage)


@pytest.mark.parametrize(
    "parameters",
    [
        {"api_key": "x"},
        {"endpoint": {"openai_api_key": "x"}},
        {"hf_token": "x"},
        {"token": "sk-abcdefgh12345678"},
        {"list": [{"password": "x"}]},
        {"url": "https://me:pw@host/x"},
        {"url": "https://host/x?v=1&api-key=abc"},
        {"header": "Bearer s3ntinel-value"},
    ],
    ids=str,
)
def test_secrets_are_refused(parameters: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """A secret by name, by its place in a URL or by an environment variable is refused and not repeated."""
    monkeypatch.setenv("SOME_API_KEY", "s3ntinel-value")
    with pytest.raises(UsageError, match="never stored") as refusal:
        Key("judgement", "gpt", parameters)
    assert "s3ntinel" not in str(refusal.value)


@pytest.mark.parametrize(
    "parameters",
    [
        {"tokens": 3, "max_new_tokens": 5, "tokenizer": "gpt2", "token": "yes", "eos_token": "</s>", "unit": "tokens"},
        {"api_key": None, "password": ""},
        {"key": "author", "secretary": "x", "url": "https://host/a:b@c"},
    ],
    ids=str,
)
def test_harmless_names_pass(parameters: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Words about tokens are no secrets, nor are short stand-ins for a key."""
    monkeypatch.setenv("LOCAL_API_KEY", "gpt2")
    assert Key("judgement", parameters=parameters).parameters == parameters
