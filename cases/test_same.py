"""Is my version of the two-headed network the same model as the equations? Asked without
equations.
"""

from functools import partial

import torch

from cases import dual_head, sine
from nnet_parity import same, verify

WIDTHS = (5, 3), 10, (4, 2), torch.tanh, torch.nn.Identity()
DATA = ((8, 5), (8, 3))


def make(model: type) -> partial[torch.nn.Module]:
    """A formulation of the two-headed network, of these widths."""
    return partial(model, *WIDTHS)


test_concatenated_inputs = verify(
    same(make(dual_head.ConcatenatedInputs), make(dual_head.ParallelInputs), data=DATA)
)
test_stacked_heads = verify(
    same(make(dual_head.StackedHeads), make(dual_head.ParallelInputs), data=DATA)
)
test_block_diagonal = verify(
    same(
        make(dual_head.BlockDiagonalSummed),
        make(dual_head.ParallelInputs),
        data=DATA,
        parameters={"C": lambda s: torch.block_diag(s["W1"], s["V1"])},
    )
)
test_extra_bias = verify(same(sine.TanhSine, sine.ExtraBiasSine, data=(20, 1)))
test_redundant_bias = verify(same(sine.ExtraBiasSine, sine.TanhSine, data=(20, 1)))
