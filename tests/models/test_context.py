"""The context: what it serves itself, and what it says where a service is not to be had."""

from __future__ import annotations

from pathlib import Path

import pytest

from selkit.api import Example, UsageError, open_context
from selkit.console import Console
from selkit.models import HostContext
from selkit.models.context import default_device


def context(tmp_path: Path, **services: object) -> HostContext:
    """A context on the CPU."""
    return HostContext(seed=3, device="cpu", cache_dir=tmp_path, **services)  # type: ignore[arg-type]


def test_missing_services_name_the_command_that_has_them(tmp_path: Path) -> None:
    """Each is a sentence for a person, not an AttributeError."""
    ctx = context(tmp_path)
    asks = [lambda: ctx.train([], "r"), lambda: ctx.scores(None), lambda: ctx.selection("arm")]  # type: ignore[arg-type]
    asks.append(lambda: ctx.row_scores(None))  # type: ignore[arg-type]
    for ask in asks:
        with pytest.raises(UsageError, match=r"not to be had here: use it through selkit (run|judge|select)"):
            ask()
    assert ctx.selections == {}


def test_services_are_handed_through(tmp_path: Path) -> None:
    """With the arguments they were called with; training falls back on the base model and needs one."""
    calls = []
    ctx = context(
        tmp_path,
        base_model="base",
        train_service=lambda *args: calls.append(args) or "trained",
        selections_service=lambda: {"arm": ["a"]},
        selection_service=lambda ref: [ref],
    )
    rows = [Example("1", "q")]
    assert ctx.train(rows, "recipe") == "trained"
    assert ctx.train(rows, "recipe", "other") == "trained"
    assert calls == [(rows, "recipe", "base"), (rows, "recipe", "other")]
    assert ctx.selections == {"arm": ["a"]}
    assert ctx.selection("x") == ["x"]
    ctx.base_model = None
    with pytest.raises(UsageError, match="needs a base model"):
        ctx.train(rows, "recipe")


def test_notes_go_to_stderr_and_to_the_manifest(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What a component logs is kept and shown, and stdout stays clean."""
    ctx = context(tmp_path)
    ctx.log("three rows are odd")
    assert ctx.notes == ["three rows are odd"]
    out, err = capsys.readouterr()
    assert (out, err) == ("", "three rows are odd\n")


def test_progress_within_progress_is_shown_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A component's own progress gives way to that of the host around it, and comes back after it."""
    shown = []
    monkeypatch.setattr(Console, "track", lambda self, items, total, description: shown.append(description) or items)
    ctx = context(tmp_path)
    for _ in ctx.track(range(2), description="outer"):
        assert list(ctx.track("ab", description="inner")) == ["a", "b"]
    assert shown == ["outer"]
    assert list(ctx.track("ab", description="alone")) == ["a", "b"]
    assert shown == ["outer", "alone"]


def test_the_seed_makes_the_draws(tmp_path: Path) -> None:
    """Two contexts of one seed draw the same."""
    assert (
        context(tmp_path).rng.integers(1000, size=5).tolist() == context(tmp_path).rng.integers(1000, size=5).tolist()
    )


def test_the_device_can_be_set_from_outside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An environment variable wins over what the machine has; 'auto' asks."""
    monkeypatch.setenv("SELKIT_DEVICE", "cuda:7")
    assert default_device() == "cuda:7"
    assert HostContext(seed=0, cache_dir=tmp_path).device == "cuda:7"
    assert context(tmp_path).device == "cpu"


def test_models_and_tokenizers_come_from_references(tmp_path: Path) -> None:
    """A model is loaded once; the tokenizer counts as the model's own does."""
    pytest.importorskip("torch")
    ctx = context(tmp_path)
    ref = "tiny:bytes?hidden=32&heads=2&layers=2&context=256&seed=5"
    assert ctx.model(ref) is ctx.model(ref)
    assert ctx.model(ref).ref == ref
    assert ctx.tokenizer(ref).count(["abc"]).tolist() == [3]


def test_a_program_of_a_plugin_gets_the_files_of_a_model(tmp_path: Path) -> None:
    """A context outside of the commands knows every kind of reference, and refuses what belongs to the commands."""
    pytest.importorskip("torch")
    ctx = open_context(tmp_path, seed=3, device="cpu")
    files = ctx.model_files("tiny:bytes?hidden=32&heads=2&layers=1")
    assert {"config.json", "model.safetensors", "tokenizer.json"} <= {path.name for path in files.path.iterdir()}
    assert files.digest == ctx.model_files(str(files.path)).digest
    assert (ctx.device, ctx.rng.random()) == ("cpu", context(tmp_path).rng.random())
    with pytest.raises(UsageError, match="not to be had here"):
        ctx.train([], "recipe", "base")
