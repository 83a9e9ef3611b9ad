"""One training step of either stage: batch -> losses -> gradients -> weights."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from stackgan.config import StageSettings
from stackgan.models.blocks import store_up_kernels
from stackgan.models.conditioning import Gaussian
from stackgan.models.discriminators import Discriminator
from stackgan.models.projected import ProjectedDiscriminator
from stackgan.models.stage1 import Stage1Generator
from stackgan.models.stage2 import Stage2Generator
from stackgan.tensors import Embedding, FeatureMap, Images, Resized, Scalar, to_images
from stackgan.training.adam import FusedAdam
from stackgan.training.augment import augment, shift
from stackgan.training.losses import (
    discriminator_loss,
    generator_loss,
    gradient_penalty,
    pixel_loss,
    shrink,
    unconditional_loss,
)
from stackgan.training.parts import Draw, Numbers, add, only_asked, split
from stackgan.training.parts import StepBatch as StepBatch
from stackgan.training.variants import (
    batch_statistics,
    kl_of,
    text_of,
    weigh,
    wrong_answer,
    wrong_text_of,
)


@dataclass
class Stage:
    """Everything the training of one stage holds and changes.

    ``sketcher`` is the frozen Stage-I of Stage-II's training: in eval mode, never updated, its
    batch normalisation's statistics included (but where ``frozen_statistics`` or
    ``finetune_stage1`` ask for what the authors' code does). None in Stage-I and while Stage-II
    trains on shrunken photographs alone. ``projected`` is the second discriminator, where there is
    one; its weights belong to ``discriminator_optimizer``.
    """

    generator: Stage1Generator | Stage2Generator
    discriminator: Discriminator
    settings: StageSettings
    generator_optimizer: torch.optim.Optimizer
    discriminator_optimizer: torch.optim.Optimizer
    average: Stage1Generator | Stage2Generator | None = None
    sketcher: Stage1Generator | None = None
    projected: ProjectedDiscriminator | None = None
    bf16: bool = False
    step: int = 0
    """Steps done."""

    @property
    def moving(self) -> Stage1Generator | None:
        """The sketcher, where training changes something of it."""
        settings = self.settings
        moves = settings.finetune_stage1 > 0 or settings.frozen_statistics == "drift"
        return self.sketcher if moves else None

    @property
    def judges(self) -> list[nn.Module]:
        """What of the discriminators learns."""
        heads = [] if self.projected is None else [self.projected.heads]
        return [self.discriminator, *heads]

    @property
    def device(self) -> torch.device:
        """Where the networks are."""
        return next(self.generator.parameters()).device

    def precision(self) -> contextlib.AbstractContextManager[Any]:
        """Autocast to bf16 where the run computes in it."""
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.bf16)


class Fakes(NamedTuple):
    """A step's generated images and what they were made from."""

    images: Images
    gaussian: Gaussian | None  # None: the generator reads no text
    sketches: Images | None
    pairs: int  # the first so many were made from shrunken photographs
    maps: list[FeatureMap] | None = None  # of the others, where a projected D asks for them


def make_stage(
    generator: Stage1Generator | Stage2Generator,
    discriminator: Discriminator,
    settings: StageSettings,
    sketcher: Stage1Generator | None = None,
    projected: ProjectedDiscriminator | None = None,
    bf16: bool = False,
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

    average = copy.deepcopy(generator).eval().requires_grad_(False) if settings.average else None
    if sketcher is not None:
        sketcher.eval().requires_grad_(settings.finetune_stage1 > 0)
    judges = [discriminator] if projected is None else [discriminator, projected]
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
        bf16,
    )


def train_step(
    stage: Stage, batch: StepBatch, random: torch.Generator, draw: Draw | None = None
) -> dict[str, Tensor]:
    """Update discriminator, generator and running average once.

    The generator pays for the same fakes that the discriminator was just trained on, as the
    authors' PyTorch code does, or (``fakes="redrawn"``) for new ones, as their TensorFlow code
    does. With ``accumulate`` the batch is worked through in parts, and the generator makes its
    images again for its own turn. ``draw`` gives z and every eps; without it they come from
    ``random``. Returns scalars that are still on the device (no synchronisation): of the
    discriminator its loss, the three parts of it (means over its heads) and its three mean
    probabilities.
    """
    draw = draw or (lambda rows, dim: torch.randn(rows, dim, generator=random))
    settings, parts = stage.settings, split(batch, stage.settings.accumulate)
    alone = stage.step < settings.pixel_steps
    numbers = [Numbers(draw) for _ in parts]
    reals = [to_images(part.pixels) for part in parts]
    keep = len(parts) == 1 and settings.fakes == "reused"
    made: list[Fakes] = []
    report: dict[str, Tensor] = {}

    def fakes_of(place: int) -> Fakes:
        with stage.precision():
            fakes = _synthesise(stage, reals[place], parts[place].embedding, numbers[place])
        return fakes if alone else _look_at(stage, fakes, random)

    def discriminator_losses() -> Iterator[Scalar]:
        for place, part in enumerate(parts):
            with torch.set_grad_enabled(keep):
                made.append(fakes_of(place))
            loss, said = _discriminator_part(stage, reals[place], part, made[-1], random)
            add(report, said, len(parts))
            if not keep:
                made.clear()
            yield loss / len(parts)

    def generator_losses() -> Iterator[Scalar]:
        for place, part in enumerate(parts):
            numbers[place].again(settings.fakes == "reused")
            fakes = made.pop() if made else fakes_of(place)
            with only_asked(*stage.judges):
                loss, said = _generator_part(
                    stage, reals[place], part.embedding, fakes, random, alone
                )
                add(report, said, len(parts))
                yield loss / len(parts)

    if not alone:
        report["d_gradient"] = _descend(
            stage.discriminator_optimizer, discriminator_losses(), len(parts)
        )
    report["g_gradient"] = _descend(stage.generator_optimizer, generator_losses(), len(parts))
    stage.step += 1
    if stage.average is not None:
        update_average(stage.average, stage.generator, stage.settings.average, stage.step)
    return report


def _synthesise(stage: Stage, real: Images, embedding: Embedding, draw: Draw) -> Fakes:
    """Generate one image for each caption of the batch."""
    generator = stage.generator

    def drawn(dim: int) -> Tensor:
        return draw(len(real), dim).to(real.device)

    if isinstance(generator, Stage1Generator):
        noise, eps = drawn(generator.noise_dim), drawn(generator.condition_dim)
        images, gaussian = generator(embedding, noise, eps)
        return Fakes(images, gaussian, None, 0)
    sketches, pairs = _sketches(stage, real, embedding, drawn)
    images, gaussian = generator(sketches, embedding, drawn(generator.condition_dim))
    return Fakes(images, gaussian, sketches, pairs)


def _sketches(
    stage: Stage, real: Images, embedding: Embedding, drawn: Callable[[int], Tensor]
) -> tuple[Resized, int]:
    """Stage-II's input: shrunken photographs first, then the frozen Stage-I's sketches."""
    settings = stage.settings
    batch = len(real)
    only_pairs = stage.step < settings.pair_steps or stage.sketcher is None
    pairs = batch if only_pairs else round(settings.pair_share * batch)
    parts = [shrink(real[:pairs], 64)] if pairs else []
    if pairs < batch and stage.sketcher is not None:
        sketcher = stage.sketcher
        learns = torch.is_grad_enabled() and settings.finetune_stage1 > 0
        statistics = batch_statistics(sketcher, settings.frozen_statistics)
        with torch.set_grad_enabled(learns), statistics:
            noise, eps = drawn(sketcher.noise_dim), drawn(sketcher.condition_dim)
            parts.append(sketcher(embedding[pairs:], noise[pairs:], eps[pairs:]).images)
    return torch.cat(parts).contiguous(memory_format=stage.generator.layout), pairs


def _look_at(stage: Stage, fakes: Fakes, random: torch.Generator) -> Fakes:
    """Add the feature maps that the projected discriminator reads, with their gradients.

    Only of images made from noise or sketches: a refined photograph has its own to equal. They are
    shown at a random place: at a fixed one the network's strides would be painted as a grid.
    """
    if stage.projected is None or fakes.pairs == len(fakes.images):
        return fakes
    shown = shift(fakes.images[fakes.pairs :], random)
    return fakes._replace(maps=stage.projected.maps(shown))


def _discriminator_part(
    stage: Stage, real: Images, batch: StepBatch, fakes: Fakes, random: torch.Generator
) -> tuple[Scalar, dict[str, Tensor]]:
    """D's loss. Paper: section 3.3, equation 3; section 3.4, equation 5."""
    settings, discriminator = stage.settings, stage.discriminator
    fake = fakes.images.detach()
    seen = augment(real, settings.augment, random)
    text = text_of(discriminator, batch.embedding, fakes.gaussian)
    wrong_text = wrong_text_of(discriminator, stage.generator.conditioning, batch.wrong_embedding)
    wrong = None
    if batch.wrong_pixels is not None:
        wrong = augment(to_images(batch.wrong_pixels), settings.augment, random)
    with stage.precision():
        # The features of the real images serve both captions.
        shown = [seen, augment(fake, settings.augment, random)]
        features, fake_features = discriminator.features_of(*shown)
        answers = (
            discriminator.conditional(features, text),
            wrong_answer(discriminator, settings.wrong_pair, features, text, wrong_text, wrong),
            discriminator.conditional(fake_features, text),
        )
        graded = discriminator_loss(*answers, settings.loss)
        alone = discriminator.unconditional(features)
        fake_alone = discriminator.unconditional(fake_features)
    loss, report = weigh(graded, alone, fake_alone, settings)
    for name, logits in zip(("d_real", "d_wrong", "d_fake"), answers, strict=True):
        report[name] = logits.detach().sigmoid().mean()
    if settings.r1_weight and stage.step % settings.r1_every == 0:
        penalty = _penalty(discriminator, seen, text)
        loss = loss + 0.5 * settings.r1_weight * settings.r1_every * penalty
        report["r1"] = penalty.detach()
    if stage.projected is not None and fakes.maps is not None:
        with torch.no_grad():
            maps = stage.projected.maps(shift(real[fakes.pairs :], random))
        real_logits = stage.projected(maps)
        fake_logits = stage.projected([x.detach() for x in fakes.maps])
        loss = loss + unconditional_loss(real_logits, fake_logits, settings.loss)
        report["p_real"] = real_logits.detach().sigmoid().mean()
        report["p_fake"] = fake_logits.detach().sigmoid().mean()
    return loss, report


def _penalty(discriminator: Discriminator, images: Images, embedding: Embedding) -> Scalar:
    """R1 at real images with their own captions, both heads, in float32."""
    images = images.detach().requires_grad_(True)
    features = discriminator.features(images)
    logits = discriminator.conditional(features, embedding)
    alone = discriminator.unconditional(features)
    penalty = gradient_penalty(images, logits)
    return penalty if alone is None else penalty + gradient_penalty(images, alone)


def _generator_part(
    stage: Stage,
    real: Images,
    embedding: Embedding,
    fakes: Fakes,
    random: torch.Generator,
    pixels_alone: bool,
) -> tuple[Scalar, dict[str, Tensor]]:
    """G's loss. Paper: section 3.3, equation 4; section 3.4, equation 6."""
    settings, discriminator = stage.settings, stage.discriminator
    kl = kl_of(fakes.gaussian, stage.generator.conditioning, settings.kl_reduction).to(real.device)
    loss = settings.kl_weight * kl
    report = {"kl": kl.detach()}
    if not pixels_alone:
        with stage.precision():
            features = discriminator.features(augment(fakes.images, settings.augment, random))
            text = text_of(discriminator, embedding, fakes.gaussian)
            logits = discriminator.conditional(features, text)
            alone = discriminator.unconditional(features)
        adversarial = settings.conditional_weight * generator_loss(logits, settings.loss)
        if alone is not None:
            adversarial = adversarial + generator_loss(alone, settings.loss)
        if stage.projected is not None and fakes.maps is not None:
            judged = generator_loss(stage.projected(fakes.maps), settings.loss)
            adversarial = adversarial + settings.projected_weight * judged
        report["g_loss"] = adversarial.detach()
        loss = loss + adversarial
    if settings.pixel_weight and fakes.pairs:
        difference = pixel_loss(fakes.images[: fakes.pairs], real[: fakes.pairs])
        report["pixel"] = difference.detach()
        loss = loss + settings.pixel_weight * difference
    if settings.sketch_weight and fakes.sketches is not None:
        difference = pixel_loss(shrink(fakes.images, 64), fakes.sketches)
        report["sketch"] = difference.detach()
        loss = loss + settings.sketch_weight * difference
    return loss, report


def _descend(optimizer: torch.optim.Optimizer, losses: Iterator[Scalar], count: int) -> Scalar:
    """Backpropagate ``count`` losses in turn, step, free the gradients and return their norm."""
    optimizer.zero_grad(set_to_none=True)
    if isinstance(optimizer, FusedAdam) and optimizer.one_by_one:
        for _ in range(count - 1):
            next(losses).backward()  # type: ignore[no-untyped-call]
        last = next(losses)
        with optimizer.stepping() as norms:
            last.backward()  # type: ignore[no-untyped-call]
        next(losses, None)  # lets the generator put back what it changed
        norm: Tensor = torch.linalg.vector_norm(torch.stack(norms))
        return norm
    for loss in losses:
        loss.backward()  # type: ignore[no-untyped-call]
    gradients = [
        p.grad for group in optimizer.param_groups for p in group["params"] if p.grad is not None
    ]
    norm = torch.nn.utils.get_total_norm(gradients)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)  # the other network's step has no room for them
    return norm


@torch.no_grad()
def update_average(average: nn.Module, generator: nn.Module, decay: float, step: int) -> None:
    """Move the averaged generator towards the trained one, statistics of BN included.

    average <- d average + (1 - d) generator, d = min(``decay``, (1 + step) / (10 + step)): early
    on the average follows quickly and forgets the start.
    """
    weight = 1 - min(decay, (1 + step) / (10 + step))
    mine, theirs = average.state_dict(), generator.state_dict()
    floating = [name for name, value in mine.items() if value.is_floating_point()]
    torch._foreach_lerp_([mine[n] for n in floating], [theirs[n] for n in floating], weight)
    for name in mine.keys() - set(floating):
        mine[name].copy_(theirs[name])


def learning_rate(settings: StageSettings, step: int, steps_per_epoch: int) -> float:
    """The factor on both rates at ``step`` (0 is the first).

    Halved every ``halve_every_epochs`` epochs (Paper: section 3.5); from ``decay_from`` of all the
    steps on it falls linearly to a hundredth.
    """
    factor = 1.0
    if settings.halve_every_epochs:
        factor = 0.5 ** (step // steps_per_epoch // settings.halve_every_epochs)
    start = settings.decay_from * settings.steps
    if step > start:
        factor *= max(0.01, (settings.steps - step) / (settings.steps - start))
    return factor


def set_learning_rate(stage: Stage, factor: float) -> None:
    """Give both optimizers their rates times ``factor``."""
    settings = stage.settings
    for optimizer, rate in (
        (stage.generator_optimizer, settings.generator_lr),
        (stage.discriminator_optimizer, settings.discriminator_lr),
    ):
        for group in optimizer.param_groups:
            group["lr"] = rate * factor * group.get("share", 1.0)
