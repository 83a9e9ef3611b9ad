"""Several pictures drawn for one that is kept: which seeds fit their caption best.

Sketches are ranked, and only the winner is painted: a sketch costs a fraction of a picture, and
what a caption names (colour, shape, species) is there in the sketch. The judge is the joint
embedding the text encoder was trained in. So it took part in training, and no score may be taken
with it, nor of pictures that it chose, without saying so.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch

from stackgan.errors import ModelError
from stackgan.joint import JointEmbedding

if TYPE_CHECKING:
    from stackgan.pipeline import Progress, StackGAN
    from stackgan.text import TextEncoder

AT_ONCE = 512
"""Sketches that are held at a time."""


def ranking(encoder: TextEncoder) -> JointEmbedding:
    """What ranks pictures of a model with this encoder.

    Raises:
        ModelError: the encoder has no image side.
        InputError: the image network's package is not installed.
    """
    try:
        return JointEmbedding(encoder)
    except ModelError as error:
        raise ModelError(f"the best of several pictures cannot be told: {error}") from None


def best_seeds(
    model: StackGAN,
    captions: Sequence[str],
    seeds: Sequence[int],
    best_of: int,
    truncation: float,
    progress: Progress | None = None,
) -> tuple[list[int], Progress]:
    """For each of the captions the seed whose sketch fits it best, of ``best_of`` seeds in a row.

    ``seeds`` are as many for each caption, one caption's after another's; of equals the first is
    kept. Returns the seeds, and a progress for those who paint them, that goes on where this ends.
    """
    joint = model.joint  # first: what is missing is said before anything is drawn
    wanted = {caption: joint.of_captions([caption])[0] for caption in dict.fromkeys(captions)}
    total = len(seeds) + len(captions)
    kept: list[int] = []

    def told_from(begun: int) -> Progress:
        return lambda done, _: None if progress is None else progress(begun + done, total)

    step = max(1, AT_ONCE // best_of)
    for start in range(0, len(captions), step):
        some = captions[start : start + step]
        tried = seeds[start * best_of : (start + len(some)) * best_of]
        sketches = model.draw(
            [caption for caption in some for _ in range(best_of)],
            tried,
            stage=1,
            truncation=truncation,
            progress=told_from(start * best_of),
        ).sketches
        found = joint.of_pixels(sketches).view(len(some), best_of, -1)
        fit = torch.einsum("cke,ce->ck", found, torch.stack([wanted[each] for each in some]))
        kept += [tried[row * best_of + best] for row, best in enumerate(fit.argmax(1).tolist())]
    return kept, told_from(len(seeds))
