"""Chooses names for scripts: short, unique, and the same in every run."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import sha256

from harness.judging.cache import Cache
from harness.judging.case import Trial
from harness.judging.store import Key
from harness.text.harmless import exact

MOST_LETTERS = 80  # of a file's name
LETTERS = re.compile(r"[^A-Za-z0-9_]+")  # that a name does not have


@dataclass
class Taken:
    """The file names of scripts that this process has written, each with its trial: (case, id)."""

    names: dict[str, tuple[str, str]] = field(default_factory=dict)


@dataclass(frozen=True)
class TakenNames(Key[Taken]):
    """Cache key for the names of the scripts of all cases."""


def choose_name(trial: Trial, cache: Cache) -> str:
    """Return the shortest unused file name for a trial's script."""
    taken = cache.across_cases.get_or_make(TakenNames(), Taken).names
    this = trial.case.name, trial.id
    for name in [*_list_short(trial), file_name(trial)]:
        if taken.setdefault(name, this) == this:
            return name
    return file_name(trial)


def _list_short(trial: Trial) -> Iterator[str]:
    """Yield names without the parts that are the same in most trials.

    If a name has letters that no file's name should have, other than blanks, a digest of it is
    added: another process may write a script of a name that differs in these letters only.
    """
    case, subject = trial.case, trial.subject.name
    whose = [case.name] if len(case.subjects) == 1 else [case.name, subject]
    for rest in ([trial.check], [trial.device, trial.dtype, trial.check]):
        whole = "-".join([*whose, *rest]).replace(" ", "-")
        plain = LETTERS.sub("-", whole).strip("-")
        if plain != whole:
            plain += f"-{_digest(whole)}"
        if len(plain) <= MOST_LETTERS:
            yield f"{plain}.py"


def file_name(trial: Trial) -> str:
    """Return a unique file name for a trial's script, safe for any names of the case and the
    subject.

    It contains the reference's name, unless that is the first reference of the case.
    """
    subject, reference = trial.subject.name, exact(trial.against)
    parts = [trial.case.name, subject, trial.device, trial.dtype, trial.check]
    dashes = "-" in subject
    if reference != trial.case.references[0].name:
        parts.append(reference)
        dashes = dashes or "-" in reference
    whole, newline = "-".join(parts), "\n"
    plain = LETTERS.sub("-", whole).strip("-")
    if plain == whole and len(plain) <= MOST_LETTERS and not dashes:
        return f"{plain}.py"
    return f"{plain[:MOST_LETTERS]}-{_digest(newline.join(parts))}.py"


def _digest(text: str) -> str:
    """Return eight hexadecimal digits of a text's SHA-256."""
    return sha256(text.encode(errors="surrogatepass")).hexdigest()[:8]
