"""Do the networks of both questions compute in sixteen bits what they should, layer by layer?"""

from cases import sine
from cases.dual_formulations import Formulations
from nnet_parity import Case, Network, numpy_net, probes, r_nnet, verify

NARROW = ["bfloat16", "float16"]
BOTH = [r_nnet, numpy_net]
seed = Formulations(inputs=(5, 5), hidden=10, outputs=(5, 5), g="tanh", f="identity")

test_sine_in_sixteen_bits = verify(
    Case(
        name="sine-sixteen-bits",
        question="Sine net in sixteen bits: right?",
        network=Network(inputs=1, hidden=4, outputs=1, activation="tanh"),
        subjects=[sine.TanhSine],
        references=BOTH,
        problems=probes(seed=13, draws=5),
        dtypes=NARROW,
    )
)

test_dual_in_sixteen_bits = verify(
    Case(
        name="dual-sixteen-bits",
        question="Two-headed net in sixteen bits: right?",
        network=seed.network,
        subjects=seed.same()[:2],
        references=BOTH,
        problems=probes(seed=14, rows=2, draws=5),
        dtypes=NARROW,
    )
)
