"""The tutorials are true: each is followed to the letter, and what its commands print is what
stands there.
"""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NOT_RUN = "<!-- not run: "  # before a block, with the reason


def blocks(page: str) -> list[tuple[str, str, str]]:
    """The language of every fenced block, the line before it, and the block."""
    content = (ROOT / "docs" / page).read_text(encoding="utf-8")
    found = []
    for fence in re.finditer(r"^```(\w+)\n(.*?)^```$", content, re.DOTALL | re.MULTILINE):
        before = content[: fence.start()].rstrip().rpartition("\n")[2]
        found.append((fence[1], before, fence[2]))
    return found


@pytest.fixture
def programs(warm_python: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the programs that a tutorial calls, by the Python that has imported torch."""
    folder = tmp_path_factory.mktemp("programs")
    entries = {"pytest": "pytest:main", "nnet-parity": "nnet_parity.console:main"}
    for name, entry in entries.items():
        module, function = entry.split(":")
        code = f"import sys; from {module} import {function} as main; sys.exit(main())"
        (folder / name).write_text(f'#!/bin/sh\nexec {warm_python} -c "{code}" "$@"\n')
        (folder / name).chmod(0o755)
    (folder / "python").write_text(f'#!/bin/sh\nexec {warm_python} "$@"\n')
    (folder / "python").chmod(0o755)
    return folder


def ran(command: str, folder: Path, programs: Path) -> str:
    """What a command of a tutorial prints."""
    home = os.pathsep.join([str(programs), os.environ["PATH"]])
    env = os.environ | {"PATH": home, "COLUMNS": "80", "PYTHONPATH": str(ROOT)}
    found = subprocess.run(
        command.split(), cwd=folder, env=env, capture_output=True, text=True, timeout=300
    )
    return found.stdout + found.stderr


def shows(screen: str, expected: str) -> bool:
    """Does a screen show these lines, in this order? `...` stands for anything."""
    parts = [
        r"[\s\S]*" if line == "..." else ".*".join(map(re.escape, line.split("..."))) + r"\n"
        for line in expected.splitlines()
    ]
    return re.search("".join(parts), screen) is not None


def followed(
    page: str, folder: Path, programs: Path, changes: dict[int, list[tuple[str, str, str]]]
) -> None:
    """Write each file, run each command; before the n-th command files are changed as the page
    says.
    """
    commands = 0
    for language, before, text in blocks(page):
        if before.startswith(NOT_RUN):
            continue
        if language == "console":
            command, _, expected = text.partition("\n")
            for name, old, new in changes.get(commands, []):
                source = (folder / name).read_text()
                assert old in source
                (folder / name).write_text(source.replace(old, new))
            commands += 1
            screen = ran(command.removeprefix("$ "), folder, programs)
            assert shows(screen, expected), f"{command}\n{screen}"
        else:
            (name,) = re.findall(r"`(\w+\.\w+)`:$", before)
            (folder / name).write_text(text)


@pytest.mark.skipif(
    not shutil.which("Rscript"), reason="Rscript is not on the path: apt-get install r-base-core"
)
def test_a_model_of_nnet_and_its_port(tmp_path: Path, programs: Path, live_r: None) -> None:
    """From fit.R to the verdict: a bias read last and a wrong scaling are found, and mended."""
    mended = [
        ("hidden[:, :2]", "hidden[:, 1:]"),
        ("hidden[:, 2]", "hidden[:, 0]"),
        ("out[:4]", "out[1:]"),
        ("out[4]", "out[0]"),
    ]
    bias_first = [("my_port.py", old, new) for old, new in mended]
    sample = [("my_port.py", "rows.std(axis=0)", "rows.std(axis=0, ddof=1)")]
    followed("from-r.md", tmp_path, programs, {3: bias_first, 4: sample})


def test_a_prototype_in_numpy_and_its_port(tmp_path: Path, programs: Path) -> None:
    """Both pass, and a prototype that is wrong is told from a port that is."""
    wrong = ("prototype.py", "e = 2 * r @", "e = r @")
    followed("from-numpy.md", tmp_path, programs, {1: [wrong]})


@pytest.mark.skipif(
    not shutil.which("Rscript"), reason="Rscript is not on the path: apt-get install r-base-core"
)
def test_a_jax_model_and_an_export_to_onnx(tmp_path: Path, programs: Path, live_r: None) -> None:
    """Both pass against live R, and a wrong activation in JAX is named."""
    for name, extra in (("jax", "jax"), ("onnxruntime", "onnx"), ("onnxscript", "onnx")):
        pytest.importorskip(name, reason=f"{name} is missing: pip install nnet-parity[{extra}]")
    wrong = ("net.py", "jnp.tanh(", "jax.nn.sigmoid(")
    right = ("net.py", "jax.nn.sigmoid(", "jnp.tanh(")
    followed("foreign.md", tmp_path, programs, {1: [wrong], 2: [right]})
