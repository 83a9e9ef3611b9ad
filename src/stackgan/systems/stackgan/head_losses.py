"""What the heads beside the matching-aware discriminator cost: projected ones, class, caption."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from stackgan.config import StageSettings
from stackgan.systems.losses import called_fake, unconditional_loss
from stackgan.systems.parts import StepBatch
from stackgan.systems.projected import ProjectedDiscriminator
from stackgan.systems.side_heads import SideHeads
from stackgan.systems.stackgan.discriminators import Features
from stackgan.tensors import Embedding, Images, Scalar


def projected_loss(
    projected: ProjectedDiscriminator,
    settings: StageSettings,
    real: Images,
    fake_maps: Sequence[Tensor],
    embedding: Embedding,
    wrong_embedding: Embedding,
) -> tuple[Scalar, dict[str, Tensor]]:
    """The projected discriminator's loss, and what it says of real, fake and wrongly captioned.

    ``real`` are photographs as it is to see them, ``fake_maps`` its maps of generated images.
    """
    with torch.no_grad():
        maps = projected.maps(real)
    reads = projected.text is not None
    text = embedding if reads else None
    real_logits = projected(maps, text)
    fake_logits = projected([x.detach() for x in fake_maps], text)
    loss = unconditional_loss(real_logits, fake_logits, settings.projected_loss)
    report = {
        "p_real": real_logits.detach().sigmoid().mean(),
        "p_fake": fake_logits.detach().sigmoid().mean(),
    }
    if reads and settings.projected_wrong_weight:
        wrong = projected(maps, wrong_embedding)
        loss = loss + settings.projected_wrong_weight * called_fake(wrong, settings.projected_loss)
        report["p_wrong"] = wrong.detach().sigmoid().mean()
    return loss, report


def side_loss(
    heads: SideHeads, settings: StageSettings, features: Features, batch: StepBatch
) -> Scalar:
    """What D, or G in its turn, pays for images whose class or caption cannot be told.

    Raises:
        ValueError: the batch has no labels.
    """
    if batch.labels is None:
        raise ValueError("the side heads need a batch with labels")
    loss = torch.zeros((), device=batch.labels.device)
    if settings.class_weight:
        loss = loss + settings.class_weight * heads.class_loss(features, batch.labels)
    if settings.contrastive_weight:
        told = heads.contrastive_loss(features, batch.embedding, batch.labels)
        loss = loss + settings.contrastive_weight * told
    return loss
