"""docs/references.md tells the truth: its code runs as it stands, and what it says of operations is
there.
"""

import re
from pathlib import Path

from reference.mathematics.tape import Tape
from tests.conftest import Approved, Mine, screen_of, unfolded

TEXT = (Path(__file__).parents[2] / "docs/references.md").read_text(encoding="utf-8")
EQUATIONS, STATED = re.findall(r"```python\n(.*?)```\n", TEXT, re.DOTALL)


def test_the_network_with_two_hidden_layers_passes_as_it_stands(mine: Mine) -> None:
    """Outputs, loss and gradients in both dtypes."""
    (mine.pytester.path / "test_mine.py").write_text(EQUATIONS)
    mine.pytest().assert_outcomes(passed=8)


def test_a_wrong_activation_fails_where_it_is_seen_first(mine: Mine, approved: Approved) -> None:
    """The logistic in place of the second tanh: the outputs are outside."""
    wrong = EQUATIONS.replace("nn.Tanh(), nn.Linear(6, 2)", "nn.Sigmoid(), nn.Linear(6, 2)")
    (mine.pytester.path / "test_mine.py").write_text(wrong)
    mine.pytest("-k", "float64 and gradient and not input").assert_outcomes(failed=1)
    approved((verdict["why"] for verdict in mine.results()["verdicts"]), mask_figures=True)


def test_the_export_passes_as_it_stands(mine: Mine, approved: Approved) -> None:
    """Against NumPy and what is stated, after the block before it."""
    (mine.pytester.path / "test_mine.py").write_text(EQUATIONS + STATED)
    result = mine.pytest("-k", "export")
    result.assert_outcomes(passed=4)
    approved(unfolded(screen_of(result)), mask_figures=True)


def test_every_operation_is_in_the_table() -> None:
    """And nothing else."""
    told = set(
        re.findall(
            r"`m\.(\w+)\(",
            TEXT[TEXT.index("| operation |") : TEXT.index("A block that is used twice")],
        )
    )
    helpers = {"leaf", "spread", "weigh", "slopes"}  # what `evaluate` and `Network` use
    assert told == {name for name in vars(Tape) if not name.startswith("_")} - helpers
