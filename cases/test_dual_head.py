"""Question 1: which formulations of a network with two inputs and two heads are the same
function?
"""

from cases.dual_formulations import Formulations
from nnet_parity import Case, Contrast, Crossed, numpy_net, probes, r_nnet, verify

ACTIVATIONS = [
    ("relu", "relu"),
    ("logistic", "identity"),
    ("tanh", "identity"),
    ("logistic", "logistic"),
]
SEED = {"inputs": (5, 5), "hidden": 10, "outputs": (5, 5)}
UNEVEN = {"inputs": (5, 3), "hidden": 8, "outputs": (4, 2)}
BOTH = [r_nnet, numpy_net]

for g, f in ACTIVATIONS:
    seed = Formulations(**SEED, g=g, f=f)
    name = f"{g}-{f}"
    globals()[f"test_dual_same_{g}_{f}"] = verify(
        Case(
            name=f"dual-same-{name}",
            question="Two-headed net, 6 ways to write it: equal?",
            network=seed.network,
            subjects=seed.same(),
            references=BOTH,
            problems=probes(seed=1, rows=2),
        )
    )
    uneven = Formulations(**UNEVEN, g=g, f=f)
    globals()[f"test_dual_widths_{g}_{f}"] = verify(
        Case(
            name=f"dual-widths-{name}",
            question="Two-headed net of unequal widths, 6 ways: equal?",
            network=uneven.network,
            subjects=uneven.same(),
            references=BOTH,
            problems=probes(seed=2, rows=3, draws=10),
        )
    )
    globals()[f"test_dual_larger_{g}_{f}"] = verify(
        Case(
            name=f"dual-larger-{name}",
            question="Block-diagonal, separate = larger networks?",
            network=seed.network,
            subjects=[seed.block_diagonal(), seed.sparse_blocks(), seed.separate()],
            references=BOTH,
            problems=probes(seed=3, rows=2),
        )
    )
    globals()[f"test_dual_interaction_{g}_{f}"] = verify(
        Case(
            name=f"dual-interaction-{name}",
            question="Block-diagonal layers: do inputs interact?",
            network=seed.network,
            subjects=[seed.partial_concat(), seed.block_diagonal(), seed.sparse_blocks()],
            references=BOTH,
            problems=Crossed(seed=4),
            expect="differs",
            contrast=Contrast(
                name="interaction",
                asks="interaction of the inputs" + (" on logits" if f == "logistic" else ""),
                rows=(1, -1, -1, 1),
                on_logits=f == "logistic",
            ),
        )
    )
    globals()[f"test_dual_independence_{g}_{f}"] = verify(
        Case(
            name=f"dual-independence-{name}",
            question="Two separate nets: heads see both inputs?",
            network=seed.network,
            subjects=[seed.separate()],
            references=BOTH,
            problems=Crossed(seed=5),
            expect="differs",
            contrast=Contrast(
                name="dependence",
                asks="change of o1 when only x2 changes",
                rows=(1, 0, -1, 0),
                head=0,
            ),
        )
    )
    globals()[f"test_dual_side_by_side_{g}_{f}"] = verify(
        Case(
            name=f"dual-side-by-side-{name}",
            question="Heads side by side, [W2 V2] = two heads?",
            network=seed.network,
            subjects=[seed.side_by_side()],
            references=BOTH,
            problems=probes(seed=6, rows=2, kinds=["random"]),
            expect="differs",
        )
    )

test_dual_stack = verify(
    Case(
        name="dual-stack",
        question="Two-headed net, 6 ways to write it: equal?",
        network=Formulations(**SEED, g="logistic", f="identity").network,
        subjects=Formulations(**SEED, g="logistic", f="identity").same()[-1:],
        references=BOTH,
        problems=probes(seed=7, rows=2, draws=1024, kinds=["random"]),
    )
)
