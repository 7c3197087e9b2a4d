"""The mathematics: networks, the arithmetics they are evaluated in, R nnet, NumPy, probes, training, planted faults."""

from reference import starts
from reference.called import Prototype, Stated
from reference.network import Network
from reference.numpy_net import NumpyNet, numpy_net
from reference.probes import Crossed, OnData, probes
from reference.r.runif import runif
from reference.r_nnet import RNnet, r_nnet
from reference.trainers import (
    gradient_descent,
    least_squares,
    nnet_fit,
    nnet_fits,
    nnet_gradients,
    optim_bfgs,
    scipy_bfgs,
    scipy_lbfgsb,
)
from reference.written import Equations

__all__ = [
    "Crossed",
    "Equations",
    "Network",
    "NumpyNet",
    "OnData",
    "Prototype",
    "RNnet",
    "Stated",
    "gradient_descent",
    "least_squares",
    "nnet_fit",
    "nnet_fits",
    "nnet_gradients",
    "numpy_net",
    "optim_bfgs",
    "probes",
    "r_nnet",
    "runif",
    "scipy_bfgs",
    "scipy_lbfgsb",
    "starts",
]
