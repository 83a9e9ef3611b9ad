"""From settings to a :class:`~stackgan.training.steps.Stage`: the networks that learn together."""

from __future__ import annotations

from typing import Literal

import torch
from torch import nn

from stackgan.config import Settings, StageSettings
from stackgan.networks.initialise import initialise
from stackgan.precision import faster_precision
from stackgan.systems.projected import ProjectedDiscriminator
from stackgan.systems.side_heads import SideHeads
from stackgan.systems.stackgan.build import build_discriminator, build_stage1, build_stage2
from stackgan.systems.stackgan.stage1 import Stage1Generator
from stackgan.training.steps import Stage, make_stage


def assemble(
    settings: Settings,
    number: Literal[1, 2],
    classes: int,
    random: torch.Generator,
    *,
    sketcher: Stage1Generator | None = None,
    device: str = "cpu",
    bf16: bool = False,
    stage_settings: StageSettings | None = None,
) -> Stage:
    """Build the networks of stage ``number``, draw their weights from ``random``, join them.

    Args:
        classes: how many the data set has, for the head that names them; 0: none.
        sketcher: the frozen Stage-I of Stage-II's training.
        stage_settings: in place of the stage's own.

    Raises:
        InputError: a projected discriminator's packages are not installed.
    """
    architecture = settings.architecture
    chosen = stage_settings or (settings.stage1 if number == 1 else settings.stage2)
    generator = build_stage1(architecture) if number == 1 else build_stage2(architecture)
    discriminator = build_discriminator(architecture, number)
    projected = _projected(chosen, architecture.embedding_dim)
    side_heads = None
    if chosen.class_weight or chosen.contrastive_weight:
        counted = classes if chosen.class_weight else 0
        side_heads = SideHeads(discriminator.channels, counted, architecture.embedding_dim)
    networks: list[nn.Module] = [generator, discriminator]
    networks += [each for each in (projected, side_heads) if each is not None]
    for network in networks:
        initialise(network, random, settings.initialisation)
    where = torch.device(device)
    return make_stage(
        generator.to(where),
        discriminator.to(where),
        chosen,
        sketcher=None if sketcher is None else sketcher.to(where),
        projected=None if projected is None else projected.to(where),
        bf16=bf16,
        side_heads=None if side_heads is None else side_heads.to(where),
        crop_px=architecture.crops_px if number == 2 else 0,
    )


def _projected(settings: StageSettings, embedding_dim: int) -> ProjectedDiscriminator | None:
    if not settings.projected_weight:
        return None
    return ProjectedDiscriminator(
        taps=settings.projected_taps,
        embedding_dim=embedding_dim if settings.projected_text else None,
        size_px=settings.projected_px,
    )


def computes_in_bf16(settings: Settings, device: str) -> bool:
    """Whether a stage of these settings is trained in bf16 on ``device``."""
    chosen = settings.precision if settings.precision != "auto" else faster_precision(device)
    return chosen == "bf16"
