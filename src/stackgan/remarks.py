"""What a person should hear before captions are drawn: which of their words do nothing.

Two things are looked at. Words: those that carry meaning (no article, number or "please") and that
the encoder's training never showed are unknown. The picture: with all chance at zero, the sketch of
a caption that moves nothing lies as near to that of a caption of nothing ("a", "this is", its own
function words) as these lie to one another. So a word that training did show and that the generator
never learnt to draw is found too, and an unknown one that moves the picture is not called idle.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import torch

from stackgan.text.captions import Reading, known_examples, read_words

if TYPE_CHECKING:
    from stackgan.pipeline import StackGAN

NEUTRAL = ("?", "a", "the", "this", "please", "a photo of", "this is", "in the")
"""Captions of nothing. What their wording alone moves is no meaning."""
STILL = (5.0, 10.0)
"""Levels of 256, the mean over all pixels of a sketch. What lies nearer than the first to a caption
of nothing has moved nothing, what lies further than the second has; between, as far as these lie
from one another on average decides. With ``flowers`` 0.1.0 they lie 3 apart, "a cat" lies 1 from
the nearest, "a rose" 2, "yellow" 14, "a red flower" 20."""


def remarks(
    model: StackGAN, captions: Sequence[str], pictures: int = 1, truncation: float = 1.0
) -> list[str]:
    """Say in one sentence for each matter what is asked for in vain, ``pictures`` of each caption.

    Of encoders without a vocabulary (or of listed captions only) words and pictures are not judged.
    """
    encoder = model.encoder
    said: list[str] = []
    if getattr(encoder, "any_caption", True):
        read = {caption: readable(model, caption) for caption in dict.fromkeys(captions)}
        if getattr(encoder, "vocabulary", None):
            said += _of_words(model, read)
        if denied := [caption for caption, found in read.items() if found.negations]:
            negations = _quoted(word for caption in denied for word in read[caption].negations)
            said.append(
                f"the model {model.name!r} does not understand {negations} in {_first(denied)}: "
                "what is denied is read as if it were asked for"
            )
    if cut := cut_captions(model, captions):
        length = getattr(encoder, "length", 0)
        said.append(
            f"the model {model.name!r} reads {length} characters of a caption, "
            f"so {_first(cut)} is cut"
        )
    if pictures > 1 and truncation == 0:
        said.append(
            "truncation 0 leaves nothing to chance: "
            f"the {pictures} pictures drawn of a caption are one and the same"
        )
    return said


def readable(model: StackGAN, caption: str) -> Reading:
    """The words of a caption as far as the encoder reads it; not one that is cut in half."""
    vocabulary = getattr(model.encoder, "vocabulary", None) or ()
    length = getattr(model.encoder, "length", None)
    read = caption[:length]
    if length is not None and caption[length : length + 1].isalpha() and " " in read:
        read = read[: read.rindex(" ")]
    return read_words(read, vocabulary)


def still(model: StackGAN, read: Mapping[str, Reading]) -> list[str]:
    """The captions of which no word changes the picture."""
    own = {
        caption: " ".join(found.plain) or NEUTRAL[0]
        for caption, found in read.items()
        if found.telling  # of a caption without there is nothing that could
    }
    asked = list(dict.fromkeys([*NEUTRAL, *own, *own.values()]))
    sketches = model.mean_sketches(asked).float().flatten(1)
    levels = torch.cdist(sketches, sketches, p=1) / sketches.shape[1]
    place = {caption: row for row, caption in enumerate(asked)}
    count = len(NEUTRAL)
    among = float(levels[:count, :count].sum()) / (count * (count - 1))
    limit = min(max(among, STILL[0]), STILL[1])
    moved = {
        caption: min(float(levels[place[caption], place[each]]) for each in (*NEUTRAL, reference))
        for caption, reference in own.items()
    }
    return [caption for caption in read if moved.get(caption, 0.0) < limit]


def cut_captions(model: StackGAN, captions: Sequence[str]) -> list[str]:
    """Captions of more characters than the encoder reads; the rest has no effect."""
    length = getattr(model.encoder, "length", None)
    return [] if length is None else [each for each in captions if len(each.strip()) > length]


def _of_words(model: StackGAN, read: dict[str, Reading]) -> list[str]:
    """What changes nothing, and what is unknown and may."""
    idle = set(still(model, read))
    known = f"it knows words such as {_quoted(known_examples(model.encoder.vocabulary))}"  # type: ignore[attr-defined]
    unknown = [caption for caption, found in read.items() if found.unknown and caption in idle]
    undrawn = [caption for caption, found in read.items() if not found.unknown and caption in idle]
    guessed = [caption for caption, found in read.items() if found.unknown and caption not in idle]

    def no(chosen: list[str]) -> str:
        listed = _quoted(word for caption in chosen for word in read[caption].unknown)
        return f"the model {model.name!r} knows no {listed}"

    said = []
    if unknown:
        said.append(f"nothing in {_first(unknown)} changes the picture: {no(unknown)}; {known}")
    if undrawn:
        said.append(
            f"nothing in {_first(undrawn)} changes the picture: the model {model.name!r} draws the "
            f"same without it; {known}"
        )
    if guessed:
        said.append(f"{no(guessed)}, at best a guess in {_first(guessed)}; {known}")
    return said


def _first(captions: Sequence[str]) -> str:
    """The first caption, shortened, and how many others there are."""
    first = captions[0] if len(captions[0]) <= 60 else f"{captions[0][:57]}..."
    others = len(dict.fromkeys(captions)) - 1
    more = f" (and {others:,} {'other' if others == 1 else 'others'})" if others else ""
    return f"{first!r}{more}"


def _quoted(found: Iterable[str], most: int = 5) -> str:
    """Words in quotation marks, none twice, at most five and how many others there are."""
    listed = list(dict.fromkeys(found))
    shown = ", ".join(
        f'"{word if len(word) <= 30 else word[:27] + "..."}"' for word in listed[:most]
    )
    return shown + (f" and {len(listed) - most:,} more" if len(listed) > most else "")
