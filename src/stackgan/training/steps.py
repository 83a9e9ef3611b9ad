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
from stackgan.fast.adam import FusedAdam
from stackgan.fast.forms import torch_alone
from stackgan.networks.conditioning import Gaussian
from stackgan.networks.layers import store_up_kernels
from stackgan.precision import computing_in
from stackgan.systems.augment import augment, shift
from stackgan.systems.losses import (
    discriminator_loss,
    generator_loss,
    gradient_penalty,
    pixel_loss,
    shrink,
)
from stackgan.systems.projected import ProjectedDiscriminator
from stackgan.systems.side_heads import SideHeads
from stackgan.systems.stackgan.discriminators import Discriminator
from stackgan.systems.stackgan.stage1 import Stage1Generator
from stackgan.systems.stackgan.stage2 import Stage2Generator
from stackgan.tensors import Embedding, FeatureMap, Images, Resized, Scalar, to_images
from stackgan.training.ema import average_decay, update_average
from stackgan.training.heads import projected_loss, side_loss
from stackgan.training.parts import Draw, Numbers, add, only_asked, split
from stackgan.training.parts import StepBatch as StepBatch
from stackgan.training.sketches import Crops, Worn, draw_crops, make_sketches, wear
from stackgan.training.spectrum import Spectrum
from stackgan.training.variants import (
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
    one, ``side_heads`` those that name class and caption; their weights belong to
    ``discriminator_optimizer``. ``spectrum`` is the power at each frequency, photographs' and
    fakes'. ``crop_px`` is the side of the crops that Stage-II is trained on; 0: whole pictures.
    """

    generator: Stage1Generator | Stage2Generator
    discriminator: Discriminator
    settings: StageSettings
    generator_optimizer: torch.optim.Optimizer
    discriminator_optimizer: torch.optim.Optimizer
    average: Stage1Generator | Stage2Generator | None = None
    sketcher: Stage1Generator | None = None
    projected: ProjectedDiscriminator | None = None
    side_heads: SideHeads | None = None
    spectrum: Spectrum | None = None
    crop_px: int = 0
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
    def asked(self) -> list[nn.Module]:
        """The discriminators and their heads, whole."""
        every = (self.discriminator, self.projected, self.side_heads)
        return [each for each in every if each is not None]

    @property
    def judges(self) -> list[nn.Module]:
        """What of the discriminators learns."""
        projected = [] if self.projected is None else self.projected.learning
        beside = [] if self.side_heads is None else [self.side_heads]
        return [self.discriminator, *projected, *beside]

    @property
    def device(self) -> torch.device:
        """Where the networks are."""
        return next(self.generator.parameters()).device

    def precision(self) -> contextlib.AbstractContextManager[Any]:
        """Autocast to bf16 where the run computes in it."""
        return computing_in(self.device.type, "bf16" if self.bf16 else "fp32")


class Fakes(NamedTuple):
    """A step's generated images and what they were made from."""

    images: Images
    gaussian: Gaussian | None  # None: the generator reads no text
    sketches: Images | None
    pairs: int  # the first so many were made from shrunken photographs
    maps: list[FeatureMap] | None = None  # of the others, where a projected D asks for them


class View(NamedTuple):
    """A part of a batch's photographs: as they are, and what the discriminators see of them."""

    whole: Images
    seen: Images
    crops: Crops | None

    def crop(self, pictures: Images) -> Resized:
        """Other photographs [B, 3, H, W], where Stage-II is trained on crops at the same places."""
        return pictures if self.crops is None else self.crops.of_pictures(pictures)


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
    views = [_view(stage, part, random) for part in parts]
    keep = len(parts) == 1 and settings.fakes == "reused"
    made: list[Fakes] = []
    report: dict[str, Tensor] = {}

    def fakes_of(place: int) -> Fakes:
        with stage.precision():
            fakes = _synthesise(stage, views[place], parts[place].embedding, numbers[place])
        return fakes if alone else _look_at(stage, fakes, random)

    def discriminator_losses() -> Iterator[Scalar]:
        for place, part in enumerate(parts):
            with torch.set_grad_enabled(keep):
                made.append(fakes_of(place))
            loss, said = _discriminator_part(stage, views[place], part, made[-1], random)
            add(report, said, len(parts))
            if not keep:
                made.clear()
            yield loss / len(parts)

    def generator_losses() -> Iterator[Scalar]:
        for place, part in enumerate(parts):
            numbers[place].again(settings.fakes == "reused")
            fakes = made.pop() if made else fakes_of(place)
            with only_asked(*stage.judges):
                loss, said = _generator_part(stage, views[place].seen, part, fakes, random, alone)
                add(report, said, len(parts))
                yield loss / len(parts)

    if not alone:
        report["d_gradient"] = _descend(
            stage.discriminator_optimizer, discriminator_losses(), len(parts)
        )
    report["g_gradient"] = _descend(stage.generator_optimizer, generator_losses(), len(parts))
    stage.step += 1
    if stage.average is not None:
        decay = average_decay(settings, stage.step, len(batch.pixels))
        update_average(stage.average, stage.generator, decay)
    return report


def _view(stage: Stage, part: StepBatch, random: torch.Generator) -> View:
    """The part's photographs, and the crops of them where Stage-II is trained on crops."""
    whole = to_images(part.pixels)
    if not stage.crop_px:
        return View(whole, whole, None)
    crops = draw_crops(len(whole), whole.shape[-1] // 64, stage.crop_px, random)
    return View(whole, crops.of_pictures(whole), crops)


def _synthesise(stage: Stage, view: View, embedding: Embedding, draw: Draw) -> Fakes:
    """Generate one image for each caption of the batch."""
    generator = stage.generator

    def drawn(dim: int) -> Tensor:
        return draw(len(view.whole), dim).to(view.whole.device)

    if isinstance(generator, Stage1Generator):
        noise, eps = drawn(generator.noise_dim), drawn(generator.condition_dim)
        images, gaussian = generator(embedding, noise, eps)
        return Fakes(images, gaussian, None, 0)
    sketches, pairs = make_sketches(
        stage.settings, stage.sketcher, stage.step, view.whole, embedding, drawn
    )
    if view.crops is not None:
        sketches = view.crops.of_sketches(sketches)
    sketches = sketches.contiguous(memory_format=generator.layout)
    worn = _worn(stage, sketches, drawn)
    eps = drawn(generator.condition_dim)
    images, gaussian = generator(worn.sketches, embedding, eps, worn.strengths)
    return Fakes(images, gaussian, sketches, pairs)


def _worn(stage: Stage, sketches: Images, drawn: Callable[[int], Tensor]) -> Worn:
    """The sketches with noise and blur of strengths drawn evenly; one in four is left clean."""
    settings = stage.settings
    if not (settings.sketch_noise or settings.sketch_blur):
        return Worn(sketches, sketches.new_zeros(len(sketches), 2))
    even = 0.5 * (1 + torch.erf(drawn(3) / 2**0.5))  # from normal to even in 0..1
    carried = even.new_tensor([settings.sketch_noise > 0, settings.sketch_blur > 0])
    strengths = even[:, :2] * (even[:, 2:] > 0.25) * carried  # what is not there is told as none
    noise = drawn(sketches[0].numel()).view(sketches.shape)
    worn = wear(sketches, settings, strengths, noise)
    layout = stage.generator.layout
    return worn._replace(sketches=worn.sketches.contiguous(memory_format=layout))


def _look_at(stage: Stage, fakes: Fakes, random: torch.Generator) -> Fakes:
    """Add the feature maps that the projected discriminator reads, with their gradients.

    Only of images made from noise or sketches: a refined photograph has its own to equal. They are
    shown at a random place: at a fixed one the network's strides would be painted as a grid.
    """
    if stage.projected is None or fakes.pairs == len(fakes.images):
        return fakes
    shown = _placed(stage, fakes.images[fakes.pairs :], random)
    with stage.precision():
        return fakes._replace(maps=stage.projected.maps(shown))


def _placed(stage: Stage, images: Images, random: torch.Generator) -> Images:
    """Images as the projected discriminator sees them: augmented as for the other, or moved."""
    if stage.settings.augment:
        return augment(images, stage.settings.augment, random)
    return shift(images, random)


def _discriminator_part(
    stage: Stage, view: View, batch: StepBatch, fakes: Fakes, random: torch.Generator
) -> tuple[Scalar, dict[str, Tensor]]:
    """D's loss. Paper: section 3.3, equation 3; section 3.4, equation 5."""
    settings, discriminator = stage.settings, stage.discriminator
    fake = fakes.images.detach()
    seen = augment(view.seen, settings.augment, random)
    text = text_of(discriminator, batch.embedding, fakes.gaussian)
    wrong_text = wrong_text_of(discriminator, stage.generator.conditioning, batch.wrong_embedding)
    wrong = None
    if batch.wrong_pixels is not None:
        wrong = augment(view.crop(to_images(batch.wrong_pixels)), settings.augment, random)
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
        place = slice(fakes.pairs, None)  # pairs of shrunken photographs are left out
        real = _placed(stage, view.seen[place], random)
        texts = batch.embedding[place], batch.wrong_embedding[place]
        with stage.precision():
            more, said = projected_loss(stage.projected, settings, real, fakes.maps, *texts)
        loss, report = loss + more, report | said
    if stage.side_heads is not None:
        loss = loss + side_loss(stage.side_heads, settings, features, batch)
    return loss, report


def _penalty(discriminator: Discriminator, images: Images, embedding: Embedding) -> Scalar:
    """R1 at real images with their own captions, both heads, in float32."""
    images = images.detach().requires_grad_(True)
    with torch_alone():
        features = discriminator.features(images)
        logits = discriminator.conditional(features, embedding)
        alone = discriminator.unconditional(features)
        penalty = gradient_penalty(images, logits)
        return penalty if alone is None else penalty + gradient_penalty(images, alone)


def _generator_part(
    stage: Stage,
    real: Images,
    batch: StepBatch,
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
            text = text_of(discriminator, batch.embedding, fakes.gaussian)
            logits = discriminator.conditional(features, text)
            alone = discriminator.unconditional(features)
        adversarial = settings.conditional_weight * generator_loss(logits, settings.loss)
        if alone is not None:
            adversarial = adversarial + generator_loss(alone, settings.loss)
        if stage.projected is not None and fakes.maps is not None:
            reads = stage.projected.text is not None
            with stage.precision():
                told = batch.embedding[fakes.pairs :] if reads else None
                judged = generator_loss(stage.projected(fakes.maps, told), settings.projected_loss)
            adversarial = adversarial + settings.projected_weight * judged
        report["g_loss"] = adversarial.detach()
        loss = loss + adversarial
        if stage.side_heads is not None:
            side = side_loss(stage.side_heads, settings, features, batch)
            report["g_side"] = side.detach()
            loss = loss + side
    if stage.spectrum is not None:
        too_much = stage.spectrum.excess(fakes.images)
        report["spectrum"] = too_much.detach()
        loss = loss + settings.spectrum_weight * too_much
    if settings.pixel_weight and fakes.pairs:
        difference = pixel_loss(fakes.images[: fakes.pairs], real[: fakes.pairs])
        report["pixel"] = difference.detach()
        loss = loss + settings.pixel_weight * difference
    if settings.sketch_weight and fakes.sketches is not None:
        small = shrink(fakes.images, fakes.sketches.shape[-1])
        difference = pixel_loss(small, fakes.sketches)
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
