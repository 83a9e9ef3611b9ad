"""A trained generator's layers with weights that lie as the processor's kernels read them.

oneDNN rearranges a weight before it multiplies by it, at every call: a fifth of the time of one
picture. A weight that no longer changes is rearranged once, and the ReLU or the sum that follows is
done while the result still lies in the cache. The operators are those to which TorchInductor lowers
the layers of a frozen network.
"""

from __future__ import annotations

from functools import singledispatch
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from stackgan.fast.replicated import spread_taps, tap_matrix
from stackgan.fast.small_maps import overlay_up
from stackgan.fast.winograd import kernel_places, tiles, untile
from stackgan.networks.arranged import Arranged, is_folded
from stackgan.networks.blocks import ResidualBlock, UpBlock
from stackgan.networks.layers import JoinConv
from stackgan.precision import in_own_precision

WINOGRAD_MAPS = 512
"""Fewest maps for which tiles are faster for a single picture too."""
PASS = 8
"""Pictures that a weight is laid out for where more than one is drawn at a time."""
COLOURS_AT_ONCE = 4
"""Neighbouring pixels that one place of the last convolution gives."""

Convolution = nn.Conv2d | nn.ConvTranspose2d


def frozen(tensor: Tensor) -> nn.Parameter:
    """A weight that learns no more."""
    return nn.Parameter(tensor.detach(), requires_grad=False)


def can_pack() -> bool:
    """Whether this torch has oneDNN and the operators."""
    names = ("_convolution_transpose_pointwise", "_linear_pointwise", "_reorder_linear_weight")
    here: bool = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    return here and all(hasattr(torch.ops.mkldnn, name) for name in names)


def has_avx512() -> bool:
    """Whether the processor has AVX-512."""
    return "AVX512" in torch.backends.cpu.get_cpu_capability()


def pack(network: nn.Module) -> nn.Module:
    """Replace the layers of a folded network (``fold_batchnorm``) on a CPU, in place.

    Call it last: a packed weight can be neither moved nor cast nor saved. Returns ``network``, as
    it was where :func:`can_pack` is False.
    """
    if not can_pack():
        return network
    if isinstance(network, Arranged) and network.from_4x4:
        conv = network.get_submodule(network.from_4x4)
        if isinstance(conv, nn.ConvTranspose2d):  # as in every folded network
            network.set_submodule(network.from_4x4, PackedUp(conv))
    return _pack_children(network)


def _pack_children(network: nn.Module) -> nn.Module:
    for name, child in list(network.named_children()):
        packed = _packed(child)
        setattr(network, name, _pack_children(child) if packed is None else packed)
    return network


@singledispatch
def _packed(part: nn.Module) -> nn.Module | None:
    """What takes the place of ``part``; None: its own parts are packed one by one."""
    return None


@_packed.register
def _(part: nn.Linear) -> nn.Module:
    return PackedLinear(part)


@_packed.register
def _(part: JoinConv) -> nn.Module:
    return PackedJoin(part)


@_packed.register
def _(part: ResidualBlock) -> nn.Module | None:
    return PackedResidual(part) if is_folded(part) else None


@_packed.register
def _(part: UpBlock) -> nn.Module | None:
    by_product = isinstance(part.conv, PackedUp)
    return pack_convolution(part.conv, relu=True) if is_folded(part) and not by_product else None


@_packed.register
def _(part: nn.Conv2d) -> nn.Module:
    colours = part.out_channels == 3 and _is_plain_3x3(part)
    return PackedColours(part) if colours else pack_convolution(part)


@_packed.register
def _(part: nn.ConvTranspose2d) -> nn.Module:
    return pack_convolution(part)


def pack_convolution(layer: nn.Module, relu: bool = False) -> PackedConv | PackedTiles:
    """The faster of the packed forms of a convolution, perhaps with ReLU."""
    if not isinstance(layer, Convolution):
        raise TypeError(f"{type(layer).__name__} is no convolution of a folded network")
    bf16 = layer.weight.dtype == torch.bfloat16
    if bf16 and min(layer.weight.shape[:2]) >= WINOGRAD_MAPS and _is_plain_3x3(layer):
        return PackedTiles(layer, relu)
    return PackedConv(layer, relu)


def _is_plain_3x3(layer: Convolution) -> bool:
    """Whether ``layer`` is a 3x3 convolution of stride 1 that keeps the map's size."""
    form = (layer.kernel_size, layer.stride, layer.padding, layer.dilation, layer.groups)
    return isinstance(layer, nn.Conv2d) and form == ((3, 3), (1, 1), (1, 1), (1, 1), 1)


class PackedLinear(nn.Module):
    """A fully connected layer. Its sums do not know the batch."""

    def __init__(self, layer: nn.Linear) -> None:
        super().__init__()
        self.bias, self.dtype = layer.bias, layer.weight.dtype
        # an attribute, no buffer: only oneDNN reads such a weight, none can be copied or moved
        self.weight: Tensor = torch.ops.mkldnn._reorder_linear_weight(layer.weight.data)

    def forward(self, input: Tensor) -> Tensor:
        """Map [..., in] to [..., out]."""
        result: Tensor = torch.ops.mkldnn._linear_pointwise(
            input.to(self.dtype), self.weight, self.bias, "none", [], ""
        )
        return result


class PackedConv(nn.Module):
    """A convolution or transposed convolution, perhaps a sum, perhaps ReLU, in one operator.

    Its weight is rearranged at the first call, without AVX-512 for maps of that size and for one
    picture or for :data:`PASS`: laid out for no size, kernels there cannot read it and the
    reference computes it thirty times slower; for the other number it takes up to three times as
    long. The bytes are the same.
    """

    def __init__(self, layer: Convolution, relu: bool = False) -> None:
        super().__init__()
        self.in_channels, self.out_channels = layer.in_channels, layer.out_channels
        self.transposed = isinstance(layer, nn.ConvTranspose2d)
        self.relu = relu
        self.bias, self.dtype = layer.bias, layer.weight.dtype
        extra = [list(layer.output_padding)] if self.transposed else []
        form = [list(layer.padding), *extra, list(layer.stride), list(layer.dilation)]
        self.form: tuple[Any, ...] = (*form, layer.groups)
        self.plain = layer.weight.data
        # an attribute, no buffer: only oneDNN reads such a weight, none can be copied or moved
        self.weights: dict[tuple[int, ...], Tensor] = {}
        """Laid out for maps [B, in, H, W]; for any, as () says, where one layout serves all."""

    def _weight(self, size: torch.Size) -> Tensor:
        """The weight laid out for maps of ``size``."""
        laid_for = () if has_avx512() else (1 if size[0] == 1 else PASS, *size[1:])
        if laid_for not in self.weights:
            ops = torch.ops.mkldnn
            reorder = ops._reorder_convolution_weight
            if self.transposed:
                reorder = ops._reorder_convolution_transpose_weight
            self.weights[laid_for] = reorder(self.plain, *self.form, laid_for or None)
        return self.weights[laid_for]

    def forward(self, input: Tensor, addend: Tensor | None = None) -> Tensor:
        """Map [B, in, H, W] to [B, out, H', W'], channels-last.

        ``addend`` is of that shape too; a transposed convolution takes none.
        """
        if addend is not None and self.transposed:
            raise TypeError("a packed transposed convolution adds nothing")
        given = (self._weight(input.shape), self.bias, *self.form)
        input, after = input.to(self.dtype), "relu" if self.relu else "none"
        ops = torch.ops.mkldnn
        result: Tensor
        if self.transposed:
            result = ops._convolution_transpose_pointwise(input, *given, after, [], "")
        elif addend is None:
            result = ops._convolution_pointwise(input, *given, after, [], "")
        else:
            last = "relu" if self.relu else None
            addend = addend.to(self.dtype)
            result = ops._convolution_pointwise.binary(
                input, addend, *given, "add", 1.0, last, [], ""
            )
        return result


class PackedTiles(nn.Module):
    """A 3x3 convolution of many maps by Winograd's tiles, perhaps a sum, perhaps ReLU."""

    def __init__(self, layer: Convolution, relu: bool = False) -> None:
        super().__init__()
        self.bias, self.dtype = layer.bias, layer.weight.dtype
        self.relu = relu
        places = kernel_places(layer.weight.float(), self.dtype)
        self.weight = places.transpose(1, 2).contiguous()  # [16, in, out]

    def forward(self, input: Tensor, addend: Tensor | None = None) -> Tensor:
        """Map [B, in, H, W], H and W even, to [B, out, H, W]; ``addend`` is of that shape too."""
        batch, _, height, width = input.shape
        products = torch.bmm(tiles(input.to(self.dtype)), self.weight)
        result = untile(products, (batch, height, width))
        if self.bias is not None:
            result += self.bias.view(-1, 1, 1)
        if addend is not None:
            result += addend
        return result.relu_() if self.relu else result


class PackedColours(nn.Module):
    """A 3x3 convolution to a few maps that gives 4 neighbouring pixels at once.

    3 results fill a fifth of a register; kernels shifted by 0 to 3 pixels, side by side, give the
    same sums for four pixels in half the time.
    """

    def __init__(self, layer: nn.Conv2d) -> None:
        super().__init__()
        side, bias = COLOURS_AT_ONCE, layer.bias
        shifted = [F.pad(layer.weight.data, (k, side - 1 - k)) for k in range(side)]
        weight = torch.cat(shifted)
        wide = nn.Conv2d(
            layer.in_channels, len(weight), (3, side + 2), (1, side), padding=1, device="meta"
        )
        wide.weight = frozen(weight)
        wide.bias = None if bias is None else frozen(bias.repeat(side))
        self.convolve = PackedConv(wide)

    def forward(self, input: Tensor) -> Tensor:
        """Map [B, in, H, W], W a multiple of 4, to [B, out, H, W]."""
        batch, _, height, width = input.shape
        pixels: Tensor = self.convolve(input).permute(0, 2, 3, 1)  # [B, H, W / 4, 4 * out]
        return pixels.reshape(batch, height, width, -1).permute(0, 3, 1, 2)


class PackedUp(nn.Module):
    """A transposed convolution of a 4x4 map as one matrix product."""

    def __init__(self, layer: nn.ConvTranspose2d) -> None:
        super().__init__()
        kernel = layer.weight.data.permute(2, 3, 1, 0).flatten(0, 2)  # [4 * 4 * out, in]
        product = nn.Linear(kernel.shape[1], len(kernel), bias=False, device="meta")
        product.weight = frozen(kernel)
        self.product = PackedLinear(product)
        self.bias = layer.bias

    def forward(self, input: Tensor) -> Tensor:
        """Map [B, in, H, W] to [B, out, 2H, 2W]."""
        result = overlay_up(self.product(input.permute(0, 2, 3, 1)))
        return result if self.bias is None else result.add_(self.bias.view(-1, 1, 1))


class PackedResidual(nn.Module):
    """A folded residual block; the second convolution adds the skip."""

    def __init__(self, block: ResidualBlock) -> None:
        super().__init__()
        self.conv1 = pack_convolution(block.conv1, relu=True)
        self.conv2 = pack_convolution(block.conv2, relu=True)

    def forward(self, x: Tensor) -> Tensor:
        """Map [B, C, H, W] to the same shape."""
        result: Tensor = self.conv2(self.conv1(x), x)
        return result


class PackedJoin(nn.Module):
    """A folded :class:`JoinConv`; the code's part is added to the features'."""

    def __init__(self, layer: JoinConv) -> None:
        super().__init__()
        weight, maps = layer.weight.data, layer.features
        of_maps = nn.Conv2d(maps, len(weight), 3, padding=1, device="meta")
        of_maps.weight, of_maps.bias = frozen(weight[:, :maps]), layer.bias
        self.convolve = pack_convolution(of_maps)
        self.taps = None
        if layer.codes:
            matrix = tap_matrix(weight[:, maps:])
            of_codes = nn.Linear(layer.codes, len(matrix), bias=False, device="meta")
            of_codes.weight = frozen(matrix)
            self.taps = PackedLinear(of_codes)

    def forward(self, input: Tensor, code: Tensor | None = None) -> Tensor:
        """Map [B, F, H, W] and a code [B, N] to [B, out, H, W]; without a code, N is 0."""
        addend = None
        if code is not None and self.taps is not None:
            with in_own_precision(code.device.type):
                addend = spread_taps(self.taps(code), 3, input.shape[2:])
        result: Tensor = self.convolve(input, addend)
        return result
