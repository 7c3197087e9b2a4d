"""What a network of ordinary size takes: 784-128-10 with default probes in float64 and float32, by
a pytest of its own.

usage: python tests/selfcheck/size.py

For logistic and tanh hidden units against NumPy, then against live R, and for one whose hidden bias
is left out: CPU seconds and the largest memory of the whole pytest; and the seconds that R itself
takes for its answers. Then what small networks take in large stacks: NumPy's reference, in CPU
microseconds a problem.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from time import perf_counter, process_time

import test_size

from harness.core.formulation import Formulation
from harness.reporting.environment import limit_threads
from reference import Network, numpy_net, probes, r_nnet

ROOT = Path(__file__).parents[2]
FILE = """\
import torch
from torch import nn

from harness import Case, verify
from reference import Network, numpy_net, probes, r_nnet
{model}
NETWORK = Network(784, 128, 10, "{activation}")
test_digits = verify(Case("digits", NETWORK, [Digits], [{reference}], probes(seed=0)))
"""


def measured(activation: str, reference: str, bias: bool = True) -> str:
    """CPU seconds, memory and outcome of a run."""
    model = test_size.DIGITS.format(bias=bias)
    model = model if activation == "logistic" else model.replace("torch.sigmoid", "torch.tanh")
    with tempfile.TemporaryDirectory() as folder:
        text = FILE.format(model=model, activation=activation, reference=reference)
        Path(folder, "test_digits.py").write_text(text, encoding="utf-8")
        environment = os.environ | {"PYTHONPATH": str(ROOT)}
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_digits.py"]
        process = subprocess.Popen(
            command, cwd=folder, env=environment, stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        last = process.stdout.read().strip().splitlines()[-1]
        _, _, used = os.wait4(process.pid, 0)
        scripts = [path.stat().st_size for path in Path(folder).rglob("reproducers/*/*.py")]
    seconds, gigabytes = used.ru_utime + used.ru_stime, used.ru_maxrss * 1024 / 2**30
    said = f", scripts of at most {max(scripts):,} bytes" if scripts else ""
    return f"{seconds:.1f} CPU-s, {gigabytes:.2f} GiB: {last}{said}"


def in_r(activation: str) -> float:
    """Seconds that R takes for the answers to all stacks, without the start of R."""
    stacks = probes(seed=0)(Formulation.identity(Network(784, 128, 10, activation)))
    r_nnet.observe(stacks[-1])
    began = perf_counter()
    for problem in stacks:
        assert r_nnet.observe(problem).missing is None
    return perf_counter() - began


def by_numpy(network: Network, rows: int, draws: int) -> float:
    """CPU microseconds that NumPy's reference takes for a problem, the best of five."""
    [problem] = probes(draws=draws, rows=rows, kinds=["random"])(Formulation.identity(network))
    times = []
    for _ in range(5):
        began = process_time()
        numpy_net.observe(problem)
        times.append(process_time() - began)
    return min(times) / draws * 1e6


def main() -> None:
    """Measure and print."""
    for activation in ("logistic", "tanh"):
        for reference in ("numpy_net", "r_nnet"):
            print(
                f"{activation} against {reference}: {measured(activation, reference)}", flush=True
            )
        print(f"{activation}: R itself takes {in_r(activation):.1f} s for all stacks", flush=True)
    print(f"hidden bias left out: {measured('logistic', 'numpy_net', bias=False)}", flush=True)
    limit_threads()
    for network, rows in ((Network(1, 4, 1, "logistic"), 50), (Network((5, 5), 10, (5, 5)), 2)):
        each = (
            f"{by_numpy(network, rows, draws):.1f} µs at {draws:,} draws"
            for draws in (1_024, 16_384)
        )
        print(f"NumPy, {network.sentence()}, {rows} rows: {', '.join(each)}", flush=True)


if __name__ == "__main__":
    main()
