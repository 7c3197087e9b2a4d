"""Text from outside, so that it is only text wherever it is shown."""

import re
from collections.abc import Callable

DRIVING = r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"


def printable(text: str) -> str:
    """Text that drives nothing that shows it: no terminal, no direction of writing, no log of
    GitHub's.

    Without control characters, and without halves of characters.
    """
    text = re.sub(DRIVING, "", text)
    # how GitHub's runner knows a command
    return re.sub(r"(?m)(^[^\S\n]*:|##)(?=[:\[])", r"\1 ", text)


def one_line(text: str) -> str:
    """The same, on one line."""
    return printable(" ".join(text.splitlines()))


def shown(thing: object, most: int = 80, say: Callable[[object], str] = repr) -> str:
    """Return what an object says of itself, cut to `most` characters; `say` is repr or str.

    Nothing that the object does is raised: an object that cannot say anything is named by its
    class.
    """
    try:
        return exact(say(thing), most)
    except KeyboardInterrupt:
        raise
    except BaseException:  # a user's __repr__ may even call sys.exit()
        return f"<{class_name(thing)}>"


def exact(text: str, most: int | None = None) -> str:
    """Return the characters of a text, at most so many, as a str that is of no subclass.

    Raises TypeError for what is no text.
    """
    return str.__getitem__(text, slice(0, most))


def class_name(thing: object) -> str:
    """Return the name of an object's class, whatever the object or its metaclass says."""
    name: str = vars(type)["__name__"].__get__(type(thing))
    return name
