"""The toy set from nothing: draw it, train encoder and Stage-I, judge the pictures.

    python benchmarks/toy.py --work /tmp/toy

prints the minutes of each part and, by the drawer's judge, how many pictures have the colour and
the shape that their caption names: for captions of training combinations and, apart, for those of
the combinations that no training picture shows. Every caption judged names both; seed = its place.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import torch

from stackgan import StackGAN
from stackgan.cli.main import run as stackgan
from stackgan.data import read_examples
from stackgan.data.toy import judge


def named(root: Path, split: str, most: int) -> list[tuple[str, str, str]]:
    """(caption, colour, shape) of a split's examples, evenly spaced, at most ``most``."""
    examples = read_examples("toy", root, split)  # type: ignore[arg-type]
    step = max(1, len(examples) // most)
    wanted = []
    for example in examples[::step][:most]:
        colour, shape = str(example.class_name).split()
        both = [text for text in example.captions if colour in text and shape in text]
        wanted.append((both[0], colour, shape))
    return wanted


def share_right(model: StackGAN, wanted: list[tuple[str, str, str]]) -> dict[str, float]:
    """Share of pictures with the right colour, the right shape, and both."""
    captions = [caption for caption, _, _ in wanted]
    pixels = model.generate_pixels(captions, list(range(len(captions))), stage=1)
    answers = judge(pixels.permute(0, 2, 3, 1).numpy())
    colours = [said[0] == colour for said, (_, colour, _) in zip(answers, wanted, strict=True)]
    shapes = [said[1] == shape for said, (_, _, shape) in zip(answers, wanted, strict=True)]
    both = [a and b for a, b in zip(colours, shapes, strict=True)]
    return {
        name: sum(right) / len(right)
        for name, right in (("colour", colours), ("shape", shapes), ("both", both))
    }


def main() -> None:
    """Run the whole and print one JSON object."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--work", type=Path, required=True, help="an empty folder to work in")
    parser.add_argument("--set", action="append", default=[], help="settings passed on to train")
    parser.add_argument("--judge-only", action="store_true", help="judge the run that lies there")
    options = parser.parse_args()
    root, run = options.work / "data", options.work / "run"
    minutes = {}
    commands = {
        "draw": ["data", "toy", "--root", str(root)],
        "train": ["train", "--data", "toy", "--root", str(root), "--run", str(run), "--stage", "1"],
    }
    for name, command in commands.items() if not options.judge_only else ():
        started = time.monotonic()
        more = [word for one in options.set for word in ("--set", one)] if name == "train" else []
        if stackgan([*command, *more]):
            raise SystemExit(1)
        minutes[name] = round((time.monotonic() - started) / 60, 2)
    model = StackGAN.from_pretrained(run)
    result = {
        "minutes": minutes,
        "threads": torch.get_num_threads(),
        "training_combinations": share_right(model, named(root, "train", 300)),
        "held_out_combinations": share_right(model, named(root, "test", 300)),
    }
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
