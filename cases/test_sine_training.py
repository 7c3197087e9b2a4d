"""Question 2: why does R's nnet learn the sine, and the PyTorch network not?"""

from dataclasses import replace

from cases.sine_training import (
    ADAM,
    EXTRA,
    FORWARDS,
    LEVENBERG,
    LINEAR,
    LOGISTIC,
    LOGISTIC_STACK,
    ONES_STACK,
    RELU,
    RELU_BIASED,
    RELU_ONES,
    RELU_STACK,
    S1_START,
    SGD,
    SLOW,
    TANH,
    TANH_BIASED,
    TANH_SINE,
    TANH_SINE_STACK,
    TANH_STACK,
    by_hand,
    grid_points,
    many_draws,
    one_draw,
    random_points,
    sine_population,
    split_biases,
    update_by_hand,
    update_never_zeroed,
    update_zeroed_before,
    why_not,
    with_both_biases,
)
from cases.test_sine import BY_HAND, network
from nnet_parity import Case, Recipe, Trained, verify
from reference import (
    gradient_descent,
    least_squares,
    nnet_fit,
    numpy_net,
    optim_bfgs,
    r_nnet,
    scipy_bfgs,
    scipy_lbfgsb,
    starts,
)

LOGISTIC_NETWORK = network("logistic")
NNET = nnet_fit(network=LOGISTIC_NETWORK)
S1 = nnet_fit(network=LOGISTIC_NETWORK, start=S1_START, most=1)
MOMENTUM = Recipe("sgd", 200, {"lr": 1e-4, "momentum": 0.9, "weight_decay": 0.01})
SHARED = {"start": starts.uniform(), "stacked": LOGISTIC_STACK}

test_sine_zeroed = verify(
    Case(
        name="sine-zeroed",
        question="Gradients zeroed before the step, or never: SGD?",
        network=network("relu"),
        subjects=[by_hand("zeroed_before", update_zeroed_before)],
        references=[numpy_net],
        problems=sine_population(random_points),
        checks=["step"],
        expect="differs",
        dtypes=["float64"],
    )
)

test_sine_never_zeroed = verify(
    Case(
        name="sine-never-zeroed",
        question="Gradients zeroed before the step, or never: SGD?",
        network=network("relu"),
        subjects=[by_hand("never_zeroed", update_never_zeroed)],
        references=[numpy_net],
        problems=sine_population(random_points),
        checks=["gradient"],
        expect="differs",
        dtypes=["float64"],
    )
)

test_sine_extra_bias = verify(
    Case(
        name="sine-extra-bias",
        question="A second bias: does training stay the same?",
        network=network("tanh"),
        subjects=[with_both_biases(starts.uniform(), {})],
        references=[numpy_net],
        problems=sine_population(one_draw),
        checks=["step"],
        expect="differs",
        dtypes=["float64"],
    )
)

test_sine_bias_twice = verify(
    Case(
        name="sine-bias-twice",
        question="Two biases = one with twice the learning rate?",
        network=network("tanh"),
        subjects=[with_both_biases(split_biases, {"b": 2, "b_w": 2})],
        references=[numpy_net],
        problems=sine_population(one_draw),
        checks=["step"],
    )
)

test_sine_s1 = verify(
    Case(
        name="S1, as written",
        question="nnet, optim: fits to the sine as claimed?",
        network=LOGISTIC_NETWORK,
        subjects=[replace(optim_bfgs, start=S1_START, most=1)],
        references=[S1],
        problems=sine_population(one_draw),
        checks=["final"],
        dtypes=["float64"],
    )
)

test_sine_fit_starts = verify(
    Case(
        name="S1 from many starts",
        question="BFGS of R and SciPy: fits as good as nnet?",
        network=LOGISTIC_NETWORK,
        subjects=[optim_bfgs, scipy_bfgs],
        references=[NNET],
        problems=sine_population(one_draw),
        dtypes=["float64"],
    )
)

test_sine_fit_levenberg = verify(
    Case(
        name="S1 by Levenberg-Marquardt",
        question="Levenberg-Marquardt: fits at the losses it claims?",
        network=LOGISTIC_NETWORK,
        subjects=[LEVENBERG],
        references=[NNET],
        problems=sine_population(one_draw),
        checks=["final"],
    )
)

test_sine_fit_below_nnet = verify(
    Case(
        name="S1 by nnet, beside Levenberg-Marquardt",
        question="nnet: fits as good as Levenberg-Marquardt's?",
        network=LOGISTIC_NETWORK,
        subjects=[NNET],
        references=[LEVENBERG],
        problems=sine_population(one_draw, quality=None),
        checks=["fit"],
        expect="differs",
        dtypes=["float64"],
    )
)

test_sine_fit_draws = verify(
    Case(
        name="S1 on many draws of x",
        question="R's optim on other draws of x = nnet?",
        network=LOGISTIC_NETWORK,
        subjects=[replace(optim_bfgs, start=S1_START)],
        references=[nnet_fit(network=LOGISTIC_NETWORK, start=S1_START)],
        problems=sine_population(many_draws),
        dtypes=["float64"],
    )
)

test_sine_fit_worse = verify(
    Case(
        name="S1 by other optimisers",
        question="Adam, SGD, least squares: fits as good as nnet?",
        network=LOGISTIC_NETWORK,
        subjects=[
            LOGISTIC(ADAM, **SHARED),
            LOGISTIC(SGD, **SHARED),
            least_squares,
            gradient_descent(1e-4, 200),
        ],
        references=[NNET],
        problems=sine_population(one_draw),
        expect="differs",
        dtypes=["float64"],
    )
)

test_sine_fit_others = verify(
    Case(
        name="S1 by more optimisers",
        question="L-BFGS: fits at the losses they claim?",
        network=LOGISTIC_NETWORK,
        subjects=[
            replace(scipy_lbfgsb, most=5),
            LOGISTIC(Recipe("lbfgs", 50), start=starts.uniform()),
        ],
        references=[replace(NNET, most=5)],
        problems=sine_population(one_draw),
        checks=["final"],
        dtypes=["float64"],
    )
)

test_sine_fit_modules = verify(
    Case(
        name="S6 and S7 as modules",
        question="tanh fits end at the losses they claim?",
        network=network("tanh"),
        subjects=[TANH_SINE(ADAM), *EXTRA],
        references=[replace(NNET, most=1)],
        problems=sine_population(grid_points),
        checks=["final"],
        dtypes=["float32"],
    )
)

test_sine_changes_forwards = verify(
    Case(
        name="from S4 forwards",
        question="Why does the PyTorch net not learn the sine?",
        network=LOGISTIC_NETWORK,
        subjects=FORWARDS,
        references=[nnet_fit(network=LOGISTIC_NETWORK, maxit=1_000, says="{r}, maxit = 1000")],
        problems=sine_population(random_points, quality=1e-3, table="From S4 forwards"),
        expect="differs",
        dtypes=["float32"],
        answer=why_not,
    )
)

test_sine_changes_backwards = verify(
    Case(
        name="from S1 backwards",
        question="nnet without biases, or stopped early: as good?",
        network=LOGISTIC_NETWORK,
        subjects=[
            nnet_fit(
                biases=False, name="nnet_without_biases", says="nnet, its biases held at 0 by mask"
            ),
            nnet_fit(maxit=100, name="nnet_maxit_100", says="nnet, maxit = 100, its default"),
            nnet_fit(maxit=20, name="nnet_maxit_20", says="nnet, maxit = 20"),
        ],
        references=[NNET],
        problems=sine_population(one_draw, table="From S1 backwards"),
        expect="differs",
        dtypes=["float64"],
    )
)

test_sine_steps_by_hand = verify(
    Case(
        name="sine-steps-by-hand",
        question="Update written by hand = SGD, step by step?",
        network=network("relu"),
        subjects=[
            *(
                Trained(
                    one, SLOW, f"{one.name}_update", iterate=update_by_hand, start=starts.normal()
                )
                for one in BY_HAND
            ),
            Trained(RELU, SLOW, "by_hand_torch_sgd", start=starts.normal()),
        ],
        references=[numpy_net],
        problems=sine_population(random_points),
        checks=["loss", "gradient", "step"],
    )
)

test_sine_steps = verify(
    Case(
        name="sine-steps",
        question="Loss, gradient, step along training: right?",
        network=network("tanh"),
        subjects=[TANH_SINE(ADAM), TANH_SINE(MOMENTUM), *EXTRA, LOGISTIC(ADAM)],
        references=[r_nnet, numpy_net],
        problems=sine_population(one_draw),
        checks=["loss", "gradient", "step"],
    )
)

for plain, stacked in (
    (TANH_SINE(ADAM), TANH_SINE_STACK),
    (LOGISTIC(ADAM), LOGISTIC_STACK),
    (LOGISTIC(SGD), LOGISTIC_STACK),
    (Trained(RELU, SLOW, start=starts.normal()), RELU_STACK),
    (Trained(RELU_BIASED, SLOW, start=starts.normal()), RELU_STACK),
    (Trained(RELU_ONES, SLOW, start=starts.normal()), ONES_STACK),
    (Trained(TANH, SLOW, start=starts.normal()), TANH_STACK),
    (Trained(TANH_BIASED, ADAM, start=LINEAR), TANH_STACK),
):
    globals()[f"test_sine_steps_stack_{plain.name}"] = verify(
        Case(
            name=f"sine-steps-stack-{plain.name}",
            question="Stacks of starts = plain modules, step by step?",
            network=plain.network or network("relu"),
            subjects=[replace(plain, stacked=stacked)],
            references=[plain.subject, numpy_net],
            problems=sine_population(one_draw),
            checks=["loss", "gradient", "step"],
        )
    )
