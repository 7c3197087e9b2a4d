"""Corners of the rules of losses and norms; see the module `rule_corners`."""

from __future__ import annotations

import torch

from tests.selfcheck.rule_calls import aten
from tests.selfcheck.rule_corners import SHARES, add, t

# differences

SCORES = t([0.3, -1.2, 2.0], [0.7, 0.3, -0.3], [1.0, -1.0, 0.0])
ZEROS = torch.zeros(3, 3).double()
WAYS = ((0.3, 0), (0.7, 0), (2.0, 1), (2.0, 2))
NO_BETA = ((0.0, 0), (0.0, 1), (0.0, 2))
for name, ways in (("huber_loss", WAYS), ("smooth_l1_loss", (*WAYS, *NO_BETA))):
    for end, reduction in ways:
        more = f"to-{end:g}-reduced-by-{reduction}"
        add(f"{name}-{more}", getattr(aten, name).default, SCORES, ZEROS, reduction, end)
        g = SCORES if reduction == 0 else t(0.7)[0]
        backward = getattr(aten, f"{name}_backward").default
        add(f"{name}-backward-{more}", backward, g, SCORES, ZEROS, reduction, end)
add("mse-backward-of-small", aten.mse_loss_backward.default, t(1e20)[0], t(1e-37), t(0), 1)

# classes

ROWS = torch.linspace(-3, -0.1, 256 * 2).double().reshape(256, 2)
CLASSES = torch.arange(256) % 2
SOME = torch.where(torch.arange(256) == 7, -100, CLASSES)
nll, nll_backward = aten.nll_loss_forward.default, aten.nll_loss_backward.default
for reduction in (0, 1, 2):
    by = f"reduced-by-{reduction}"
    one = torch.tensor(1)
    add(f"nll-of-a-row-{by}", nll, SCORES[0], one, None, reduction, -100)
    add(f"nll-of-a-weighed-row-{by}", nll, SCORES[0], one, t(0.3, 0.7, 2), reduction, -100)
    given = (t(0.7)[0], SCORES[0], one, t(0.3, 0.7, 2), reduction, -100, t(0.7)[0])
    add(f"nll-backward-of-a-row-{by}", nll_backward, *given)
for rows in (16, 17, 64, 256):
    add(f"nll-of-{rows}-rows", nll, ROWS[:rows], CLASSES[:rows], t(0.3, 0.7), 2, -100)
    add(f"nll-of-{rows}-rows-but-one", nll, ROWS[:rows], SOME[:rows], t(0.3, 0.7), 2, -100)

# norms

X, G = SCORES * t(1, 2, 3), SCORES + t(0.3, -1, 0.5)
SCALE, W = t([0.6], [0.8], [1.1]), t(0.5, -2.0, 1.3)
rms, rms_backward = aten._fused_rms_norm.default, aten._fused_rms_norm_backward.default
add("rms-norm", rms, X, [3], None, 1e-3)
add("rms-norm-without-eps", rms, X, [3], W, None)
add("rms-norm-with-weights", rms, X, [3], W, 1e-3)
add("rms-norm-backward", rms_backward, G, X, [3], SCALE, None, [True, False])
add("rms-norm-backward-with-weights", rms_backward, G, X, [3], SCALE, W, [True, True])
add("rms-norm-backward-of-one-row", rms_backward, G[0], X[0], [3], SCALE[0], W, [False, True])
grouped = (G[..., None], X[..., None], t([0.1], [0.2], [0.3]), SCALE, W, 3, 3, 1, 1)
group_norm_backward = aten.native_group_norm_backward.default
add("group-norm-backward-without-a-bias", group_norm_backward, *grouped, [True, True, False])
layered = (G, X, [3], t([0.1], [0.2], [0.3]), SCALE, W, W, [False, True, False])
add("layer-norm-backward-of-weights", aten.native_layer_norm_backward.default, *layered)
x, tiny = t([-3e12, -3.1e12, -2.9e12]), t([1e-20, 2e-20, -1e-20])
far = t([-3e12]), t([1e9])
layer_norm_backward = aten.native_layer_norm_backward.default
add("layer-norm-backward-beyond", layer_norm_backward, G[:1], x, [3], *far, W, W, [True] * 3)
add("layer-norm-of-small", aten.native_layer_norm.default, tiny, [3], W, W, 0.0)
add("layer-norm-beyond", aten.native_layer_norm.default, t([1e19, -1e19, 3e18]), [3], W, W, 0.0)
layer_norm = aten.native_layer_norm.default
zero = t([0, 0, 0])
add("layer-norm-of-a-sum-beyond", layer_norm, t([1.5e19, -1.5e19, 3e18]), [3], W, W, 0.0)
add(
    "layer-norm-of-a-sum-to-the-end",
    layer_norm,
    t([1.30438126e19, -1.30438126e19]),
    [2],
    None,
    None,
    0.0,
)
add("layer-norm-of-a-mean-beyond", layer_norm, t([2e38, 2e38, 2e38]), [3], W, W, 1e-3)
for what, slopes, scale, saved_mean in (
    ("of-small", 1e-30 * G[:1], t([0.6]), t([0.1])),
    ("of-zeros", zero, t([0.6]), t([0.1])),
    ("of-a-negative-scale", G[:1], t([-0.6]), t([0.1])),
):
    given = (slopes, X[:1], [3], saved_mean, scale, 1e-15 * W if what == "of-small" else W, W)
    add(f"layer-norm-backward-{what}", layer_norm_backward, *given, [True] * 3)
just = (G[:1], x, [3], t([-3e12]), t([17340]), W, W, [True] * 3)
add("layer-norm-backward-just-beyond", layer_norm_backward, *just)

BATCH = t([0.3, 1.0], [-2.0, 0.7], [0.1, 5.0])
WIDE, HELD = torch.tensor([0.1, 1.0]), torch.tensor([0.5, 2.0])
batch_norm, legit = aten.native_batch_norm.default, aten._native_batch_norm_legit
for what, weight, bias in (
    ("weights", WIDE, HELD),
    ("biases", HELD, WIDE),
    ("neither", HELD, HELD),
):
    given = (BATCH, weight, bias, HELD, HELD, True, 0.3, 1e-3)
    add(f"batch-norm-of-wide-{what}", batch_norm, *given)
add("batch-norm-of-wide-means", batch_norm, BATCH, HELD, HELD, WIDE, HELD, True, 0.3, 1e-3)
add("batch-norm-without-statistics", legit.no_stats, BATCH, W[:2], None, True, 0.3, 1e-3)
given = (BATCH, W[:2], W[:2], t(0.5, 2), t(0.5, 2))
add(
    "batch-norm-functional",
    aten._native_batch_norm_legit_functional.default,
    *given,
    True,
    0.3,
    1e-3,
)
add(
    "batch-norm-functional-of-zeros",
    aten._native_batch_norm_legit_functional.default,
    0 * BATCH,
    *given[1:3],
    t(0, 0),
    t(0, 0),
    True,
    0.3,
    1e-3,
)
saved = (*given[:2], *given[3:], None, None, False, 0.1, [True, True, False])
add("batch-norm-backward-of-statistics", aten.native_batch_norm_backward.default, BATCH + 1, *saved)

# probabilities and margins

P = t(1e-13, 0, 1, 0.5, 0.999, 0)
entropy, entropy_backward = aten.binary_cross_entropy, aten.binary_cross_entropy_backward
for reduction in (0, 1):
    by = f"reduced-by-{reduction}"
    add(f"entropy-at-its-ends-{by}", entropy.default, P, SHARES[:6], None, reduction)
    g = t(0.7)[0] if reduction else SHARES[:6]
    given = (g, P, t(0.3, 0.3, 0.7, 1, 0, 0), None, reduction)
    add(f"entropy-backward-at-its-ends-{by}", entropy_backward.default, *given)
TIED = t([1, 0, 0.9], [0.5, 1.5, -0.5], [0.3, 0, 1])
FIRST, LABELS = (
    torch.zeros(3, dtype=torch.long),
    torch.tensor([[0, -1, -1], [1, 0, -1], [2, -1, 0]]),
)
margin, margin_backward = aten.multi_margin_loss.default, aten.multi_margin_loss_backward.default
label, label_backward = aten.multilabel_margin_loss_forward, aten.multilabel_margin_loss_backward
add("margin-of-defaults", margin, TIED, FIRST)
add("margin-of-a-row", margin, TIED[0], torch.tensor(1), 1, 0.3, None, 0)
for power, m in ((1, 1.0), (1, 0.3), (2, 0.3)):
    given = (TIED, FIRST, power, m, None)
    add(f"margin-backward-at-{m}-to-{power}", margin_backward, t(-1, 2, -3), *given, 0)
    add(f"margin-backward-at-{m}-to-{power}-reduced", margin_backward, t(0.7)[0], *given, 1)
add("label-margin-of-ties", label.default, TIED, LABELS, 1)
is_label = label(TIED, LABELS, 1)[1]
add("label-margin-backward-of-ties", label_backward.default, t(0.7)[0], TIED, LABELS, 1, is_label)
row = (TIED[0], LABELS[1])
add("label-margin-of-a-row", label.default, *row, 0)
add("label-margin-backward-of-a-row", label_backward.default, t(0.7)[0], *row, 0, is_label[1])

# distances: near points, whose squares cancel, and one whose square loses its last digits

POINTS = t([1.01, -0.7, 0.3], [3.3, 2.1, -1.7], [0.1, 0.2, 0.3])
add("euclidean-dist-of-near-points", aten._euclidean_dist.default, POINTS, POINTS * 1.01)
add("euclidean-dist-to-zero", aten._euclidean_dist.default, POINTS, 0 * POINTS)
add("euclidean-dist-of-small", aten._euclidean_dist.default, 1e-25 * POINTS, 1e-16 * POINTS)
