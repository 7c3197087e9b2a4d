"""Sizes of a network in the notation of R's print(): "1-4-1", with several groups or heads
"5+3-10-4+2".
"""

import re
from collections.abc import Sequence

from harness.text.harmless import one_line

AS_IN_R = "the sizes as R's print(fit) shows them, inputs-hidden-outputs: 1-4-1"
GROUPS = r"[1-9]\d*(?:\+[1-9]\d*)*"
SIZES = re.compile(rf"({GROUPS})-(\d+)-({GROUPS})")
Sizes = tuple[tuple[int, ...], int, tuple[int, ...]]


def parse_sizes(text: str) -> Sizes:
    """Return the widths of the groups of inputs, the hidden units, and the widths of the heads.

    Raises ValueError, in a sentence, for a text of another form.
    """
    found = SIZES.fullmatch(text.strip())
    if found:
        inputs, hidden, outputs = found.groups()
        return _widths(inputs), int(hidden), _widths(outputs)
    said = one_line(text)[:40]
    numbers = re.findall(r"\d+", text)
    if len(numbers) > 3 and "+" not in text:
        raise ValueError(
            f"--nnet {said} has {len(numbers)} layers, expected inputs-hidden-outputs: R's nnet has"
            " one hidden layer (write Equations(...) for more, see docs/references.md)"
        )
    if len(numbers) == 3:
        proposed = "-".join(numbers)
        raise ValueError(f"--nnet {said} is not understood, expected --nnet {proposed}")
    raise ValueError(f"--nnet {said} is not understood, expected {AS_IN_R}")


def show_sizes(inputs: Sequence[int], hidden: int, outputs: Sequence[int]) -> str:
    """Return sizes as a text: "5+3-10-4+2"."""
    return f"{'+'.join(map(str, inputs))}-{hidden}-{'+'.join(map(str, outputs))}"


def _widths(text: str) -> tuple[int, ...]:
    return tuple(map(int, text.split("+")))
