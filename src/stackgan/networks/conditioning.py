"""Conditioning Augmentation: from a sentence embedding to a Gaussian over conditions."""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from stackgan.precision import in_own_precision
from stackgan.tensors import Condition, Embedding, Scalar

ConditioningKind = Literal["linear", "bounded", "relu", "leaky_relu"]
EpsKind = Literal["normal", "truncated", "none"]


class Gaussian(NamedTuple):
    """A diagonal Gaussian over conditions, one for each caption."""

    mean: Condition
    log_var: Condition

    def sample(self, eps: Condition | None) -> Condition:
        """Draw mean + sigma * eps; the mean itself where ``eps`` is None. Paper: section 3.2."""
        if eps is None:
            return self.mean
        return self.mean + (0.5 * self.log_var).exp() * eps

    def kl_to_standard(self) -> Scalar:
        """KL(N(mean, sigma^2) || N(0, I)) in nats: summed over C, averaged over the batch.

        Paper: section 3.2, equation 2.
        """
        return 0.5 * self._terms().sum(dim=1).mean()

    def mean_kl_to_standard(self) -> Scalar:
        """The same KL averaged over C as well, as both of the authors' codes have it."""
        return 0.5 * self._terms().mean()

    def _terms(self) -> Condition:
        return self.mean.square() + self.log_var.exp() - 1 - self.log_var


class Standardised(nn.Module):
    """Embeddings moved and scaled so that those of the training captions lie about zero.

    Differs: not in the paper. Encoders differ in how far apart they put captions: averaged word
    vectors share 98 % of their length, and a layer that reads them as they are learns the text
    last or never (docs/results.md). The mean and the scale are the training captions' and travel
    with the weights.
    """

    LENGTH = 10.0
    """Root mean square length of what comes out, for the training captions."""

    mean: Tensor
    scale: Tensor

    def __init__(self, embedding_dim: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(embedding_dim))
        self.register_buffer("scale", torch.ones(()))

    def measure(self, embeddings: Tensor) -> None:
        """Take mean and scale from the training captions' embeddings [M, E]."""
        mean = embeddings.mean(dim=0)
        distance = (embeddings - mean).square().sum(dim=1).mean().sqrt()
        self.mean.copy_(mean)
        self.scale.copy_(self.LENGTH / distance if distance > 0 else torch.ones(()))

    def forward(self, embedding: Embedding) -> Embedding:
        """Map [B, E] to [B, E]."""
        return (embedding - self.mean) * self.scale


def measure_text(network: nn.Module, embeddings: Tensor) -> None:
    """Tell every :class:`Standardised` of ``network`` the training captions' embeddings [M, E]."""
    for module in network.modules():
        if isinstance(module, Standardised):
            module.measure(embeddings)


class ConditioningAugmentation(nn.Module):
    """A fully connected layer from the embedding to mean and log-variance. Paper: section 3.2.

    ``kind``: ``linear`` as the paper draws it; ``bounded`` keeps the log-variance within +-4 (the
    modern preset: a layer that starts far off cannot overflow); ``relu`` and ``leaky_relu`` apply
    that activation to the layer's output as the authors' PyTorch and TensorFlow code do.

    ``eps``: what :meth:`chance` makes of a normal eps. ``none`` is the paper's ablation without
    Conditioning Augmentation: the condition is the mean.

    ``standardised``: the layer reads :class:`Standardised` embeddings.
    """

    def __init__(
        self,
        embedding_dim: int,
        condition_dim: int,
        kind: ConditioningKind,
        eps: EpsKind = "normal",
        standardised: bool = False,
    ) -> None:
        super().__init__()
        self.kind = kind
        self.eps = eps
        self.standard = Standardised(embedding_dim) if standardised else nn.Identity()
        self.layer = nn.Linear(embedding_dim, 2 * condition_dim)

    def forward(self, embedding: Embedding) -> Gaussian:
        """Map [B, E] to a Gaussian over [B, C], in float32 whatever the surrounding precision."""
        with in_own_precision(embedding.device.type):
            y = self.layer(self.standard(embedding.float()))
        if self.kind == "relu":
            y = F.relu(y)
        elif self.kind == "leaky_relu":
            y = F.leaky_relu(y, 0.2)
        mean, log_var = y.chunk(2, dim=1)
        if self.kind == "bounded":
            log_var = 4 * torch.tanh(log_var / 4)
        elif self.kind == "leaky_relu":
            log_var = 2 * log_var  # TF's layer gives log sigma
        return Gaussian(mean, log_var)

    def chance(self, eps: Condition | None) -> Condition | None:
        """What multiplies sigma, from eps ~ N(0, I): itself, truncated, or nothing."""
        if eps is None or self.eps == "none":
            return None
        return truncated(eps) if self.eps == "truncated" else eps


def truncated(eps: Tensor) -> Tensor:
    """Turn standard normal numbers into such as are truncated at two deviations, rising with them.

    The quantile of eps among all normal numbers becomes the quantile among those within +-2, so
    that one draw gives one number and zero stays zero. TF draws again until a number is within.
    """
    within = math.erf(math.sqrt(2.0))  # the share of normal numbers within two deviations
    quantile = torch.erf(eps.double() / math.sqrt(2.0)) * within
    return (math.sqrt(2.0) * torch.erfinv(quantile)).to(eps.dtype)
