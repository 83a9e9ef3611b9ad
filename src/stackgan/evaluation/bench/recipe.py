"""The plain recipe: the published training step, sampler and loader, one item after the other.

float32, contiguous, cross-entropies on probabilities, passes of the discriminator of their own over
real, wrong and fake images, torch's Adam weight by weight, Pillow for each item, nothing compiled.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from stackgan.config import StageSettings
from stackgan.tensors import Pixels

Draw = Callable[[int, int], Tensor]


@dataclass
class PlainStage:
    """What the plain training of one stage holds.

    The networks are the package's, computed operation by operation as the paper words them
    (``arithmetic="literal"``); ``sketcher`` is Stage-II's Stage-I.
    """

    generator: nn.Module
    discriminator: nn.Module
    settings: StageSettings
    sketcher: nn.Module | None = None
    text: str = "mean"
    """What the discriminator reads: the generator's ``mean``, or the ``embedding``."""

    def __post_init__(self) -> None:
        def adam(network: nn.Module, rate: float) -> torch.optim.Optimizer:
            kind: dict[str, Any] = {"foreach": False, "fused": False}
            return torch.optim.Adam(network.parameters(), rate, self.settings.betas, **kind)

        self.generator_optimizer = adam(self.generator, self.settings.generator_lr)
        self.discriminator_optimizer = adam(self.discriminator, self.settings.discriminator_lr)


def plain_step(stage: PlainStage, pixels: Pixels, embedding: Tensor, draw: Draw) -> dict[str, Any]:
    """Update both networks once; ``draw`` as in ``stackgan.training.steps``. Returns the losses."""
    real = pixels.float() / 127.5 - 1
    real = real.contiguous()
    batch = len(real)
    noise_dim, condition_dim = _lengths(stage)
    noise, eps = draw(batch, noise_dim).to(real), draw(batch, condition_dim).to(real)
    if stage.sketcher is None:
        fake, (mean, log_var) = stage.generator(embedding, noise, eps)
    else:
        with torch.no_grad():
            sketches, _ = stage.sketcher(embedding, noise, eps)
        eps = draw(batch, condition_dim).to(real)
        fake, (mean, log_var) = stage.generator(sketches, embedding, eps)
    text = mean.detach() if stage.text == "mean" else embedding

    stage.discriminator.zero_grad()
    discriminator_loss = _discriminator_loss(stage.discriminator, real, fake.detach(), text)
    discriminator_loss.backward()  # type: ignore[no-untyped-call]
    stage.discriminator_optimizer.step()

    stage.generator.zero_grad()
    features = _judge(stage.discriminator).features(fake)
    loss = _cross_entropy(_judge(stage.discriminator).conditional(features, text), 1.0)
    alone = _judge(stage.discriminator).unconditional(features)
    if alone is not None:
        loss = loss + _cross_entropy(alone, 1.0)
    kl = -0.5 * torch.mean(1 + log_var - mean.pow(2) - log_var.exp())
    (loss + stage.settings.kl_weight * kl).backward()  # type: ignore[no-untyped-call]
    stage.generator_optimizer.step()
    return {"d_loss": discriminator_loss.detach(), "g_loss": loss.detach(), "kl": kl.detach()}


def _discriminator_loss(
    discriminator: nn.Module, real: Tensor, fake: Tensor, text: Tensor
) -> Tensor:
    """Three passes; the wrong pairs are each image but the last with the next one's text."""
    judge = _judge(discriminator)
    real_features = judge.features(real)
    of_real = _cross_entropy(judge.conditional(real_features, text), 1.0)
    wrong_features = _but_last(judge.features(real))
    of_wrong = _cross_entropy(judge.conditional(wrong_features, text[1:]), 0.0)
    fake_features = judge.features(fake)
    of_fake = _cross_entropy(judge.conditional(fake_features, text), 0.0)
    alone, fake_alone = judge.unconditional(real_features), judge.unconditional(fake_features)
    if alone is None or fake_alone is None:
        return of_real + 0.5 * (of_wrong + of_fake)
    of_alone, of_fake_alone = _cross_entropy(alone, 1.0), _cross_entropy(fake_alone, 0.0)
    return (of_real + of_alone) / 2 + (of_fake + of_wrong + of_fake_alone) / 3


def _judge(discriminator: nn.Module) -> Any:
    return discriminator


def _but_last(features: Any) -> Any:
    if isinstance(features, Tensor):
        return features[:-1]
    return type(features)(*(part[:-1] for part in features))


def _cross_entropy(logits: Tensor, target: float) -> Tensor:
    probability = torch.sigmoid(logits)
    labels = torch.full_like(probability, target)
    return nn.functional.binary_cross_entropy(probability, labels)


def _lengths(stage: PlainStage) -> tuple[int, int]:
    """Lengths of noise and condition, as Stage-I's first layers have them."""
    first: Any = stage.generator if stage.sketcher is None else stage.sketcher
    condition = first.conditioning.layer.out_features // 2
    return first.project.in_features - condition, condition


@torch.no_grad()
def plain_sample(
    stage1: nn.Module,
    stage2: nn.Module,
    embedding: Tensor,
    chance: Sequence[Tensor],
) -> NDArray[np.uint8]:
    """Both stages in one batch to uint8 [B, H, W, 3], as the published sampler: cut, not rounded.

    ``chance`` is noise, Stage-I's eps and Stage-II's.
    """
    noise, eps1, eps2 = chance
    sketches, _ = stage1(embedding, noise, eps1)
    images, _ = stage2(sketches, embedding, eps2)
    levels = ((images + 1.0) * 127.5).cpu().numpy()
    return np.transpose(levels, (0, 2, 3, 1)).astype(np.uint8)


def plain_load(
    files: Sequence[Path], embeddings: NDArray[np.float32], image_px: int, random: Any
) -> tuple[Tensor, Tensor]:
    """A batch as the published loaders make it: each file decoded, resized, cropped and flipped.

    Returns images [B, 3, P, P] in [-1, 1] and one of the embeddings [N, K, E] of each.
    """
    images, chosen = [], []
    larger = int(image_px * 76 / 64)
    for place, file in enumerate(files):
        with Image.open(file) as opened:
            image = opened.convert("RGB").resize((larger, larger), Image.Resampling.BILINEAR)
        left, top = (int(x) for x in random.integers(0, larger - image_px + 1, 2))
        image = image.crop((left, top, left + image_px, top + image_px))
        if random.random() < 0.5:
            image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        levels = torch.from_numpy(np.array(image)).permute(2, 0, 1).contiguous()
        images.append((levels.float() / 255 - 0.5) / 0.5)
        chosen.append(torch.from_numpy(embeddings[place, random.integers(embeddings.shape[1])]))
    return torch.stack(images), torch.stack(chosen)
