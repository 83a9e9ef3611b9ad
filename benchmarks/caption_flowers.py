"""Captions for the 3,603 training photographs of ``flowers_hires/``, as a ``metadata.jsonl``.

    python benchmarks/caption_flowers.py --data-root DATA --encoder ENCODER --out FILE.jsonl

DATA holds ``oxford102/`` and ``flowers_hires/``. A photograph that Oxford-102 has too, by
``same_photo_in_oxford102.csv``, takes its captions; any other gets the five most compatible
captions of the training classes, of its own species where Oxford-102 has it. Rose, colt's-foot and
pansy are held out: they get none.
"""

from __future__ import annotations

import argparse
import csv
import dataclasses
import sys
from collections import Counter
from pathlib import Path

from stackgan.data import read_examples
from stackgan.joint import JointEmbedding
from stackgan.text import load_encoder
from stackgan.training.captioning import caption_photographs, photographs, write_metadata

HELD_OUT = {"rose", "colts-foot", "pansy"}
SPECIES = {
    "buttercup": ["class_00048"],
    "daisy": ["class_00049"],
    "dandelion": ["class_00050"],
    "fritillary": ["class_00023"],
    "iris": ["class_00015", "class_00068"],
    "sunflower": ["class_00054"],
    "tigerlily": ["class_00006"],
    "windflower": ["class_00069"],
}
"""Sub-folder -> its species among the training classes; bluebell, lily-valley, tulip have none."""


def same_photographs(folder: Path) -> dict[str, str]:
    """Return file in ``flowers_hires`` -> image of ``oxford102`` that is the same photograph."""
    with (folder / "same_photo_in_oxford102.csv").open(encoding="utf-8", newline="") as rows:
        return {row["file"]: row["oxford102_image"] for row in csv.DictReader(rows)}


def main() -> None:
    """Write the file and print how many captions come from where."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=_Raw)
    parser.add_argument("--data-root", type=Path, required=True)
    parser.add_argument("--encoder", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--top", type=int, default=5)
    given = parser.parse_args()
    folder = given.data_root / "flowers_hires"
    examples = read_examples("oxford102", given.data_root / "oxford102", "train")
    paths = [path for path in photographs(folder) if path.parent.name not in HELD_OUT]
    entries = caption_photographs(
        JointEmbedding(load_encoder(given.encoder)),
        examples,
        folder,
        paths,
        top=given.top,
        class_map=SPECIES,
        progress=lambda done, total: print(f"\r{done}/{total}", end="", file=sys.stderr),
    )
    captions = {example.image.stem: list(example.captions) for example in examples}
    same = same_photographs(folder)
    for place, entry in enumerate(entries):
        own = captions.get(same.get(entry.file_name, ""))
        if own:
            entries[place] = dataclasses.replace(
                entry, text=own, source="captions of the same photograph in Oxford-102"
            )
    write_metadata(given.out, entries)
    print(f"{given.out}: {dict(Counter(entry.source for entry in entries))}")


class _Raw(argparse.RawDescriptionHelpFormatter):
    """Keep the docstring's lines."""


if __name__ == "__main__":
    main()
