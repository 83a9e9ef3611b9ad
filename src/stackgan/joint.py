"""How well do a caption and an image fit? A text encoder and the image side in its file.

Paper: char-CNN-RNN (Reed et al., CVPR 2016), section 3: compatibility F(v, t) = theta(v) . phi(t).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from stackgan.data.examples import Progress
from stackgan.data.images import read_image, to_square
from stackgan.errors import ModelError
from stackgan.networks.features import EfficientNetLite
from stackgan.tensors import Pixels
from stackgan.text import CharCnnRnn, TextEncoder


class SmallImageNetwork(nn.Module):
    """Four strided convolutions, trained along with the captions: for toy sets and bare machines.

    Takes uint8 pixels [B, 3, 64, 64], gives features [B, 2048] that keep the position.
    """

    image_px = 64
    features = 2048

    def __init__(self) -> None:
        super().__init__()
        widths = (3, 32, 64, 128, 128)
        self.convolutions = nn.ModuleList(
            nn.Conv2d(before, after, 4, 2, 1) for before, after in pairwise(widths)
        )

    def forward(self, pixels: Tensor) -> Tensor:
        """Return non-negative features, channels x 4 x 4 flattened."""
        x = pixels.float().sub(127.5).div(127.5)
        for convolution in self.convolutions:
            x = F.leaky_relu(convolution(x), 0.1)
            x = x - x.mean((1, 2, 3), keepdim=True)
            x = x / (x.square().mean((1, 2, 3), keepdim=True) + 1e-6).sqrt()
        return x.flatten(1)


class JointEmbedding:
    """A trained encoder together with the image side in its file: how well do these two fit?"""

    def __init__(self, encoder: TextEncoder) -> None:
        """Take an encoder of ``encoder train``.

        Raises:
            ModelError: the image side is missing.
            InputError: the image network's package is not installed.
        """
        wanted = {"image_projection.weight", "image_projection.bias", "joint.mean", "joint.scale"}
        if (
            not isinstance(encoder, CharCnnRnn)
            or not wanted <= encoder.extra.keys()
            or "image_network" not in encoder.notes
        ):
            raise ModelError(
                f"the encoder {encoder.name!r} has no image side, "
                "expected one made by `stackgan encoder train`"
            )
        self.encoder = encoder
        self.similarity = encoder.notes["similarity"]
        self.image_px = int(encoder.notes["image_px"])
        self.network: nn.Module
        if encoder.notes["image_network"] == "small":
            self.network = SmallImageNetwork()
            prefix = "image_network."
            self.network.load_state_dict(
                {
                    key.removeprefix(prefix): value
                    for key, value in encoder.extra.items()
                    if key.startswith(prefix)
                }
            )
        else:
            self.network = EfficientNetLite(1)

    def of_captions(self, captions: Sequence[str]) -> Tensor:
        """Captions in the space they were trained in: the fold undone, [B, E]."""
        extra = self.encoder.extra
        embedding = self.encoder.encode(captions)
        return self._scaled(embedding / extra["joint.scale"] + extra["joint.mean"])

    @torch.inference_mode()
    def of_features(self, features: Tensor) -> Tensor:
        """Image features -> the same space, [B, E]."""
        extra = self.encoder.extra
        return self._scaled(
            F.linear(features, extra["image_projection.weight"], extra["image_projection.bias"])
        )

    @torch.inference_mode()
    def of_pixels(self, pixels: Pixels) -> Tensor:
        """Pixels of the size the training saw -> the same space, [B, E]."""
        if isinstance(self.network, EfficientNetLite):
            return self.of_features(self.network.features(pixels))
        return self.of_features(self.network(pixels))

    @torch.inference_mode()
    def of_photographs(self, paths: Sequence[Path], progress: Progress | None = None) -> Tensor:
        """Photographs -> the same space, [B, E]; shrunk to the size the training saw."""
        parts = []
        for start in range(0, len(paths), 32):
            squares = [
                np.asarray(to_square(read_image(path, 4 * self.image_px), self.image_px))
                for path in paths[start : start + 32]
            ]
            pixels = torch.from_numpy(np.stack(squares).transpose(0, 3, 1, 2).copy())
            parts.append(self.of_pixels(pixels))
            if progress:
                progress(min(start + 32, len(paths)), len(paths))
        return torch.cat(parts) if parts else torch.empty(0, self.encoder.dim)

    def _scaled(self, embedding: Tensor) -> Tensor:
        return F.normalize(embedding, dim=1) if self.similarity == "cosine" else embedding
