"""The toy set: one coloured shape a picture, captioned; drawn from a seed, some pairs held out.

Each picture is 64x64: one of five shapes in one of seven colours, of three sizes, in one of five
places, on a dark grey background. Five combinations of colour and shape (one for each shape, no
colour twice) occur in the split ``test`` alone; every colour and every shape occurs in ``train``.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from stackgan.data import folder
from stackgan.data.examples import Example, Fault, KeyPoints, Progress, Split, check_root
from stackgan.data.shapes import COLOURS, PARTS, SHAPES, SIDE_PX, Levels, coverage, extent, parts
from stackgan.data.toy_judge import judge
from stackgan.errors import DataError, InputError
from stackgan.files import whole_file

__all__ = ["draw", "faults", "held_out", "judge", "read"]

FORMAT = "stackgan-toy/1"
RECORD = "toy.json"
CAPTIONS = 5

SIZES = {  # radius in pixels, and its words
    "small": (9.0, ("small", "little")),
    "medium": (12.5, ("medium sized", "medium")),
    "large": (16.5, ("large", "big")),
}
PLACES = {  # right and down from the centre in pixels, and its words
    "centre": ((0.0, 0.0), ("in the middle", "in the center")),
    "left": ((-11.0, 0.0), ("on the left", "at the left side")),
    "right": ((11.0, 0.0), ("on the right", "at the right side")),
    "top": ((0.0, -11.0), ("at the top", "in the upper part")),
    "bottom": ((0.0, 11.0), ("at the bottom", "in the lower part")),
}
SENTENCES = (
    "a {colour} {shape}",
    "a {size} {colour} {shape}",
    "a {colour} {shape} {place}",
    "a {size} {colour} {shape} {place}",
    "a {size} {shape} in {colour} {place}",
    "there is a {colour} {shape} {place} of the picture",
    "this picture shows a {size} {shape} that is {colour}",
    "the {shape} is {colour} and {size}",
    "the {shape} {place} is {colour}",
    "{place} there is a {size} {colour} {shape}",
    "one {colour} {shape} on a grey background",
    "this {colour} {shape} is {size} and stands {place}",
)


def held_out(seed: int) -> set[tuple[str, str]]:
    """Return the (colour, shape) pairs that no training picture of this seed shows."""
    colours = _random(seed, "held out").permutation(sorted(COLOURS))
    return {(str(colour), shape) for colour, shape in zip(colours, SHAPES, strict=False)}


def draw(root: Path, seed: int = 0, count: int = 2000, progress: Progress | None = None) -> None:
    """Draw ``count`` pictures with five captions each into the folder ``root``.

    Picture i is a function of (seed, i) alone. The folder is a data set for the readers ``toy``
    and ``folder``. Drawing again into the folder of the same seed and count is allowed. Raises
    :class:`InputError` where ``root`` holds anything else, or ``seed`` or ``count`` are too small.
    """
    if seed < 0:
        raise InputError(f"seed is {seed}; expected 0 or more")
    combinations = len(COLOURS) * len(SHAPES)
    if count < combinations:
        raise InputError(
            f"count is {count}; expected at least {combinations}, a picture of every colour and "
            "shape"
        )
    record = {"format": FORMAT, "seed": seed, "count": count}
    _claim(root, record)
    root.mkdir(parents=True, exist_ok=True)
    _write_whole(root / RECORD, json.dumps(record) + "\n")
    (root / "images").mkdir(exist_ok=True)
    apart = held_out(seed)
    lines = []
    for number in range(count):
        picture, entry = draw_one(seed, number)
        name = f"images/toy_{number:05d}.png"
        Image.fromarray(picture).save(root / name)
        split = "test" if (entry["colour"], entry["shape"]) in apart else "train"
        lines.append(json.dumps({"file_name": name, **entry, "split": split}))
        if progress is not None:
            progress(number + 1, count)
    _write_whole(root / "metadata.jsonl", "\n".join(lines) + "\n")


def _write_whole(path: Path, text: str) -> None:
    """Write a text file that is whole or not there, whatever the disk does."""
    with whole_file(path) as part:
        part.write_text(text, encoding="utf-8")


def draw_one(
    seed: int, number: int
) -> tuple[np.ndarray[tuple[int, ...], np.dtype[np.uint8]], dict[str, object]]:
    """Return picture ``number``, uint8 [64, 64, 3], and what its line in the metadata says."""
    random = _random(seed, "picture", number)
    pairs = [(colour, shape) for colour in COLOURS for shape in SHAPES]
    turn = _random(seed, "turn", number // len(pairs)).permutation(len(pairs))
    colour, shape = pairs[turn[number % len(pairs)]]
    size, place = str(random.choice(list(SIZES))), str(random.choice(list(PLACES)))
    (right, down), place_words = PLACES[place]
    radius, size_words = SIZES[size]
    middle = SIDE_PX / 2 + random.uniform(-1.0, 1.0, 2)
    centre = (middle[0] + right, middle[1] + down)
    radius += random.uniform(-0.8, 0.8)
    mask = coverage(shape, centre, radius)
    paint = np.array(COLOURS[colour]) + random.uniform(-10.0, 10.0, 3)
    picture = _background(random) * (1 - mask[..., None]) + paint * mask[..., None]
    chosen = random.choice(len(SENTENCES), CAPTIONS, replace=False)
    captions = [
        SENTENCES[sentence]
        .format(
            colour=colour,
            shape=shape,
            size=random.choice(size_words),
            place=random.choice(place_words),
        )
        .replace("a orange", "an orange")
        for sentence in sorted(chosen)
    ]
    entry: dict[str, object] = {"text": captions, "class": f"{colour} {shape}"}
    entry |= {"colour": colour, "shape": shape, "size": size, "place": place}
    entry |= {"centre": [float(each) for each in centre], "radius": float(radius)}  # pixels
    return np.clip(np.rint(picture), 0, 255).astype(np.uint8), entry


def read(root: Path, split: Split = "train", conditions: Sequence[str] = ()) -> list[Example]:
    """Return the toy examples of ``split``: ``test`` has the held-out combinations alone.

    With any of ``conditions`` they have the box of their shape and its key points
    (:data:`stackgan.data.shapes.PARTS`), both exact. Raises :class:`DataError` where ``root`` is
    not a toy set that was drawn to its end, or drawn before boxes and key points were kept.
    """
    _check_drawn(root)
    examples = folder.read(root, split)
    return _placed(root, examples) if conditions else examples


def faults(root: Path, progress: Progress | None = None) -> tuple[int, list[Fault]]:
    """Return how many pictures can be used, and every file that cannot be."""
    _check_drawn(root)
    return folder.faults(root, progress)


def _placed(root: Path, examples: list[Example]) -> list[Example]:
    """The same examples with box and key points, by what the metadata say of the drawing."""
    rows = map(json.loads, (root / "metadata.jsonl").read_text(encoding="utf-8").splitlines())
    drawn = {root / str(row["file_name"]): row for row in rows}
    placed = []
    for example in examples:
        try:
            row = drawn[example.image]
            shape, radius = row["shape"], float(row["radius"])
            right, down = map(float, row["centre"])
            (left, top, width, height), told = extent(shape), parts(shape)
        except (KeyError, TypeError, ValueError):
            raise DataError(
                f"{root} does not say where its shapes lie, as it was drawn by an older version; "
                f"`stackgan data toy --root {root}` with the seed and the count of its {RECORD} "
                "draws the same pictures again and says it"
            ) from None
        box = (right + left * radius, down + top * radius, width * radius, height * radius)
        points = KeyPoints(
            PARTS,
            tuple(right + x * radius for x, _, _ in told),
            tuple(down + y * radius for _, y, _ in told),
            tuple(visible for _, _, visible in told),
        )
        placed.append(replace(example, box=box, points=points))
    return placed


def _check_drawn(root: Path) -> None:
    check_root(root)
    if not (root / RECORD).is_file() or not (root / "metadata.jsonl").is_file():
        raise DataError(
            f"{root} is not a whole toy set; draw one with `stackgan data toy --root NEW-FOLDER`"
        )


def _claim(root: Path, record: dict[str, object]) -> None:
    """Raise unless ``root`` is new, empty, or the folder of this very toy set."""
    if not root.exists():
        return
    if not root.is_dir():
        raise InputError(f"{root} is a file; --root names a folder to draw into")
    try:
        found = json.loads((root / RECORD).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        found = None
    if found != record and any(root.iterdir()):
        what = f"the toy set of {found}" if isinstance(found, dict) else "other files"
        raise InputError(f"{root} holds {what}; --root names a new or an empty folder")


def _background(random: np.random.Generator) -> Levels:
    """Return a dark grey with a gentle slope and a little grain: levels [64, 64, 3]."""
    places = np.linspace(-1.0, 1.0, SIDE_PX)
    across, along = random.uniform(-8.0, 8.0, 2)
    grey = random.uniform(30.0, 90.0) + across * places[None, :] + along * places[:, None]
    grain = random.normal(0.0, 2.0, (SIDE_PX, SIDE_PX))
    return np.repeat((grey + grain)[..., None], 3, axis=2).astype(np.float32)


def _random(seed: int, stream: str, *place: int) -> np.random.Generator:
    streams = ("held out", "turn", "picture")
    seeds = np.random.SeedSequence(seed, spawn_key=(streams.index(stream), *place))
    return np.random.Generator(np.random.Philox(seeds))
