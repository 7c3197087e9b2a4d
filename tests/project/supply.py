"""Writes requirements.txt, with a hash for each file that pip may install, and docs/sbom.json.

usage: python -m tests.project.supply [--upgrade]

uv resolves what pyproject.toml asks for, on all platforms; the versions that requirements.txt names
stay, or with --upgrade become the newest. Which versions have to stay in any case, and why, stands
in STAY; requirements-cpu.txt is written by hand. cyclonedx-py takes the licences from .venv: run
run.py first, and after an upgrade once more. Both tools come into a temporary environment.
"""

import argparse
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
PINS = ROOT / "requirements.txt"
SBOM = ROOT / "docs" / "sbom.json"
TOOLS = ("uv==0.13.9", "cyclonedx-bom==7.5.0")
# An open range of torch takes the newest CUDA build of several gigabytes; rpy2-rinterface 3.6.6 and
# newer need R 4.5, 3.6.5 serves R 4.2 to 4.6, and the other two belong to it.
STAY = ("torch", "rpy2", "rpy2-rinterface", "rpy2-robjects")
HEAD = """\
# Exact versions for Python 3.11 and newer, and the hashes of their files: run.py installs them
# (pyproject.toml stays wide), and torch from requirements-cpu.txt if pip finds that build.
# Written by: python -m tests.project.supply
"""
PIN = re.compile(r"^([\w.-]+)==([\w.]+)", re.MULTILINE)


def read_pins(text: str) -> dict[str, str]:
    """Return the versions by name."""
    return {name.lower(): version for name, version in PIN.findall(text)}


def compile_pins(tools: Path, upgrade: bool) -> str:
    """Let uv resolve pyproject.toml, and return requirements.txt."""
    old = read_pins(PINS.read_text(encoding="utf-8"))
    kept = [f"{name}=={version}" for name, version in old.items() if name in STAY or not upgrade]
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
        file.write("\n".join(kept))
        file.flush()
        command = [tools / "uv", "pip", "compile", "pyproject.toml", "--all-extras"]
        command += ["--universal", "--python-version", "3.11", "--generate-hashes"]
        command += ["--no-header", "--no-annotate", "--quiet", "--no-config", "-c", file.name]
        text = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True)
    return HEAD + text.stdout


def list_components(tools: Path, pins: str) -> list[dict[str, Any]]:
    """Return a component of CycloneDX for each pin, with its licence.

    The licence is that which .venv tells, or the older list if .venv lacks the package or tells
    none: one with torch's build for CUDA has more packages than one without, and appnope is for
    macOS alone.
    """
    command = [tools / "cyclonedx-py", "environment", ROOT / ".venv", "--output-reproducible"]
    found = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    licences: dict[str, list[dict[str, Any]]] = {}
    for component in json.loads(SBOM.read_text(encoding="utf-8"))["components"]:
        licences[component["name"]] = component["licenses"]
    for component in found["components"]:
        name = re.sub(r"[-_.]+", "-", component["name"]).lower()
        licences[name] = component.get("licenses") or licences.get(name, [])
    components = []
    for name, version in read_pins(pins).items():
        component = {"type": "library", "name": name, "version": version}
        component["bom-ref"] = component["purl"] = f"pkg:pypi/{name}@{version}"
        components.append(component | {"licenses": simplify(licences.get(name, []))})
    return components


def simplify(licences: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return licences without the texts that some packages carry."""
    simple: list[dict[str, Any]] = []
    for each in licences:
        if "expression" in each:
            simple.append({"expression": each["expression"]})
        else:
            known = {key: each["license"][key] for key in ("id", "name") if key in each["license"]}
            simple.append({"license": known})
    return simple


def make_sbom(components: list[dict[str, Any]]) -> str:
    """Return the bill of materials, as JSON of CycloneDX 1.6."""
    ours = {"type": "application", "name": "nnet-parity", "bom-ref": "nnet-parity"}
    ours["licenses"] = [{"license": {"id": "MIT"}}]
    bom = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": ours},
        "components": components,
        "dependencies": [
            {"ref": "nnet-parity", "dependsOn": [each["bom-ref"] for each in components]}
        ],
    }
    return json.dumps(bom, indent=1) + "\n"


def main() -> None:
    """Write both files."""
    parser = argparse.ArgumentParser(description="Write requirements.txt and docs/sbom.json.")
    parser.add_argument("--upgrade", action="store_true", help="take the newest versions")
    upgrade = parser.parse_args().upgrade
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        tools = Path(folder, "bin")
        subprocess.run([tools / "python", "-m", "pip", "install", "-q", *TOOLS], check=True)
        pins = compile_pins(tools, upgrade)
        PINS.write_text(pins, encoding="utf-8")
        SBOM.write_text(make_sbom(list_components(tools, pins)), encoding="utf-8")


if __name__ == "__main__":
    main()
