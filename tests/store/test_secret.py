"""Secrets are taken out of whatever is stored."""

from __future__ import annotations

import pytest

from selkit.store import Key, Store, redact, redact_text

SENTINEL = "sk-sentinel-0123456789"


def test_redact_keeps_all_but_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    """Secrets give way to a mark at any depth; all else stays as it was."""
    monkeypatch.setenv("X_API_KEY", SENTINEL)
    value = {"a": [f"key {SENTINEL}!", {"api_key": "zz", "n": 1}], "b": "https://u:p@h/x", "c": None}
    marked = {"a": ["key [secret]!", {"api_key": "[secret]", "n": 1}], "b": "https://[secret]@h/x", "c": None}
    assert redact(value) == marked


def test_secrets_that_look_like_the_mark_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """A secret that is part of the mark itself does not make redaction go on for ever."""
    monkeypatch.setenv("X_API_KEY", "[secret]")
    assert redact_text("a [secret] b") == "a [secret] b"


def test_no_file_of_the_store_holds_the_key(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """A sentinel key that reaches facts and costs is found in no file of the store."""
    monkeypatch.setenv("JUDGE_API_KEY", SENTINEL)

    def make(draft) -> None:  # type: ignore[no-untyped-def]
        draft.record(reason=f"401 for {SENTINEL}", options={"api_key": SENTINEL}, kept="yes")
        draft.spend("dollars", 1.0, f"https://host?api-key={SENTINEL}")

    artifact = store.obtain(Key("judgement"), make)
    assert artifact.facts == {"reason": "401 for [secret]", "options": {"api_key": "[secret]"}, "kept": "yes"}
    assert [p for p in store.root.rglob("*") if p.is_file() and SENTINEL.encode() in p.read_bytes()] == []
