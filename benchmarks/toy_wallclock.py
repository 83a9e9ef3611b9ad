"""The toy run by the clock: `stackgan train` against the same training written plainly.

    python benchmarks/toy_wallclock.py --work /tmp/clock

Both train Stage-I of the preset `toy` for as many steps, on the same pictures and with one text
encoder, which is trained first and not timed. Plainly means: float32, contiguous maps, nearest x2
and a 3x3 convolution, cross-entropies of probabilities, a pass of the discriminator of its own for
real, wrong and fake images, torch's Adam weight by weight, a picture decoded by Pillow each time it
is seen, nothing compiled. Prints one JSON object: minutes, and `toy.py`'s shares of both.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from toy import named, share_right

from stackgan import StackGAN
from stackgan.cli.main import run as stackgan
from stackgan.config import Settings, load_settings
from stackgan.data import Example, read_examples
from stackgan.encoders import find_encoder
from stackgan.hub import save_model
from stackgan.networks.conditioning import measure_text
from stackgan.networks.initialise import initialise
from stackgan.systems.losses import called_fake, called_real, gradient_penalty
from stackgan.systems.stackgan.build import build_discriminator, build_stage1
from stackgan.systems.stackgan.discriminators import Discriminator
from stackgan.text import TextEncoder
from stackgan.training.prepare import embed_examples, train_own_encoder
from stackgan.training.schedule import learning_rate, set_learning_rate
from stackgan.training.steps import Stage, make_stage


class PlainPictures:
    """Batches as the published loaders make them: every item read from its file."""

    def __init__(self, examples: list[Example], encoder: TextEncoder, batch: int) -> None:
        self.examples, self.size = examples, batch
        self.embeddings, self.rows, _ = embed_examples(encoder, examples, Settings())
        self.random = np.random.default_rng(0)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """Images [B, 3, 64, 64] in [-1, 1], an embedding of each, and one of another class."""
        while True:
            order = self.random.permutation(len(self.examples))
            for start in range(0, len(order) - self.size + 1, self.size):
                items = [self._item(int(place)) for place in order[start : start + self.size]]
                yield tuple(map(torch.stack, zip(*items, strict=True)))  # type: ignore[misc]

    def _item(self, place: int) -> tuple[Tensor, Tensor, Tensor]:
        example = self.examples[place]
        with Image.open(example.image) as opened:
            levels = np.array(opened.convert("RGB").resize((64, 64), Image.Resampling.BILINEAR))
        image = torch.from_numpy(levels).permute(2, 0, 1).contiguous().float() / 127.5 - 1
        other = place
        while self.examples[other].class_name == example.class_name:
            other = int(self.random.integers(len(self.examples)))
        return image, self._caption(place), self._caption(other)

    def _caption(self, place: int) -> Tensor:
        return self.embeddings[self.random.choice(self.rows[place])]


def plain_stage(settings: Settings, embeddings: Tensor) -> Stage:
    """Networks that compute operation by operation, in float32, and torch's plain Adam."""
    literal = settings.architecture.model_copy(update={"arithmetic": "literal"})
    networks: tuple[Any, Any] = build_stage1(literal), build_discriminator(literal, 1)
    random = torch.Generator().manual_seed(1)
    for network in networks:
        initialise(network, random, settings.initialisation)
        measure_text(network, embeddings)
    return make_stage(*networks, settings.stage1)


def plain_step(stage: Stage, images: Tensor, text: Tensor, wrong: Tensor) -> None:
    """One step of the preset's training, every pass of the discriminator by itself."""
    settings, generator, judge = stage.settings, stage.generator, stage.discriminator
    rows = len(images)
    noise, eps = torch.randn(rows, generator.noise_dim), torch.randn(rows, generator.condition_dim)
    fake, gaussian = generator(text, noise, eps)

    judge.zero_grad()
    real_logits, real_alone = answers(judge, images, text)
    wrong_logits, _ = answers(judge, images, wrong)
    fake_logits, fake_alone = answers(judge, fake.detach(), text)
    on = {"kind": "sigmoid"}
    loss = called_real(real_logits, **on) + called_real(real_alone, **on)
    loss = loss + 0.5 * (called_fake(wrong_logits, **on) + called_fake(fake_logits, **on))
    loss = loss + called_fake(fake_alone, **on)
    if stage.step % settings.r1_every == 0:
        shown = images.clone().requires_grad_(True)
        penalty = sum(gradient_penalty(shown, logits) for logits in answers(judge, shown, text))
        loss = loss + 0.5 * settings.r1_weight * settings.r1_every * penalty
    loss.backward()
    stage.discriminator_optimizer.step()

    generator.zero_grad()
    logits, alone = answers(judge, fake, text)
    loss = called_real(logits, **on) + called_real(alone, **on)
    loss = loss + settings.kl_weight * gaussian.kl_to_standard()
    loss.backward()
    stage.generator_optimizer.step()
    stage.step += 1
    decay = min(settings.average, (1 + stage.step) / (10 + stage.step))
    with torch.no_grad():
        mine = stage.average.state_dict()
        for name, value in generator.state_dict().items():
            if value.is_floating_point():
                mine[name].mul_(decay).add_(value, alpha=1 - decay)
            else:
                mine[name].copy_(value)


def answers(judge: Discriminator, images: Tensor, text: Tensor) -> tuple[Tensor, Tensor]:
    """One pass: the logits of both heads."""
    features = judge.features(images)
    return judge.conditional(features, text), judge.unconditional(features)


def train_plainly(root: Path, folder: Path, encoder: TextEncoder, settings: Settings) -> None:
    """The whole of it, to a model folder."""
    examples = read_examples("toy", root, "train")
    pictures = PlainPictures(examples, encoder, settings.stage1.batch_size)
    stage = plain_stage(settings, pictures.embeddings)
    torch.manual_seed(0)
    while stage.step < settings.stage1.steps:
        for batch in pictures:
            set_learning_rate(stage, learning_rate(settings.stage1, stage.step, 1))
            plain_step(stage, *batch)
            if stage.step % 100 == 0:
                print(f"{stage.step} plain steps", file=sys.stderr, flush=True)
            if stage.step == settings.stage1.steps:
                break
    save_model(
        folder,
        architecture=settings.architecture.model_dump(mode="json"),
        stage1=stage.average,
        stage2=None,
        encoder=encoder,
    )


def timed(work: Callable[[], Any]) -> float:
    """Minutes that ``work`` takes."""
    started = time.monotonic()
    work()
    return round((time.monotonic() - started) / 60, 2)


def main() -> None:
    """Run both and print one JSON object."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--work", type=Path, required=True, help="an empty folder to work in")
    parser.add_argument("--steps", type=int, help="steps of both; the preset's if left out")
    options = parser.parse_args()
    root, work = options.work / "data", options.work
    sets = [] if options.steps is None else [f"stage1.steps={options.steps}"]
    settings = load_settings(["modern", "toy"], None, sets)
    stackgan(["data", "toy", "--root", str(root)])
    encoder, examples = work / "encoder", read_examples("toy", root, "train")
    if not encoder.exists():
        quiet: Any = lambda *said: None  # noqa: E731
        cache = work / "cache"
        train_own_encoder(encoder, settings, "toy", examples, cache, quiet, quiet)
    read = find_encoder(str(encoder))
    architecture = settings.architecture.model_copy(update={"embedding_dim": read.dim})
    settings = settings.model_copy(update={"architecture": architecture})
    command = ["train", "--data", "toy", "--root", str(root), "--run", str(work / "run")]
    command += ["--stage", "1", "--encoder", str(encoder)]
    command += [word for one in sets for word in ("--set", one)]
    minutes = {
        "fast": timed(lambda: stackgan(command)),
        "plain": timed(lambda: train_plainly(root, work / "plain", read, settings)),
    }
    result: dict[str, Any] = {"steps": settings.stage1.steps, "minutes": minutes}
    result["ratio"] = round(minutes["plain"] / minutes["fast"], 2)
    for name, folder in (("fast", work / "run"), ("plain", work / "plain")):
        model = StackGAN.from_pretrained(folder)
        result[name] = {
            "training_combinations": share_right(model, named(root, "train", 300)),
            "held_out_combinations": share_right(model, named(root, "test", 300)),
        }
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
