"""R's nnet through rpy2, in a worker process of its own."""

from reference.r.session import Evaluation, Fit, RCrashed, RError, RSession, RUnavailable, Topology, preflight

__all__ = ["Evaluation", "Fit", "RCrashed", "RError", "RSession", "RUnavailable", "Topology", "preflight"]
