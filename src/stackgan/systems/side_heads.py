"""Two small heads on the discriminator's features: which class, and which caption of the batch.

Differs: not in the paper. Auxiliary classification (Odena et al., 2017) and a contrastive term
between images and captions (Zhang et al., 2021, XMC-GAN) are asked because they teach obedience; at
small weights, beside projected heads that read the text, they cost next to nothing
(``class_weight``, ``contrastive_weight``). Asked in training alone.
"""

from __future__ import annotations

import torch
from jaxtyping import Int
from torch import Tensor, nn
from torch.nn import functional as F

from stackgan.networks.conditioning import Standardised
from stackgan.systems.stackgan.discriminators import Features
from stackgan.tensors import Embedding, Scalar

DIM = 128
"""Numbers in which image and caption are compared."""
SHARPNESS = 10.0
"""What cosines are multiplied by before the cross-entropy."""


class SideHeads(nn.Module):
    """Class and caption from a discriminator's features, averaged over their places.

    Args:
        channels: of the features that are read; a batch deviation's channel beyond is left out.
        classes: how many classes the data set has; 0: there is no class head.
        embedding_dim: E.
    """

    def __init__(self, channels: int, classes: int, embedding_dim: int) -> None:
        super().__init__()
        self.channels = channels
        self.of_class = nn.Linear(channels, classes) if classes > 1 else None
        self.of_image = nn.Linear(channels, DIM)
        self.standard = Standardised(embedding_dim)
        self.of_text = nn.Linear(embedding_dim, DIM)

    def class_loss(self, features: Features, labels: Int[Tensor, " B"]) -> Scalar:
        """Cross-entropy of each image's class, in nats, averaged; 0 without a class head."""
        if self.of_class is None:
            return torch.zeros((), device=labels.device)
        return F.cross_entropy(self.of_class(self._pooled(features)), labels)

    def contrastive_loss(
        self, features: Features, embedding: Embedding, labels: Int[Tensor, " B"]
    ) -> Scalar:
        """Symmetric cross-entropy of "which caption of the batch is this image's", in nats.

        Pairs of one class are left out: the caption of one may describe the other as well.
        """
        images = F.normalize(self.of_image(self._pooled(features)), dim=1)
        captions = F.normalize(self.of_text(self.standard(embedding)), dim=1)
        scores = images @ captions.T * SHARPNESS  # [B, B]
        own = torch.arange(len(scores), device=scores.device)
        alike = (labels[:, None] == labels[None, :]) & (own[:, None] != own[None, :])
        scores = scores.masked_fill(alike, -1e4)
        return 0.5 * (F.cross_entropy(scores, own) + F.cross_entropy(scores.T, own))

    def _pooled(self, features: Features) -> Tensor:
        return features.whole[:, : self.channels].float().mean((2, 3))  # [B, F]
