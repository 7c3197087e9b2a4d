"""How many evaluations a turn has: found by several measurements, of which the shortest counts."""

import itertools

from harness.racing.calibration import MOST, TURN, calibrate


def test_a_turn_takes_about_as_long_as_asked() -> None:
    """Whatever one evaluation takes; one that takes longer than a turn is a turn."""
    for each in (1e-7, 3e-5, 0.9e-3, 1.0):
        count = calibrate(lambda count, each=each: each * count)
        assert count == 1 or TURN <= count * each < TURN + each
    assert calibrate(lambda count: 1.0) == 1


def test_no_single_measurement_decides() -> None:
    """Most measurements are disturbed, the first of all; the undisturbed one of each three counts.
    One measurement alone would set a count that is 30 times too small.
    """
    slower = itertools.cycle([30.0, 1.0, 20.0])
    count = calibrate(lambda count: 1e-4 * count * next(slower))
    assert count == TURN / 1e-4


def test_a_clock_that_stands_still_ends() -> None:
    """Nothing can be timed; there is a largest count."""
    assert calibrate(lambda count: 0.0) == MOST
