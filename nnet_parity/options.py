"""Defines the plugin's options, and reads them from the command line, the environment and the ini
file.
"""

from __future__ import annotations

import os
from contextlib import suppress

import pytest

GROUP = "nnet-parity"
R_MODES = ("auto", "live", "recorded")
FEWEST_STARTS = 2
R_SWITCH = "NNET_PARITY_R"  # in the environment: as --parity-r
DEVICES = "NNET_PARITY_DEVICES"  # in the environment: as --parity-device, separated by spaces
DEADLINES = ("r-deadline", "training-deadline")  # in the environment: NNET_PARITY_R_DEADLINE, ...


def add_options(parser: pytest.Parser) -> None:
    """Define the options of the command line and of the ini file."""
    group = parser.getgroup(GROUP, "nnet-parity: cross-framework verification")
    group.addoption(
        "--parity-device",
        action="append",
        default=[],
        metavar="cpu|cuda|cuda:N",
        help=(
            "judge on this device; may be repeated (default: the devices of this machine). ini:"
            " parity_devices"
        ),
    )
    group.addoption(
        "--parity-require-device",
        metavar="DEVICE",
        help="judge on this device, and stop at once if it is missing",
    )
    group.addoption(
        "--parity-r",
        metavar="|".join(R_MODES),
        help=(
            "who answers for R: R, else its recordings (auto, the default); R alone; its recordings"
            " alone. ini: parity_r"
        ),
    )
    group.addoption(
        "--parity-speed",
        action="store_true",
        help="run races too: tests that use the fixture `raced`",
    )
    group.addoption(
        "--parity-starts",
        metavar="N",
        help=(
            "number of starts on which trainers are judged (default: 20; more starts separate"
            " shares better). ini: parity_starts"
        ),
    )
    group.addoption(
        "--parity-r-deadline",
        metavar="SECONDS",
        help=(
            "CPU time that R may take for one ask; larger asks get more in proportion (default:"
            " 60). ini: parity_r_deadline"
        ),
    )
    group.addoption(
        "--parity-training-deadline",
        metavar="SECONDS",
        help=(
            "CPU time after which the training of a PyTorch model is stopped (default: 120). ini:"
            " parity_training_deadline"
        ),
    )
    group.addoption(
        "--parity-baseline",
        metavar="FILE",
        help="results.json of an older run: show what got worse, and fail",
    )
    group.addoption(
        "--parity-keep",
        metavar="DIR",
        help=(
            "keep the results of this run in a folder, which holds those of the newest 100 runs,"
            " and show their trend. ini: parity_keep"
        ),
    )
    group.addoption(
        "--parity-report-dir",
        metavar="DIR",
        help="folder of the report (default: build/report). ini: parity_report_dir",
    )
    group.addoption(
        "--parity-ahead",
        action="store_true",
        help=(
            "also train PyTorch models in a fork of this process, while trials are judged here;"
            " what their training prints or counts is lost. ini: parity_ahead"
        ),
    )
    parser.addini(
        "parity_devices",
        "devices to judge on, as --parity-device takes them",
        type="args",
        default=[],
    )
    parser.addini("parity_r", "who answers for R, as --parity-r takes it", default="auto")
    parser.addini("parity_starts", "number of starts, as --parity-starts takes it", default="20")
    parser.addini("parity_r_deadline", "CPU time of R, as --parity-r-deadline takes it", default="")
    parser.addini(
        "parity_training_deadline",
        "CPU time of training, as --parity-training-deadline takes it",
        default="",
    )
    parser.addini(
        "parity_report_dir",
        "folder of the report, as --parity-report-dir takes it",
        default="build/report",
    )
    parser.addini("parity_keep", "folder of kept results, as --parity-keep takes it", default="")
    parser.addini(
        "parity_ahead", "train models ahead, as --parity-ahead does", type="bool", default=False
    )
    parser.addini("nnet_parity_devices", "the old name of parity_devices", type="args", default=[])


def get_r_mode(config: pytest.Config) -> str:
    """Return the source of R's answers, one of R_MODES, from the command line, the environment or
    the ini file.
    """
    given = config.getoption("--parity-r") or os.environ.get(R_SWITCH) or config.getini("parity_r")
    if given not in R_MODES:
        raise pytest.UsageError(
            f"--parity-r {given} (or {R_SWITCH} in the environment): expected {', '.join(R_MODES)}"
        )
    return str(given)


def get_starts(config: pytest.Config) -> int:
    """Return the number of starts (initial parameters) of each trainer, from the command line or
    the ini file.
    """
    given = str(config.getoption("--parity-starts") or config.getini("parity_starts"))
    if not given.isdigit() or int(given) < FEWEST_STARTS:
        raise pytest.UsageError(
            f"--parity-starts {given}: expected a whole number, at least {FEWEST_STARTS}"
        )
    return int(given)


def get_keep(config: pytest.Config) -> str:
    """Return the folder of kept results, from the command line or the ini file; "" for none."""
    given = str(config.getoption("--parity-keep") or config.getini("parity_keep"))
    if given.endswith(".py") and os.path.isfile(given):
        raise pytest.UsageError(
            f"--parity-keep {given}: that is a test file, expected a folder, and then the tests"
        )
    return given


def get_seconds(config: pytest.Config, name: str) -> float | None:
    """Return the seconds of the option --parity-`name`, from the command line, the environment or
    the ini file.

    Returns None if it is not given; then the default applies. An error names the option, variable
    or ini setting with a wrong value.
    """
    option, key = f"--parity-{name}", f"parity_{name.replace('-', '_')}"
    switch = f"NNET_{key.upper()}"
    given = {
        option: config.getoption(option),
        f"{switch} (in the environment)": os.environ.get(switch),
        f"{key} (in the ini file)": config.getini(key),
    }
    for source, text in given.items():
        if not text:
            continue
        with suppress(ValueError):
            seconds = float(text)
            if seconds > 0:
                return seconds
        raise pytest.UsageError(f"{source} {text}: expected seconds, a number larger than 0")
    return None
