"""What a score means nothing without: which pictures were drawn, what they were compared with, how.

A model's pictures are of a data set's captions; the same choice of captions, photographs and seeds
is made here for every score, and told in words and sums that another can check.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from stackgan.data import Example
from stackgan.data.crop import Fit, used_fit
from stackgan.data.images import read_image, to_square
from stackgan.errors import InputError
from stackgan.model_folder import GENERATOR
from stackgan.networks.image_networks import ImageNetwork
from stackgan.pipeline import StackGAN
from stackgan.tensors import Pixels
from stackgan.version import __version__

Protocol = dict[str, Any]
"""What was measured how, by name, as the report prints it."""

LEAST_PICTURES = 4  # two in each half of the photographs, for the floor


@dataclass(frozen=True)
class Chosen:
    """The examples that are compared with, the captions drawn, the seed of each picture."""

    examples: list[Example]
    captions: list[str]
    copies: int
    seed: int
    fit: Fit
    split: str

    @property
    def seeds(self) -> list[int]:
        """``seed`` and the place in the list, of each picture."""
        return [self.seed + place for place in range(len(self.captions))]

    def photographs(self, size_px: int) -> Pixels:
        """Return the examples' photographs, resized as for training."""
        return read_pixels(self.examples, size_px, self.fit)

    def protocol(
        self, model: StackGAN, photographs: Pixels, network: ImageNetwork | None
    ) -> Protocol:
        """Tell what was drawn by ``model`` and compared with ``photographs``, by ``network``."""
        size_px = photographs.shape[-1]
        return {
            "N": len(self.captions),
            "photographs": len(self.examples),
            "split": self.split,
            "references sha256": _digest(photographs),
            "captions": self._told(),
            "captions sha256": hashlib.sha256("\n".join(self.captions).encode()).hexdigest(),
            "seed": f"{self.seed} + place in the list",
            "extractor": _described(network) if network is not None else "none",
            "resize": f"photographs to {size_px} px by Pillow's bicubic ({self.fit}), PNG levels",
            "truncation": "none",
            "weights": _weights(model),
            "model": model.name,
            "checkpoint sha256": model.loaded.config["files"][GENERATOR]["sha256"],
            "version": __version__,
        }

    def _told(self) -> str:
        """Say which captions were drawn."""
        if self.captions == [example.captions[0] for example in self.examples]:
            return "the first of each example"
        return f"every example's in turn, {self.copies} in a row of each sentence"


def choose(
    examples: Sequence[Example],
    count: int | None = None,
    *,
    copies: int = 1,
    seed: int = 0,
    fit: Fit = "box",
    split: str = "test",
) -> Chosen:
    """Choose what is drawn and compared: ``count`` pictures, all examples for None.

    A smaller ``count`` takes as many examples, evenly spaced; a larger one goes round their
    captions (:func:`sentences`).

    Raises:
        InputError: for fewer than 4 examples or pictures, or fewer than one copy.
    """
    chosen = spread(examples, None if count is not None and count > len(examples) else count)
    captions = sentences(chosen, count or len(chosen), copies)
    fit = used_fit((example.box for example in chosen), fit)
    return Chosen(chosen, captions, copies, seed, fit, split)


def spread(examples: Sequence[Example], count: int | None) -> list[Example]:
    """Return ``count`` of the examples, evenly spaced; all for None.

    Raises:
        InputError: where that is fewer than 4, or more than there are.
    """
    asked = len(examples) if count is None else count
    if len(examples) < LEAST_PICTURES:
        raise InputError(
            f"the data set has {len(examples)} examples to score against; expected at least "
            f"{LEAST_PICTURES}, two in each half"
        )
    if not LEAST_PICTURES <= asked <= len(examples):
        raise InputError(
            f"asked for {asked} pictures of {len(examples)} examples; expected from "
            f"{LEAST_PICTURES} to {len(examples)}"
        )
    places = np.linspace(0, len(examples) - 1, asked).round().astype(int)
    return [examples[place] for place in places]


def sentences(examples: Sequence[Example], count: int, copies: int = 1) -> list[str]:
    """Return ``count`` captions: the first of every example, the second, ..., then anew.

    Each stands ``copies`` times in a row. Raises :class:`InputError` for fewer than one copy.
    """
    if copies < 1:
        raise InputError(f"copies is {copies}; expected 1 or more")
    drawn = []
    for place in range(0, count, copies):
        turn, which = divmod(place // copies, len(examples))
        captions = examples[which].captions
        drawn += [captions[turn % len(captions)]] * min(copies, count - place)
    return drawn


def read_pixels(examples: Sequence[Example], size_px: int, fit: Fit = "box") -> Pixels:
    """Return the examples' photographs as pixels of ``size_px``, resized as for training."""
    arrays = [
        # As the cache reads them: a large JPEG in part, unless a box counts its pixels.
        np.asarray(
            to_square(
                read_image(example.image, 4 * size_px if example.box is None else None),
                size_px,
                fit,
                example.box,
            )
        )
        for example in examples
    ]
    return torch.from_numpy(np.stack(arrays)).permute(0, 3, 1, 2).contiguous()


def _described(network: ImageNetwork) -> str:
    return f"{network.name}, sha256 {network.sha256}, {network.reads}"


def _weights(model: StackGAN) -> str:
    """Say whether the weights are a running average, as far as the training card tells."""
    training = model.loaded.config.get("training", {})
    return str(training.get("weights", "as the model folder holds them"))


def _digest(pixels: Pixels) -> str:
    return hashlib.sha256(pixels.numpy().tobytes()).hexdigest()
