"""Both sides of a comparison from the same weights: the project's own way, and the plain recipe."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal, cast

import torch
from torch import Tensor, nn

from stackgan.config import Architecture, StageSettings, load_settings
from stackgan.evaluation.bench.recipe import PlainStage, plain_step
from stackgan.hub import LoadedModel, load_model
from stackgan.machine import processor
from stackgan.networks.initialise import initialise
from stackgan.precision import faster_precision
from stackgan.systems.stackgan.build import build_discriminator, build_stage1, build_stage2
from stackgan.text import CharCnnRnn
from stackgan.text.char_cnn_rnn import Sizes
from stackgan.training.steps import Stage, StepBatch, make_stage, train_step

Number = Literal[1, 2]
PUBLISHED = "published"
SHIPPED = "shipped"
TINY = {
    "embedding_dim": 16,
    "condition_dim": 8,
    "noise_dim": 6,
    "stage1_generator_width": 8,
    "stage1_discriminator_width": 4,
    "stage2_generator_width": 8,
    "stage2_discriminator_width": 2,
    "residual_blocks": 1,
}


@dataclass(frozen=True)
class Bench:
    """Where and how thoroughly is measured."""

    device: torch.device
    quick: bool = False
    """Tiny networks and few repeats: whether it runs, not how fast."""
    repeats: int = 5
    rounds: int = 3

    def clock(self) -> float:
        """Seconds, once the device has done what it was given."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        return time.perf_counter()

    @property
    def bf16(self) -> bool:
        """Whether training here computes in bfloat16."""
        return faster_precision(self.device.type) == "bf16"

    def batch(self, size: int) -> int:
        """``size``, or a few where it is to be quick."""
        return min(size, 3) if self.quick else size


def published_architecture(bench: Bench) -> Architecture:
    """The authors' PyTorch networks (widths 128 and 64), computed the fast way."""
    a = load_settings(["authors-pt"]).architecture
    return a.model_copy(update={"arithmetic": "fast", **(TINY if bench.quick else {})})


def settings_of(number: Number) -> StageSettings:
    """The authors' PyTorch training, which both sides of a comparison follow.

    Networks whose Stage-I too has a head that judges the image alone weigh both as Stage-II does.
    """
    settings = load_settings(["authors-pt"])
    settings_of_stage = settings.stage1 if number == 1 else settings.stage2
    return settings_of_stage.model_copy(update={"heads": "together"})


@dataclass(frozen=True)
class Pair:
    """One stage twice, with the same weights; each call of a side is a step on the same batch."""

    fast: Stage
    plain: PlainStage
    pixels: Tensor
    embedding: Tensor

    def fast_step(self) -> dict[str, Tensor]:
        """One step of the fast side."""
        return one_fast_step(self.fast, self.pixels, self.embedding)

    def plain_step(self) -> dict[str, Any]:
        """One step of the plain side."""
        return one_plain_step(self.plain, self.pixels, self.embedding)


def one_fast_step(stage: Stage, pixels: Tensor, embedding: Tensor) -> dict[str, Tensor]:
    """A step as ``stackgan train`` makes it."""
    batch = StepBatch(pixels, embedding, embedding.roll(-1, 0))
    return train_step(stage, batch, torch.Generator().manual_seed(0))


def one_plain_step(stage: PlainStage, pixels: Tensor, embedding: Tensor) -> dict[str, Any]:
    """A step of the plain recipe."""
    draw = partial(_draw, torch.Generator().manual_seed(0))
    return plain_step(stage, pixels, embedding, draw)


def _draw(random: torch.Generator, rows: int, dim: int) -> Tensor:
    return torch.randn(rows, dim, generator=random)


def training_pair(
    bench: Bench,
    number: Number,
    batch: int,
    networks: str = PUBLISHED,
    bf16: bool | None = None,
) -> Pair:
    """One stage of the published networks, or of the shipped model's own, ready to train."""
    fast = fast_stage(bench, number, networks, bf16)
    plain = plain_stage(bench, number, networks, fast)
    pixels, embedding = noise_batch(bench, number, batch, architecture_of(bench, networks))
    return Pair(fast, plain, pixels, embedding)


def fast_stage(
    bench: Bench,
    number: Number,
    networks: str = PUBLISHED,
    bf16: bool | None = None,
    architecture: Architecture | None = None,
) -> Stage:
    """A stage as ``stackgan train`` makes it, past its random start."""
    a = architecture or architecture_of(bench, networks)
    random = torch.Generator().manual_seed(number)
    first = build_stage1(a)
    generator = first if number == 1 else build_stage2(a)
    discriminator = build_discriminator(a, number)
    for network in (first, generator, discriminator):
        initialise(network, random)
    return make_stage(
        generator.to(bench.device),
        discriminator.to(bench.device),
        settings_of(number),
        sketcher=None if number == 1 else first.to(bench.device),
        bf16=bench.bf16 if bf16 is None else bf16,
    )


def plain_stage(
    bench: Bench, number: Number, networks: str = PUBLISHED, fast: Stage | None = None
) -> PlainStage:
    """The same stage for the plain recipe, with the weights of ``fast`` where it is given."""
    a = _literally(architecture_of(bench, networks))
    generator = build_stage1(a) if number == 1 else build_stage2(a)
    sketcher = None if number == 1 else build_stage1(a)
    discriminator = build_discriminator(a, number)
    mine = [each for each in (generator, discriminator, sketcher) if each is not None]
    theirs = [] if fast is None else [fast.generator, fast.discriminator, fast.sketcher]
    for network, source in zip(mine, theirs, strict=False):
        if source is not None:
            network.load_state_dict(source.state_dict())
    for network in mine:
        network.to(bench.device).train()
    text = "mean" if a.discriminator_text == "mean" else "embedding"
    return PlainStage(generator, discriminator, settings_of(number), sketcher, text)


def _literally(architecture: Architecture) -> Architecture:
    """The same networks, computed operation by operation as the paper words them."""
    return architecture.model_copy(update={"arithmetic": "literal"})


def noise_batch(bench: Bench, number: Number, batch: int, a: Architecture) -> tuple[Tensor, Tensor]:
    """Pixels, channels last in memory as the cache gives them, and embeddings, of noise."""
    side = 64 if number == 1 else a.image_px
    random = torch.Generator().manual_seed(9)
    levels = torch.randint(0, 256, (batch, side, side, 3), dtype=torch.uint8, generator=random)
    embedding = torch.randn(batch, a.embedding_dim, generator=random)
    return levels.permute(0, 3, 1, 2).to(bench.device), embedding.to(bench.device)


def architecture_of(bench: Bench, networks: str) -> Architecture:
    """The networks by name, computed the fast way; their steps are timed on whole pictures."""
    if networks == PUBLISHED:
        return published_architecture(bench)
    return shipped().architecture.model_copy(update={"crop_px": 0})


def shipped() -> LoadedModel:
    """The shipped model."""
    return load_model("flowers")


def stepping(
    bench: Bench, side: str, number: Number, batch: int, networks: str = PUBLISHED
) -> Callable[[], object]:
    """One side's training step, each call on the same batch."""
    example = noise_batch(bench, number, batch, architecture_of(bench, networks))
    if side == "plain":
        return partial(one_plain_step, plain_stage(bench, number, networks), *example)
    return partial(one_fast_step, fast_stage(bench, number, networks), *example)


def sampling(
    bench: Bench, side: str, batch: int, networks: str = PUBLISHED
) -> Callable[[], object]:
    """Both stages from embeddings to uint8 pixels, ``batch`` pictures at a time."""
    from stackgan.evaluation.bench.recipe import plain_sample
    from stackgan.pipeline import Chance, StackGAN

    loaded = _published_model(bench) if networks == PUBLISHED else shipped()
    random = torch.Generator().manual_seed(5)
    dim = loaded.architecture.embedding_dim
    embedding = torch.randn(batch, dim, generator=random).to(bench.device)
    plain = _plain_generators(bench, loaded) if side == "plain" else None
    model = StackGAN(loaded, bench.device.type)
    chance = model.chance(range(batch))
    if plain is not None:
        return partial(plain_sample, *plain, embedding, chance)
    return lambda: model.render(embedding, Chance(*chance), 2, batch)


def _plain_generators(bench: Bench, loaded: LoadedModel) -> tuple[nn.Module, nn.Module]:
    a = _literally(loaded.architecture)
    pair = build_stage1(a), build_stage2(a)
    for mine, theirs in zip(pair, (loaded.stage1, cast(nn.Module, loaded.stage2)), strict=True):
        mine.load_state_dict(theirs.state_dict())
        mine.to(bench.device).eval()
    return pair


def _published_model(bench: Bench) -> LoadedModel:
    """The published networks of random weights, as if read from a model folder."""
    a = published_architecture(bench)
    random = torch.Generator().manual_seed(1)
    stage1, stage2 = build_stage1(a), build_stage2(a)
    for network in (stage1, stage2):
        initialise(network, random)
        network.eval().requires_grad_(False)
    encoder = CharCnnRnn(Sizes(8, 8, 8, a.embedding_dim), name="none", vocabulary=["a"])
    return LoadedModel("published", Path(), {}, a, stage1, stage2, encoder)


def machine(bench: Bench) -> dict[str, Any]:
    """What the figures were measured on."""
    found: dict[str, Any] = {
        "processor": processor(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "system": platform.system(),
        "precision": "bf16" if bench.bf16 else "fp32",
        "device": str(bench.device),
    }
    if bench.device.type == "cuda":
        found["device"] = torch.cuda.get_device_name(bench.device)
    if hasattr(os, "getloadavg"):
        found["load"] = round(os.getloadavg()[0], 2)
    return found
