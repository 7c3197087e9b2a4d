"""Names of a norm's running statistics in other frameworks."""

NAMES = {  # Keras, Flax and models written by hand
    "moving_mean": "running_mean",
    "mean": "running_mean",
    "moving_variance": "running_var",
    "moving_var": "running_var",
    "running_variance": "running_var",
    "variance": "running_var",
    "var": "running_var",
}


def name_statistic(name: str) -> str:
    """Return the name that PyTorch gives to a statistic of this name; other names stay."""
    return NAMES.get(name, name)
