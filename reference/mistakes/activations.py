"""Mistakes in activations and their derivatives; h is the activation of z, d its derivative."""

from collections.abc import Callable
from functools import partial

import numpy as np
from scipy import special

from harness.arithmetic.plain import logistic
from harness.core.contract import Array
from reference.faults.kinds import Fault, Hidden


def _replace_by(
    act: Callable[[Array], Array], slope: Callable[[Array], Array]
) -> Callable[..., tuple[Array, Array]]:
    return lambda z, h, d: (act(z), slope(z))


def _tanh_slope(z: Array) -> Array:
    return np.asarray(1 - np.tanh(z) ** 2)


def _logistic_slope(z: Array) -> Array:
    return np.asarray(logistic(z) * (1 - logistic(z)))


def _nnet_clip(z: Array, h: Array, d: Array) -> tuple[Array, Array]:
    return np.where(abs(z) > 15, z > 0, h), np.where(abs(z) > 15, 0, d)


FAULTS: tuple[Fault, ...] = (
    Hidden(
        "tanh_for_logistic",
        "tanh in place of the logistic",
        _replace_by(np.tanh, _tanh_slope),
        of="logistic",
    ),
    Hidden(
        "logistic_for_tanh",
        "the logistic in place of tanh",
        _replace_by(logistic, _logistic_slope),
        of="tanh",
    ),
    Hidden("no_activation", "hidden activation left out", lambda z, h, d: (z, None)),
    Hidden(
        "atan_for_tanh",
        "atan in place of tanh",
        _replace_by(np.arctan, lambda z: 1 / (1 + z * z)),
        of="tanh",
    ),
    Hidden(
        "half_argument",
        "2 logistic(z) - 1 in place of 2 logistic(2z) - 1",
        _replace_by(lambda z: np.tanh(z / 2), lambda z: _tanh_slope(z / 2) / 2),
        of="tanh",
    ),
    Hidden(
        "hard_tanh",
        "hard tanh in place of tanh",
        _replace_by(lambda z: np.clip(z, -1, 1), lambda z: np.where(abs(z) < 1, 1.0, 0.0)),
        of="tanh",
    ),
    Hidden(
        "hard_sigmoid",
        "hard sigmoid in place of the logistic",  # as Keras had it
        _replace_by(
            lambda z: np.clip(0.2 * z + 0.5, 0, 1), lambda z: np.where(abs(z) < 2.5, 0.2, 0.0)
        ),
        of="logistic",
    ),
    Hidden("nnet_clip", "logistic exactly 0 or 1 beyond 15, as nnet's", _nnet_clip, of="logistic"),
    Hidden(
        "softplus",
        "softplus in place of ReLU",
        _replace_by(partial(np.logaddexp, 0), logistic),
        of="relu",
    ),
    Hidden(
        "elu",
        "ELU in place of ReLU",
        _replace_by(
            lambda z: np.where(z > 0, z, np.expm1(np.minimum(z, 0))),
            lambda z: np.exp(np.minimum(z, 0)),
        ),
        of="relu",
    ),
    Hidden(
        "relu6",
        "ReLU6 in place of ReLU",
        _replace_by(lambda z: np.clip(z, 0, 6), lambda z: np.where((z > 0) & (z < 6), 1.0, 0.0)),
        of="relu",
    ),
    Hidden(
        "no_output_activation",
        "output activation left out",
        lambda z, h, d: (z, None),
        layer=1,
        errors=("squares",),
    ),
    Hidden(
        "output_activation_twice",
        "output activation applied twice",
        lambda z, h, d: (logistic(h), d * _logistic_slope(h)),
        of="logistic",
        layer=1,
        errors=("squares",),
    ),
    Hidden(
        "output_slope",
        "derivative of the output activation left out",
        lambda z, h, d: (h, None),
        "gradient",
        layer=1,
        errors=("squares",),
    ),
    Hidden(
        "leaky_relu",
        "leaky ReLU (0.01) in place of ReLU",
        _replace_by(lambda z: np.where(z > 0, z, 0.01 * z), lambda z: np.where(z > 0, 1, 0.01)),
        of="relu",
    ),
    Hidden(
        "hard_clip",
        "tanh exactly 1 beyond 3",
        lambda z, h, d: (np.where(abs(z) > 3, np.sign(h), h), d),
        of="tanh",
    ),
    Hidden(
        "activation_in_float32",
        "activation computed in float32",
        lambda z, h, d: (h.astype(np.float32).astype(h.dtype), d),
        of="tanh logistic",
    ),
    Hidden(
        "no_derivative",
        "derivative of the activation left out",
        lambda z, h, d: (h, None),
        "gradient",
    ),
    Hidden(
        "detached",
        "gradient stopped at the hidden layer",
        lambda z, h, d: (h, np.zeros_like(d)),
        "gradient",
    ),
    Hidden(
        "tanh_slope_1-h",
        "1 - h in place of 1 - h^2",
        lambda z, h, d: (h, 1 - h),
        "gradient",
        of="tanh",
    ),
    Hidden(
        "logistic_slope_h",
        "h in place of h (1 - h)",
        lambda z, h, d: (h, h),
        "gradient",
        of="logistic",
    ),
    Hidden(
        "slope_at_h",
        "derivative taken at h in place of z",
        lambda z, h, d: (h, _tanh_slope(h)),
        "gradient",
        of="tanh",
    ),
)


def _gelu_slope(z: Array) -> Array:
    density = np.exp(-z * z / 2) / np.sqrt(2 * np.pi)
    return np.asarray(special.ndtr(z) + z * density)


def _silu_slope(z: Array) -> Array:
    return np.asarray(logistic(z) + z * _logistic_slope(z))


def _instead(
    name: str,
    called: str,
    of: str,
    act: Callable[[Array], Array],
    slope: Callable[[Array], Array],
) -> Fault:
    right = {"relu": "ReLU", "tanh": "tanh", "logistic": "the logistic"}
    words = " or ".join(right[each] for each in of.split())
    return Hidden(name, f"{called} in place of {words}", _replace_by(act, slope), of=of)


# tried to explain a failure
OTHERS: tuple[Fault, ...] = (
    *(
        _instead(
            f"relu_for_{of}",
            "ReLU",
            of,
            lambda z: np.maximum(z, 0),
            lambda z: np.where(z > 0, 1, 0),
        )
        for of in ("tanh", "logistic")
    ),
    _instead("tanh_for_relu", "tanh", "relu", np.tanh, _tanh_slope),
    _instead("logistic_for_relu", "the logistic (sigmoid)", "relu", logistic, _logistic_slope),
    _instead("gelu", "GELU", "relu", lambda z: z * special.ndtr(z), _gelu_slope),
    _instead("silu", "SiLU (swish)", "relu", lambda z: z * logistic(z), _silu_slope),
    *(
        _instead(
            f"softsign_for_{of}",
            "softsign, z / (1 + |z|),",
            of,
            lambda z: z / (1 + abs(z)),
            lambda z: 1 / (1 + abs(z)) ** 2,
        )
        for of in ("tanh", "logistic")
    ),
)
