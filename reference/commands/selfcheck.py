"""The command `nnet-parity selfcheck`: runs tests/selfcheck/selfcheck.py, which only a checkout
has.
"""

import os
import subprocess
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "tests" / "selfcheck" / "selfcheck.py"


def selfcheck(parser: ArgumentParser) -> Callable[[Namespace], int]:
    """measure what the judge can be trusted with, on itself

    Judges correct implementations in many styles on random networks, plants every fault of the
    catalogue at every size, in the equations and in PyTorch modules, and lets published rules judge
    the same numbers. Writes build/selfcheck.json and, beside it, a chart of it; a report in build/
    shows both.

    Exit code: 0; 1 if something correct was flagged; 2 if this is not a checkout of nnet-parity.
    """
    parser.add_argument(
        "--seconds", type=float, default=300.0, help="about what it may take (default: 300)"
    )
    parser.add_argument(
        "--out", default="build/selfcheck.json", metavar="FILE", help="default: %(default)s"
    )
    return _selfcheck


def _selfcheck(given: Namespace) -> int:
    if not SCRIPT.exists():
        raise ValueError(
            f"the selfcheck needs a checkout of nnet-parity, and {SCRIPT} is not there: clone it"
        )
    command = [sys.executable, "-m", "tests.selfcheck.selfcheck"]
    command += ["--seconds", str(given.seconds), "--out", given.out]
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")]))
    return subprocess.run(command, env=os.environ | {"PYTHONPATH": path}).returncode
