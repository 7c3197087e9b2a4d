"""Facts from the schemas of torch's operations: which of them write, view or draw numbers."""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple


def _name(names: str) -> frozenset[str]:
    return frozenset(f"aten::{name}" for name in names.split())


# the arguments that these operations write to, which their schemas do not say
HIDDEN_WRITES = dict.fromkeys(
    _name("native_batch_norm cudnn_batch_norm miopen_batch_norm"), ("running_mean", "running_var")
)
# operations that change how a tensor is seen, not its numbers
RESHAPED = _name("as_strided_ squeeze_ t_ transpose_ unsqueeze_")
# operations that return nothing but views of their first argument's numbers
VIEWS = _name("""
    alias as_strided detach diagonal expand permute select slice split split_with_sizes squeeze
    t transpose unbind unfold unsqueeze view
""")
# operations whose results are drawn, or are memory that is not written yet: they are taken as they
# are observed
DRAWN = _name("""
    empty empty_like empty_strided new_empty new_empty_strided bernoulli bernoulli_ exponential_
    cauchy cauchy_ geometric geometric_ log_normal log_normal_ multinomial normal normal_
    poisson rand rand_like randint randint_like randn randn_like random_ randperm uniform
    uniform_
""")


class Signature(NamedTuple):
    """The facts of an operation's schema: its name, its parameters, the parameters to which it
    writes, and whether it returns anything.

    `functional` is the name of the operation that computes the same without writing into its
    arguments: "aten::add" for "aten::add_". `outputs` are the parameters into which it only
    writes, such as `out`. A `view` is one of VIEWS; a `typed` one takes dtypes.
    """

    name: str
    functional: str
    parameters: tuple[str, ...]
    written: tuple[str, ...]
    outputs: tuple[str, ...]
    returns: bool
    view: bool
    typed: bool


@cache
def read_signature(called: Any) -> Signature:
    """Return the signature of an operation, with writes that its schema does not say."""
    schema = called._schema
    written = [
        argument.name
        for argument in schema.arguments
        if argument.alias_info is not None and argument.alias_info.is_write
    ]
    written += HIDDEN_WRITES.get(schema.name, ())
    if schema.name in RESHAPED:
        written = []
    parameters = tuple(argument.name for argument in schema.arguments)
    name = schema.name
    functional = name if name.endswith("__") else name.removesuffix("_")
    return Signature(
        name,
        functional,
        parameters,
        tuple(written),
        tuple(argument.name for argument in schema.arguments if argument.is_out),
        bool(schema.returns),
        name in VIEWS and schema.overload_name != "dtype",
        any("dtype" in parameter for parameter in parameters),
    )
