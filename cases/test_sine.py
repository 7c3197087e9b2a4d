"""Question 2: do the PyTorch networks of the sine question compute what R's nnet, and the formulas,
compute?
"""

from functools import partial
from typing import Any

import numpy as np

from cases import sine
from nnet_parity import (
    Case,
    Network,
    NumpyNet,
    OnData,
    RNnet,
    Subject,
    numpy_net,
    probes,
    r_nnet,
    verify,
)

rng = np.random.default_rng(2015)
x50 = np.sort(10 * rng.random((50, 1)), axis=0)
x1000 = 10 * rng.random((1000, 1))
grid1000 = np.linspace(0, 10, 1000)[:, None]
BOTH = [r_nnet, numpy_net]
SHAPES = [probes(seed=11), OnData(x50, np.sin(x50)), OnData(x1000, np.sin(x1000))]


def network(activation: str) -> Network:
    return Network(inputs=1, hidden=4, outputs=1, activation=activation)


def with_extra(bias: bool, extra: bool) -> Subject:
    """S7 with each of its two biases on or off; only their sum is a bias of the network."""

    def means(p: dict[str, Any]) -> dict[str, Any]:
        def total(layer: str) -> Any:
            return p.get(f"{layer}.bias", 0) + (p[f"{layer}.extra"][0] if extra else 0)

        return {
            "W1": p["hidden.weight"],
            "b": total("hidden"),
            "W2": p["output.weight"],
            "b_w": total("output"),
        }

    name = {(True, True): "BothBiases", (True, False): "BiasOnly", (False, True): "ExtraOnly"}.get(
        (bias, extra), "NoBias"
    )
    return Subject(partial(sine.ExtraBiasSine, bias, extra), name, means)


BY_HAND = [
    Subject(
        sine.by_hand,
        shapes={"w1": (1, 4), "w2": (4, 1)},
        parameters=lambda p: {"W1": p["w1"].T, "b": 0, "W2": p["w2"].T, "b_w": 0},
        relu_at_zero=1.0,
    ),
    Subject(
        sine.by_hand_with_biases,
        shapes={"w1": (1, 4), "b1": (4,), "w2": (4, 1), "b2": (1,)},
        parameters=lambda p: {"W1": p["w1"].T, "b": p["b1"], "W2": p["w2"].T, "b_w": p["b2"]},
        relu_at_zero=1.0,
    ),
    Subject(
        sine.by_hand_with_ones,
        shapes={"w1": (2, 4), "w2": (5, 1)},
        parameters=lambda p: {
            "W1": p["w1"][1:].T,
            "b": p["w1"][0],
            "W2": p["w2"][1:].T,
            "b_w": p["w2"][0],
        },
        relu_at_zero=1.0,
    ),
]

test_sine_by_hand = verify(
    Case(
        name="sine-by-hand",
        question="ReLU nets written by hand = their formulas?",
        network=network("relu"),
        subjects=BY_HAND,
        references=BOTH,
        problems=SHAPES,
    )
)

test_sine_tanh = verify(
    Case(
        name="sine-tanh",
        question="tanh nets, with up to two biases = R nnet?",
        network=network("tanh"),
        subjects=[
            sine.TanhSine,
            *(with_extra(bias, extra) for bias in (True, False) for extra in (True, False)),
        ],
        references=BOTH,
        problems=[*SHAPES[:2], OnData(grid1000, np.sin(grid1000))],
    )
)

test_sine_logistic = verify(
    Case(
        name="sine-logistic",
        question="Logistic net = R nnet's own network?",
        network=network("logistic"),
        subjects=[sine.LogisticSine],
        references=[*BOTH, NumpyNet("float32")],
        problems=SHAPES,
    )
)

test_sine_clip = verify(
    Case(
        name="sine-clip",
        question="Logistic net = R nnet if its clip is ignored?",
        network=network("logistic"),
        subjects=[sine.LogisticSine],
        references=[RNnet(declare_clip=False), NumpyNet(logistic_clip=15.0, declare_clip=False)],
        problems=probes(seed=12, kinds=["saturated"]),
        expect="differs",
        dtypes=["float64"],
    )
)

test_sine_stack = verify(
    Case(
        name="sine-stack",
        question="Logistic net = R nnet's own network?",
        network=network("logistic"),
        subjects=[sine.LogisticSine],
        references=BOTH,
        problems=probes(seed=13, rows=50, draws=1024, kinds=["random"]),
    )
)
