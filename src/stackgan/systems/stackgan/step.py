"""One step of either stage: the discriminator's turn, then the generator's.

Paper: sections 3.3 and 3.4: D is maximised and G minimised in turn.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from stackgan.config import StageSettings
from stackgan.fast.forms import torch_alone
from stackgan.networks.conditioning import Gaussian
from stackgan.precision import computing_in
from stackgan.systems.augment import augment, shift
from stackgan.systems.losses import (
    discriminator_loss,
    generator_loss,
    gradient_penalty,
    pixel_loss,
    shrink,
)
from stackgan.systems.parts import Draw, Numbers, StepBatch, only_asked
from stackgan.systems.projected import ProjectedDiscriminator
from stackgan.systems.side_heads import SideHeads
from stackgan.systems.spectrum import Spectrum
from stackgan.systems.stackgan.discriminators import Discriminator
from stackgan.systems.stackgan.head_losses import projected_loss, side_loss
from stackgan.systems.stackgan.sketches import Crops, Worn, draw_crops, make_sketches, wear
from stackgan.systems.stackgan.stage1 import Stage1Generator
from stackgan.systems.stackgan.stage2 import Stage2Generator
from stackgan.systems.stackgan.variants import (
    kl_of,
    text_of,
    weigh,
    wrong_answer,
    wrong_text_of,
)
from stackgan.systems.system import Turn
from stackgan.tensors import Embedding, FeatureMap, Images, Resized, Scalar, to_images


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


def turns(
    stage: Stage, parts: Sequence[StepBatch], random: torch.Generator, draw: Draw
) -> Iterator[Turn]:
    """The turns of one step, in the paper's order: discriminator, generator.

    The generator pays for the same fakes that the discriminator was just trained on, as the
    authors' PyTorch code does, or (``fakes="redrawn"``) for new ones, as their TensorFlow code
    does. Of a batch in several ``parts`` the generator makes its images again for its own turn.
    ``draw`` gives z and every eps.
    """
    settings, count = stage.settings, len(parts)
    alone = stage.step < settings.pixel_steps  # the first steps of some Stage-II: pixels alone
    numbers = [Numbers(draw) for _ in parts]
    views = [_view(stage, part, random) for part in parts]
    keep = count == 1 and settings.fakes == "reused"
    fakes: Fakes | None = None

    def made(place: int) -> Fakes:
        with stage.precision():
            found = _synthesise(stage, views[place], parts[place].embedding, numbers[place])
        return found if alone else _look_at(stage, found, random)

    for place, part in enumerate(() if alone else parts):
        with torch.set_grad_enabled(keep):
            fakes = made(place)
        loss, said = _discriminator_part(stage, views[place], part, fakes, random)
        if not keep:
            fakes = None
        yield Turn("discriminator", loss / count, said)

    for place, part in enumerate(parts):
        numbers[place].again(settings.fakes == "reused")
        shown = fakes or made(place)
        fakes = None
        with only_asked(*stage.judges):
            loss, said = _generator_part(stage, views[place].seen, part, shown, random, alone)
            yield Turn("generator", loss / count, said)


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
