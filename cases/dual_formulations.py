"""What the parameters of each dual-head formulation mean, and the larger networks that some of them
really are.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch

from cases import dual_head
from nnet_parity import Network, Subject

Widths = tuple[int, int]
PYTORCH: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "relu": torch.relu,
    "tanh": torch.tanh,
    "logistic": torch.sigmoid,
    "identity": torch.nn.Identity(),
}


class Formulations:
    """Every formulation of the dual-head network of these widths and activations, as subjects."""

    def __init__(self, inputs: Widths, hidden: int, outputs: Widths, g: str, f: str) -> None:
        self.inputs, self.hidden, self.outputs, self.g, self.f = inputs, hidden, outputs, g, f
        self.network = Network(inputs, hidden, outputs, g, f)
        self.between = (
            np.kron(np.eye(2), np.ones((hidden, 1))) @ np.repeat(np.eye(2), inputs, axis=1) == 0
        )

    def subject(self, model: Any, means: Any, **more: Any) -> Subject:
        build = partial(
            model, self.inputs, self.hidden, self.outputs, PYTORCH[self.g], PYTORCH[self.f]
        )
        return Subject(build, model.__name__, means, **more)

    def same(self) -> list[Subject]:
        """Those that are the two-headed network, D2 as the part of the family that it can
        express.
        """
        first, second = self.inputs
        H = self.hidden
        split = [self.outputs[0]]
        here, there = np.nonzero(~self.between)[0] < H, np.nonzero(~self.between)[0] >= H
        return [
            self.subject(
                dual_head.ParallelInputs,
                lambda p: {"W1": p["W1"], "V1": p["V1"], "b": p["bias"], **heads(p)},
            ),
            self.subject(
                dual_head.PartialConcat,
                lambda p: {
                    "W1": np.concatenate([p["first.weight"], np.zeros((second, first))]),
                    "V1": np.concatenate([np.zeros((H - second, second)), np.eye(second)]),
                    "b": np.concatenate([p["first.bias"], np.zeros(second)]),
                    **heads(p),
                },
            ),
            self.subject(
                dual_head.BlockDiagonalSummed,
                lambda p: {
                    "W1": p["C"][:H, :first] + p["C"][H:, :first],
                    "V1": p["C"][:H, first:] + p["C"][H:, first:],
                    "b": p["bias"],
                    **heads(p),
                },
                held={"C": self.between},
            ),
            self.subject(
                dual_head.SparseBlocksSummed,
                lambda p: {
                    "W1": p["values"][here].reshape(H, first),
                    "V1": p["values"][there].reshape(H, second),
                    "b": p["bias"],
                    **heads(p),
                },
            ),
            self.subject(
                dual_head.StackedHeads,
                lambda p: {
                    "W1": p["W1"],
                    "V1": p["V1"],
                    "b": p["bias"],
                    **dict(zip(("W2", "V2"), np.split(p["heads.weight"], split), strict=True)),
                    **dict(zip(("b_w", "b_v"), np.split(p["heads.bias"], split), strict=True)),
                },
            ),
            self.subject(
                dual_head.ConcatenatedInputs,
                lambda p: {
                    "W1": p["hidden.weight"][:, :first],
                    "V1": p["hidden.weight"][:, first:],
                    "b": p["hidden.bias"],
                    **heads(p),
                },
            ),
        ]

    def partial_concat(self) -> Subject:
        return self.same()[1]

    def block_diagonal(self) -> Subject:
        """D3 as written: a network of twice the hidden units, complete, whose zeros probes leave at
        0.
        """
        first = self.inputs[0]
        return self.subject(
            dual_head.BlockDiagonal,
            lambda p: {
                "W1": p["C"][:, :first],
                "V1": p["C"][:, first:],
                "b": p["bias"],
                **heads(p),
            },
            network=Network(self.inputs, 2 * self.hidden, self.outputs, self.g, self.f),
            held={"C": self.between},
        )

    def sparse_blocks(self) -> Subject:
        """D4 as written: twice the hidden units, and only the connections inside the blocks."""
        first, H = self.inputs[0], self.hidden

        def dense(values: Any) -> Any:
            C = np.zeros(self.between.shape)
            C[~self.between] = values
            return C

        return self.subject(
            dual_head.SparseBlocks,
            lambda p: {
                "W1": dense(p["values"])[:, :first],
                "V1": dense(p["values"])[:, first:],
                "b": p["bias"],
                **heads(p),
            },
            network=Network(
                self.inputs, 2 * H, self.outputs, self.g, self.f, to_hidden=~self.between
            ),
        )

    def separate(self) -> Subject:
        """D7: blocks before and behind the hidden units."""
        (first, second), H = self.inputs, self.hidden
        behind = np.kron(np.repeat(np.eye(2), self.outputs, axis=0), np.ones((1, H))) != 0

        def beside(left: Any, right: int) -> Any:
            return np.concatenate([left, np.zeros((len(left), right))], axis=1)

        def after(left: int, right: Any) -> Any:
            return np.concatenate([np.zeros((len(right), left)), right], axis=1)

        return self.subject(
            dual_head.SeparateNetworks,
            lambda p: {
                "W1": np.concatenate([p["hidden1.weight"], np.zeros((H, first))]),
                "V1": np.concatenate([np.zeros((H, second)), p["hidden2.weight"]]),
                "b": np.concatenate([p["hidden1.bias"], p["hidden2.bias"]]),
                "W2": beside(p["head1.weight"], H),
                "b_w": p["head1.bias"],
                "V2": after(H, p["head2.weight"]),
                "b_v": p["head2.bias"],
            },
            network=Network(
                self.inputs,
                2 * H,
                self.outputs,
                self.g,
                self.f,
                to_hidden=~self.between,
                to_output=behind,
            ),
        )

    def side_by_side(self) -> Subject:
        """D5 misread, with the meaning that its author had in mind."""
        return self.subject(dual_head.SideBySideHeads, lambda p: p)


def heads(p: Any) -> dict[str, Any]:
    """Two Linear layers as the two heads."""
    return {"W2": p["W2.weight"], "b_w": p["W2.bias"], "V2": p["V2.weight"], "b_v": p["V2.bias"]}
