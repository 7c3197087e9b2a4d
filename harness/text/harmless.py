"""Make text from outside harmless before it is shown."""

import re
from collections.abc import Callable

DRIVING = r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"


def printable(text: str) -> str:
    """Return a copy of a text without characters that could control a terminal, the direction of
    writing or GitHub's log.

    Control characters and unpaired surrogates (halves of characters) are left out.
    """
    text = re.sub(DRIVING, "", text)
    # how GitHub's runner knows a command
    return re.sub(r"(?m)(^[^\S\n]*:|##)(?=[:\[])", r"\1 ", text)


def one_line(text: str) -> str:
    """Return a copy of a text as `printable` makes it, on one line."""
    return printable(" ".join(text.splitlines()))


def shown(thing: object, most: int = 80, say: Callable[[object], str] = repr) -> str:
    """Return the text of an object, which is its repr or the result of `say`, cut to `most`
    characters.

    Raises nothing: an object whose repr raises is named by its class.
    """
    try:
        return exact(say(thing), most)
    except KeyboardInterrupt:
        raise
    except BaseException:  # a user's __repr__ may even call sys.exit()
        return f"<{class_name(thing)}>"


def exact(text: str, most: int | None = None) -> str:
    """Return a text, cut to `most` characters, as a plain str and no subclass.

    Raises TypeError for anything but a text.
    """
    return str.__getitem__(text, slice(0, most))


def class_name(thing: object) -> str:
    """Return the name of an object's class. A class that overrides `__name__` or `__class__` cannot
    change it.
    """
    name: str = vars(type)["__name__"].__get__(type(thing))
    return name
