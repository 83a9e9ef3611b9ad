"""A stage put together, and one training step of it: batch -> turns -> weights."""

from __future__ import annotations

import copy
from functools import partial

import torch
from torch import Tensor, nn

from stackgan.config import StageSettings
from stackgan.fast.adam import FusedAdam
from stackgan.networks.layers import store_up_kernels
from stackgan.systems.parts import Draw, split
from stackgan.systems.parts import StepBatch as StepBatch
from stackgan.systems.projected import ProjectedDiscriminator
from stackgan.systems.side_heads import SideHeads
from stackgan.systems.stackgan.discriminators import Discriminator
from stackgan.systems.stackgan.stage1 import Stage1Generator
from stackgan.systems.stackgan.stage2 import Stage2Generator
from stackgan.systems.stackgan.step import Stage as Stage
from stackgan.systems.stackgan.step import turns
from stackgan.training.ema import average_decay, update_average
from stackgan.training.turns import take


def make_stage(
    generator: Stage1Generator | Stage2Generator,
    discriminator: Discriminator,
    settings: StageSettings,
    sketcher: Stage1Generator | None = None,
    projected: ProjectedDiscriminator | None = None,
    bf16: bool = False,
    side_heads: SideHeads | None = None,
    crop_px: int = 0,
) -> Stage:
    """Put networks, optimizers and the averaged generator of one stage together."""
    generator.recompute = discriminator.recompute = settings.recompute
    for network in (generator, sketcher):
        if network is not None:
            store_up_kernels(network)
    kind = partial(torch.optim.Adam, fused=False) if generator.literal else FusedAdam

    def adam(lr: float, *networks: nn.Module) -> torch.optim.Optimizer:
        weights = [p for network in networks for p in network.parameters() if p.requires_grad]
        return kind(weights, lr, settings.betas)

    average = copy.deepcopy(generator).eval().requires_grad_(False) if settings.averages else None
    if sketcher is not None:
        sketcher.eval().requires_grad_(settings.finetune_stage1 > 0)
    judges = [each for each in (discriminator, projected, side_heads) if each is not None]
    generator_optimizer = adam(settings.generator_lr, generator)
    if sketcher is not None and settings.finetune_stage1:
        share = settings.finetune_stage1
        generator_optimizer.add_param_group(
            {"params": list(sketcher.parameters()), "lr": share * settings.generator_lr,
             "share": share}
        )  # fmt: skip
    return Stage(
        generator.train(),
        discriminator.train(),
        settings,
        generator_optimizer,
        adam(settings.discriminator_lr, *judges),
        average,
        sketcher,
        projected,
        side_heads,
        crop_px=crop_px,
        bf16=bf16,
    )


def train_step(
    stage: Stage, batch: StepBatch, random: torch.Generator, draw: Draw | None = None
) -> dict[str, Tensor]:
    """Update discriminator, generator and running average once.

    With ``accumulate`` the batch is worked through in parts. ``draw`` gives z and every eps;
    without it they come from ``random``. Returns scalars that are still on the device (no
    synchronisation): of the discriminator its loss, the three parts of it (means over its heads)
    and its three mean probabilities.
    """
    draw = draw or (lambda rows, dim: torch.randn(rows, dim, generator=random))
    parts = split(batch, stage.settings.accumulate)
    optimizers = {
        "discriminator": stage.discriminator_optimizer,
        "generator": stage.generator_optimizer,
    }
    report = take(turns(stage, parts, random, draw), optimizers, len(parts))
    stage.step += 1
    if stage.average is not None:
        decay = average_decay(stage.settings, stage.step, len(batch.pixels))
        update_average(stage.average, stage.generator, decay)
    return report
