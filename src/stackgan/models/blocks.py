"""The blocks the networks are built of: up, down, residual, and what the modern ones add.

Paper: section 3.5 (implementation details).
"""

from __future__ import annotations

from functools import cache
from typing import Literal, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from stackgan.models import doubling
from stackgan.models.arranged import Arranged as Arranged
from stackgan.models.forms import TORCH, choose
from stackgan.models.replicated import convolve_replicated, replicate
from stackgan.models.small_maps import NINE, ROWS, SMALL_PX, Conv2d, transpose_small
from stackgan.models.together import BatchNorm2d, PerBatch
from stackgan.models.winograd import Conv3x3

Normalisation = Literal["batch", "spectral", "none"]

# One axis of "repeat every entry twice, then correlate with 3 taps": the 4 taps of the equal
# stride-2 transposed convolution, as sums of the 3 taps.
_TAPS = torch.tensor([[0.0, 0.0, 1.0], [0.0, 1.0, 1.0], [1.0, 1.0, 0.0], [1.0, 0.0, 0.0]])


def transposed_kernel(weight: Tensor) -> Tensor:
    """Turn a 3x3 kernel [out, in, 3, 3] into the 4x4 one [in, out, 4, 4] of the equal up-sampling.

    Nearest x2 followed by the 3x3 convolution (padding 1) equals a transposed convolution with this
    kernel (stride 2, padding 1): 4 taps for each output pixel in place of 9 and no enlarged map in
    memory. The map is linear, one [16 x 9] matrix product; it comes channels-last, without a copy
    where the weight is stored as :func:`store_up_kernels` does.
    """
    out_channels, in_channels = weight.shape[:2]
    by_input = weight.permute(1, 2, 3, 0).reshape(in_channels, 9, out_channels)
    kernel = _kernel_map(weight.device, weight.dtype) @ by_input  # [in, 16, out]
    return kernel.view(in_channels, 4, 4, out_channels).permute(0, 3, 1, 2)


@cache
def _kernel_map(device: torch.device, dtype: torch.dtype) -> Tensor:
    """The map [16, 9] of :func:`transposed_kernel`: made once, so that no step waits for a copy."""
    with torch.inference_mode(False):
        return torch.kron(_TAPS, _TAPS).to(device, dtype)


def store_up_kernels(network: nn.Module) -> None:
    """Lay the up blocks' weights in memory as [in, 3, 3, out], in place; their values stay.

    Then the transposed kernel needs no copy of them, nor its gradient.
    """
    for module in network.modules():
        if isinstance(module, UpConv) and not module.literal:
            stored = module.weight.data.permute(1, 2, 3, 0).contiguous()
            module.weight.data = stored.permute(3, 0, 1, 2)


class UpConv(Arranged, nn.Conv2d):
    """Nearest x2, then a 3x3 convolution, computed as one transposed convolution.

    Paper: section 3.5, "nearest-neighbor upsampling followed by a 3x3 stride 1 convolution".
    Differs: computed from the 3x3 kernel as a 4x4 stride-2 transposed convolution because that is
    the same function 1.4 to 3 times faster; :meth:`plain` is the literal form.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(in_channels, out_channels, 3, padding=1, bias=False)

    def forward(self, input: Tensor) -> Tensor:
        """Map [B, in, H, W] to [B, out, 2H, 2W]."""
        if self.literal:
            return self.plain(input)
        form = TORCH
        if input.device.type == "cpu":
            rule = ROWS if 2 * input.shape[2] <= SMALL_PX else TORCH
            rule = NINE if doubling.pays(input, self.weight) else rule
            form = choose("up3x3", input, self.out_channels, rule)
        if form == NINE and self.bias is None:
            return doubling.convolve_doubling(input, self.weight)
        kernel = transposed_kernel(self.weight)
        if form == ROWS:
            return transpose_small(input, kernel, self.bias)
        return F.conv_transpose2d(input, kernel, self.bias, stride=2, padding=1)

    def plain(self, input: Tensor) -> Tensor:
        """The same function as the paper words it: the reference of the tests."""
        return F.conv2d(F.interpolate(input, scale_factor=2), self.weight, self.bias, padding=1)


class UpBlock(nn.Module):
    """x2 up-sampling, batch normalisation, ReLU. Paper: section 3.5."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv = UpConv(in_channels, out_channels)
        self.norm = nn.BatchNorm2d(out_channels)

    def forward(self, x: Tensor) -> Tensor:
        """Map [B, in, H, W] to [B, out, 2H, 2W]."""
        return F.relu(self.norm(self.conv(x)), inplace=True)


class ModulatedNorm(nn.Module):
    """Batch normalisation whose gain and bias are linear in the latent [condition, noise].

    Differs: not in the paper. Feeding the condition to every resolution (conditional batch
    normalisation, as BigGAN and DF-GAN do) lets the text act past the 4x4 map; both maps start at
    zero, so that the block begins as a plain one.
    """

    def __init__(self, channels: int, latent_dim: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(channels)
        self.affine = nn.Linear(latent_dim, 2 * channels)
        nn.init.zeros_(self.affine.weight)
        nn.init.zeros_(self.affine.bias)

    def forward(self, x: Tensor, latent: Tensor) -> Tensor:
        """Normalise [B, C, H, W] and modulate it by latent [B, L]."""
        gain, bias = self.affine(latent).to(x.dtype)[:, :, None, None].chunk(2, dim=1)
        return torch.addcmul(bias, self.norm(x), 1 + gain)


class ModulatedUpBlock(nn.Module):
    """An up block modulated by the latent, with a second, residual convolution if ``refine``."""

    def __init__(self, in_channels: int, out_channels: int, latent_dim: int, refine: bool) -> None:
        super().__init__()
        self.conv = UpConv(in_channels, out_channels)
        self.norm = ModulatedNorm(out_channels, latent_dim)
        self.refine = Conv3x3(out_channels, out_channels) if refine else None
        self.refine_norm = ModulatedNorm(out_channels, latent_dim) if refine else None

    def forward(self, x: Tensor, latent: Tensor) -> Tensor:
        """Map [B, in, H, W] and latent [B, L] to [B, out, 2H, 2W]."""
        x = F.relu(self.norm(self.conv(x), latent))
        if self.refine is not None and self.refine_norm is not None:
            x = F.relu(x + self.refine_norm(self.refine(x), latent))
        return x


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions with batch normalisation and a skip. Paper: section 3.5."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = Conv3x3(channels, channels)
        self.norm1 = nn.BatchNorm2d(channels)
        self.conv2 = Conv3x3(channels, channels)
        self.norm2 = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        """Map [B, C, H, W] to the same shape."""
        y = F.relu(self.norm1(self.conv1(x)), inplace=True)
        return F.relu(x + self.norm2(self.conv2(y)), inplace=True)


def spectral(layer: nn.Module, normalisation: Normalisation) -> nn.Module:
    """Wrap ``layer`` in spectral normalisation where that is the discriminator's normalisation."""
    if normalisation != "spectral":
        return layer
    return nn.utils.parametrizations.spectral_norm(layer)


class DownBlock(nn.Module):
    """4x4 stride-2 convolution, normalisation, LeakyReLU 0.2. Paper: section 3.5.

    The first block of a discriminator has no batch normalisation. ``residual`` adds a 3x3
    convolution and an averaged skip (modern preset only). ``activated=False`` leaves LeakyReLU out,
    as TF does after the third convolution of Stage-I's discriminator.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        normalisation: Normalisation,
        first: bool = False,
        residual: bool = False,
        activated: bool = True,
    ) -> None:
        super().__init__()
        self.slope = 0.2 if activated else 1.0
        batch = normalisation == "batch" and not first
        self.conv = spectral(
            Conv2d(in_channels, out_channels, 4, 2, 1, bias=normalisation != "batch"),
            normalisation,
        )
        self.norm = BatchNorm2d(out_channels) if batch else nn.Identity()
        self.refine: nn.Module | None = None
        self.skip: nn.Module | None = None
        if residual:
            self.refine = spectral(Conv2d(out_channels, out_channels, 3, 1, 1), normalisation)
            self.skip = spectral(Conv2d(in_channels, out_channels, 1), normalisation)

    def forward(self, x: Tensor) -> Tensor:
        """Map [B, in, H, W] to [B, out, H/2, W/2]."""
        y = F.leaky_relu_(self.norm(self.conv(x)), self.slope)
        if self.refine is None or self.skip is None:
            return y
        y = F.leaky_relu_(self.refine(y), 0.2)
        joined: Tensor = (y + self.skip(F.avg_pool2d(x, 2))) * 0.5**0.5
        return joined


class MinibatchDeviation(PerBatch):
    """Append one map: the standard deviation over groups of the batch, averaged over the rest.

    Differs: not in the paper (Karras et al., 2018, section 3). It shows the discriminator a
    generator that has lost its diversity. Groups of ``group`` images; a batch that ``group`` does
    not divide is one group.
    """

    def __init__(self, group: int = 8) -> None:
        super().__init__()
        self.group = group

    def forward(self, x: Tensor) -> Tensor:
        """Map [B, F, H, W] to [B, F + 1, H, W]."""
        return self.each(self._appended, x)

    def _appended(self, x: Tensor) -> Tensor:
        batch = x.shape[0]
        group = self.group if batch % self.group == 0 else batch
        y = x.float().reshape(group, -1, *x.shape[1:])
        variance = (y - y.mean(dim=0)).square().mean(dim=0)  # six times faster than y.var on a CPU
        deviation = variance.add(1e-8).sqrt().mean(dim=(1, 2, 3))
        deviation = deviation.repeat(group).view(batch, 1, 1, 1).to(x.dtype)
        return torch.cat([x, deviation.expand(batch, 1, *x.shape[2:])], dim=1)


class JointLogits(Arranged):
    """Image features joined with a replicated text code, to one logit an image.

    Paper: section 3.5: the 128-d text code is repeated over 4x4, a 1x1 convolution learns image and
    text jointly, a fully connected layer with one node decides.
    Differs: computed as W_image * features + W_text * code because a convolution over a constant
    map is a matrix product; the same weights, the same function.

    ``kernel=3`` is PT's 3x3 convolution over both, likewise in two parts: at the border fewer of
    its taps see the text (:func:`convolve_replicated`).
    """

    def __init__(
        self,
        features: int,
        text_dim: int,
        normalisation: Normalisation,
        hidden: int | None = None,
        kernel: int = 1,
        score_bias: bool = True,
    ) -> None:
        super().__init__()
        hidden = hidden or features
        bias = normalisation != "batch"
        self.image = spectral(
            Conv2d(features, hidden, kernel, padding=kernel // 2, bias=bias), normalisation
        )
        self.text: nn.Module | None = None
        if text_dim and kernel == 1:
            self.text = spectral(nn.Linear(text_dim, hidden, bias=False), normalisation)
        elif text_dim:
            convolution = nn.Conv2d(text_dim, hidden, kernel, padding=kernel // 2, bias=False)
            self.text = spectral(convolution, normalisation)
        self.kernel = kernel
        self.norm = nn.BatchNorm2d(hidden) if normalisation == "batch" else nn.Identity()
        self.score = spectral(Conv2d(hidden, 1, 4, bias=score_bias), normalisation)

    def of_image(self, features: Tensor) -> Tensor:
        """The image's part of the joint convolution, which serves every text; literally, none."""
        part: Tensor = features if self.literal else self.image(features)
        return part

    def forward(
        self, features: Tensor, text: Tensor | None, of_image: Tensor | None = None
    ) -> Tensor:
        """Map features [B, F, 4, 4] and text [B, N] (or None) to logits [B], float32.

        ``of_image`` is :meth:`of_image`'s answer, where the features are asked about again.
        """
        if self.literal and text is not None and self.text is not None:
            joint = self._joined(features, text)
        else:
            joint = self.image(features) if of_image is None or self.literal else of_image
            if text is not None and self.text is not None:
                joint = joint + self._of_text(text, features.shape[2:]).to(joint.dtype)
        joint = F.leaky_relu_(self.norm(joint), 0.2)
        logits: Tensor = self.score(joint).flatten().float()
        return logits

    def _of_text(self, text: Tensor, size: torch.Size) -> Tensor:
        """The text's part: [B, F, 1, 1] where a 1x1 convolution joins them, else [B, F, 4, 4]."""
        layer = cast(nn.Conv2d, self.text)
        if self.kernel > 1:
            return convolve_replicated(text, layer.weight, size)
        part: Tensor = layer(text)[:, :, None, None]
        return part

    def _joined(self, features: Tensor, text: Tensor) -> Tensor:
        """The one convolution over features and repeated text that :meth:`forward` splits."""
        image, code = cast(nn.Conv2d, self.image).weight, cast(nn.Conv2d, self.text).weight
        weight = torch.cat([image, code.view(len(code), -1, self.kernel, self.kernel)], dim=1)
        spread = replicate(text, features.shape[2:]).to(features.dtype)
        joined = torch.cat([features, spread], dim=1)
        bias = getattr(self.image, "bias", None)
        return F.conv2d(joined, weight, bias, padding=self.kernel // 2)


class ScoreLogits(nn.Module):
    """Image features straight to one logit an image: PT's head that reads no text."""

    def __init__(self, features: int, normalisation: Normalisation, bias: bool = True) -> None:
        super().__init__()
        self.score = spectral(Conv2d(features, 1, 4, bias=bias), normalisation)

    def forward(self, features: Tensor, text: None) -> Tensor:
        """Map features [B, F, 4, 4] to logits [B], float32; there is no text."""
        logits: Tensor = self.score(features).flatten().float()
        return logits


class PatchLogits(nn.Module):
    """One logit for each place of a feature map, to be called real or fake each by itself.

    Differs: not in the paper (Isola et al., 2017, PatchGAN). A generator that adds detail to a
    sketch is taught more by many small judgements than by one of the whole.
    """

    def __init__(self, features: int, normalisation: Normalisation) -> None:
        super().__init__()
        self.hidden = spectral(nn.Conv2d(features, 2 * features, 3, padding=1), normalisation)
        self.score = spectral(nn.Conv2d(2 * features, 1, 3, padding=1), normalisation)

    def forward(self, features: Tensor) -> Tensor:
        """Map features [B, F, H, W] to logits [B * H * W], float32."""
        hidden = F.leaky_relu_(self.hidden(features), 0.2)
        logits: Tensor = self.score(hidden).flatten().float()
        return logits
