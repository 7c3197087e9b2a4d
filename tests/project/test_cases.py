"""What the cases claim about the seed questions' models, beyond the verdicts themselves."""

import re
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
import torch

from cases import (
    dual_head,
    sine,
    sine_training,
    test_dual_head,
    test_dual_training,
    test_sine,
    test_sine_training,
)
from cases.dual_formulations import Formulations
from harness.core.formulation import Formulation
from harness.core.problem import Problem
from harness.judging.verification import Verification, expand
from harness.pytorch.subject import Subject
from reference import numpy_net, r_nnet

SEED = ((5, 5), 10, (5, 5))
SIGMOID = (torch.sigmoid, torch.nn.Identity())
IDS = [*(f"D{number}" for number in range(1, 8)), *(f"S{number}" for number in range(1, 9))]
DOCUMENT = Path(__file__).parents[2] / "docs/seeds.md"
FILES = (test_dual_head, test_sine)
TRAINING = (test_dual_training, test_sine_training)
CASES, TRAINED = (
    [
        found.case
        for file in files
        for found in vars(file).values()
        if isinstance(found, Verification)
    ]
    for files in (FILES, TRAINING)
)


def test_the_equations_have_seven_trained_tensors() -> None:
    """D1 trains W1, V1, a bias, and weight and bias of two heads, in the shapes that the question
    has.
    """
    found = {
        name: tuple(p.shape)
        for name, p in dual_head.ParallelInputs(*SEED, *SIGMOID).named_parameters()
    }
    assert found == {
        "W1": (10, 5),
        "V1": (10, 5),
        "bias": (10,),
        "W2.weight": (5, 10),
        "W2.bias": (5,),
        "V2.weight": (5, 10),
        "V2.bias": (5,),
    }


def test_the_equations_start_like_linear_layers() -> None:
    """No parameter of D1 is uninitialised: the weights are within nn.Linear's 1/sqrt(width)."""
    model = dual_head.ParallelInputs(*SEED, *SIGMOID)
    for weight in (model.W1, model.V1):
        assert 0 < weight.abs().max() <= 5**-0.5


def test_heads_side_by_side_on_h_alone_are_a_shape_error() -> None:
    """[W2 V2] is 5 by 20 and h has 10 units."""
    model = dual_head.SideBySideHeads(*SEED, *SIGMOID, doubled=False)
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        model(torch.ones(2, 5), torch.ones(2, 5))


def test_heads_side_by_side_add_up() -> None:
    """On [h; h] the side-by-side reading is both heads' sum, for either head."""
    model = dual_head.SideBySideHeads(*SEED, *SIGMOID)
    with torch.no_grad():
        o1, o2 = model(torch.ones(2, 5), torch.ones(2, 5))
        assert torch.equal(o1 - model.b_w, o2 - model.b_v)


def test_clamping_restores_the_zeros_of_the_block_diagonal_matrix() -> None:
    """After a step that fills C, clamp_ leaves only the two blocks."""
    model = dual_head.BlockDiagonal(*SEED, *SIGMOID)
    with torch.no_grad():
        model.C += 1.0
    model.clamp_()
    assert torch.equal(model.C != 0, model.free)


def test_every_dual_head_formulation_meets_live_r() -> None:
    """Each formulation of question 1 is in a case that R nnet can judge."""
    judged = {
        trial.subject.name
        for case in CASES
        for trial in case.trials()
        if trial.reference is r_nnet
        and (trial.subject.network or case.network).activations[0] != "relu"
    }
    found = {name: model for name, model in vars(dual_head).items() if isinstance(model, type)}
    models = {name for name, model in found.items() if issubclass(model, torch.nn.Module)}
    assert models <= judged


def read_legend() -> dict[str, set[tuple[str, str]]]:
    """The pairs of case and subject that answer for each id, as docs/seeds.md names them."""
    rows = re.findall(r"^\| ([DS]\d) \|(.*)$", DOCUMENT.read_text(encoding="utf-8"), re.MULTILINE)
    return {name: set(re.findall(r"`([^`]+): (\w+)`", row)) for name, row in rows}


def list_answered() -> set[tuple[str, str]]:
    """The pairs of case and subject, or reference, of all trials that pytest makes of cases/ and a
    reference can answer.
    """
    answered = set()
    for file in sorted(Path(test_sine.__file__).parent.glob("test_*.py")):
        for name, value in vars(import_module(f"cases.{file.stem}")).items():
            if not isinstance(value, Verification):
                continue
            for trial in expand(name, value):
                network = trial.subject.network or trial.case.network
                asked = network, trial.check, trial.dtype, "cpu"
                if trial.reference.cannot_answer(*asked) is None:
                    answered.add((trial.case.name, trial.subject.name))
                    answered.add((trial.case.name, trial.reference.name))
    return answered


def test_every_system_of_the_questions_is_judged() -> None:
    """docs/seeds.md names verdicts for each of D1 to D7 and S1 to S8, and pytest makes them all."""
    legend = read_legend()
    assert list(legend) == IDS
    answered = list_answered()
    missing = {name: pairs - answered for name, pairs in legend.items()}
    assert {name: pairs for name, pairs in missing.items() if pairs} == {}
    assert all(legend.values())


def test_case_and_test_names_begin_with_their_question() -> None:
    """-k dual and -k sine choose the cases of one question."""
    assert {case.name.split("-")[0] for case in CASES} == {"dual", "sine"}
    names = [
        name for module in (*FILES, *TRAINING) for name in vars(module) if name.startswith("test_")
    ]
    assert all(name.startswith(("test_dual_", "test_sine_")) for name in names)


def test_two_biases_are_one_bias_learnt_twice_as_fast() -> None:
    """S7 maps onto the family, and N N' is 2 on each bias and 1 elsewhere."""
    formulation = test_sine.with_extra(bias=True, extra=True).formulation(test_sine.network("tanh"))
    N = formulation.matrix.matrix.toarray()
    layout = formulation.network.layout
    doubled = [layout.blocks[owner].name in ("b", "b_w") for owner in layout.owners]
    assert (np.diag(N @ N.T) == np.where(doubled, 2, 1)).all()
    assert formulation.extra_terms == 1


@pytest.mark.parametrize("number", [0, 4, 5])
def test_renamed_formulations_are_permutations(number: int) -> None:
    """D1, D5 and D6 only rename theta, so training is the same under SGD and Adam."""
    seed = Formulations(*SEED, "logistic", "identity")
    N = seed.same()[number].formulation(seed.network).matrix.matrix.toarray()
    assert (N.sum(axis=0) == 1).all()
    assert (N.sum(axis=1) == 1).all()
    assert set(np.unique(N)) == {0, 1}


def test_partial_concatenation_is_a_strict_subfamily() -> None:
    """D2 reaches 140 of the 220 parameters, and holds V1 at [0; I]."""
    seed = Formulations(*SEED, "logistic", "identity")
    formulation = seed.partial_concat().formulation(seed.network)
    N = formulation.matrix.matrix.toarray()
    assert (np.linalg.matrix_rank(N), formulation.network.layout.size) == (140, 220)
    assert (formulation.network.layout.split(formulation.constant)["V1"] == np.eye(10)[:, 5:]).all()


def test_sine_functions_take_the_names_that_their_cases_give() -> None:
    """The functions by hand compute 1-4-1 networks of the shapes that the question has."""
    shapes = {subject.name: subject.shapes for subject in map(Subject.of, test_sine.BY_HAND)}
    assert shapes["by_hand"] == {"w1": (1, 4), "w2": (4, 1)}
    assert sine.by_hand(torch.ones(3, 1), torch.ones(1, 4), torch.ones(4, 1)).shape == (3, 1)


def test_no_case_types_a_tolerance() -> None:
    """Nothing in cases/ names one."""
    words = ("tol", "approx", "allclose")
    for file in Path(test_sine.__file__).parent.glob("*.py"):
        assert not any(word in file.read_text() for word in words), file.name


def trainers(checks: set[str]) -> set[str]:
    """The names of who is asked for any of these checks in a case of training."""
    cases = [case for case in TRAINED if set(case.checks or ("final", "fit")) & checks]
    return {trainer.name for case in cases for trainer in (*case.subjects, *case.references)}


def test_every_trainer_of_the_mission_is_asked_for_its_end() -> None:
    """R nnet, R optim, SciPy's three, gradient descent by NumPy, and PyTorch's SGD, Adam and
    LBFGS.
    """
    found = trainers({"final", "fit"})
    assert {"nnet", "optim_bfgs", "scipy_bfgs", "scipy_lbfgsb", "least_squares", "descent"} <= found
    assert {"LogisticSine_sgd", "LogisticSine_adam", "LogisticSine_lbfgs"} <= found
    systems = {
        "S4",
        "biases",
        "ones",
        "S6",
        "TanhSine_adam",
        "BothBiases_adam",
        "BiasOnly_adam",
        "ExtraOnly_adam",
        "NoBias_adam",
    }
    assert systems <= found
    dual = {
        "ParallelInputs",
        "BlockDiagonal",
        "BlockDiagonalSummed",
        "SparseBlocks",
        "SparseBlocksSummed",
        "StackedHeads",
        "ConcatenatedInputs",
    }
    assert {f"{name}_adam" for name in dual} <= found


def test_every_stack_is_first_shown_to_train_as_its_module() -> None:
    """Whoever is trained as a stack in a fit has its model among the stacks judged step by step."""
    stacked = {
        t.subject.name for case in TRAINED for t in case.subjects if getattr(t, "stacked", None)
    }
    steps = [case for case in TRAINED if "step" in (case.checks or ())]
    shown = {
        t.subject.name
        for case in steps
        for t in case.subjects
        if t.stacked and t.subject in case.references
    }
    assert stacked == shown
    assert len(shown) == 7


def test_s4_ends_at_its_floor_or_dead() -> None:
    """Each of 20 starts ends within 1 % of the best line through the origin, or of y = 0; some do
    either.
    """
    case = next(case for case in TRAINED if case.name == "from S4 forwards")
    S4 = case.subjects[0]
    start = S4.starting(case.network, case.problems, 20, "float32")
    ended = S4.fit(start, "float32", "cpu", lambda said: None)
    floor = sine_training.line_through_origin(start.inputs, start.targets).value
    dead = (start.targets**2).sum((1, 2))
    at = (ended.claimed - floor) / (dead - floor)
    assert ended.finite.all()
    assert ((abs(at) < 0.01) | (abs(at - 1) < 0.01)).all()
    assert 0.3 < (at < 0.5).mean() < 0.8


def test_the_teacher_of_the_dual_head_can_be_learnt() -> None:
    """Its data are what such a network makes of them: at the teacher's parameters the loss is 0."""
    x, y = test_dual_training.taught(1)
    network = test_dual_training.SEED.network
    own = test_dual_training.TEACHER[None]
    found = numpy_net.observe(Problem("teacher", Formulation.identity(network), own, x, y)).values[
        "loss"
    ]
    assert found[0] < 1e-25
