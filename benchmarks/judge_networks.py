"""The judges' networks, as plain modules that hold what their files hold, name by name.

``load_judge("squeezenet", folder)`` is an image network of the package (``ImageNetwork``); of the
folder only ``squeezenet.safetensors`` is read. Both networks give classes too, which nobody asks
for here; their weights are held because a file must be the network's own.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from stackgan.networks.image_networks import LoadedNetwork, load_image_network

BATCH_SIZE = 4  # of the judges' first figures: another one may move features in their last bit


class SqueezeNet(nn.Module):
    """SqueezeNet v1.0 (Iandola et al., 2016): 512 features after fire9, divided by 16.

    Divided so that their mean square is about 1, and KID's kernel not all cube.
    """

    unit = 16.0

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 96, 7, stride=2)
        channels = 96
        for place in range(2, 10):
            squeezed = 16 * (place // 2)
            for name, size in (("squeeze", 1), ("1x1", 1), ("3x3", 3)):
                ins, outs = (channels, squeezed) if name == "squeeze" else (squeezed, 4 * squeezed)
                conv = nn.Conv2d(ins, outs, size, padding=size // 2)
                self.add_module(f"fire{place}_{name}", conv)
            channels = 8 * squeezed
        self.final = nn.Conv2d(channels, 1000, 1)

    def forward(self, images: Tensor) -> Tensor:
        """Levels less the mean, red first, [B, 3, 227, 227] -> features [B, 512]."""
        x = F.relu(self.conv1(images.flip(1)))  # blue first
        for place in range(2, 10):
            if place in (2, 5, 9):
                x = F.max_pool2d(x, 3, 2, ceil_mode=True)
            x = self._of(place, "squeeze", x)
            x = torch.cat([self._of(place, "1x1", x), self._of(place, "3x3", x)], dim=1)
        return x.mean((2, 3)) / self.unit

    def _of(self, place: int, name: str, x: Tensor) -> Tensor:
        return F.relu(self.get_submodule(f"fire{place}_{name}")(x))


class Conv(nn.Module):
    """A convolution with its batch normalisation folded in, padded as TensorFlow's SAME.

    What it puts out is clipped to 0..6, where it is not ``linear``.
    """

    def __init__(self, ins: int, outs: int, size: int, stride: int = 1, *, deep: bool = False,
                 linear: bool = False) -> None:  # fmt: skip
        super().__init__()
        self.stride, self.groups, self.linear = stride, ins if deep else 1, linear
        self.weight = nn.Parameter(torch.zeros(outs, ins // self.groups, size, size))
        self.bias = nn.Parameter(torch.zeros(outs))

    def forward(self, x: Tensor) -> Tensor:
        """[B, I, H, W] -> [B, O, H / stride, W / stride]."""
        if self.weight.shape[-1] > 1:  # what is over goes right and below
            over = max((-(-x.shape[-1] // self.stride) - 1) * self.stride + 3 - x.shape[-1], 0)
            x = F.pad(x, [over // 2, over - over // 2] * 2)
        x = F.conv2d(x, self.weight, self.bias, self.stride, groups=self.groups)
        return x if self.linear else x.clamp(0, 6)


class Normalise(nn.Module):
    """(pixel - zero) * scale, both in the file."""

    def __init__(self) -> None:
        super().__init__()
        self.zero = nn.Parameter(torch.zeros(()))
        self.scale = nn.Parameter(torch.ones(()))

    def forward(self, images: Tensor) -> Tensor:
        """Levels -> the network's input."""
        return (images - self.zero) * self.scale


class MobileNetV2(nn.Module):
    """MobileNetV2 1.0 (Sandler et al., 2018, table 2): 1,280 features after the last ReLU6."""

    # expansion, channels, repeats, first stride
    blocks = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1),
              (6, 160, 3, 2), (6, 320, 1, 1))  # fmt: skip

    def __init__(self, classes: int = 1001) -> None:
        super().__init__()
        self.input = Normalise()
        self._count = 0
        self._add(Conv(3, 32, 3, stride=2))
        self._blocks: list[tuple[list[Conv], bool]] = []
        channels = 32
        for expansion, outs, repeats, first in self.blocks:
            for repeat in range(repeats):
                wide = channels * expansion
                convs = [] if expansion == 1 else [self._add(Conv(channels, wide, 1))]
                stride = first if repeat == 0 else 1
                convs.append(self._add(Conv(wide, wide, 3, stride, deep=True)))
                convs.append(self._add(Conv(wide, outs, 1, linear=True)))
                self._blocks.append((convs, repeat > 0))
                channels = outs
        self._add(Conv(channels, 1280, 1))
        self.head = nn.Linear(1280, classes)

    def forward(self, images: Tensor) -> Tensor:
        """Levels, red first, [B, 3, 224, 224] -> features [B, 1280]."""
        x = self.get_submodule("conv0")(self.input(images))
        for convs, added in self._blocks:
            y = x
            for conv in convs:
                y = conv(y)
            x = x + y if added else y
        last = self.get_submodule(f"conv{self._count - 1}")
        return last(x).mean((2, 3))

    def _add(self, conv: Conv) -> Conv:
        self.add_module(f"conv{self._count}", conv)
        self._count += 1
        return conv


class Judge(NamedTuple):
    """How a judge's module is built and what its pixels become."""

    build: Callable[[], nn.Module]
    input_px: int
    mean: tuple[float, float, float] | float = 0.0


NETWORKS = {
    "squeezenet": Judge(SqueezeNet, 227, (123.0, 117.0, 104.0)),
    "mobilenetv2": Judge(MobileNetV2, 224),
}


def load_judge(name: str, folder: Path) -> LoadedNetwork:
    """Return a judge, its weights from ``folder``."""
    judge = NETWORKS[name]
    return load_image_network(
        judge.build(),
        folder / f"{name}.safetensors",
        name=name,
        input_px=judge.input_px,
        mean=judge.mean,
        batch_size=BATCH_SIZE,
    )
