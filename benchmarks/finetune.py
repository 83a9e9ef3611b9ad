"""The shipped model, fine-tuned on one species: minutes, KID before and after, a sheet.

    python benchmarks/finetune.py --work /tmp/roses [--species rose] [--set key=value ...]

makes a folder of that species' photographs as a user would have it (a `.txt` beside each image with
one plain sentence, "a pink rose", the colour named by ``colour_judge.py`` where it sees one), keeps
every fourth photograph out, runs `stackgan train --init-from flowers`, and judges pictures of both
models, one for the caption of each photograph kept out, against these photographs. Prints JSON.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import torch
from colour_judge import NONE
from colour_judge import judge as colours_of
from photographs import pictures
from PIL import Image

from stackgan import StackGAN
from stackgan.cli.main import run as stackgan
from stackgan.data.images import read_image, to_square
from stackgan.evaluation.scores import kid
from stackgan.models.features import EfficientNetLite

SENTENCES = ("a {}", "this is a {}", "a photo of a {}", "{} in a garden")
SHOWN = 6


def lay_out(photographs: list[Path], species: str, folder: Path) -> list[str]:
    """Copy the photographs, each with its sentence beside it; return the sentences."""
    folder.mkdir(parents=True, exist_ok=True)
    captions = []
    for number, path in enumerate(photographs):
        picture = to_square(read_image(path), 64)
        colour = colours_of(torch.frombuffer(bytearray(picture.tobytes()), dtype=torch.uint8)
                            .view(1, 64, 64, 3).numpy())[0]  # fmt: skip
        named = species if colour == NONE else f"{colour} {species}"
        captions.append(SENTENCES[number % len(SENTENCES)].format(named))
        (folder / path.name).write_bytes(path.read_bytes())
        (folder / path.name).with_suffix(".txt").write_text(captions[-1] + "\n", encoding="utf-8")
    return captions


def drawn(model: StackGAN, captions: list[str]) -> torch.Tensor:
    """One 256x256 picture for each caption, seed = its place."""
    return model.generate_pixels(captions, list(range(len(captions))))


def main() -> None:
    """Fine-tune, judge and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--data-root", type=Path, default=Path("../shared/data"))
    parser.add_argument("--species", default="rose")
    parser.add_argument("--model", default="flowers", help="the model to begin from")
    parser.add_argument("--work", type=Path, required=True, help="an empty folder to work in")
    parser.add_argument("--set", action="append", default=[], help="settings passed on to train")
    options = parser.parse_args()
    files = sorted((options.data_root / "flowers_hires" / options.species).glob("*.jpg"))
    held_out = files[::4]
    training = [path for path in files if path not in set(held_out)]
    lay_out(training, options.species, options.work / "photos")
    captions = lay_out(held_out, options.species, options.work / "held-out")
    run = options.work / "run"
    started = time.monotonic()
    command = ["train", "--data", "folder", "--root", str(options.work / "photos"), "--run",
               str(run), "--init-from", options.model, "--option", "test_fraction=0"]  # fmt: skip
    if stackgan([*command, *(word for one in options.set for word in ("--set", one))]):
        raise SystemExit(1)
    minutes = (time.monotonic() - started) / 60
    network = EfficientNetLite(0)
    reals = [torch.from_numpy(_array(to_square(read_image(path), 256))) for path in held_out]
    known = network.features(torch.stack(reals))
    result: dict[str, object] = {
        "species": options.species,
        "photographs": {"training": len(training), "held_out": len(held_out)},
        "minutes": round(minutes, 1),
        "kid_halves_of_real": kid(known[::2], known[1::2]),
    }
    rows = []
    for name, model in (("before", options.model), ("after", run)):
        pixels = drawn(StackGAN.from_pretrained(model), captions)
        result[f"kid_{name}"] = kid(network.features(pixels), known)
        rows.append(pictures(pixels[:SHOWN]))
    rows.append([to_square(read_image(path), 256) for path in held_out[:SHOWN]])
    sheet = Image.new("RGB", (SHOWN * 260, 3 * 260), "white")
    for down, row in enumerate(rows):
        for right, picture in enumerate(row):
            sheet.paste(picture, (right * 260, down * 260))
    sheet.save(options.work / "sheet.png")
    print(json.dumps({**result, "captions_shown": captions[:SHOWN]}, indent=2))


def _array(picture: Image.Image):  # type: ignore[no-untyped-def]
    import numpy as np

    return np.asarray(picture).transpose(2, 0, 1).copy()


if __name__ == "__main__":
    main()
