"""Whether a run can be trained at all on its data: found before anything is decoded or trained."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from stackgan.data import Example
from stackgan.data.check import untrainable
from stackgan.errors import DataError, InputError
from stackgan.text import TextEncoder
from stackgan.text.alphabet import numbers
from stackgan.text.precomputed import Precomputed
from stackgan.training.encoder import own_classes, split_images
from stackgan.training.encoder_settings import EncoderSettings
from stackgan.training.plan import Plan
from stackgan.training.prepare import encoder_examples, encoder_settings


def require_trainable(plan: Plan, examples: Sequence[Example], encoder: TextEncoder | None) -> None:
    """See that batches, wrong captions and a text encoder can be had of ``examples``.

    Raises:
        DataError: the data cannot be trained on; the sentence names its folder.
        InputError: it can, but not with these settings or this encoder.
    """
    stages = [plan.settings.stage1 if n == 1 else plan.settings.stage2 for n in plan.stages]
    wrong = any(stage.wrong_pair == "caption" for stage in stages)
    if (problem := untrainable(examples, wrong)) is not None:
        raise DataError(f"{plan.root} {problem}")
    for example in examples:
        if not example.captions:
            raise DataError(f"{example.image} has no caption; `stackgan data check` names the rest")
    _require_batches(plan, len(examples))
    if encoder is None:
        shown = encoder_examples(examples, plan.settings)
        require_encoder_data(plan.root, shown, encoder_settings(plan.settings, plan.data))
    else:
        _require_embeddings(plan, examples, encoder)


def _require_batches(plan: Plan, count: int) -> None:
    """Raise InputError where a stage's batch is larger than the data set; it names what fits."""
    large, words = [], []
    for number in plan.stages:
        stage = plan.settings.stage1 if number == 1 else plan.settings.stage2
        if stage.batch_size > count:
            fits = max(2, count // 2)
            parts = stage.accumulate if fits >= 2 * stage.accumulate else 1
            large.append(f"stage{number}.batch_size is {stage.batch_size}")
            words.append(f"--set stage{number}.batch_size={fits // parts * parts}")
            if parts != stage.accumulate:
                words.append(f"--set stage{number}.accumulate=1")
    if large:
        raise InputError(
            f"{' and '.join(large)}, and {plan.root} has {count} training examples; add "
            f"{' '.join(words)}"
        )


def require_encoder_data(
    root: Path | str, shown: Sequence[Example], settings: EncoderSettings
) -> None:
    """Raise DataError where no text encoder can be trained on the examples ``shown`` to it."""
    captions = [example.captions for example in shown]
    classes = own_classes([example.class_name for example in shown])
    try:
        split_images(
            captions, classes, settings.held_out, torch.Generator().manual_seed(settings.seed)
        )
    except InputError as error:
        raise DataError(f"{root} cannot train a text encoder: {error}") from None
    first = numbers(captions[0][:1])
    if all(torch.equal(numbers([line]), first) for lines in captions for line in lines):
        raise DataError(
            f"{root} has captions that the text encoder reads as one and the same, such as "
            f"{captions[0][0][:60]!r} (it reads the first 201 of each caption's characters, and "
            "those it does not know as spaces): begin captions with what tells them apart, in "
            "Latin letters, or train with an encoder that reads them"
        )


def _require_embeddings(plan: Plan, examples: Sequence[Example], encoder: TextEncoder) -> None:
    """Raise InputError or ModelError where the run's text encoder cannot embed its captions."""
    precomputed = isinstance(encoder, Precomputed)
    if precomputed and plan.settings.wordings_share:
        raise InputError(
            f"{encoder.name} holds embeddings of captions, none of wordings as people type "
            "them: add --set wordings_share=0"
        )
    shown = examples if precomputed else examples[:1]
    encoder.encode([caption for example in shown for caption in example.captions])
