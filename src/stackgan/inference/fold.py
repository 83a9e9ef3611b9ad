"""A trained generator made ready for sampling: fewer operations, the same function.

The plain networks stay the reference that the tests compare with.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from stackgan.fast.up_kernels import transposed_kernel
from stackgan.inference.packed import PackedConv, frozen
from stackgan.networks.arranged import norms_of
from stackgan.networks.conditioning import ConditioningAugmentation
from stackgan.networks.layers import JoinConv, UpConv

Norm = nn.BatchNorm1d | nn.BatchNorm2d
Weighted = nn.Conv2d | nn.ConvTranspose2d | nn.Linear


def fold_batchnorm(module: nn.Module) -> nn.Module:
    """Fold every batch normalisation into the convolution or linear layer before it, in place.

    In evaluation mode BN(Wx + b) = gW x + g(b - mean) + beta with g = gain / sqrt(var + eps), so
    the layer carries it for nothing. An up block's 3x3 kernel becomes its 4x4 transposed one for
    good. A normalisation with no such layer right before it stays. Returns ``module``, in
    evaluation mode and without gradients.
    """
    module.eval().requires_grad_(False)
    for parent in list(module.modules()):
        for layer_name, norm_name in norms_of(parent):
            layer = parent.get_submodule(layer_name)
            norm = parent.get_submodule(norm_name)
            if isinstance(layer, Weighted) and isinstance(norm, Norm):
                _fold(layer, norm)
                _replace(parent, norm_name, nn.Identity())
    for parent in list(module.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, UpConv):
                _replace(parent, name, _as_transposed(child))
    return module


class Alone(nn.Module):
    """A layer that is asked about each row of its batch alone, where its sums know the batch.

    A processor's matrix products, and some of its convolutions, sum in an order that depends on the
    batch. Those of which that is not known pass together: see :func:`ask_alone`.
    """

    def __init__(self, layer: nn.Linear | nn.Conv2d | nn.ConvTranspose2d | PackedConv) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, input: Tensor, addend: Tensor | None = None) -> Tensor:
        """What ``layer`` gives."""
        given = (input,) if addend is None else (input, addend)
        if len(input) == 1 or not self._sums_know_the_batch(input):
            whole: Tensor = self.layer(*given)
            return whole
        # copies: inside a larger tensor a row lies at another alignment, which the sums notice
        rows = zip(*(part.chunk(len(input)) for part in given), strict=True)
        return torch.cat([self.layer(*(part.clone() for part in row)) for row in rows])

    def _sums_know_the_batch(self, input: Tensor) -> bool:
        if isinstance(self.layer, nn.Linear):
            return True
        side = input.shape[2]
        transposed = isinstance(self.layer, nn.ConvTranspose2d) or (
            isinstance(self.layer, PackedConv) and self.layer.transposed
        )
        if side <= 8 and not transposed:
            return True
        few = self.layer.in_channels % 8 != 0 and self.layer.in_channels != 3
        return few or (side <= 16 and self.layer.out_channels % 64 != 0)


def ask_alone(network: nn.Module) -> nn.Module:
    """Let every layer of ``network`` whose sums know the batch be asked about each row alone.

    Then a picture has the same bytes whatever is drawn with it, in batches of 1, 2, 4 and 8. Which
    layers need it was found by comparing: networks of 34 widths, torch 2.13's oneDNN with AVX-512
    and bf16, two threads; all but one width gave the same bytes, that one differed by a level.
    Another processor may sum otherwise, and a level or a few may differ. Returns ``network``.
    """
    for parent in list(network.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, JoinConv):
                child.codes_alone = True
            elif isinstance(child, nn.Linear | nn.Conv2d | nn.ConvTranspose2d | PackedConv):
                _replace(parent, name, Alone(child))
    return network


def lower_precision(module: nn.Module, dtype: torch.dtype) -> nn.Module:
    """Store convolutions and linear layers in ``dtype``, in place; conditioning stays float32.

    Spares autocast the cast of every weight at every call. Returns ``module``.
    """
    kept = {
        id(inner)
        for outer in module.modules()
        if isinstance(outer, ConditioningAugmentation)
        for inner in outer.modules()
    }
    for layer in module.modules():
        if isinstance(layer, Weighted) and id(layer) not in kept:
            layer.to(dtype)
    return module


def _fold(layer: Weighted, norm: Norm) -> None:
    if norm.running_mean is None or norm.running_var is None:
        return
    gain = torch.rsqrt(norm.running_var + norm.eps)
    if norm.weight is not None:
        gain = gain * norm.weight
    shift = -norm.running_mean * gain
    if norm.bias is not None:
        shift = shift + norm.bias
    if layer.bias is not None:
        shift = shift + layer.bias * gain
    shape = [1] * layer.weight.dim()
    shape[1 if isinstance(layer, nn.ConvTranspose2d) else 0] = -1
    layer.weight = frozen(layer.weight * gain.view(shape))
    layer.bias = frozen(shift)


def _as_transposed(layer: UpConv) -> nn.ConvTranspose2d:
    """The 4x4 stride-2 transposed convolution that ``layer`` computes, its kernel kept."""
    up = nn.ConvTranspose2d(
        layer.in_channels,
        layer.out_channels,
        kernel_size=4,
        stride=2,
        padding=1,
        bias=layer.bias is not None,
        device="meta",
    )
    up.weight = frozen(transposed_kernel(layer.weight))
    if layer.bias is not None:
        up.bias = frozen(layer.bias)
    return up.eval()


def _replace(parent: nn.Module, path: str, child: nn.Module) -> None:
    *above, name = path.split(".")
    setattr(parent.get_submodule(".".join(above)), name, child)
