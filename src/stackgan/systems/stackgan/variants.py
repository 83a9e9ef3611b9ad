"""What the authors' training steps do otherwise than the paper's, each chosen by a setting.

The defaults are the paper's; where it is silent, what training does without these settings.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from stackgan.config import StageSettings
from stackgan.networks.conditioning import ConditioningAugmentation, Gaussian
from stackgan.systems.losses import (
    DiscriminatorLoss,
    called_fake,
    called_real,
    heads_together,
    unconditional_loss,
)
from stackgan.systems.stackgan.discriminators import Discriminator, Features
from stackgan.tensors import AnyLogits, Embedding, Images, Scalar


def text_of(
    discriminator: Discriminator, embedding: Embedding, gaussian: Gaussian | None
) -> Tensor:
    """What ``discriminator`` reads as text: the embedding [B, E], or the generator's mean [B, C].

    Differs: not in the paper; the mean, without its gradient, is what the authors' PyTorch code
    gives its discriminators (``architecture.discriminator_text``).
    """
    if discriminator.text_kind != "mean" or gaussian is None:
        return embedding
    return gaussian.mean.detach()


def wrong_answer(
    discriminator: Discriminator,
    kind: str,
    features: Features,
    text: Tensor,
    wrong_text: Tensor,
    wrong_images: Images | None,
) -> Tensor:
    """The logits of real images beside text that is not theirs, one for each wrong pair.

    Paper: section 3.3, "real images with mismatched text embeddings"; it does not say how they are
    drawn.

    Args:
        kind: ``caption`` asks of ``features`` with ``wrong_text``, captions of other classes;
            ``image`` of ``wrong_images``, of other examples, with ``text``;
            ``shifted`` of each image but the last with the text of the next: B - 1 pairs.
    """
    if kind == "image":
        if wrong_images is None:
            raise ValueError("wrong_pair=image needs a batch with wrong_pixels")
        return discriminator.conditional(discriminator.features(wrong_images), text)
    if kind == "shifted":
        return discriminator.conditional(Features(*(part[:-1] for part in features)), text[1:])
    return discriminator.conditional(features, wrong_text)


def wrong_text_of(
    discriminator: Discriminator,
    conditioning: ConditioningAugmentation | None,
    embedding: Embedding,
) -> Tensor:
    """What ``discriminator`` reads of captions that are not those of the generator's images."""
    if discriminator.text_kind != "mean" or conditioning is None:
        return embedding
    with torch.no_grad():
        return text_of(discriminator, embedding, conditioning(embedding))


def weigh(
    graded: DiscriminatorLoss,
    alone: AnyLogits | None,
    fake_alone: AnyLogits | None,
    settings: StageSettings,
) -> tuple[Scalar, dict[str, Tensor]]:
    """The discriminator's loss over its heads, and its parts for the log (means over the heads)."""
    weight = settings.conditional_weight
    loss = weight * graded.total()
    parts = list(graded)
    if alone is not None and fake_alone is not None:
        real = called_real(alone, settings.loss)
        fake = called_fake(fake_alone, settings.loss)
        parts = [0.5 * (graded.real + real), graded.wrong, 0.5 * (graded.fake + fake)]
        if settings.heads == "together":
            weighed = DiscriminatorLoss(*(weight * part for part in graded))
            loss = heads_together(weighed, real, fake)
        else:
            loss = loss + unconditional_loss(alone, fake_alone, settings.loss)
    names = ("d_real_loss", "d_wrong_loss", "d_fake_loss")
    report = {name: part.detach() for name, part in zip(names, parts, strict=True)}
    return loss, {"d_loss": loss.detach()} | report


def kl_of(
    gaussian: Gaussian | None, conditioning: ConditioningAugmentation | None, reduction: str
) -> Scalar:
    """What the generator pays for its Gaussian, before lambda: the KL, or nothing without CA.

    ``mean`` averages over the condition's dimensions, as both of the authors' codes do.
    """
    if gaussian is None or conditioning is None or conditioning.eps == "none":
        return torch.zeros(())
    return gaussian.mean_kl_to_standard() if reduction == "mean" else gaussian.kl_to_standard()


@contextmanager
def batch_statistics(sketcher: nn.Module, kind: str) -> Iterator[None]:
    """Let a frozen network normalise by its own statistics, or by the batch's while this lasts.

    ``running``: its own. ``batch``: the batch's, its own untouched (TF). ``drift``: the batch's,
    and its own follow (PT).
    Differs: the paper fixes Stage-I; a network whose normalisation runs on in training mode is not
    fixed, which in the authors' PyTorch code also moves what its model folder will sample with.
    """
    if kind == "running":
        yield
        return
    norms = [m for m in sketcher.modules() if isinstance(m, nn.BatchNorm1d | nn.BatchNorm2d)]
    sketcher.train()
    for norm in norms:
        norm.track_running_stats = kind == "drift"
    try:
        yield
    finally:
        for norm in norms:
            norm.track_running_stats = True
        sketcher.eval()
