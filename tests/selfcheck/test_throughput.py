"""The commands that measure the cost of a case count what they say."""

import numpy as np
import pytest

from reference import Network, probes
from tests.selfcheck.growth import find_slope
from tests.selfcheck.throughput import NAMES, Clocked, Net, time_beside


def test_a_problem_is_a_draw_in_a_dtype() -> None:
    """Both dtypes of three draws are six problems; the subject's time is not in the seconds."""
    network = Network(2, 3, 1, "tanh")
    subject = Clocked(lambda: Net(network), "net", NAMES)
    seconds, count = time_beside(network, subject, probes(draws=3, kinds=["random"]))
    assert count == 6
    assert seconds > 0
    assert subject.seconds > 0


@pytest.mark.parametrize("power", [0.5, 1, 2])
def test_a_slope_is_the_power_by_which_cost_grows(power: float) -> None:
    """Of the larger half of the sizes: the smaller ones cost what a case does once."""
    sizes = [1, 10, 100, 1000]
    seconds = [7.0, *np.array(sizes[1:], dtype=float) ** power]
    assert find_slope(sizes, seconds) == pytest.approx(power)
