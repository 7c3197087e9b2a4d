#!/bin/sh
# The cases and tests under other Pythons, each in an environment and a clone of its own, which are removed again.
# usage: tests/project/machines.sh PYTHON...            e.g. tests/project/machines.sh python3.11 python3.12 python3.13
#        OLDEST=1 tests/project/machines.sh PYTHON...   the oldest of every package that pyproject.toml allows (several gigabytes)
# Further arguments of pytest go into PYTEST, e.g. PYTEST="tests -k doctor". Takes ten minutes for each.
set -eu
checkout=$(cd "$(dirname "$0")/.." && pwd)
export RPY2_CFFI_MODE=ABI PIP_DISABLE_PIP_VERSION_CHECK=1
failed=
for python in "$@"; do
    home=$(mktemp -d -t machines.XXXXXX)
    git clone -q "$checkout" "$home/project"
    cd "$home/project"
    if [ "${OLDEST:-}" ]; then # what R needs of rpy2 depends on R, not on us
        "$python" - > "$home/pins" <<'PINS'
import re, tomllib
project = tomllib.load(open("pyproject.toml", "rb"))["project"]
extras = project["optional-dependencies"]
for line in [*project["dependencies"], *extras["audit"], *extras["checkpoints"], *extras["notebook"], *extras["test"]]:
    if oldest := re.match(r"([\w-]+)>=([\d.]+)", line):
        print(f"{oldest[1]}=={oldest[2]}")
PINS
        sed -n 's/^\(rpy2[a-z-]*==[^ ]*\).*/\1/p' requirements.txt >> "$home/pins"
        echo "pyparsing<3.3" >> "$home/pins" # the oldest matplotlib calls it in ways that it deprecates since
    else
        sed -n 's/^\([a-zA-Z0-9._-]*==[^ ]*\).*/\1/p' requirements.txt > "$home/pins" # without hashes: pip takes none for a checkout
    fi
    "$python" -m venv "$home/venv"
    "$home/venv/bin/python" -m pip install -q -c "$home/pins" 'setuptools>=77' -e '.[r,test]'
    "$home/venv/bin/nnet-parity" doctor
    # shellcheck disable=SC2086
    "$home/venv/bin/python" -m pytest -q -m "not compile" ${PYTEST:-cases tests} || failed="$failed $python"
    cd /
    rm -rf "$home"
done
[ -z "$failed" ] || { echo "failed under:$failed" >&2; exit 1; }
