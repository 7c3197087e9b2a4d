"""R takes half a second to start; torch takes longer to import: R starts first, where it is
asked.
"""

import pytest

from nnet_parity import r_nnet


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--parity-r", "auto") != "recorded":
        r_nnet.wake()
