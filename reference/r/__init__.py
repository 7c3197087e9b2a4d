"""R's nnet through rpy2, in a worker process of its own."""

from reference.r.preflight import RUnavailable, preflight
from reference.r.recorded import RStale, answering
from reference.r.session import RCrashed, RError, RSession
from reference.r.topology import Evaluation, Fit, Topology

__all__ = [
    "Evaluation",
    "Fit",
    "RCrashed",
    "RError",
    "RSession",
    "RStale",
    "RUnavailable",
    "Topology",
    "answering",
    "preflight",
]
