"""The references: equations of networks in any arithmetic, R, NumPy, probes, trainers, planted
faults. No torch.
"""

from reference.fitted.case import fitted as fitted
from reference.implementations.numpy_net import NumpyNet as NumpyNet
from reference.implementations.numpy_net import numpy_net as numpy_net
from reference.implementations.stated import Stated as Stated
from reference.mathematics.custom_network import Equations as Equations
from reference.mathematics.network import Network as Network
from reference.probes.crossed import Crossed as Crossed
from reference.probes.kinds import probes as probes
from reference.probes.on_data import OnData as OnData
from reference.r.nnet_reference import RNnet as RNnet
from reference.r.nnet_reference import r_nnet as r_nnet
from reference.r.runif import runif as runif
from reference.training import starts as starts
from reference.training.pacemakers import nnet_fits as nnet_fits
from reference.training.pacemakers import nnet_gradients as nnet_gradients
from reference.training.trainers import gradient_descent as gradient_descent
from reference.training.trainers import least_squares as least_squares
from reference.training.trainers import nnet_fit as nnet_fit
from reference.training.trainers import optim_bfgs as optim_bfgs
from reference.training.trainers import scipy_bfgs as scipy_bfgs
from reference.training.trainers import scipy_lbfgsb as scipy_lbfgsb


def _explain(*asked: object) -> str:
    # the catalogue is large, and needed only when something failed
    from reference.explaining.likely import likely

    return likely(*asked)  # type: ignore[arg-type]


Network.explain = Equations.explain = staticmethod(_explain)
