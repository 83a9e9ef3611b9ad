"""Training a char-CNN-RNN and an image side to one joint embedding.

Paper: char-CNN-RNN (Reed et al., CVPR 2016), section 4: a mini-batch is one pair from each of 40
classes, the image features are frozen.
Differs: Adam, a warm-up and a cosine decay instead of RMSprop because it gets further in a tenth of
the steps; EfficientNet-Lite1 instead of GoogLeNet because its weights are in a registry package.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeVar

import torch
from torch import Tensor, nn

from stackgan.errors import InputError, NonFiniteLoss
from stackgan.text.alphabet import numbers, words
from stackgan.text.char_cnn_rnn import CharCnnRnn, Sizes
from stackgan.training.joint import (
    SmallImageNetwork,
    compatibility,
    contrastive_loss,
    retrieval_accuracy,
    structured_loss,
)

ImageNetwork = Literal["lite1", "small"]
MEAN_NORM = 10.0
Option = TypeVar("Option")


@dataclass(frozen=True)
class EncoderSettings:
    """How an encoder is trained."""

    steps: int = 6000
    """Mini-batches."""
    batch: int = 40
    """Pairs in a mini-batch; the structured objective takes one pair of each of so many classes."""
    learning_rate: float = 7e-4
    """Adam's highest rate; warmed up over 100 steps, decayed to zero along a cosine."""
    weight_decay: float = 1e-4
    """AdamW's decay of matrices."""
    word_drop: float = 0.1
    """Chance that a word is left out of a caption shown, so that no caption is learnt by heart."""
    feature_drop: float = 0.2
    """Chance that a frozen image feature is hidden."""
    objective: Literal["structured", "contrastive"] = "structured"
    """The paper's hinge over classes, or a cross-entropy over single images."""
    image_network: ImageNetwork = "lite1"
    """Frozen EfficientNet-Lite1 features, or a small network trained along."""
    held_out: float = 0.05
    """Share of the images kept out of training, to measure retrieval on; at most 400 images."""
    seed: int = 0
    """Everything drawn follows from it."""
    precision: Literal["float32", "bf16"] = "float32"
    """bf16: autocast where the processor multiplies bf16 natively."""
    name: str = "char-cnn-rnn"
    """The encoder's name in its file."""
    sizes: Sizes = field(default_factory=Sizes)
    """The network."""


@dataclass(frozen=True)
class StepReport:
    """One training step."""

    step: int
    loss: float


@dataclass(frozen=True)
class EncoderReport:
    """A finished training: last loss (mean of 50 steps) and top-1 class retrieval on held-out."""

    steps: int
    loss: float
    image_to_class: float
    caption_to_class: float
    held_out: int


class EncoderTraining:
    """One training run, driven from outside: iterate :meth:`steps`, then :meth:`finish`.

    ``captions`` and ``classes`` belong to image i; a class of None makes the image its own class.
    ``images`` is float32 [N, V, F] (features of V views of each image) for a frozen network, or
    uint8 [N, 3, 64, 64] pixels for ``image_network="small"``.
    """

    def __init__(
        self,
        captions: Sequence[Sequence[str]],
        classes: Sequence[str | None],
        images: Tensor,
        settings: EncoderSettings,
    ) -> None:
        if not (len(captions) == len(classes) == len(images)):
            raise InputError(
                f"{len(captions)} lists of captions, {len(classes)} classes, {len(images)} images: "
                "expected as many of each"
            )
        self.settings = settings
        self.captions = [tuple(lines) for lines in captions]
        self.classes = [
            name if name is not None else f"image {place}" for place, name in enumerate(classes)
        ]
        self.images = images
        self.random = torch.Generator().manual_seed(settings.seed)
        self._split()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(settings.seed)
            self._build()
        self.losses: list[float] = []

    def _split(self) -> None:
        usable = [place for place, lines in enumerate(self.captions) if lines]
        if len(usable) < 2:
            raise InputError(f"{len(usable)} images have captions, expected at least two")
        held = min(400, int(len(usable) * self.settings.held_out))
        order = torch.randperm(len(usable), generator=self.random).tolist()
        self.held_out = sorted(usable[place] for place in order[:held])
        self.train = sorted(usable[place] for place in order[held:])
        members: dict[str, list[int]] = {}
        for place in self.train:
            members.setdefault(self.classes[place], []).append(place)
        if len(members) < 2:
            raise InputError(
                "all images are of one class, expected at least two to tell apart: "
                "leave the classes out"
            )
        self.members = [members[name] for name in sorted(members)]

    def _build(self) -> None:
        settings = self.settings
        seen = {word for place in self.train for line in self.captions[place] for word in words(line)}
        self.encoder = CharCnnRnn(settings.sizes, name=settings.name, vocabulary=seen)
        self.network = SmallImageNetwork() if settings.image_network == "small" else None
        if self.network:
            features = self.network.features
            self.centre, self.spread = torch.zeros(features), torch.ones(features)
        else:
            seen_features = self.images[self.train].flatten(0, 1).double()
            features = seen_features.shape[1]
            self.centre = seen_features.mean(0).float()
            self.spread = (seen_features.std(0) + 1e-3).float()
        self.projection = nn.Linear(features, settings.sizes.dim)
        self.log_scale = nn.Parameter(torch.tensor(math.log(1 / 0.07)))
        modules: list[nn.Module] = [self.encoder, self.projection]
        modules += [self.network] if self.network else []
        parameters = [p for module in modules for p in module.parameters()]
        groups = [
            {"params": [p for p in parameters if p.ndim > 1]},
            {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0},
            {"params": [self.log_scale], "weight_decay": 0.0},
        ]
        self.optimizer = torch.optim.AdamW(
            groups, lr=settings.learning_rate, weight_decay=settings.weight_decay
        )
        self.parameters = [*parameters, self.log_scale]

    @property
    def similarity(self) -> Literal["dot", "cosine"]:
        """How image and caption are compared."""
        return "dot" if self.settings.objective == "structured" else "cosine"

    def _draw(self) -> tuple[list[int], list[str]]:
        """Draw the images of a mini-batch and a caption of each."""
        if self.settings.objective == "structured":
            count = min(self.settings.batch, len(self.members))
            chosen = torch.randperm(len(self.members), generator=self.random)[:count].tolist()
            places = [self._pick(self.members[number]) for number in chosen]
        else:
            count = min(self.settings.batch, len(self.train))
            order = torch.randperm(len(self.train), generator=self.random)[:count].tolist()
            places = [self.train[number] for number in order]
        return places, [self._shown(self._pick(self.captions[place])) for place in places]

    def _pick(self, options: Sequence[Option]) -> Option:
        return options[int(torch.randint(len(options), (1,), generator=self.random))]

    def _shown(self, caption: str) -> str:
        parts = caption.split()
        kept = torch.rand(len(parts), generator=self.random) >= self.settings.word_drop
        shown = [part for part, keep in zip(parts, kept.tolist(), strict=True) if keep]
        return " ".join(shown) or caption

    def _image_side(self, places: Sequence[int], training: bool) -> Tensor:
        """Project images: a random view of each while training, else the first one."""
        images = self.images[torch.as_tensor(places)]
        if self.network:
            features = self.network(images)
        else:
            views = torch.zeros(len(images), dtype=torch.int64)
            if training:
                views = torch.randint(images.shape[1], (len(images),), generator=self.random)
            features = (images[torch.arange(len(images)), views] - self.centre) / self.spread
            if training and self.settings.feature_drop > 0:
                drop = self.settings.feature_drop
                kept = torch.rand(features.shape, generator=self.random) >= drop
                features = features * kept / (1 - drop)
        projected: Tensor = self.projection(features)
        return projected

    def _loss(self) -> Tensor:
        places, shown = self._draw()
        half = self.settings.precision == "bf16"
        with torch.autocast("cpu", torch.bfloat16, enabled=half):
            captions = self.encoder(numbers(shown)).float()
            images = self._image_side(places, training=True).float()
        scores = compatibility(images, captions, self.similarity)
        if self.settings.objective == "structured":
            names = [self.classes[place] for place in places]
            known = {name: number for number, name in enumerate(sorted(set(names)))}
            return structured_loss(scores, torch.tensor([known[name] for name in names]))
        return contrastive_loss(scores, self.log_scale.exp().clamp(max=100.0))

    def steps(self) -> Iterator[StepReport]:
        """Train, yielding a report a step; stopping early leaves an encoder that can be finished.

        Raises:
            NonFiniteLoss: the loss became NaN or infinite.
        """
        settings = self.settings
        for step in range(len(self.losses), settings.steps):
            warm = min(1.0, (step + 1) / min(100, max(1, settings.steps // 10)))
            rate = settings.learning_rate * warm * (1 + math.cos(math.pi * step / settings.steps)) / 2
            for group in self.optimizer.param_groups:
                group["lr"] = rate
            loss = self._loss()
            self.optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(self.parameters, 5.0)
            self.optimizer.step()
            self.losses.append(float(loss.detach()))
            if not math.isfinite(self.losses[-1]):
                raise NonFiniteLoss(
                    f"the encoder's loss became {self.losses[-1]} at step {step + 1}: "
                    "lower the learning rate"
                )
            yield StepReport(step + 1, self.losses[-1])

    def accuracy(self, places: Sequence[int]) -> tuple[float, float]:
        """Top-1 class retrieval among some images and all their captions: (images, captions)."""
        lines = [line for place in places for line in self.captions[place]]
        names = [self.classes[place] for place in places for _ in self.captions[place]]
        captions = self.encoder.encode(lines)
        with torch.inference_mode():
            images = self._image_side(places, training=False)
        if self.similarity == "cosine":
            captions = nn.functional.normalize(captions, dim=1)
            images = nn.functional.normalize(images, dim=1)
        return retrieval_accuracy(images, [self.classes[p] for p in places], captions, names)

    def finish(self) -> tuple[CharCnnRnn, EncoderReport]:
        """Measure, fold the scaling in, and return the encoder with its image side in ``extra``."""
        measured = self.held_out or self.train[:400]
        by_image, by_caption = self.accuracy(measured)
        recent = self.losses[-50:] or [math.nan]
        report = EncoderReport(
            steps=len(self.losses),
            loss=sum(recent) / len(recent),
            image_to_class=by_image,
            caption_to_class=by_caption,
            held_out=len(self.held_out),
        )
        encoder = self.encoder.eval().requires_grad_(False)
        mean, scale = fold(encoder, [line for place in self.train for line in self.captions[place]])
        weight = self.projection.weight.detach() / self.spread
        encoder.extra = {
            "image_projection.weight": weight,
            "image_projection.bias": self.projection.bias.detach() - weight @ self.centre,
            "joint.mean": mean,
            "joint.scale": scale.reshape(1),
        }
        if self.network:
            encoder.extra |= {
                f"image_network.{key}": value.detach()
                for key, value in self.network.state_dict().items()
            }
        encoder.notes = {
            "image_network": self.settings.image_network,
            "image_px": str(SmallImageNetwork.image_px if self.network else 0),
            "similarity": self.similarity,
            "trained": f"{report.steps} steps of {self.settings.objective}, "
            f"seed {self.settings.seed}, {len(self.train)} images",
        }
        return encoder, report


def fold(encoder: CharCnnRnn, captions: Sequence[str]) -> tuple[Tensor, Tensor]:
    """Scale and shift ``emb_proj`` so that these captions' embeddings have mean 0 and mean norm 10.

    Weights are rounded to bf16 first, as the file keeps them. Returns (mean [E], scale []): what
    was taken away and what was multiplied, so embedding / scale + mean is what was trained.

    Differs: published encoders are used as they are; embeddings near norm 1, or with a large common
    part, leave the GAN's text ignored for thousands of steps (FIELD.md, trials).
    """
    with torch.no_grad():
        for weight in encoder.parameters():
            if weight.ndim > 1:
                weight.copy_(weight.bfloat16())
        embedding = encoder.encode(captions).double()
        mean = embedding.mean(0)
        spread = (embedding - mean).norm(dim=1).mean()
        if not spread > 1e-12:
            raise InputError("the captions have one and the same embedding, nothing can be scaled")
        scale = MEAN_NORM / spread
        layer = encoder.emb_proj
        layer.weight.copy_((layer.weight.double() * scale).bfloat16())
        layer.bias.copy_((layer.bias.double() - mean) * scale)
        layer.bias.sub_(encoder.encode(captions).double().mean(0))
    return mean.float(), scale.float()


def train_encoder(
    captions: Sequence[Sequence[str]],
    classes: Sequence[str | None],
    images: Tensor,
    settings: EncoderSettings | None = None,
    *,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[CharCnnRnn, EncoderReport]:
    """Train an encoder from beginning to end; see :class:`EncoderTraining` for the arguments."""
    settings = settings or EncoderSettings()
    training = EncoderTraining(captions, classes, images, settings)
    for report in training.steps():
        if progress:
            progress(report.step, settings.steps)
    return training.finish()
