"""Values as Python text, in which a name is never anything but a literal."""

import math
import re

from harness.text.harmless import class_name, exact


class Code(str):
    """Python text that stands in a script as it is."""

    __slots__ = ()


def literal(value: object) -> str:
    """Return Python text, ASCII on one line, that gives a plain value again; code as it is.

    Raises TypeError for what is no plain value: an object's own repr may be any text.
    """
    if type(value) is Code:
        return exact(value)
    if type(value) is float and not math.isfinite(value):
        return f"float('{value}')"
    if type(value) in (type(None), bool, int, float, str):
        return ascii(value)
    if type(value) is list:
        return f"[{', '.join(map(literal, value))}]"
    if type(value) is tuple:
        inside = ", ".join(map(literal, value))
        return f"({inside},)" if len(value) == 1 else f"({inside})"
    raise TypeError(f"a {class_name(value)} has no literal")


def raw(text: str) -> Code:
    """Return a text of several lines as a raw string, as people read it, where nothing in it can
    end that.
    """
    plain = re.fullmatch(r"[\n -~]*", text) and '"""' not in text and not text.endswith(('"', "\\"))
    return Code(f'r"""\n{text}"""' if plain else ascii(text))


def quoted(text: str) -> str:
    """Return a text as a literal in double quotes, as people write a dict of parameters."""
    escaped = text.encode("unicode_escape").decode().replace('"', '\\"')
    return f'"{escaped}"'


def called(name: str) -> str:
    """Return a name where it may stand for a class in a line to be pasted; else an ellipsis."""
    return name if name.isidentifier() else "..."


def is_name(text: str) -> bool:
    """Is it the name of a Python variable, in ASCII, so that nothing else can be read in it?"""
    return text.isascii() and text.isidentifier()
