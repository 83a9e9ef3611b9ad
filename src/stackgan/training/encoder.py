"""Training a char-CNN-RNN and an image side to one joint embedding.

Paper: char-CNN-RNN (Reed et al., CVPR 2016), section 4: a mini-batch is one pair from each of 40
classes, the image features are frozen.
Differs: Adam, a warm-up and a cosine decay instead of RMSprop because it gets further in a tenth of
the steps; EfficientNet-Lite1 instead of GoogLeNet because its weights are in a registry package;
the embedding also names the words of its caption (a linear head that is thrown away) because a
network of characters learns to read several times faster, and what it read stays in the embedding;
a share of the captions shown may be wordings as people type them, because people do.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar

import torch
from torch import Tensor, nn

from stackgan.data.cache import prepare_cache
from stackgan.data.crop import Fit
from stackgan.data.examples import Example, Progress
from stackgan.errors import InputError, NonFiniteLoss
from stackgan.joint import SmallImageNetwork
from stackgan.precision import computing_in
from stackgan.text.alphabet import numbers, words
from stackgan.text.char_cnn_rnn import CharCnnRnn
from stackgan.text.wordings import content, known_words, wordings_of
from stackgan.training.encoder_settings import EncoderReport, EncoderSettings, StepReport
from stackgan.training.joint import (
    cached_features,
    compatibility,
    contrastive_loss,
    fold,
    retrieval_accuracy,
    structured_loss,
)

__all__ = [
    "EncoderReport",
    "EncoderSettings",
    "EncoderTraining",
    "StepReport",
    "fold",
    "image_inputs",
    "own_classes",
    "split_images",
    "train_encoder",
    "train_on_examples",
]

Option = TypeVar("Option")


class EncoderTraining:
    """One training run, driven from outside: iterate :meth:`steps`, then :meth:`finish`.

    ``captions`` and ``classes`` belong to image i; a class of None makes the image its own class.
    ``images`` is float32 [N, V, F] (features of V views of each image) for a frozen network, or
    uint8 [N, 3, 64, 64] pixels for ``image_network="small"``. ``subjects`` are readable names of
    what the images show, for the wordings of ``settings.wordings_share``.
    """

    def __init__(
        self,
        captions: Sequence[Sequence[str]],
        classes: Sequence[str | None],
        images: Tensor,
        settings: EncoderSettings,
        subjects: Sequence[str | None] | None = None,
    ) -> None:
        network = settings.image_network
        if network == "small" and settings.image_px != SmallImageNetwork.image_px:
            raise InputError(
                f"image_px is {settings.image_px}, "
                f"the small network reads {SmallImageNetwork.image_px}"
            )
        subjects = subjects if subjects is not None else [None] * len(captions)
        if not (len(captions) == len(classes) == len(images) == len(subjects)):
            raise InputError(
                f"{len(captions)} lists of captions, {len(classes)} classes, {len(images)} images: "
                "expected as many of each"
            )
        self.settings = settings
        self.captions = [tuple(lines) for lines in captions]
        self.classes = own_classes(classes)
        self.images = images
        self.wordings: list[list[str]] = [[] for _ in captions]
        self.known: list[frozenset[str]] = []
        if settings.wordings_share > 0:
            self.wordings = wordings_of(subjects, captions, settings.seed, settings.wordings)
            self.known = [
                known_words(subject, lines)
                for subject, lines in zip(subjects, captions, strict=True)
            ]
        self.random = torch.Generator().manual_seed(settings.seed)
        self._split()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(settings.seed)
            self._build()
        self.losses: list[float] = []

    def _split(self) -> None:
        parts = split_images(self.captions, self.classes, self.settings.held_out, self.random)
        self.train, self.held_out, self.members = parts

    def _build(self) -> None:
        settings = self.settings
        shown = [each[place] for place in self.train for each in (self.captions, self.wordings)]
        seen = {word for lines in shown for line in lines for word in words(line)}
        self.encoder = CharCnnRnn(
            settings.sizes, name=settings.name, vocabulary=seen, pad=settings.pad
        )
        self.encoder.initialise(self.random)
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
        if self.similarity == "dot":  # scores start well inside the margin, else noise is learnt
            with torch.no_grad():
                self.encoder.emb_proj.weight.mul_(0.1)
                self.projection.weight.mul_(0.1)
                self.projection.bias.zero_()
        self._build_words()
        self.log_scale = nn.Parameter(torch.tensor(math.log(1 / 0.07)))
        modules: list[nn.Module] = [self.encoder, self.projection]
        modules += [self.network] if self.network else []
        modules += [self.word_head] if self.word_head else []
        parameters = [p for module in modules for p in module.parameters()]
        groups: list[dict[str, Any]] = [
            {"params": [p for p in parameters if p.ndim > 1]},
            {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0},
            {"params": [self.log_scale], "weight_decay": 0.0},
        ]
        self.optimizer = torch.optim.AdamW(
            groups, lr=settings.learning_rate, weight_decay=settings.weight_decay
        )
        self.parameters = [*parameters, self.log_scale]

    def _build_words(self) -> None:
        """The head that names words: the 512 commonest, starting from how common they are."""
        typed = self.settings.wordings_share
        shares: dict[str, float] = {}
        for texts, share in ((self.captions, 1 - typed), (self.wordings, typed)):
            lines = [set(words(line)) for place in self.train for line in texts[place]]
            counts = Counter(word for line in lines for word in line)
            for word, count in counts.items():
                shares[word] = shares.get(word, 0.0) + share * (count / len(lines))
        common = sorted(shares, key=lambda word: (-shares[word], word))[:512]
        self.word_place = {word: place for place, word in enumerate(common)}
        self.word_head: nn.Linear | None = None
        if self.settings.word_weight > 0 and common:
            self.word_head = nn.Linear(self.settings.sizes.dim, len(common))
            usual = torch.tensor([shares[word] for word in common])
            nn.init.zeros_(self.word_head.weight)
            with torch.no_grad():
                self.word_head.bias.copy_(torch.logit(usual.clamp(1e-4, 1 - 1e-4)))

    def _word_loss(self, embedding: Tensor, shown: Sequence[str]) -> Tensor:
        """Cross-entropy of every common word being in the caption, in nats, summed over words."""
        if self.word_head is None:
            return embedding.new_zeros(())
        wanted = torch.zeros(len(shown), len(self.word_place))
        for row, line in enumerate(shown):
            for word in words(line):
                if word in self.word_place:
                    wanted[row, self.word_place[word]] = 1.0
        logits = self.word_head(embedding)
        return nn.functional.binary_cross_entropy_with_logits(
            logits, wanted, reduction="sum"
        ) / len(shown)

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
        return places, [self._text(place) for place in places]

    def _text(self, place: int) -> str:
        """A caption of an image with words dropped, or a wording of it as it is."""
        share = self.settings.wordings_share
        if share > 0 and float(torch.rand((), generator=self.random)) < share:
            return self._pick(self.wordings[place])
        return self._shown(self._pick(self.captions[place]))

    def _numbers(self, shown: Sequence[str]) -> Tensor:
        """Captions as numbers, each after its own number of spaces."""
        pad = self.settings.pad
        if not pad:
            return numbers(shown)
        low, high = pad // 2, pad + pad // 2
        drawn = torch.randint(low, high + 1, (len(shown),), generator=self.random)
        return numbers(shown, pad=drawn.tolist())

    def _fits(self, places: Sequence[int], shown: Sequence[str]) -> Tensor | None:
        """Which images [B] the wordings among the captions shown [B] describe beside their own."""
        if not self.known:
            return None
        fits = torch.zeros(len(places), len(shown), dtype=torch.bool)
        for column, (place, line) in enumerate(zip(places, shown, strict=True)):
            if line in self.wordings[place]:
                said = content(line)
                fits[:, column] = torch.tensor(
                    [said <= self.known[image] or line in self.wordings[image] for image in places]
                )
        return fits

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
        with computing_in("cpu", "bf16" if half else "fp32"):
            captions = self.encoder(self._numbers(shown)).float()
            images = self._image_side(places, training=True).float()
        scores = compatibility(images, captions, self.similarity)
        fits = self._fits(places, shown)
        named = self.settings.word_weight * self._word_loss(captions, shown)
        if self.settings.objective == "structured":
            names = [self.classes[place] for place in places]
            known = {name: number for number, name in enumerate(sorted(set(names)))}
            chosen = torch.tensor([known[name] for name in names])
            return structured_loss(scores, chosen, fits=fits) + named
        return contrastive_loss(scores, self.log_scale.exp().clamp(max=100.0), fits) + named

    def steps(self) -> Iterator[StepReport]:
        """Train, yielding a report a step; stopping early leaves an encoder that can be finished.

        Raises:
            NonFiniteLoss: the loss became NaN or infinite.
        """
        settings = self.settings
        for step in range(len(self.losses), settings.steps):
            warm = min(1.0, (step + 1) / min(100, max(1, settings.steps // 10)))
            decay = (1 + math.cos(math.pi * step / settings.steps)) / 2
            for group in self.optimizer.param_groups:
                group["lr"] = settings.learning_rate * warm * decay
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
            chance=1 / len({self.classes[place] for place in measured}),
        )
        encoder = self.encoder.eval().requires_grad_(False)
        mean, scale = fold(encoder, [line for place in self.train for line in self.captions[place]])
        weight = (self.projection.weight.detach() / self.spread).bfloat16().float()
        encoder.extra = {
            "image_projection.weight": weight,
            "image_projection.bias": self.projection.bias.detach() - weight @ self.centre,
            "joint.mean": mean,
            "joint.scale": scale.reshape(1),
        }
        if self.network:
            encoder.extra |= {
                f"image_network.{key}": value.bfloat16().float() if value.ndim > 1 else value
                for key, value in self.network.state_dict().items()
            }
        encoder.notes = {
            "image_network": self.settings.image_network,
            "image_px": str(self.settings.image_px),
            "similarity": self.similarity,
            "trained": f"{report.steps} steps of {self.settings.objective}, "
            f"seed {self.settings.seed}, {len(self.train)} images",
        }
        return encoder, report


def own_classes(classes: Sequence[str | None]) -> list[str]:
    """The classes, an image without one as a class of its own."""
    return [name if name is not None else f"image {place}" for place, name in enumerate(classes)]


def split_images(
    captions: Sequence[Sequence[str]],
    classes: Sequence[str],
    held_out: float,
    random: torch.Generator,
) -> tuple[list[int], list[int], list[list[int]]]:
    """Places of the images to train on, of those held out, and of the former class by class.

    Raises:
        InputError: fewer than two images have captions, or those to train on are of one class.
    """
    usable = [place for place, lines in enumerate(captions) if lines]
    if len(usable) < 2:
        raise InputError(f"{len(usable)} images have captions, expected at least two")
    held = min(400, int(len(usable) * held_out))
    order = torch.randperm(len(usable), generator=random).tolist()
    train = sorted(usable[place] for place in order[held:])
    members: dict[str, list[int]] = {}
    for place in train:
        members.setdefault(classes[place], []).append(place)
    if len(members) < 2:
        raise InputError(
            "all images are of one class, expected at least two to tell apart: "
            "leave the classes out"
        )
    apart = sorted(usable[place] for place in order[:held])
    return train, apart, [members[name] for name in sorted(members)]


def train_encoder(
    captions: Sequence[Sequence[str]],
    classes: Sequence[str | None],
    images: Tensor,
    settings: EncoderSettings | None = None,
    *,
    subjects: Sequence[str | None] | None = None,
    progress: Progress | None = None,
    finish_early: bool = True,
) -> tuple[CharCnnRnn, EncoderReport]:
    """Train an encoder from beginning to end; see :class:`EncoderTraining` for the arguments.

    Ctrl-C ends the training early: the encoder so far is finished and returned, or, without
    ``finish_early``, given up.
    """
    settings = settings or EncoderSettings()
    training = EncoderTraining(captions, classes, images, settings, subjects)
    try:
        for report in training.steps():
            if progress:
                progress(report.step, settings.steps)
    except KeyboardInterrupt:
        if not finish_early or not training.losses:
            raise
    return training.finish()


def image_inputs(
    examples: Sequence[Example],
    settings: EncoderSettings,
    *,
    cache: Path,
    fit: Fit = "box",
    progress: Progress | None = None,
) -> Tensor:
    """What the image side reads of each example: frozen features, or pixels for "small".

    Pixels and features are kept in the folder ``cache`` and found there the next time.

    Raises:
        InputError: the packages of EfficientNet-Lite1 are not installed.
        DataError: an image that cannot be decoded.
    """
    pixels = prepare_cache(examples, settings.image_px, cache, fit, progress)
    if settings.image_network == "lite1":
        return cached_features(pixels, progress)
    return torch.from_numpy(pixels.pixels.transpose(0, 3, 1, 2).copy())


def train_on_examples(
    examples: Sequence[Example],
    settings: EncoderSettings | None = None,
    *,
    cache: Path,
    fit: Fit = "box",
    progress: Progress | None = None,
    finish_early: bool = True,
) -> tuple[CharCnnRnn, EncoderReport]:
    """Train an encoder on a data set: :func:`image_inputs`, then :func:`train_encoder`."""
    settings = settings or EncoderSettings()
    return train_encoder(
        [example.captions for example in examples],
        [example.class_name for example in examples],
        image_inputs(examples, settings, cache=cache, fit=fit, progress=progress),
        settings,
        subjects=[example.subject for example in examples],
        progress=progress,
        finish_early=finish_early,
    )
