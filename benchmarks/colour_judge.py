"""Do the colours obey? One judge of petal colours, measured on real photographs, then on a model.

    python benchmarks/colour_judge.py                        the judge on real photographs
    python benchmarks/colour_judge.py --model flowers --json OUT.json

The judge looks at the centre of a picture, leaves out green and what is nearly black, calls each
remaining pixel by its hue, saturation and brightness, and lets the pixels vote. Its numbers were
set on the photographs of Oxford-102's training classes whose captions name one petal colour, before
any generator was trained, and are not to be touched since: a judge fitted to a model says nothing.
"""

from __future__ import annotations

import argparse
import json
import re
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from judging import progress, sentences
from numpy.typing import NDArray
from photographs import oxford

from stackgan.data.examples import Split
from stackgan.errors import InputError

COLOURS = ["red", "yellow", "white", "purple", "pink", "orange"]
WORDINGS = [
    "this flower has {} petals",
    "a flower with {} petals",
    "the petals of this flower are {}",
    "this flower is {} in color",
]
SEEDS = 16
NONE = "none"  # a picture without any petal in its centre; never right

# The frozen judge. Hues in degrees, saturation and brightness of HSV in 0..1, lengths in sides.
GRID_PX = 32
RADIUS = 0.43
SPREAD = 0.25
DARK = 0.26
WHITE_SATURATION, WHITE_BRIGHTNESS = 0.15, 0.69
GREEN_SATURATION = 0.18
RED_FROM, ORANGE_FROM, YELLOW_FROM, GREEN_FROM = 342.0, 8.0, 36.0, 63.5
PURPLE_FROM, PINK_FROM = 190.0, 314.0
PINK_SATURATION, PINK_BRIGHTNESS = 0.56, 0.53  # a red paler and brighter than this is pink
# A yellow centre or a white highlight stands in most flowers; purple and pink hide in shadow.
VOTES = {"red": 1.24, "yellow": 0.8, "white": 0.92, "purple": 1.62, "pink": 2.51, "orange": 1.13}

Array = NDArray[Any]


class Confusion(NamedTuple):
    """How often each colour was called what: rows as ``COLOURS``, columns too, then none."""

    counts: Array

    @property
    def shares(self) -> list[float]:
        """Return the share of right answers for each colour."""
        return (self.counts.diagonal() / self.counts.sum(axis=1)).tolist()

    @property
    def mean(self) -> float:
        """Return the mean over colours of the shares."""
        return float(np.mean(self.shares))


def judge(pixels: Array) -> list[str]:
    """Name the petals' colour in each picture, uint8 [N, H, W, 3], H and W a multiple of 32."""
    return [[*COLOURS, NONE][place] for place in _called(pixels)]


def votes(pixels: Array) -> Array:
    """Return how much each colour shows, [N, 6] in the order of ``COLOURS``."""
    hue, saturation, brightness = _hsv(_shrunk(pixels))
    white = (saturation < WHITE_SATURATION) & (brightness > WHITE_BRIGHTNESS)
    green = (hue >= GREEN_FROM) & (hue < PURPLE_FROM) & (saturation >= GREEN_SATURATION)
    coloured = ~green & (saturation >= WHITE_SATURATION)
    reddish = (hue >= RED_FROM) | (hue < ORANGE_FROM)
    pale = (saturation < PINK_SATURATION) & (brightness > PINK_BRIGHTNESS)
    shown = {
        "red": coloured & reddish & ~pale,
        "yellow": coloured & (hue >= YELLOW_FROM) & (hue < GREEN_FROM),
        "white": white,
        "purple": coloured & (hue >= PURPLE_FROM) & (hue < PINK_FROM),
        "pink": coloured & ((hue >= PINK_FROM) & (hue < RED_FROM) | reddish & pale),
        "orange": coloured & (hue >= ORANGE_FROM) & (hue < YELLOW_FROM),
    }
    weight = _centre() * (brightness > DARK) * np.where(white, 1.0, saturation)
    return np.stack(
        [VOTES[colour] * (shown[colour] * weight).sum(axis=(1, 2)) for colour in COLOURS], axis=1
    )


def petal_colours(caption: str) -> set[str]:
    """Return the colour words a caption uses of petals: before them, after them, or "in color"."""
    words = re.findall("[a-z]+", caption.lower())
    found: set[str] = set()
    for place, word in enumerate(words):
        before: list[str] = []
        after: list[str] = []
        if word in ("petal", "petals"):
            before = words[max(0, place - 3) : place]
            if words[place + 1 : place + 2] and words[place + 1] in _LINKS:
                after = words[place + 1 : place + 6]
        elif word in ("color", "colour", "colored"):
            before = words[max(0, place - 4) : place]
        for run in (before[::-1], after):
            for near in run:
                if near in _OTHER_PARTS:
                    break
                if near in _COLOUR_WORDS:
                    found.add(near)
    return found


def one_colour(captions: tuple[str, ...]) -> str | None:
    """Return the one colour that at least two captions and no others give the petals, or None."""
    named = [petal_colours(caption) for caption in captions]
    together = set().union(*named)
    if len(together) == 1 and together <= set(COLOURS) and sum(map(bool, named)) >= 2:
        return together.pop()
    return None


def on_photographs(data_root: Path, split: Split) -> Confusion:
    """Return the judge's answers on real photographs whose captions name one petal colour."""
    photographs = oxford(data_root, split, 64)
    labels = [one_colour(captions) for captions in photographs.captions]
    places = [place for place, label in enumerate(labels) if label]
    pixels = photographs.take(places).pixels.permute(0, 2, 3, 1).numpy()
    return confusion([str(labels[place]) for place in places], pixels)


def confusion(labels: list[str], pixels: Array) -> Confusion:
    """Count the judge's answers by what they should be."""
    counts = np.zeros((len(COLOURS), len(COLOURS) + 1), dtype=int)
    np.add.at(counts, ([COLOURS.index(label) for label in labels], _called(pixels)), 1)
    return Confusion(counts)


def wanted() -> tuple[list[str], list[int]]:
    """Return the 384 captions with their seeds: by colour, then wording, then seeds 0 to 15."""
    captions = [
        wording.format(colour) for colour in COLOURS for wording in WORDINGS for _ in range(SEEDS)
    ]
    return captions, list(range(SEEDS)) * (len(COLOURS) * len(WORDINGS))


def drawn(name: str, stage: int | None) -> Array:
    """Draw what :func:`wanted` lists, uint8 [6, 4, 16, H, W, 3]."""
    from stackgan import StackGAN

    model = StackGAN.from_pretrained(name)
    pixels = model.generate_pixels(*wanted(), stage=stage, progress=progress("pictures"))
    shape = (len(COLOURS), len(WORDINGS), SEEDS)
    return pixels.permute(0, 2, 3, 1).contiguous().numpy().reshape(*shape, *pixels.shape[2:], 3)


def on_pictures(pixels: Array) -> dict[str, Any]:
    """Return how many of a model's pictures [6, 4, 16, H, W, 3] have their caption's colour."""
    flat = pixels.reshape(-1, *pixels.shape[-3:])
    labels = [colour for colour in COLOURS for _ in range(len(flat) // len(COLOURS))]
    right = np.array(judge(flat)) == np.array(labels)
    by_wording = right.reshape(pixels.shape[:3]).mean(axis=(0, 2))
    found = confusion(labels, flat)
    return {
        "size_px": pixels.shape[-2],
        "pictures": len(flat),
        **_figures(found),
        "least": min(found.shares),
        "wordings": dict(zip(WORDINGS, by_wording.tolist(), strict=True)),
    }


_LINKS = {"that", "which", "are", "is", "in", "of"}
_COLOUR_WORDS = {
    *COLOURS,
    *("blue", "violet", "lavender", "magenta", "lilac", "fuchsia", "fuschia", "indigo", "peach"),
    *("cream", "black", "brown", "tan", "golden", "gold", "coral", "crimson", "scarlet"),
    *("maroon", "burgundy"),
}
_OTHER_PARTS = {
    *("with", "has", "have", "around", "surround", "surrounding", "surrounded", "center"),
    *("centers", "centre", "stamen", "stamens", "pistil", "stigma", "pollen", "anther", "anthers"),
    *("filament", "filaments", "sepal", "sepals", "stem", "leaves"),
}


def _called(pixels: Array) -> Array:
    """Return each picture's place in ``COLOURS``, or their number for none."""
    shown = votes(pixels)
    return np.where(shown.max(axis=1) > 0, shown.argmax(axis=1), len(COLOURS))


def _shrunk(pixels: Array) -> Array:
    """Average uint8 pictures over squares to 32x32, float32 in 0..1."""
    count, height, width = pixels.shape[:3]
    if pixels.dtype != np.uint8 or height != width or height % GRID_PX:
        raise InputError(
            f"pictures are {pixels.dtype} {pixels.shape}; expected uint8 [N, H, W, 3], H = W a "
            f"multiple of {GRID_PX}"
        )
    side = height // GRID_PX
    squares = pixels.reshape(count, GRID_PX, side, GRID_PX, side, 3).astype(np.float32)
    return squares.mean(axis=(2, 4)) / 255


def _hsv(rgb: Array) -> tuple[Array, Array, Array]:
    """Return hue in degrees, saturation and brightness in 0..1."""
    red, green, blue = np.moveaxis(rgb, -1, 0)
    brightness = rgb.max(axis=-1)
    range_ = brightness - rgb.min(axis=-1)
    safe = np.where(range_ == 0, 1, range_)
    hue = np.select(
        [brightness == red, brightness == green],
        [(green - blue) / safe % 6, (blue - red) / safe + 2],
        (red - green) / safe + 4,
    )
    saturation = range_ / np.where(brightness == 0, 1, brightness)
    return np.where(range_ == 0, 0, hue * 60), saturation, brightness


def _centre() -> Array:
    """Return the weight of each place: a bell around the middle, cut off at ``RADIUS``."""
    places = (np.arange(GRID_PX) - (GRID_PX - 1) / 2) / GRID_PX
    distance = np.hypot(places[:, None], places[None, :])
    return np.exp(-0.5 * (distance / SPREAD) ** 2) * (distance < RADIUS)


def _figures(found: Confusion) -> dict[str, Any]:
    return {
        "mean": found.mean,
        "shares": dict(zip(COLOURS, found.shares, strict=True)),
        "confusion": found.counts.tolist(),
    }


def _show(title: str, figures: dict[str, Any]) -> None:
    print(f"\n{title}: {figures['mean']:.1%} right on average")
    print(" " * 10 + "".join(f"{colour:>8}" for colour in [*COLOURS, NONE]) + "   right")
    rows = zip(figures["shares"].items(), figures["confusion"], strict=True)
    for (colour, share), counts in rows:
        print(f"{colour:>10}" + "".join(f"{count:>8}" for count in counts) + f"{share:>8.1%}")
    for wording, share in figures.get("wordings", {}).items():
        print(f"  {wording.format('...'):<40}{share:.1%}")


def _measured(options: argparse.Namespace) -> dict[str, Any]:
    figures: dict[str, Any] = {}
    splits: tuple[Split, ...] = ("train", "test")
    for split in splits:
        title = f"real photographs, {split} classes"
        figures[title] = _figures(on_photographs(options.data_root, split))
        _show(title, figures[title])
    if options.model:
        with torch.inference_mode():
            pixels = drawn(options.model, options.stage)
        figures["model"] = {"model": options.model, **on_pictures(pixels)}
        _show(f"{options.model} at {pixels.shape[-2]} px", figures["model"])
    return figures


def main() -> None:
    """Print the judge's own confusion, then a model's."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    default = Path(__file__).resolve().parents[2] / "shared" / "data"
    parser.add_argument("--data-root", type=Path, default=default, help="with oxford102/ in it")
    parser.add_argument("--model", help="a shipped name, a model folder or a run folder")
    parser.add_argument("--stage", type=int, choices=(1, 2), help="default: the model's last")
    parser.add_argument("--json", type=Path, help="write the figures")
    options = parser.parse_args()
    with sentences("colour_judge.py"):
        figures = _measured(options)
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
