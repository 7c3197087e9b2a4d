"""A failure is told without packages that take longer to import than torch."""

import subprocess
from pathlib import Path

from torch.utils._python_dispatch import TorchDispatchMode

from harness.model.late import DYNAMO, import_dynamo_late

ROOT = Path(__file__).parents[2]
FAILS = """
import sys
import torch
from torch import nn
from harness import Case, check
from reference import Network, numpy_net, probes

few = probes(seed=0, draws=2)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.hidden, self.out = nn.Linear(1, 4), nn.Linear(4, 1)

    def forward(self, x):
        return self.out(torch.relu(self.hidden(x)))


case = Case("sine", Network(1, 4, 1, "logistic"), [Net], [numpy_net], few)
result = check(case, progress=False)
print({verdict.status.name for verdict in result.verdicts})
print({"torch._dynamo", "sympy"} & set(sys.modules))
print("addmm in out (mine.py:" in str(result))
"""


def test_a_failure_imports_no_compiler(warm_python: str, tmp_path: Path) -> None:
    """Its operations are recorded, with the user's lines, and differentiated; nothing is
    compiled.
    """
    (tmp_path / "mine.py").write_text(FAILS)
    told = subprocess.run(
        [warm_python, "mine.py"], cwd=tmp_path, capture_output=True, text=True, timeout=120
    )
    assert told.stdout == "{'FAIL'}\nset()\nTrue\n", told.stderr


def test_once_it_is_imported_a_mode_is_kept_out_of_it() -> None:
    """As torch does: its wrapper takes over at the second call."""
    import torch

    calls = []

    class Mode(TorchDispatchMode):
        def __torch_dispatch__(self, called, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
            calls.append(called)
            return called(*args, **(kwargs or {}))

    mode = import_dynamo_late(Mode)
    import torch._dynamo

    inside = mode.__torch_dispatch__.__wrapped__
    first = inside.__dynamo_disable
    with mode():
        torch.ones(2) + 1
    assert torch._dynamo.__name__ == DYNAMO
    assert inside.__dynamo_disable is not first
    assert len(calls) > 1
