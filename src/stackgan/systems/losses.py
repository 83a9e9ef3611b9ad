"""The arithmetic of training: adversarial losses, gradient penalty. No optimizer, no side effect.

All losses take logits (before a sigmoid), average over the batch and are in nats.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
from torch.nn import functional as F

from stackgan.precision import in_own_precision
from stackgan.tensors import AnyLogits, Images, Logits, Resized, Scalar

LossKind = Literal["minimax", "logistic", "sigmoid", "hinge"]


class DiscriminatorLoss(NamedTuple):
    """The three answers a matching-aware discriminator is graded on."""

    real: Scalar  # a real image with its own caption, to be called real
    wrong: Scalar  # a real image with another image's caption, to be called fake
    fake: Scalar  # a generated image with the caption it was made from, to be called fake

    def total(self) -> Scalar:
        """Real + (wrong + fake) / 2: the two groups of negatives weigh as much as the positives.

        Paper: section 3.3 names the groups; the weights are those of GAN-CLS (Reed et al., ICML
        2016, algorithm 1) and of the authors' code.
        """
        return self.real + 0.5 * (self.wrong + self.fake)


def called_real(logits: AnyLogits, kind: LossKind) -> Scalar:
    """The loss of logits that should say "real": -log sigmoid, or hinge max(0, 1 - logit)."""
    if kind == "sigmoid":
        return on_probabilities(logits, 1.0)
    return F.relu(1 - logits).mean() if kind == "hinge" else F.softplus(-logits).mean()


def called_fake(logits: AnyLogits, kind: LossKind) -> Scalar:
    """The loss of logits that should say "fake": -log(1 - sigmoid), or hinge max(0, 1 + logit)."""
    if kind == "sigmoid":
        return on_probabilities(logits, 0.0)
    return F.relu(1 + logits).mean() if kind == "hinge" else F.softplus(logits).mean()


def on_probabilities(logits: AnyLogits, target: float) -> Scalar:
    """Binary cross-entropy of sigmoid(logits): the logistic loss while the sigmoid is not 0 or 1.

    Differs: not in the paper; the authors' PyTorch code takes the sigmoid first, so that from
    logits of about 17 on (in float32) a wrong answer costs 100 nats and teaches nothing.
    """
    with in_own_precision(logits.device.type):
        probability = logits.float().sigmoid()
        return F.binary_cross_entropy(probability, torch.full_like(probability, target))


def discriminator_loss(
    real: Logits, wrong: AnyLogits, fake: Logits, kind: LossKind
) -> DiscriminatorLoss:
    """Grade the conditional head. Paper: section 3.3, equation 3; section 3.4, equation 5."""
    return DiscriminatorLoss(
        called_real(real, kind), called_fake(wrong, kind), called_fake(fake, kind)
    )


def heads_together(graded: DiscriminatorLoss, real: Scalar, fake: Scalar) -> Scalar:
    """Both heads' answers in one mean for "real" and one for "fake".

    (``graded.real`` + ``real``) / 2 + (``graded.wrong`` + ``graded.fake`` + ``fake``) / 3, where
    ``real`` and ``fake`` are the losses of the head that reads no text.
    Differs: not in the paper, whose discriminator has one head; the authors' PyTorch Stage-II.
    """
    return 0.5 * (graded.real + real) + (graded.wrong + graded.fake + fake) / 3


def unconditional_loss(real: AnyLogits, fake: AnyLogits, kind: LossKind) -> Scalar:
    """Grade the head that reads no text (StackGAN-v2, section 3.2; modern preset)."""
    return called_real(real, kind) + called_fake(fake, kind)


def generator_loss(fake: AnyLogits, kind: LossKind) -> Scalar:
    """What the generator pays for its fakes' logits.

    ``minimax`` is log(1 - D) to the letter (Paper: equations 4 and 6), ``logistic`` the
    non-saturating -log D (``sigmoid`` on probabilities), ``hinge`` the mean of -D.
    """
    if kind == "minimax":
        return -F.softplus(fake).mean()
    if kind == "hinge":
        return -fake.mean()
    return called_real(fake, kind)


def gradient_penalty(images: Images, logits: AnyLogits) -> Scalar:
    """R1: squared gradient of an image's mean logit, summed over its pixels, averaged over B.

    Differs: not in the paper (Mescheder et al., 2018). ``images`` must require gradients; computed
    in float32.
    """
    per_image = logits.sum() * (len(images) / len(logits))
    (gradient,) = torch.autograd.grad(per_image, images, create_graph=True)
    return gradient.square().sum(dim=(1, 2, 3)).mean()


def pixel_loss(images: Images, target: Images) -> Scalar:
    """Mean absolute difference over all entries (Stage-II of the modern preset)."""
    return F.l1_loss(images.float(), target.float())


def shrink(images: Images, size_px: int) -> Resized:
    """Reduce [B, 3, H, W] to ``size_px``: antialiased bicubic, float32, in [-1, 1]."""
    small = F.interpolate(
        images.float(), (size_px, size_px), mode="bicubic", antialias=True, align_corners=False
    )
    return small.clamp(-1, 1)
