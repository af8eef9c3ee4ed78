"""Embeddings that a component gets from its context: right, kept, resumed, refused."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from toys import make_pool

from selkit.api import Context, DataError, Embeddings, Pool, Pooling, Sampler, UsageError
from selkit.models import load_model, resolve
from selkit.select import select
from selkit.select.embedding import BLOCK, ROWS, VECTORS, embeddings_key, stored_embeddings
from selkit.store import Artifact, Store, totals
from selkit.testing import make_context

torch = pytest.importorskip("torch")

TINY = "tiny:bytes?hidden=32&heads=2&layers=2&context=256&seed=5"
OTHER = "tiny:bytes?hidden=32&heads=2&layers=2&context=256&seed=6"
TEXTS = {
    "d": "A fox ran.",
    "a": "你好，世界",
    "c": "A fox ran.",
    "b": "",
    "e": "ما هي عاصمة مصر؟ 👩‍👩‍👧",
    "f": "long " * 2000,
    "g": "a lone surrogate \ud800",
}


@pytest.fixture(scope="module", autouse=True)
def _models_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Models are built below a folder of these tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SELKIT_CACHE", str(tmp_path_factory.mktemp("models")))
        patch.setenv("SELKIT_DEVICE", "cpu")
        yield


def embed(
    texts: dict[str, str], store: Store, ref: str = TINY, pooling: Pooling = "mean", max_length: int | None = None
) -> tuple[Embeddings, Artifact]:
    """The embeddings and what is stored of them."""
    ctx = make_context(store.root.parent)
    found, artifact = stored_embeddings(texts, ref, pooling=pooling, max_length=max_length, ctx=ctx, store=store)
    assert artifact is not None
    return found, artifact


def many() -> dict[str, str]:
    """200 texts of several lengths, the first and the last of them equal."""
    return {f"r{n:03}": f"Question number {n % 199}. " * (1 + n % 199 % 5) for n in range(200)}


def by_hand(text: str, pooling: str, limit: int) -> np.ndarray:
    """One text alone through transformers' own model: the last hidden states, pooled."""
    model = load_model(TINY, device="cpu")
    ids = model.tokenizer(text)["input_ids"][:limit]
    with torch.no_grad():
        states = model.model(torch.tensor([ids]), output_hidden_states=True).hidden_states[-1][0]
    return {"mean": states.mean(0), "last": states[-1], "cls": states[0]}[pooling].numpy()


@pytest.mark.parametrize("pooling", ["mean", "last", "cls"])
def test_vectors_are_the_pooled_last_hidden_states(store: Store, pooling: Pooling) -> None:
    """Against one text at a time and no padding, to 1e-5, for texts of any script; in the order they were given."""
    texts = {key: text for key, text in TEXTS.items() if key != "g"}
    found, _ = embed(texts, store, pooling=pooling)
    assert found.ids == tuple(texts)
    assert (found.vectors.dtype, found.vectors.shape) == (np.float32, (6, 32))
    for key, vector in zip(found.ids, found.vectors, strict=True):
        np.testing.assert_allclose(vector, by_hand(texts[key], pooling, 256), atol=1e-5)


def test_long_texts_are_cut_flagged_and_counted(store: Store, tmp_path: Path) -> None:
    """The end goes, the flag says so, and a note says how many; also where the store has them already."""
    for _ in range(2):
        ctx = make_context(tmp_path)
        found = ctx.embeddings(TEXTS, TINY, max_length=12)
        flags = dict(zip(found.ids, found.truncated.tolist(), strict=True))
        assert flags == {"a": True, "b": False, "c": False, "d": False, "e": True, "f": True, "g": True}
        np.testing.assert_allclose(found.vectors[5], by_hand(TEXTS["f"], "mean", 12), atol=1e-5)
        assert ctx.notes == [f"{TINY}: 4 of 7 texts were longer than 12 tokens and lost their end"]  # type: ignore[attr-defined]


def test_flags_of_several_blocks_stay_with_their_texts(store: Store) -> None:
    """More texts are cut than one block holds; a token is a byte, and one stands before the text."""
    found, artifact = embed(many(), store, max_length=40)
    assert found.truncated.tolist() == [len(text) + 1 > 40 for text in many().values()]
    assert 2 * BLOCK < artifact.facts["truncated"] < 200


def test_the_order_of_the_texts_changes_nothing(store: Store, tmp_path: Path) -> None:
    """Turned round they have the same key and the same bits, each at the place of its id; sorted, they are mapped."""
    texts = many()
    first, made = embed(texts, store)
    turned, again = embed(dict(sorted(texts.items(), reverse=True)), store)
    assert made.digest == again.digest
    assert turned.ids == first.ids[::-1]
    np.testing.assert_array_equal(turned.vectors[::-1], first.vectors)
    assert isinstance(first.vectors, np.memmap)
    assert not turned.vectors.flags.writeable
    assert not first.vectors.flags.writeable
    _, elsewhere = embed(dict(sorted(texts.items(), reverse=True)), Store(tmp_path / "elsewhere"))
    assert elsewhere.file(VECTORS).read_bytes() == made.file(VECTORS).read_bytes()


def test_equal_texts_have_equal_bits(store: Store) -> None:
    """They are embedded once, so that their distance is exactly 0."""
    found, artifact = embed(many(), store)
    np.testing.assert_array_equal(found.vectors[0], found.vectors[-1])
    assert len(np.unique(found.vectors, axis=0)) == 199
    assert (artifact.facts["texts"], artifact.facts["distinct"]) == (200, 199)


def test_the_store_is_asked_first(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second time nothing is computed, and the cost stands in the ledger once."""
    from selkit.models.hf import HFModel

    first, artifact = embed(many(), store)
    monkeypatch.setattr(HFModel, "embedded", None)
    second, _ = embed(many(), store)
    np.testing.assert_array_equal(first.vectors, second.vectors)
    spent = totals(store.ledger([artifact.digest]))
    tokens = [len(load_model(TINY, device="cpu").tokenizer(text)["input_ids"]) for text in set(many().values())]
    assert spent["tokens.in"] == sum(min(256, count) for count in tokens)
    assert spent["wall_seconds"] > 0


@pytest.mark.parametrize("finished", [0, 1, 3])
def test_a_killed_computation_goes_on_at_its_block(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, finished: int
) -> None:
    """Killed in the midst of a block: that block is embedded again, no other, and every stored byte is the same."""
    from selkit.models.hf import HFModel

    _, whole = embed(many(), Store(tmp_path / "whole"))
    store, embedded = Store(tmp_path / "killed"), HFModel.embedded
    blocks: list[int] = []
    limit = finished

    def dying(self: HFModel, texts: Sequence[str], **options: object) -> Iterator[object]:
        blocks.append(len(texts))
        for number, found in enumerate(embedded(self, texts, **options)):  # type: ignore[arg-type]
            if len(blocks) > limit and number == 3:
                raise KeyboardInterrupt
            yield found

    monkeypatch.setattr(HFModel, "embedded", dying)
    with pytest.raises(KeyboardInterrupt):
        embed(many(), store)
    assert store.find(whole.key) is None
    blocks.clear()
    limit = 10**9
    _, resumed = embed(many(), store)
    assert sum(blocks) == 199 - finished * BLOCK
    for name in (VECTORS, ROWS):
        assert resumed.file(name).read_bytes() == whole.file(name).read_bytes()
    assert resumed.facts == whole.facts
    assert totals(store.ledger())["tokens.in"] == totals(Store(tmp_path / "whole").ledger())["tokens.in"]


@pytest.mark.parametrize("spoil", ["cut", "torn"])
def test_damaged_partial_work_is_done_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spoil: str) -> None:
    """Vectors that are not there, or the torn beginning of a block, never reach the result."""
    from selkit.models.hf import HFModel

    _, whole = embed(many(), Store(tmp_path / "whole"))
    store, calls, embedded = Store(tmp_path / "killed"), [], HFModel.embedded

    def dying(self: HFModel, texts: Sequence[str], **options: object) -> Iterator[object]:
        calls.append(len(texts))
        if len(calls) == 3:
            raise KeyboardInterrupt
        return embedded(self, texts, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(HFModel, "embedded", dying)
    with pytest.raises(KeyboardInterrupt):
        embed(many(), store)
    raw = next(store.root.glob("partial/*/vectors.f32"))
    data = raw.read_bytes()
    assert len(data) == 2 * BLOCK * 32 * 4
    raw.write_bytes(data[:100] if spoil == "cut" else data + b"torn")
    _, resumed = embed(many(), store)
    assert resumed.file(VECTORS).read_bytes() == whole.file(VECTORS).read_bytes()


def test_the_key_holds_what_changes_the_vectors(monkeypatch: pytest.MonkeyPatch) -> None:
    """Model, pooling, length, ids, texts, device and threads; not the order, nor the name of the model's folder."""
    keys = [
        embeddings_key({"a": "x", "b": "y"}, TINY, "mean", None, "cpu"),
        embeddings_key({"a": "x", "b": "y"}, OTHER, "mean", None, "cpu"),
        embeddings_key({"a": "x", "b": "y"}, TINY, "last", None, "cpu"),
        embeddings_key({"a": "x", "b": "y"}, TINY, "mean", 12, "cpu"),
        embeddings_key({"a": "y", "b": "x"}, TINY, "mean", None, "cpu"),
        embeddings_key({"a": "x", "c": "y"}, TINY, "mean", None, "cpu"),
        embeddings_key({"a": "x", "b": "y"}, TINY, "mean", None, "cuda"),
    ]
    assert len({key.digest for key in keys}) == len(keys)
    assert embeddings_key({"b": "y", "a": "x"}, TINY, "mean", None, "cpu") == keys[0]
    assert embeddings_key({"b": "y", "a": "x"}, str(resolve(TINY).path), "mean", None, "cpu") == keys[0]
    monkeypatch.setenv("OMP_NUM_THREADS", "77")
    assert embeddings_key({"b": "y", "a": "x"}, TINY, "mean", None, "cpu") != keys[0]


def test_a_vector_that_is_not_finite_is_refused(store: Store, tmp_path: Path) -> None:
    """Damaged weights: one sentence that names the model and a row, and nothing is stored."""
    from safetensors.torch import load_file, save_file

    folder = Path(shutil.copytree(resolve(TINY).path, tmp_path / "damaged"))
    weights = load_file(folder / "model.safetensors")
    weights["model.norm.weight"][3] = float("nan")
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(DataError, match=r"gives 6 of 6 texts embeddings that hold NaN or infinity, .* row 'a': check"):
        embed(TEXTS, store, ref=str(folder))
    assert list(store.artifacts()) == []


def test_senseless_requests_are_refused_before_a_model_loads(store: Store) -> None:
    """An unknown pooling, a length that holds nothing, no such model; no texts at all are no error."""
    with pytest.raises(UsageError, match="pooling is mean, last or cls, not 'max'"):
        embed(TEXTS, store, pooling="max")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="from 1 on, not 0"):
        embed(TEXTS, store, max_length=0)
    with pytest.raises(DataError, match="does not exist"):
        embed(TEXTS, store, ref="no/such/model")
    ctx = make_context(store.root.parent)
    nothing, artifact = stored_embeddings({}, "no/such/model", pooling="mean", max_length=None, ctx=ctx, store=store)
    assert (nothing.ids, nothing.vectors.shape, artifact) == ((), (0, 0), None)


@dataclass
class FirstByVector(Sampler):
    """The rows whose vectors begin with the largest numbers.

    Args:
        model: What embeds.
    """

    name = "first-by-vector"
    models = ("model",)
    model: str | None = None

    def sample(self, pool: Pool, k: int, ctx: Context) -> Sequence[str]:
        """The ``k`` largest."""
        found = ctx.embeddings({row.id: row.question for row in pool}, self.model or "")
        return [i for _, i in sorted(zip(-found.vectors[:, 0], found.ids, strict=True))][:k]


def test_a_selector_gets_them_and_its_key_tells_models_apart(store: Store) -> None:
    """The engine serves them, charges them to the selection, and the model's digest stands in the selection's key."""
    pool = make_pool()
    result = select(pool, FirstByVector(), 5, store=store, base_model=TINY)
    wanted = {row.id: by_hand(row.question, "mean", 256)[0] for row in pool}
    assert list(result.ids) == sorted(wanted, key=lambda i: -wanted[i])[:5]
    assert result.spent == tuple(artifact.digest for artifact in store.artifacts(stage="embeddings"))
    assert result.key.inputs["model"] == resolve(TINY).digest
    assert select(pool, FirstByVector(OTHER), 5, store=store).key != result.key
