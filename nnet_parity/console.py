"""The console script `nnet-parity`."""

from __future__ import annotations

import shlex
import sys

from nnet_parity.names import OURS, explain_shadowing


def main() -> int:
    """Run the command line of `harness.cli` and return its exit code.

    If `harness` is another package, or a package is missing, print a sentence and return 2.
    """
    sentence = ""
    for name in OURS:
        sentence = sentence or explain_shadowing(name)
    try:
        if not sentence:
            from harness.cli import main as command

            return command()
    except ModuleNotFoundError as error:
        line = shlex.join([sys.executable, "-m", "pip", "install", str(error.name)])
        sentence = f"{error}. This mends it: {line}"
    print(f"nnet-parity: {sentence}", file=sys.stderr)
    return 2
