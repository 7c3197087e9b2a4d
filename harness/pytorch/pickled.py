"""Checks a pickle of torch.save() before it is loaded: the names and nested tuples in it."""

import pickletools
import re
from typing import BinaryIO

from harness.text.harmless import shown

# what torch's own reader knows, but for those that make objects of any class
OPERATIONS = re.compile(
    r"PROTO|STOP|MARK|GLOBAL|REDUCE|BUILD|APPENDS?|SETITEMS?|TUPLE[123]?|NONE|NEWFALSE|NEWTRUE"
    r"|EMPTY_(TUPLE|LIST|DICT|SET)|BININT[12]?|LONG1|BINFLOAT|BINUNICODE|SHORT_BINSTRING"
    r"|BINPERSID|(LONG_)?BIN(GET|PUT)"
)
PLAIN = re.compile(
    r"collections\.(OrderedDict|Counter)|(__builtin__|builtins)\.set"
    r"|torch\._utils\._rebuild_(tensor(_v[23])?|parameter(_with_state)?)"
    r"|torch\.(Size|device|\w+Storage|b?float\w+|u?int\d+|bool|complex\w+)"
    r"|torch\.storage\.(Untyped|Typed)Storage"
)
TENSORS = {
    "sparse": "a sparse tensor",
    "qtensor": "a quantized tensor",
    "meta": "a tensor without numbers, of the device meta",
    "nested": "a nested tensor",
}
MARK, FUNCTION = None, 0
# things in a tuple, in the tuples in it, and so on: random.getstate() has 629
MOST_NESTED = 1_000
INSTEAD = "expected dense tensors and plain values: torch.save(model.state_dict(), ...)"


class NoStateDict(ValueError):
    """Raised for a file that holds anything but a state_dict. Its text is the second half of a
    sentence that begins with the file's name.
    """


def check_pickle(file: BinaryIO, most: int) -> None:
    """Read a pickle to its end without loading it.

    Raises NoStateDict if it has more than `most` bytes, or holds more than tensors and plain
    values. Raises ValueError or another error if it is damaged.

    The objects in each tuple are counted. Otherwise a short file could hold a tuple that contains
    one tuple twice, and so on, which takes for ever to be hashed or shown. `stack` and `memo` are
    those of the pickle machine, with a number instead of each object: the number of objects in it,
    FUNCTION for a name, or MARK.
    """
    stack: list[int | None] = []
    memo: dict[int, int | None] = {}
    start = file.tell()
    for operation, argument, position in pickletools.genops(file):
        name = operation.name
        if position is not None and position - start > most:
            raise NoStateDict(f"has more than {most:,} bytes beside its numbers, {INSTEAD}")
        if not OPERATIONS.fullmatch(name):
            raise NoStateDict(f"holds {name} of pickle, {INSTEAD}")
        if name == "GLOBAL":
            _check_name(str(argument).replace(" ", "."))
            stack.append(FUNCTION)
        elif name in ("BINGET", "LONG_BINGET"):
            stack.append(memo[_number(argument)])
        elif name in ("BINPUT", "LONG_BINPUT"):
            memo[_number(argument)] = stack[-1]
        else:
            _apply(operation, stack)


def _apply(operation: pickletools.OpcodeInfo, stack: list[int | None]) -> None:
    """Change the stack as an operation of the pickle does. Raises NoStateDict for a tuple of too
    many objects.
    """
    before = list(operation.stack_before)
    taken: list[int | None] = []
    if pickletools.markobject in before:
        before = before[: before.index(pickletools.markobject)]
        while (item := stack.pop()) is not MARK:
            taken.append(item)
    for _ in before:
        taken.append(stack.pop())
    if operation.name == "REDUCE" and taken[-1] != FUNCTION:
        raise NoStateDict(f"calls what is no function, {INSTEAD}")
    held = 1
    if operation.name.startswith("TUPLE"):
        held += sum(item or 1 for item in taken)
    if held > MOST_NESTED:
        raise NoStateDict(f"holds a tuple of more than {MOST_NESTED:,} things, {INSTEAD}")
    for added in operation.stack_after:
        stack.append(MARK if added is pickletools.markobject else held)


def _number(argument: object) -> int:
    return argument if isinstance(argument, int) else -1


def _check_name(name: str) -> None:
    """Raise NoStateDict for a function or class that no state_dict of plain tensors needs."""
    if PLAIN.fullmatch(name):
        return
    for part, tensor in TENSORS.items():
        if name.startswith(f"torch._utils._rebuild_{part}"):
            raise NoStateDict(f"holds {tensor}, {INSTEAD}")
    raise NoStateDict(f"holds {shown(name)}, {INSTEAD}")
