"""Values as Python source text; a text from outside can only become a literal in it."""

import math
import re

from harness.text.harmless import class_name, exact


class Code(str):
    """Python source text that is put into a script unchanged."""

    __slots__ = ()


def literal(value: object) -> str:
    """Return a plain value as a Python literal, in ASCII on one line; `Code` is returned unchanged.

    Raises TypeError for a value that is not plain: an object's own repr may be any text.
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
    """Return a text of several lines as a raw string literal, which people can read.

    If some part of the text could end such a literal, or is not ASCII, return an ordinary literal.
    """
    plain = re.fullmatch(r"[\n -~]*", text) and '"""' not in text and not text.endswith(('"', "\\"))
    return Code(f'r"""\n{text}"""' if plain else ascii(text))


def quoted(text: str) -> str:
    """Return a text as a Python literal in double quotes."""
    escaped = text.encode("unicode_escape").decode().replace('"', '\\"')
    return f'"{escaped}"'


def called(name: str) -> str:
    """Return `name` if it can be the name of a class in Python source, else "..."."""
    return name if name.isidentifier() else "..."


def is_name(text: str) -> bool:
    """Is the text an ASCII identifier of Python, so that it cannot hold any other code?"""
    return text.isascii() and text.isidentifier()
