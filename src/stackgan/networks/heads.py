"""Heads of discriminators: from 4x4 features and a text code to logits. Paper: section 3.5."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from stackgan.fast.replicated import convolve_replicated, replicate
from stackgan.networks.arranged import Arranged
from stackgan.networks.layers import Conv2d, Normalisation, spectral
from stackgan.networks.together import PerBatch


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
