"""Text from outside, so that it is only text wherever it is shown."""

import re

DRIVING = r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"


def printable(text: str) -> str:
    """Text that drives nothing that shows it: no terminal, no direction of writing, no log of GitHub's.

    Without control characters, and without halves of characters.
    """
    text = re.sub(DRIVING, "", text)
    return re.sub(r"(?m)(^[^\S\n]*:|##)(?=[:\[])", r"\1 ", text)  # how GitHub's runner knows a command


def one_line(text: str) -> str:
    """The same, on one line."""
    return printable(" ".join(text.splitlines()))
