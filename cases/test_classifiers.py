"""Do these classifiers compute and differentiate what R's nnet does, by softmax and entropy?"""

from torch import nn

from cases.classifiers import (
    CLASSES,
    HIDDEN,
    INPUTS,
    Logits,
    Probabilities,
    Sigmoids,
    SoftmaxOverRows,
    SoftmaxTwice,
    TwoHeads,
    cross_entropy,
    of_two_heads,
)
from nnet_parity import Case, Loss, Network, Subject, numpy_net, probes, r_nnet, verify

SAME = "Classifiers = nnet's softmax and entropy?"
WRONG = "Softmax twice, or over rows: same function?"
BOTH = [r_nnet, numpy_net]
SCORES = Network(INPUTS, HIDDEN, CLASSES, "logistic")
SOFTMAX = Network(INPUTS, HIDDEN, CLASSES, "logistic", "softmax")
DRAWS = {"draws": 4, "rows": 3}

test_softmax_of_logits = verify(
    Case(
        name="classifier-logits",
        question=SAME,
        network=SCORES,
        subjects=[Logits, Subject(Logits, "CrossEntropy", loss=cross_entropy)],
        references=BOTH,
        problems=probes(seed=1, loss=Loss(error="softmax", from_logits=True), **DRAWS),
    )
)

test_softmax_of_probabilities = verify(
    Case(
        name="classifier-probabilities",
        question=SAME,
        network=SOFTMAX,
        subjects=[Probabilities],
        references=BOTH,
        problems=probes(seed=2, loss=Loss(error="softmax", decay=0.01), **DRAWS),
    )
)

test_entropy = verify(
    Case(
        name="classifier-entropy",
        question=SAME,
        network=Network(INPUTS, HIDDEN, 2, "logistic", "logistic"),
        subjects=[Subject(lambda: Sigmoids(2), "Sigmoids")],
        references=BOTH,
        problems=probes(seed=3, loss=Loss(error="entropy", targets="shares"), **DRAWS),
    )
)

test_censored = verify(
    Case(
        name="classifier-censored",
        question=SAME,
        network=SCORES,
        subjects=[Logits],
        references=BOTH,
        problems=probes(seed=4, loss=Loss(error="censored", from_logits=True), **DRAWS),
    )
)

test_class_weights = verify(
    Case(
        name="classifier-class-weights",
        question="Cross-entropy with class weights, smoothing?",
        network=SCORES,
        subjects=[
            Subject(
                Logits,
                "Smoothed",
                loss=lambda o, t: nn.CrossEntropyLoss(
                    o.new_tensor([1.0, 2.0, 0.5]), label_smoothing=0.1
                )(o, t),
            )
        ],
        references=BOTH,
        problems=probes(
            seed=5,
            loss=Loss(
                "mean",
                error="softmax",
                from_logits=True,
                class_weights=[1, 2, 0.5],
                label_smoothing=0.1,
                targets="labels",
            ),
            **DRAWS,
        ),
    )
)

test_two_heads = verify(
    Case(
        name="classifier-two-heads",
        question="Two heads, each with a loss of its own?",
        network=Network(INPUTS, HIDDEN, (1, CLASSES), "logistic"),
        subjects=[Subject(TwoHeads, loss=of_two_heads)],
        references=[numpy_net],
        problems=probes(
            seed=6,
            loss=Loss("mean", error=["bce", "softmax"], from_logits=True, factor=[1, 0.5]),
            **DRAWS,
        ),
    )
)

test_softmax_twice = verify(
    Case(
        name="classifier-softmax-twice",
        question=WRONG,
        network=SCORES,
        subjects=[Subject(SoftmaxTwice, loss=cross_entropy)],
        references=BOTH,
        problems=probes(seed=7, loss=Loss(error="softmax", from_logits=True), **DRAWS),
        expect="differs",
        checks=["forward"],
    )
)

test_softmax_over_rows = verify(
    Case(
        name="classifier-softmax-over-rows",
        question=WRONG,
        network=SOFTMAX,
        subjects=[SoftmaxOverRows],
        references=BOTH,
        problems=probes(seed=8, loss=Loss(error="softmax"), **DRAWS),
        expect="differs",
        checks=["forward"],
    )
)
