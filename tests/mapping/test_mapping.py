"""Maps of parameters: found by trying, said in words, or converted; forwards and backwards."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from harness.evaluating.given import Given
from harness.mapping.mapping import ParameterMap
from harness.mapping.models import Models, prepare
from tests.conftest import Approved
from tests.same import models as m


def find(model: Any, reference: Any, parameters: Any = None, data: Any = m.DATA) -> Models:
    """Both models, made ready."""
    return prepare(Given(model, reference, "Mine", "Theirs", data, parameters=parameters))


class Attention(nn.Module):
    """Three matrices of one shape, used in another order than they are registered."""

    def __init__(self) -> None:
        super().__init__()
        self.v, self.q, self.k = (nn.Linear(5, 5) for _ in range(3))

    def forward(self, x: Tensor) -> Any:
        scores = self.q(x) @ self.k(x).T
        return torch.softmax(scores, -1) @ self.v(x)


class JoinedAttention(nn.Module):
    """One matrix for queries, keys and values."""

    def __init__(self) -> None:
        super().__init__()
        self.qkv = nn.Linear(5, 15)

    def forward(self, x: Tensor) -> Any:
        q, k, v = self.qkv(x).chunk(3, -1)
        return torch.softmax(q @ k.T, -1) @ v


class Exchanged(nn.Module):
    """Queries, keys and values under other names, in another order."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.third = (nn.Linear(5, 5) for _ in range(3))

    def forward(self, x: Tensor) -> Any:
        scores = self.third(x) @ self.first(x).T
        return torch.softmax(scores, -1) @ self.second(x)


class Turned(nn.Module):
    """The square matrices of Plain, transposed."""

    def __init__(self) -> None:
        super().__init__()
        shapes = {"w1": (5, 8), "c1": (8,), "w2": (8, 8), "c2": (8,), "w3": (8, 3), "c3": (3,)}
        for name, shape in shapes.items():
            self.register_parameter(name, nn.Parameter(torch.randn(shape)))

    def forward(self, x: Tensor) -> Any:
        h = torch.tanh(x @ self.w1 + self.c1)
        return torch.tanh(h @ self.w2 + self.c2) @ self.w3 + self.c3


class Grouped(nn.Module):
    """A convolution, whose weight has three axes, as a product of matrices."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv1d(1, 4, 5)

    def forward(self, x: Tensor) -> Any:
        return self.conv(x.unsqueeze(1)).squeeze(-1)


class AsProduct(nn.Module):
    """The same as one linear layer."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(5, 4)

    def forward(self, x: Tensor) -> Any:
        return self.linear(x)


class Image(nn.Module):
    """A convolution over two axes."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 3, 3)

    def forward(self, x: Tensor) -> Any:
        return self.conv(x).flatten(2)


class OfPatches(nn.Module):
    """The same as a product of a matrix and the patches of an image."""

    def __init__(self) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.randn(3, 18)), nn.Parameter(torch.randn(3))

    def forward(self, x: Tensor) -> Any:
        return self.weight @ nn.functional.unfold(x, 3) + self.bias[:, None]


class Heads(nn.Module):
    """A matrix for each of two heads."""

    def __init__(self) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.randn(2, 4, 5)), nn.Parameter(torch.randn(8))

    def forward(self, x: Tensor) -> Any:
        return torch.einsum("bi,hoi->bho", x, self.weight).flatten(1) + self.bias


class OneMatrix(nn.Module):
    """The same with all heads in one."""

    def __init__(self) -> None:
        super().__init__()
        self.all = nn.Linear(5, 8)

    def forward(self, x: Tensor) -> Any:
        return self.all(x)


FOUND = [
    (m.OneInput, m.TwoInputs, ((7, 5), (7, 3))),
    (m.TwoInputs, m.OneInput, ((7, 5), (7, 3))),
    (JoinedAttention, Attention, m.DATA),
    (Attention, JoinedAttention, m.DATA),
    (Turned, m.Plain, m.DATA),
    (AsProduct, Grouped, m.DATA),
    (m.Folded, m.Plain, m.DATA),
    (m.PairByName, m.Pair, m.DATA),
    (OfPatches, Image, (2, 2, 5, 5)),
    (OneMatrix, Heads, m.DATA),
    (Heads, OneMatrix, m.DATA),
]


@pytest.mark.parametrize(("model", "reference", "data"), FOUND)
def test_a_map_is_found_and_said(model: Any, reference: Any, data: Any, approved: Approved) -> None:
    """Joined, cut, transposed, reshaped, added, exchanged."""
    mapping = find(model, reference, data=data).mapping
    assert not mapping.remark
    approved([mapping.text, mapping.code], mask_figures=False)


def test_a_map_against_the_order_of_declaration_is_said(approved: Approved) -> None:
    """It may hide that queries and keys are exchanged: the reader is told of both maps."""
    mapping = find(Exchanged, Attention, data=m.DATA).mapping
    approved([mapping.text, mapping.remark], mask_figures=False)


def test_the_written_map_is_the_map() -> None:
    """The line that a user may paste gives the same tensors."""
    models = find(m.OneInput, m.TwoInputs, data=((7, 5), (7, 3)))
    state = models.reference.built
    function: Callable[[Any], Any] = eval(
        models.mapping.code.removeprefix("parameters="), {"torch": torch}
    )
    pasted = find(m.OneInput, m.TwoInputs, function, ((7, 5), (7, 3))).mapping
    made, again = models.mapping.convert(state), pasted.convert(state)
    assert all(torch.equal(made[name], again[name]) for name in made)
    assert pasted.text == "by your converter"


def measure_adjoint(mapping: ParameterMap, state: dict[str, Tensor]) -> None:
    """Fail unless <J w, g> is <w, J^T g>, and J w a difference quotient."""
    generator = torch.Generator().manual_seed(0)

    def draw(like: dict[str, Tensor]) -> dict[str, Tensor]:
        return {
            name: torch.randn(tensor.shape, generator=generator, dtype=torch.float64)
            for name, tensor in like.items()
        }

    changes, carry = draw(state), mapping.at(state)
    made = mapping.convert(state)
    gradients = draw(made)
    pushed, pulled = carry.push(changes), carry.pull(gradients)
    forwards = sum(float((pushed[name] * gradients[name]).sum()) for name in pushed)
    backwards = sum(float((changes[name] * pulled[name]).sum()) for name in changes)
    assert forwards == pytest.approx(backwards, rel=1e-12)
    step = 1e-6
    moved = mapping.convert({name: each + step * changes[name] for name, each in state.items()})
    for name, change in pushed.items():
        assert torch.allclose((moved[name] - made[name]) / step, change, atol=1e-4)


def scale_rows(state: Any) -> dict[str, Tensor]:
    """A converter that is not linear: a scale is folded into a matrix."""
    scale = state["b.bias"].exp()
    return {
        **{name: state[name] for name in state if name != "b.weight"},
        "b.weight": state["b.weight"] * scale[:, None],
    }


@pytest.mark.parametrize("parameters", [None, scale_rows])
def test_gradients_are_carried_both_ways(parameters: Any) -> None:
    """The derivative of a map, forwards and backwards, of one that is found and of a converter."""
    pair = (m.Plain, m.Plain) if parameters else (m.Folded, m.Plain)
    models = find(*pair, parameters)
    measure_adjoint(models.mapping, dict(models.reference.built))


def by_numpy(state: Any) -> dict[str, Any]:
    """A converter that leaves torch."""
    return {name: tensor.detach().numpy().copy() for name, tensor in state.items()}


def test_a_converter_of_numpy_has_no_derivative() -> None:
    """Which is known, so that gradients by parameters are not asked."""
    mapping = find(m.Plain, m.Plain, by_numpy).mapping
    assert (mapping.differentiable, mapping.as_built, mapping.constants) == (False, (), ())


def test_a_converter_that_leaves_something_out_is_followed() -> None:
    """What it leaves out stays as built, and what it sets is constant."""

    def convert(state: Any) -> dict[str, Any]:
        kept = {name: state[name] for name in state if name not in ("o.bias", "b.bias")}
        return {**kept, "b.bias": torch.zeros(8)}

    mapping = find(m.Plain, m.Plain, convert).mapping
    assert (mapping.as_built, mapping.constants) == (("o.bias",), ("b.bias",))
    assert set(mapping.unused) == {"o.bias", "b.bias"}


def test_words_say_single_tensors() -> None:
    """A name, a part, a transpose, a list, a constant, a function; the rest by name."""
    words = {
        "a.weight": ["b.weight[0:5]", "o.weight"],
        "b.bias": 0.5,
        "o.bias": lambda state: state["o.bias"] * 2,
        "b.weight": "b.weight.T",
    }

    class Square(m.Plain):
        def __init__(self) -> None:
            super().__init__()
            self.a = nn.Linear(8, 8)

    models = find(Square, Square, words, (7, 8))
    state = models.reference.built
    made = models.mapping.convert(state)
    assert torch.equal(made["a.weight"], torch.cat([state["b.weight"][0:5], state["o.weight"]]))
    assert torch.equal(made["b.bias"], torch.full((8,), 0.5, dtype=torch.float64))
    assert torch.equal(made["o.bias"], 2 * state["o.bias"])
    assert torch.equal(made["b.weight"], state["b.weight"].T)
    assert torch.equal(made["a.bias"], state["a.bias"])
    assert models.mapping.constants == ("b.bias",)


def test_a_search_ends(monkeypatch: pytest.MonkeyPatch, approved: Approved) -> None:
    """And the sentence then says that there are more maps."""
    monkeypatch.setattr("harness.mapping.searching.MOST", 3)
    with approved.raises(ValueError):
        find(m.WrongWiring, m.Renamed)
