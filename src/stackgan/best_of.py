"""Several pictures drawn for one that is kept: which seeds fit their caption best.

Sketches are ranked, and only the winner is painted: a sketch costs a fraction of a picture, and
what a caption names (colour, shape, species) is there in the sketch. The judge is the joint
embedding the text encoder was trained in. So it took part in training, and no score may be taken
with it, nor of pictures that it chose, without saying so.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from stackgan.errors import ModelError
from stackgan.joint import JointEmbedding

if TYPE_CHECKING:
    from stackgan.pipeline import Progress, StackGAN
    from stackgan.text import TextEncoder


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
    """For each caption, of each ``best_of`` seeds in a row the one whose sketch fits it best.

    Of equals the first is kept. Returns the seeds, caption by caption, and a progress for those who
    paint them: it goes on where this one ended.
    """
    joint = model.joint  # first: what is missing is said before anything is drawn
    total = len(captions) * (len(seeds) + len(seeds) // best_of)
    kept: list[int] = []

    def told_from(begun: int) -> Progress:
        return lambda done, _: None if progress is None else progress(begun + done, total)

    for place, caption in enumerate(captions):
        sketches = model.draw(
            [caption] * len(seeds),
            seeds,
            stage=1,
            truncation=truncation,
            progress=told_from(place * len(seeds)),
        ).sketches
        fit = (joint.of_pixels(sketches) @ joint.of_captions([caption]).T).view(-1, best_of)
        kept += [seeds[row * best_of + best] for row, best in enumerate(fit.argmax(1).tolist())]
    return kept, told_from(len(captions) * len(seeds))
