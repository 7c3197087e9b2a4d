"""What stands between torch and a watched model changes no function."""

import pytest
import torch
import torch.nn.functional as F

from harness.shadow.replay import replay
from harness.shadow.watch import watch


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
@pytest.mark.parametrize("eps", [1e-5, None])
def test_the_norm_of_the_root_mean_square_keeps_its_eps(
    dtype: torch.dtype, eps: float | None
) -> None:
    """Its shadow is the norm by hand in float64 with `eps` as written, and its answer torch's."""
    x, weight = torch.randn(3, 4).to(dtype), torch.randn(4).to(dtype)
    watched = watch(lambda: {"output": F.rms_norm(x, (4,), weight, eps)})
    given = torch.finfo(torch.promote_types(dtype, torch.float32)).eps if eps is None else eps
    wide = x.double()
    expected = wide / (wide.square().mean(-1, keepdim=True) + given).sqrt() * weight.double()
    shadow = replay(watched.run).read(watched.answers["output"])
    torch.testing.assert_close(shadow, expected, rtol=1e-15, atol=1e-15)
    torch.testing.assert_close(watched.observed("output"), F.rms_norm(x, (4,), weight, eps))
