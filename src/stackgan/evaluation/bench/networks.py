"""The published PyTorch networks written plainly: what the fast ones are measured against.

One operation after the other as the paper and the authors' PyTorch code have them: nearest x2 and a
3x3 convolution, the condition repeated over the map and concatenated, no layout, no fusion. Names
are those of ``stackgan.models``, so that :func:`plain_weights` carries a model's weights over.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

import torch
from torch import Tensor, nn

from stackgan.config import Architecture

Drawn = tuple[Tensor, tuple[Tensor, Tensor]]
"""Images [B, 3, H, W], and mean and log-variance [B, C] of the condition."""


class PlainConditioning(nn.Module):
    """A fully connected layer and ReLU to mean and log-variance."""

    def __init__(self, embedding_dim: int, condition_dim: int) -> None:
        super().__init__()
        self.layer = nn.Linear(embedding_dim, 2 * condition_dim)

    def forward(self, embedding: Tensor) -> tuple[Tensor, Tensor]:
        """Map [B, E] to mean and log-variance [B, C]."""
        mean, log_var = torch.relu(self.layer(embedding)).chunk(2, dim=1)
        return mean, log_var


class PlainUp(nn.Module):
    """Nearest x2, 3x3 convolution, batch normalisation, ReLU."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.enlarge = nn.Upsample(scale_factor=2, mode="nearest")
        self.conv = nn.Conv2d(in_channels, out_channels, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(out_channels)

    def forward(self, x: Tensor) -> Tensor:
        """Map [B, in, H, W] to [B, out, 2H, 2W]."""
        return torch.relu(self.norm(self.conv(self.enlarge(x))))


class PlainStage1(nn.Module):
    """Embedding and noise to a 64x64 sketch."""

    def __init__(self, a: Architecture) -> None:
        super().__init__()
        width = a.stage1_generator_width
        self.conditioning = PlainConditioning(a.embedding_dim, a.condition_dim)
        self.project = nn.Linear(a.condition_dim + a.noise_dim, 8 * width * 16, bias=False)
        self.project_norm = nn.BatchNorm1d(8 * width * 16)
        widths = [8 * width, 4 * width, 2 * width, width, width // 2]
        self.blocks = nn.Sequential(*(PlainUp(i, o) for i, o in pairwise(widths)))
        self.rgb = nn.Conv2d(widths[-1], 3, 3, padding=1, bias=False)

    def forward(self, embedding: Tensor, noise: Tensor, eps: Tensor) -> Drawn:
        """Draw [B, 3, 64, 64] in [-1, 1]."""
        mean, log_var = self.conditioning(embedding)
        condition = mean + (0.5 * log_var).exp() * eps
        x = self.project(torch.cat([condition, noise], dim=1))
        x = torch.relu(self.project_norm(x))
        x = x.view(len(x), -1, 4, 4)
        return torch.tanh(self.rgb(self.blocks(x))), (mean, log_var)


class PlainResidual(nn.Module):
    """Two 3x3 convolutions with batch normalisation and a skip."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        """Map [B, C, H, W] to the same shape."""
        y = torch.relu(self.norm1(self.conv1(x)))
        return torch.relu(x + self.norm2(self.conv2(y)))


class PlainStage2(nn.Module):
    """A sketch and the embedding to a 256x256 picture."""

    def __init__(self, a: Architecture) -> None:
        super().__init__()
        width = a.stage2_generator_width
        self.conditioning = PlainConditioning(a.embedding_dim, a.condition_dim)
        self.encode = nn.Sequential(
            nn.Sequential(nn.Conv2d(3, width, 3, 1, 1, bias=False), nn.ReLU()),
            _down(width, 2 * width),
            _down(2 * width, 4 * width),
        )
        joined = 4 * width + a.condition_dim
        self.join = nn.Conv2d(joined, 4 * width, 3, padding=1, bias=False)
        self.join_norm = nn.BatchNorm2d(4 * width)
        blocks = 4 if a.residual_blocks is None else a.residual_blocks
        self.residual = nn.Sequential(*(PlainResidual(4 * width) for _ in range(blocks)))
        widths = [4 * width, 2 * width, width, width // 2, width // 4]
        self.up = nn.Sequential(*(PlainUp(i, o) for i, o in pairwise(widths)))
        self.rgb = nn.Conv2d(widths[-1], 3, 3, padding=1, bias=False)

    def forward(self, sketches: Tensor, embedding: Tensor, eps: Tensor) -> Drawn:
        """Refine [B, 3, 64, 64] to [B, 3, 256, 256] in [-1, 1]."""
        x = self.encode(sketches)
        mean, log_var = self.conditioning(embedding)
        condition = mean + (0.5 * log_var).exp() * eps
        repeated = condition.view(*condition.shape, 1, 1).repeat(1, 1, *x.shape[2:])
        x = torch.relu(self.join_norm(self.join(torch.cat([x, repeated], dim=1))))
        return torch.tanh(self.rgb(self.up(self.residual(x)))), (mean, log_var)


class PlainDiscriminator(nn.Module):
    """Image to 4x4 features; they and the repeated text to a logit; in Stage-II also they alone."""

    def __init__(self, a: Architecture, image_px: int) -> None:
        super().__init__()
        width = a.stage1_discriminator_width if image_px == 64 else a.stage2_discriminator_width
        downs = {64: 4, 256: 6}[image_px]
        widths = [3, *(width * 2**k for k in range(downs))]
        self.down = nn.Sequential(
            *(PlainDown(i, o, norm=k > 0) for k, (i, o) in enumerate(pairwise(widths)))
        )
        compress: list[nn.Module] = []
        for _ in range(downs - 4):
            i, o = widths[-1], widths[-1] // 2
            compress += [nn.Conv2d(i, o, 3, 1, 1, bias=False), nn.BatchNorm2d(o)]
            compress.append(nn.LeakyReLU(0.2))
            widths.append(o)
        self.compress = nn.Sequential(*compress)
        features = widths[-1]
        self.joint = nn.ModuleDict(
            {
                "conv": nn.Conv2d(features + a.condition_dim, features, 3, 1, 1, bias=False),
                "norm": nn.BatchNorm2d(features),
                "score": nn.Conv2d(features, 1, 4),
            }
        )
        alone = image_px == 256
        self.alone = nn.ModuleDict({"score": nn.Conv2d(features, 1, 4)}) if alone else None

    def features(self, images: Tensor) -> Tensor:
        """Map [B, 3, H, W] to [B, F, 4, 4]."""
        features: Tensor = self.compress(self.down(images))
        return features

    def conditional(self, features: Tensor, text: Tensor) -> Tensor:
        """The logit [B] of "real, and of this text"."""
        repeated = text.view(*text.shape, 1, 1).repeat(1, 1, 4, 4)
        x = self.joint["conv"](torch.cat([features, repeated], dim=1))
        x = nn.functional.leaky_relu(self.joint["norm"](x), 0.2)
        logits: Tensor = self.joint["score"](x).view(-1)
        return logits

    def unconditional(self, features: Tensor) -> Tensor | None:
        """The logit [B] of "real", in Stage-II."""
        return None if self.alone is None else self.alone["score"](features).view(-1)


class PlainDown(nn.Module):
    """4x4 stride-2 convolution, batch normalisation but in the first one, LeakyReLU."""

    def __init__(self, in_channels: int, out_channels: int, norm: bool) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, 4, 2, 1, bias=False)
        self.norm = nn.BatchNorm2d(out_channels) if norm else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """Map [B, in, H, W] to [B, out, H/2, W/2]."""
        return nn.functional.leaky_relu(self.norm(self.conv(x)), 0.2)


def _down(in_channels: int, out_channels: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, 4, 2, 1, bias=False),
        nn.BatchNorm2d(out_channels),
        nn.ReLU(),
    )


def plain_weights(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A fast network's state as the plain one names it: copies, contiguous.

    Only the discriminators' first joint convolution differs, which the fast one keeps in two parts.
    """
    weights = {name: value.detach().clone().contiguous() for name, value in state.items()}
    if "joint.image.weight" in weights:
        image, text = (weights.pop(f"joint.{part}.weight") for part in ("image", "text"))
        weights["joint.conv.weight"] = torch.cat([image, text], dim=1)
    return weights
