"""A small captioned set in the format of MS-COCO's captions, to try the reader ``coco`` with.

    python benchmarks/make_coco.py --root coco [--years 2014 2017] [--train 160] [--val 40]

The photographs are the toy set's drawings on larger canvases of several shapes, as JPEGs under
COCO's own file names; the JSON files have every field that COCO's have. Both years have the same
drawings; in 2017 COCO renamed its files, so the names differ.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from stackgan.data.toy import draw_one

SHAPES = ((320, 240), (240, 320), (256, 256), (200, 150))
LICENCE = {"id": 1, "name": "drawn by a program", "url": "https://opensource.org/license/mit"}


def file_name(half: str, year: int, number: int) -> str:
    """Return COCO's name of a photograph: until 2015 with its half and year, later without."""
    return f"COCO_{half}{year}_{number:012d}.jpg" if year < 2017 else f"{number:012d}.jpg"


def photograph(seed: int, number: int) -> tuple[Image.Image, list[str]]:
    """Return a drawing on a canvas of one of several shapes, and its captions."""
    picture, entry = draw_one(seed, number)
    width, height = SHAPES[number % len(SHAPES)]
    side = min(width, height)
    levels = tuple(int(level) for level in np.median(picture[0], axis=0))
    canvas = Image.new("RGB", (width, height), levels)
    drawing = Image.fromarray(picture).resize((side, side), Image.Resampling.BICUBIC)
    canvas.paste(drawing, ((width - side) // 2, (height - side) // 2))
    return canvas, [str(caption) for caption in entry["text"]]  # type: ignore[attr-defined]


def make_half(root: Path, half: str, year: int, numbers: range, seed: int) -> None:
    """Write ``halfYEAR/*.jpg`` and ``annotations/captions_halfYEAR.json``."""
    folder = root / f"{half}{year}"
    folder.mkdir(parents=True, exist_ok=True)
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for number in numbers:
        picture, captions = photograph(seed, number)
        name = file_name(half, year, 9 + 16 * number)  # COCO's numbers have gaps too
        picture.save(folder / name, quality=92)
        images.append(
            {
                "license": 1,
                "file_name": name,
                "coco_url": f"http://images.cocodataset.org/{half}{year}/{name}",
                "height": picture.height,
                "width": picture.width,
                "date_captured": "2013-11-14 17:02:52",
                "flickr_url": "",
                "id": 9 + 16 * number,
            }
        )
        for caption in captions:
            row = {"image_id": 9 + 16 * number, "id": len(annotations) + 37, "caption": caption}
            annotations.append(row)
    order = np.random.default_rng(seed).permutation(len(annotations))  # COCO's are in no order
    content = {
        "info": {"description": f"drawings in COCO {year}'s format", "year": year, "version": "1"},
        "images": images,
        "licenses": [LICENCE],
        "annotations": [annotations[place] for place in order],
    }
    path = root / "annotations" / f"captions_{half}{year}.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(content), encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--root", type=Path, required=True, help="a new folder")
    parser.add_argument("--years", type=int, nargs="+", default=[2014])
    parser.add_argument("--train", type=int, default=160, help="training photographs")
    parser.add_argument("--val", type=int, default=40, help="validation photographs")
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()
    for year in chosen.years:
        make_half(chosen.root, "train", year, range(chosen.train), chosen.seed)
        last = chosen.train + chosen.val
        make_half(chosen.root, "val", year, range(chosen.train, last), chosen.seed)


if __name__ == "__main__":
    main()
