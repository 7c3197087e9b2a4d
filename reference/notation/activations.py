"""The names of activations in networks and equations."""

from typing import Literal

from harness.text.harmless import class_name, shown

Activation = Literal["relu", "tanh", "logistic", "identity"]
Output = Literal["relu", "tanh", "logistic", "identity", "softmax"]
ACTIVATIONS: tuple[Activation, ...] = ("relu", "tanh", "logistic", "identity")
OUTPUTS: tuple[Output, ...] = (*ACTIVATIONS, "softmax")  # softmax is of all numbers of a row
CALLED = {"sigmoid": "logistic"}  # by PyTorch, and here


def expect_activation(what: str, given: object, expected: tuple[str, ...] = ACTIVATIONS) -> None:
    """Raise ValueError unless `given` is one of the expected names of activations.

    The message is a sentence that begins with `what`.
    """
    known = ", ".join(expected)
    if isinstance(given, str):
        if given not in expected:
            more = {
                "sigmoid": "; sigmoid is called logistic here",
                "softmax": "; softmax is of a row of outputs",
            }
            raise ValueError(
                f"{what} {given!r} is not known, expected one of {known}{more.get(given, '')}"
            )
        return
    name = str(getattr(given, "__name__", class_name(given))).lower()
    name = CALLED.get(name, name)
    write = f': write "{name}"' if name in expected else ""
    raise ValueError(f"{what} is {shown(given, 60)}, expected a name, one of {known}{write}")
