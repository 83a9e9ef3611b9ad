"""The loop of one stage: batches in, a report after each step out. The caller writes the files."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from stackgan.data.batches import Batches
from stackgan.errors import NonFiniteLoss
from stackgan.systems.stackgan.stage1 import Stage1Generator
from stackgan.systems.stackgan.stage2 import Stage2Generator
from stackgan.tensors import Embedding, PixelRows, to_pixels
from stackgan.training.schedule import learning_rate, set_learning_rate
from stackgan.training.steps import Stage, StepBatch, train_step

MOST_WEIGHT = 1e6
"""Weights begin at about 0.02 and stay below ten."""


@dataclass
class Tally:
    """Means of what the steps reported since the last line of the log."""

    sums: dict[str, Tensor] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)

    def add(self, report: dict[str, Tensor]) -> None:
        """Add one step's scalars, on their device, without synchronising."""
        for name, value in report.items():
            value = value.detach().double()
            self.sums[name] = self.sums[name] + value if name in self.sums else value
            self.counts[name] = self.counts.get(name, 0) + 1

    def means(self) -> dict[str, float]:
        """The mean of each name; this is where the host waits for the device."""
        return {name: float(total) / self.counts[name] for name, total in self.sums.items()}

    def state(self) -> dict[str, Any]:
        """What a checkpoint keeps of it."""
        return {"sums": {k: v.cpu() for k, v in self.sums.items()}, "counts": dict(self.counts)}


def step_random(seed: int, stage: int, step: int) -> torch.Generator:
    """The random stream of one step: a function of (seed, stage, step) alone.

    So no stream has to be saved: a resumed run draws what an uninterrupted one would.
    """
    words = np.random.SeedSequence([seed, stage, step]).generate_state(2, np.uint32)
    return torch.Generator().manual_seed(int(words[0]) << 31 | int(words[1]) >> 1)


def run_steps(
    stage: Stage, batches: Batches, seed: int, number: int
) -> Iterator[dict[str, Tensor]]:
    """Train ``stage`` from its step to its last, one report a step; ``number`` is 1 or 2."""
    while stage.step < stage.settings.steps:
        epoch, index = divmod(stage.step, batches.steps_per_epoch)
        set_learning_rate(stage, learning_rate(stage.settings, stage.step, batches.steps_per_epoch))
        drawn = batches.batch(epoch, index)
        batch = StepBatch(
            drawn.pixels.to(stage.device),
            drawn.embedding.to(stage.device),
            drawn.wrong_embedding.to(stage.device),
            None if drawn.wrong_pixels is None else drawn.wrong_pixels.to(stage.device),
            None if drawn.labels is None else drawn.labels.to(stage.device),
            {name: each.to(stage.device) for name, each in drawn.conditions.items()},
        )
        yield train_step(stage, batch, step_random(seed, number, stage.step))


def require_finite(means: dict[str, float], step: int) -> None:
    """Raise :class:`NonFiniteLoss` naming the first value that is NaN or infinite."""
    for name, value in means.items():
        if not math.isfinite(value):
            raise NonFiniteLoss(
                f"{name} became {value} before step {step}; the last good checkpoint is kept"
            )


@torch.no_grad()
def require_sound(stage: Stage) -> None:
    """Raise :class:`NonFiniteLoss` where a weight is no number, or larger than any that learns.

    A step may leave such weights behind a loss that was still finite, and no rate mends them.
    """
    for name in ("generator", "discriminator"):
        weights = [weight for weight in getattr(stage, name).parameters() if weight.numel()]
        largest = float(torch.stack([weight.abs().max() for weight in weights]).max())
        if not largest < MOST_WEIGHT:
            raise NonFiniteLoss(
                f"a weight of the {name} became {largest:.3g} by step {stage.step}; the last good "
                "checkpoint is kept"
            )


@torch.no_grad()
def paint_sheet(
    stage: Stage, embedding: Embedding, columns: int, seed: int
) -> tuple[PixelRows, float]:
    """Sample the fixed captions: [captions * columns, 3, P, P], and the sheet's diversity.

    Column k has seed ``seed + k`` for every caption. Diversity is the root mean square difference,
    in levels of 0..255, between two pictures of one caption, averaged over the captions.
    """
    generator = stage.generator if stage.average is None else stage.average
    training = generator.training
    generator.eval()
    draws = [_draws(generator, stage.sketcher, seed + k) for k in range(columns)]
    noise, eps, eps2 = (torch.stack(part).to(stage.device) for part in zip(*draws, strict=True))
    pictures = []
    with stage.precision():
        for row in embedding.to(stage.device)[:, None]:
            rows = row.expand(columns, -1)
            if isinstance(generator, Stage1Generator):
                images = generator(rows, noise, eps).images
            elif stage.sketcher is not None:
                images = generator(stage.sketcher(rows, noise, eps).images, rows, eps2).images
            pictures.append(to_pixels(images).cpu())
    generator.train(training)
    variance = torch.stack(pictures).float().var(dim=1, unbiased=True).mean(dim=(1, 2, 3))
    return torch.cat(pictures), float(variance.mul(2).sqrt().mean())


def _draws(
    generator: Stage1Generator | Stage2Generator, sketcher: Stage1Generator | None, seed: int
) -> tuple[Tensor, Tensor, Tensor]:
    """noise, eps and Stage-II's eps of one seed, in the order in which the pipeline draws them."""
    random = torch.Generator().manual_seed(seed)
    first = generator if isinstance(generator, Stage1Generator) else sketcher
    if first is None:
        raise ValueError("Stage-II paints a sheet only with a frozen Stage-I")
    noise = torch.randn(first.noise_dim, generator=random)
    eps = torch.randn(first.condition_dim, generator=random)
    return noise, eps, torch.randn(generator.condition_dim, generator=random)
