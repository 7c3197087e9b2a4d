"""Correct PyTorch models on a device, in every style of the selfcheck: is any of them flagged?

usage: python -m tests.selfcheck.on_device [--device cuda] [--seconds N] [--out FILE]

Random networks and wide ones are asked in float64 and float32, with TF32 switched off. Writes what
was found as JSON. Exit code: 0; 1 where a correct model was flagged; 2 where the device is not
here.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from time import perf_counter
from typing import Any

from harness.model.devices import kind_of, lacking
from harness.reporting.environment import environment
from tests.selfcheck.corpus import cases, wide
from tests.selfcheck.selfcheck import WIDE_EVERY, Alarms
from tests.selfcheck.styles import torch_styles


def check_device(device: str, seconds: float) -> Alarms:
    """Judge every style on random networks for about so long; every eighth time on a wide one."""
    alarms, styles = Alarms(), torch_styles(device)
    started = perf_counter()
    wide_problems = wide(seed=0)
    for number, case in enumerate(cases(seed=0)):
        for problem in case.problems:
            alarms.judge_styles(problem, styles)
        if number % WIDE_EVERY == 0:
            before = alarms.networks
            alarms.judge_styles(next(wide_problems), styles)
            alarms.wide += alarms.networks - before
        print(
            f"\r{device}: {alarms.networks:,} networks, {alarms.elements:,} elements,"
            f" {alarms.false} false alarms",
            end="",
            file=sys.stderr,
            flush=True,
        )
        if perf_counter() - started > seconds:
            break
    print(file=sys.stderr)
    return alarms


def describe(alarms: Alarms, device: str, seconds: float) -> dict[str, Any]:
    """Return what the file holds."""
    import torch

    name = torch.cuda.get_device_name(device) if device.startswith("cuda") else ""
    return {
        "environment": environment(),
        "device": device,
        "device_name": name,
        "seconds": round(seconds, 1),
        "networks": alarms.networks,
        "wide_networks": alarms.wide,
        "elements": alarms.elements,
        "false_alarms": alarms.false,
        "largest_share_of_a_bound": alarms.largest,
    }


def main(arguments: list[str] | None = None) -> int:
    """See above."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--device", default="cuda", help="cuda, cuda:N or cpu (default: cuda)")
    parser.add_argument("--seconds", type=float, default=180.0, help="about (default: 180)")
    parser.add_argument("--out", type=Path, default=Path("build/gpu/styles.json"), metavar="FILE")
    given = parser.parse_args(arguments)
    if why := lacking(given.device):
        print(f"on_device: {why}", file=sys.stderr)
        return 2
    started = perf_counter()
    with kind_of(given.device).hold_precision(given.device, ""):
        alarms = check_device(given.device, given.seconds)
    found = describe(alarms, given.device, perf_counter() - started)
    given.out.parent.mkdir(parents=True, exist_ok=True)
    given.out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    print(f"{alarms.networks:,} networks, {alarms.false} false alarms: {given.out}")
    return 1 if alarms.false else 0


if __name__ == "__main__":
    sys.exit(main())
