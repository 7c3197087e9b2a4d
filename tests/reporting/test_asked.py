"""What was asked, in sentences."""

from harness.core.report import Asked, Report, Sizes
from harness.reporting.asked import describe_not_asked, list_asked, summarise_asked
from tests.conftest import Approved

INPUTS = {"inputs": Sizes(2.0**-19, 2.0**20, True), "weights": Sizes(0.25, 1.5, False)}
SMALL = Asked(12, (5,), {"weights": Sizes(0.25, 1.5, False)})
FULL = Asked(83, (1, 5, 1_377), INPUTS, ("a deep copy", "strided inputs"))


def make_report(**asked: Asked) -> Report:
    """A report that tells nothing else."""
    return Report({}, [], asked=asked)


def test_what_was_asked_and_what_was_not(approved: Approved) -> None:
    """Cases that were asked the same stand together; the screen tells it of one case alone."""
    reports = {
        "one": make_report(sine=FULL),
        "few": make_report(sine=SMALL),
        "same": make_report(sine=FULL, dual=FULL),
        "two": make_report(sine=FULL, dual=SMALL),
        "none": make_report(),
    }
    said = []
    for name, report in reports.items():
        said.append(f"{name}: {summarise_asked(report) or 'nothing'}")
        for cases, sentences in list_asked(report).items():
            said += [f"  {cases}", *(f"    {sentence}" for sentence in sentences)]
        said.append(f"  {describe_not_asked(report) or 'nothing'}")
    approved(said)
