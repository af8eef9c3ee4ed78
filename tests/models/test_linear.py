"""Linear layers through oneDNN: the same numbers, the same weights, gradients where they are asked for."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from selkit.models import linear, load_model, resolve
from selkit.models.linear import through_onednn

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.usefixtures("one_thread")

TINY = "tiny:bytes?hidden=32&heads=2&layers=2&context=256&seed=5"


@pytest.fixture(autouse=True)
def _asked_anew() -> Iterator[None]:
    """Whether oneDNN works is asked once per process; here once per test."""
    linear._works.cache_clear()
    yield
    linear._works.cache_clear()


@pytest.mark.parametrize("rows", [1, 7, 64, 500])
@pytest.mark.parametrize("bias", [True, False])
def test_products_are_those_of_torch(rows: int, bias: bool) -> None:
    """In exact arithmetic's vicinity, for few and many rows, in two and in three dimensions."""
    torch.manual_seed(rows)
    layer = torch.nn.Linear(96, 130, bias=bias)
    x = torch.randn(rows, 96)
    wanted = x.double() @ layer.weight.double().t() + (layer.bias.double() if bias else 0)
    through_onednn(layer)
    with torch.inference_mode():
        torch.testing.assert_close(layer(x).double(), wanted, atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(layer(x[None])[0], layer(x), atol=1e-6, rtol=1e-6)


def test_the_layers_of_gpt2_are_turned_round() -> None:
    """Its weights stand the other way; logits stay those of the library."""
    import transformers

    torch.manual_seed(0)
    config = transformers.GPT2Config(vocab_size=50, n_embd=32, n_layer=2, n_head=2, n_positions=64)
    model = transformers.GPT2LMHeadModel(config).eval()
    ids = torch.arange(40)[None]
    with torch.inference_mode():
        wanted = model(ids).logits
        found = through_onednn(model)(ids).logits
    assert type(model.transformer.h[0].attn.c_attn).__name__ == "OneDnnConv1D"
    torch.testing.assert_close(found, wanted, atol=1e-5, rtol=1e-5)


def test_a_loaded_model_computes_what_the_library_computes() -> None:
    """Weights stay in place: the head still shares those of the embedding, and their names are the same."""
    import transformers

    folder = resolve(TINY)
    plain = transformers.AutoModelForCausalLM.from_pretrained(folder.path, dtype=torch.float32).eval()
    model = load_model(TINY, device="cpu").model
    assert type(model.lm_head).__name__ == "OneDnnLinear"
    assert model.lm_head.weight is model.get_input_embeddings().weight
    assert model.state_dict().keys() == plain.state_dict().keys()
    ids = torch.arange(4, 200)[None]
    with torch.inference_mode():
        torch.testing.assert_close(model(ids).logits, plain(ids).logits, atol=1e-5, rtol=1e-5)


def test_gradients_and_other_precisions_go_the_usual_way() -> None:
    """A plugin that trains a layer of a loaded model gets its gradients."""
    layer = through_onednn(torch.nn.Linear(8, 4))
    layer(torch.ones(2, 8)).sum().backward()
    torch.testing.assert_close(layer.weight.grad, torch.full((4, 8), 2.0))
    with torch.inference_mode():
        assert layer.to(torch.bfloat16)(torch.ones(2, 8, dtype=torch.bfloat16)).dtype == torch.bfloat16


@pytest.mark.parametrize("trouble", ["wrong", "absent"])
def test_where_it_does_not_work_nothing_changes(trouble: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A torch without the operator, or with one that gives other numbers, keeps its own layers."""

    def product(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
        if trouble == "absent":
            raise AttributeError("no such operator")
        return torch.zeros(len(x), len(weight))

    monkeypatch.setattr(linear, "_product", product)
    assert type(through_onednn(torch.nn.Linear(8, 4))) is torch.nn.Linear
