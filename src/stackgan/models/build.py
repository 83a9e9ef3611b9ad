"""From an :class:`~stackgan.config.Architecture` to networks: the one place that reads it."""

from __future__ import annotations

import math
from typing import Literal, TypeVar

import torch
from torch import nn

from stackgan.config import Architecture
from stackgan.errors import InputError
from stackgan.models.blocks import Arranged
from stackgan.models.conditioning import EpsKind, truncated
from stackgan.models.discriminators import Discriminator
from stackgan.models.stage1 import Stage1Generator
from stackgan.models.stage2 import Stage2Generator

AnyNetwork = TypeVar("AnyNetwork", bound=Arranged)


def build_stage1(architecture: Architecture) -> Stage1Generator:
    """Stage-I's generator, channels-last."""
    a = architecture
    generator = Stage1Generator(
        a.embedding_dim,
        a.condition_dim,
        a.noise_dim,
        a.stage1_generator_width,
        conditioning=a.conditioning,
        modulated=a.modulated,
        image_px=a.stage1_px,
        plan=a.stage1_generator,
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
    generator = Stage2Generator(
        a.embedding_dim,
        a.condition_dim,
        a.stage2_generator_width,
        image_px=a.image_px,
        residual_blocks=(2 if a.image_px == 128 else 4) if blocks is None else blocks,
        conditioning=a.conditioning,
        output=a.output,
        eps=_eps(a),
        standardised=a.text_input == "standardised",
        text=a.stage2_text,
        first_bias=a.biases == "first",
        strengths=a.sketch_strengths,
    )
    return _arranged(generator, architecture)


def build_discriminator(architecture: Architecture, stage: Literal[1, 2]) -> Discriminator:
    """The discriminator of ``stage``, channels-last; a one-stage model's is Stage-II's."""
    a = architecture
    first = stage == 1 and a.stage1_px == 64
    alone = a.unconditional
    if first and a.stage1_unconditional is not None:
        alone = a.stage1_unconditional
    discriminator = Discriminator(
        a.embedding_dim,
        a.condition_dim if a.discriminator_text == "mean" else a.text_dim,
        a.stage1_discriminator_width if first else a.stage2_discriminator_width,
        image_px=a.stage1_px if stage == 1 else a.crops_px or a.image_px,
        normalisation=a.normalisation if first else a.stage2_normalisation or a.normalisation,
        unconditional=alone,
        patches=a.patches and not first,
        minibatch_deviation=a.minibatch_deviation,
        residual=a.residual_discriminator,
        max_width=a.max_discriminator_width,
        plan=a.stage1_discriminator if first else a.stage2_discriminator,
        text=a.discriminator_text,
        joint_kernel=a.joint_kernel,
        alone=a.unconditional_head,
        score_bias=a.biases != "none",
        standardised=a.text_input == "standardised",
    )
    return _arranged(discriminator, architecture)


def _arranged(network: AnyNetwork, architecture: Architecture) -> AnyNetwork:
    """Choose how ``network`` computes, and lay out its weights for it."""
    for module in network.modules():
        if isinstance(module, Arranged):
            module.literal = architecture.arithmetic == "literal"
    return network.to(memory_format=network.layout)  # type: ignore[call-overload,no-any-return]


def _eps(architecture: Architecture) -> EpsKind:
    return architecture.eps if architecture.conditioning_augmentation else "none"


def initialise(
    network: nn.Module, random: torch.Generator, kind: Literal["normal", "truncated"] = "normal"
) -> None:
    """Draw every weight anew from ``random``, so that a run depends on its seed alone.

    Under batch normalisation N(0, 0.02) with gains N(1, 0.02), as the authors' code, or
    (``truncated``) as TF with convolutions truncated at two deviations of 0.02; without it
    (the modern discriminators) He's normal, which keeps the signal's size through LeakyReLU 0.2.
    A weight that a network starts at zero stays at zero.
    """
    batch = any(isinstance(m, nn.BatchNorm1d | nn.BatchNorm2d) for m in network.modules())
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
                module.weight.normal_(1.0, 0.02, generator=random)
                module.bias.zero_()
            elif isinstance(module, nn.Conv2d | nn.Linear):
                _draw(module, 0.02 if batch else None, random)
                if kind == "truncated" and batch and isinstance(module, nn.Conv2d):
                    module.weight.copy_(0.02 * truncated(module.weight / 0.02))


def _draw(layer: nn.Conv2d | nn.Linear, deviation: float | None, random: torch.Generator) -> None:
    """Draw one layer's weight, and its spectral normalisation's vectors where it has one."""
    normalised = getattr(layer, "parametrizations", None)
    weight = layer.weight if normalised is None else normalised.weight.original
    if not weight.count_nonzero():
        return
    weight.normal_(0.0, deviation or math.sqrt(2 / 1.04 / weight[0].numel()), generator=random)
    if layer.bias is not None:
        layer.bias.zero_()
    for spectral in () if normalised is None else normalised.weight:
        for vector in (spectral._u, spectral._v):
            vector.normal_(generator=random).div_(vector.norm())
        spectral._power_method(spectral._reshape_weight_to_matrix(weight), 15)
