"""R's startup files and variables, which a user's R reads and the worker does not."""

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from harness.text.reading import read_regular

MOST_BYTES = 1 << 20  # of a startup file: people write them by hand
# Of the variables that change how R starts and computes, those that say where R and its packages
# are reach the worker.
KEPT = ("R_HOME", "R_LIBS", "R_LIBS_SITE", "R_LIBS_USER", "R_LD_LIBRARY_PATH", "R_ARCH")
# the variable that names a startup file, the site's default below R's home, and the user's
SITE_FILES = {"R_ENVIRON": "etc/Renviron.site", "R_PROFILE": "etc/Rprofile.site"}
USER_FILES = {"R_ENVIRON_USER": ".Renviron", "R_PROFILE_USER": ".Rprofile"}


def split_variables(environment: Mapping[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    """Return the environment variables that the worker gets, and R's variables that it does not
    get.
    """
    passed_on, left_out = {}, {}
    for name, value in environment.items():
        if name.startswith(("R_", "_R_")) and name not in KEPT:
            left_out[name] = value
        else:
            passed_on[name] = value
    return passed_on, left_out


def find_startup_files(home: str) -> list[str]:
    """Return the startup files with settings that R would read here; `home` is R's home, or ""."""
    files = []
    for variable, name in SITE_FILES.items():
        default = [Path(home, name)] if home else []
        files += _find_first(variable, default)
    for variable, name in USER_FILES.items():
        files += _find_first(variable, [Path(name).absolute(), Path("~", name).expanduser()])
    return files


def _find_first(variable: str, defaults: list[Path]) -> list[str]:
    """Return the path named by the environment variable or else the first of the `defaults` that
    exists, as a list of one. The list is empty if there is none, or if the default file has no
    settings.
    """
    if name := os.environ.get(variable):
        return [f"{name} ({variable})"]
    for path in defaults:
        with suppress(OSError, RuntimeError):
            if path.exists():
                return [str(path)] if has_settings(path) else []
    return []


def has_settings(path: Path) -> bool:
    """Does a startup file have a line other than comments and empty lines? Raises OSError.

    Anything but a file of usual size is not read, and counts as one with settings.
    """
    try:
        lines = read_regular(path, MOST_BYTES).decode(errors="replace").splitlines()
    except ValueError:
        return True
    return any(line.strip() and not line.strip().startswith("#") for line in lines)
