"""Several devices: the work is dealt out, the results come back in order, failures come through."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from selkit.api import Continuation, DataError, Decoding, WorkFailed
from selkit.models import forget_models, load_model
from selkit.models.devices import SpreadModel
from selkit.models.hf import HFModel, Limits
from selkit.models.load import devices_of

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.usefixtures("one_thread")

TINY = "tiny:bytes?hidden=32&heads=2&layers=2&context=256&seed=5"
PAIRS = [Continuation(f"Question {n}: what is it?", f"Answer {n} " * (n % 5)) for n in range(50)]
PROMPTS = [pair.prompt for pair in PAIRS]


@pytest.fixture
def one() -> HFModel:
    """The model on one device."""
    return load_model(TINY, device="cpu")


@pytest.fixture
def two(one: HFModel) -> Iterator[SpreadModel]:
    """The same model twice: a second copy on the processor stands in for a second GPU."""
    model = load_model(TINY, device="cpu,cpu")
    assert isinstance(model, SpreadModel)
    yield model
    forget_models()


def test_two_devices_give_what_one_gives(one: HFModel, two: SpreadModel) -> None:
    """Losses, label probabilities, embeddings and answers, in the order of the input, to rounding."""
    assert (two.context, two.digest, two.ref) == (one.context, one.digest, one.ref)
    for a, b in zip(one.token_losses(PAIRS), two.token_losses(PAIRS), strict=True):
        np.testing.assert_allclose(a.losses, b.losses, atol=1e-5)
        assert (a.prompt_tokens, a.truncated) == (b.prompt_tokens, b.truncated)
    for calls in (lambda m: m.label_probabilities(PROMPTS, list("12")), lambda m: m.embed(PROMPTS, max_length=9)):
        for a, b in zip(calls(one), calls(two), strict=True):
            np.testing.assert_allclose(a, b, atol=1e-5)
    decoding = Decoding(max_new_tokens=4, temperature=0.8, samples=2)
    assert list(two.generate(PROMPTS, decoding, seed=3)) == list(one.generate(PROMPTS, decoding, seed=3))


def test_both_devices_work_and_the_same_input_gives_the_same_bits(
    two: SpreadModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pieces are dealt out in turn, whoever is faster."""
    first = list(two.token_losses(PAIRS))
    rows: list[list[int]] = [[], []]
    for copy, seen in zip(two.copies, rows, strict=True):
        run = copy.token_losses

        def watched(pairs, run=run, seen=seen, **options):  # type: ignore[no-untyped-def]
            seen.append(len(pairs))
            return run(pairs, **options)

        monkeypatch.setattr(copy, "token_losses", watched)
    for a, b in zip(first, two.token_losses(PAIRS), strict=True):
        np.testing.assert_array_equal(a.losses, b.losses)
    assert rows == [[16, 16], [16, 2]]


def test_an_endless_input_is_answered_and_can_be_left(two: SpreadModel) -> None:
    """Only a few pieces are under way at once."""

    def endless() -> Iterator[Continuation]:
        while True:
            yield from PAIRS

    stream = two.token_losses(endless())
    assert len([next(stream) for _ in range(100)]) == 100
    stream.close()  # type: ignore[attr-defined]


def test_the_failure_of_one_device_comes_through(two: SpreadModel, monkeypatch: pytest.MonkeyPatch) -> None:
    """As what it is, not as a hang or a hole."""

    def broken(pairs: object, **options: object) -> None:
        raise WorkFailed("the memory does not suffice for one row")

    monkeypatch.setattr(two.copies[1], "token_losses", broken)
    with pytest.raises(WorkFailed, match="does not suffice"):
        list(two.token_losses(PAIRS))
    with pytest.raises(DataError, match="2 of 3 prompts fill the 256 tokens"):
        next(two.generate(["x", "y" * 255, "z" * 900], Decoding(max_new_tokens=2)))


def test_names_of_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    """'cuda' is every GPU that there is; commas name several; anything else is one device."""
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 3)
    assert devices_of("cuda") == ["cuda:0", "cuda:1", "cuda:2"]
    assert devices_of("cuda:1") == ["cuda:1"]
    assert devices_of("cuda:0, cuda:2") == ["cuda:0", "cuda:2"]
    assert devices_of("cpu") == ["cpu"]
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    assert devices_of("cuda") == ["cuda"]


def test_a_piece_is_a_setting() -> None:
    """Smaller on a CPU, where it exists for tests, than on GPUs."""
    from selkit.models.hf import CPU, GPU

    assert CPU.piece < GPU.piece
    assert Limits(piece=3).piece == 3
