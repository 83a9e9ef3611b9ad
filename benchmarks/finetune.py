"""The shipped model, fine-tuned on one species: minutes, KID before and after, a sheet.

    python benchmarks/finetune.py --work DIR [--class class_00074 --species rose] [--set key=value]

makes a folder of a held-out class's photographs in Oxford-102 as a user would have it (a `.txt`
beside each image with one plain sentence, "a pink rose", the colour named by ``colour_judge.py``
where it sees one), keeps every fourth photograph out, runs `stackgan train --init-from flowers`,
and judges pictures of both models, one for the caption of each photograph kept out, against these
photographs. Prints JSON.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import colour_judge
import sheet
import torch
from judging import JUDGES, Panel, sentences
from photographs import examples, photographs

from stackgan import StackGAN
from stackgan.cli.main import run as stackgan
from stackgan.data.examples import Example
from stackgan.errors import InputError

SHARED = Path(__file__).resolve().parents[2] / "shared"
SENTENCES = ("a {}", "this is a {}", "a photo of a {}", "{} in a garden")
LEAST = 32  # photographs, a quarter of them kept out, in halves of four


def lay_out(chosen: list[Example], species: str, folder: Path) -> list[str]:
    """Copy the photographs, each with its sentence beside it; return the sentences."""
    folder.mkdir(parents=True, exist_ok=True)
    pixels = photographs(chosen, 64).pixels.permute(0, 2, 3, 1).contiguous().numpy()
    captions = []
    for number, (example, colour) in enumerate(
        zip(chosen, colour_judge.judge(pixels), strict=True)
    ):
        named = species if colour == colour_judge.NONE else f"{colour} {species}"
        captions.append(SENTENCES[number % len(SENTENCES)].format(named))
        copy = folder / example.image.name
        copy.write_bytes(example.image.read_bytes())
        copy.with_suffix(".txt").write_text(captions[-1] + "\n", encoding="utf-8")
    return captions


def finetuned(options: argparse.Namespace) -> dict[str, Any]:
    """Fine-tune and judge; return the figures."""
    panel = Panel(options.by, options.judges)
    known = examples(options.data_root, "all")
    of_class = [example for example in known if example.class_name == options.group]
    if len(of_class) < LEAST:
        raise InputError(
            f"{options.group} has {len(of_class)} photographs; expected {LEAST} or more"
        )
    held_out = of_class[::4]
    training = [example for example in of_class if example not in held_out]
    lay_out(training, options.species, options.work / "photos")
    captions = lay_out(held_out, options.species, options.work / "held-out")
    minutes = train(options)
    reals = photographs(held_out, 256).pixels
    result: dict[str, Any] = {
        "species": options.species,
        "photographs": {"training": len(training), "held_out": len(held_out)},
        "minutes": round(minutes, 1),
        "judges_sha256": panel.sha256(),
        "halves": panel.compare(reals[::2], reals[1::2], "one half", "the other half"),
    }
    rows = []
    for name, model in (("before", options.model), ("after", options.work / "run")):
        drawn = StackGAN.from_pretrained(model).generate_pixels(captions, range(len(captions)))
        result[name] = panel.compare(drawn, reals, f"pictures {name}", "photographs kept out")
        rows.append(drawn[: sheet.ROW])
    rows.append(reals[: sheet.ROW])
    sheet.save(torch.cat(rows), options.work / "sheet.png")
    return {**result, "captions_shown": captions[: sheet.ROW]}


def train(options: argparse.Namespace) -> float:
    """Run `stackgan train --init-from`; return its minutes."""
    started = time.monotonic()
    command = ["train", "--data", "folder", "--root", str(options.work / "photos"), "--run",
               str(options.work / "run"), "--init-from", options.model,
               "--option", "test_fraction=0"]  # fmt: skip
    if stackgan([*command, *(word for one in options.set for word in ("--set", one))]):
        raise SystemExit(1)
    return (time.monotonic() - started) / 60


def main() -> None:
    """Fine-tune, judge and print."""
    options = _arguments()
    with sentences("finetune.py"):
        print(json.dumps(finetuned(options), indent=2))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    add = parser.add_argument
    add("--data-root", type=Path, default=SHARED / "data", help="the folder with oxford102/")
    add("--judges", type=Path, default=SHARED / "judges", help="the folder of the judges")
    add("--by", nargs="+", default=list(JUDGES), choices=JUDGES, help="judges (default: all)")
    add("--class", dest="group", default="class_00074", help="the class in oxford102/")
    add("--species", default="rose", help="what its sentences call it")
    add("--model", default="flowers", help="the model to begin from")
    add("--work", type=Path, required=True, help="an empty folder to work in")
    add("--set", action="append", default=[], help="settings passed on to train")
    return parser.parse_args()


if __name__ == "__main__":
    main()
