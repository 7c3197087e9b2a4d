"""The mathematics: networks, the arithmetics they are evaluated in, R nnet, NumPy, probes, training, planted faults."""

from typing import Any

from reference import starts as starts
from reference.called import Prototype as Prototype
from reference.called import Stated as Stated
from reference.network import Derived
from reference.network import Network as Network
from reference.numpy_net import NumpyNet as NumpyNet
from reference.numpy_net import numpy_net as numpy_net
from reference.probes import Crossed as Crossed
from reference.probes import OnData as OnData
from reference.probes import probes as probes
from reference.r.runif import runif as runif
from reference.r_nnet import RNnet as RNnet
from reference.r_nnet import r_nnet as r_nnet
from reference.trainers import gradient_descent as gradient_descent
from reference.trainers import least_squares as least_squares
from reference.trainers import nnet_fit as nnet_fit
from reference.trainers import nnet_fits as nnet_fits
from reference.trainers import nnet_gradients as nnet_gradients
from reference.trainers import optim_bfgs as optim_bfgs
from reference.trainers import scipy_bfgs as scipy_bfgs
from reference.trainers import scipy_lbfgsb as scipy_lbfgsb
from reference.written import Equations as Equations


def _explain(*asked: Any) -> str:
    from reference.likely import likely  # the catalogue is large, and needed only when something failed

    return likely(*asked)


Derived.explain = staticmethod(_explain)
