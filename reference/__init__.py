"""The mathematics: networks, the arithmetics they are evaluated in, R nnet, NumPy, probes and planted faults."""

from reference.network import Network
from reference.numpy_net import NumpyNet, numpy_net
from reference.probes import Crossed, OnData, probes
from reference.r_nnet import RNnet, r_nnet

__all__ = ["Crossed", "Network", "NumpyNet", "OnData", "RNnet", "numpy_net", "probes", "r_nnet"]
