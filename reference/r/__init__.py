"""R's nnet through rpy2, in a worker process of its own, live or from a recording."""
