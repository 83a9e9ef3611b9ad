"""From an :class:`~stackgan.config.Architecture` to networks: the one place that reads it."""

from __future__ import annotations

from typing import Literal, TypeVar

from stackgan.config import Architecture
from stackgan.errors import InputError
from stackgan.networks.arranged import Arranged
from stackgan.networks.conditioning import EpsKind
from stackgan.systems.stackgan.authors import BottleneckStage1
from stackgan.systems.stackgan.discriminators import Body, Discriminator, Heads
from stackgan.systems.stackgan.modern import (
    ModulatedStage1,
    ResidualStage2,
    ToldPlainStage2,
    ToldStage2,
)
from stackgan.systems.stackgan.stage1 import Stage1Generator
from stackgan.systems.stackgan.stage2 import Stage2Generator

AnyNetwork = TypeVar("AnyNetwork", bound=Arranged)


STAGE1 = {"plain": Stage1Generator, "bottleneck": BottleneckStage1}
STAGE2: dict[tuple[str, bool], type[Stage2Generator]] = {
    ("rgb", False): Stage2Generator,
    ("rgb", True): ToldPlainStage2,
    ("residual", False): ResidualStage2,
    ("residual", True): ToldStage2,
}
"""By ``architecture.output`` and ``architecture.sketch_strengths``."""


def build_stage1(architecture: Architecture) -> Stage1Generator:
    """Stage-I's generator, channels-last."""
    a = architecture
    kind = ModulatedStage1 if a.modulated else STAGE1[a.stage1_generator]
    generator = kind(
        a.embedding_dim,
        a.condition_dim,
        a.noise_dim,
        a.stage1_generator_width,
        conditioning=a.conditioning,
        image_px=a.stage1_px,
        eps=_eps(a),
        standardised=a.text_input == "standardised",
    )
    return _arranged(generator, architecture)


def build_stage2(architecture: Architecture) -> Stage2Generator:
    """Stage-II's generator, channels-last; InputError for an architecture of one stage."""
    a = architecture
    if a.stages == 1:
        raise InputError("this architecture has one stage (architecture.stages=1): no Stage-II")
    blocks = a.residual_blocks
    generator = STAGE2[a.output, a.sketch_strengths](
        a.embedding_dim,
        a.condition_dim,
        a.stage2_generator_width,
        image_px=a.image_px,
        residual_blocks=(2 if a.image_px == 128 else 4) if blocks is None else blocks,
        conditioning=a.conditioning,
        eps=_eps(a),
        standardised=a.text_input == "standardised",
        text=a.stage2_text,
        first_bias=a.biases == "first",
    )
    return _arranged(generator, architecture)


def build_discriminator(architecture: Architecture, stage: Literal[1, 2]) -> Discriminator:
    """The discriminator of ``stage``, channels-last; a one-stage model's is Stage-II's."""
    a = architecture
    first = stage == 1 and a.stage1_px == 64
    body = Body(
        a.stage1_discriminator_width if first else a.stage2_discriminator_width,
        image_px=a.stage1_px if stage == 1 else a.crops_px or a.image_px,
        normalisation=a.normalisation if first else a.stage2_normalisation or a.normalisation,
        residual=a.residual_discriminator,
        max_width=a.max_discriminator_width,
        bottleneck=(a.stage1_discriminator if first else a.stage2_discriminator) == "bottleneck",
    )
    asked = a.unconditional
    if first and a.stage1_unconditional is not None:
        asked = a.stage1_unconditional
    heads = Heads(
        text=a.discriminator_text,
        joint_kernel=a.joint_kernel,
        score_bias=a.biases != "none",
        alone=("patches" if a.patches and not first else a.unconditional_head) if asked else None,
        deviation=a.minibatch_deviation,
        standardised=a.text_input == "standardised",
    )
    text_dim = a.condition_dim if a.discriminator_text == "mean" else a.text_dim
    return _arranged(Discriminator(a.embedding_dim, text_dim, body, heads), architecture)


def _arranged(network: AnyNetwork, architecture: Architecture) -> AnyNetwork:
    """Choose how ``network`` computes, and lay out its weights for it."""
    for module in network.modules():
        if isinstance(module, Arranged):
            module.literal = architecture.arithmetic == "literal"
    return network.to(memory_format=network.layout)  # type: ignore[call-overload,no-any-return]


def _eps(architecture: Architecture) -> EpsKind:
    return architecture.eps if architecture.conditioning_augmentation else "none"
