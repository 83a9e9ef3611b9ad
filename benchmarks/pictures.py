"""How good are a model's flowers? One protocol, at 64 and at 256 pixels, on classes held out.

    python benchmarks/pictures.py --model flowers --json OUT.json --sheet OUT.png
    python benchmarks/pictures.py --model runs/mine --size 64 -n 80 --sections judges   a quick look
    python benchmarks/pictures.py --anchors             what photographs of known faults score
    python benchmarks/pictures.py --wanted OUT.json     captions and seeds, to draw elsewhere
    python benchmarks/pictures.py --samples FILE.npz    pictures that were drawn elsewhere

--data-root is a folder with oxford102/, as `stackgan data download oxford102 --root oxford102`
makes it; --judges one with the judges' code and weights (judging.py). The reference: 800 of the
photographs of the reader's split `test`, evenly spaced by name, their middle squares by Lanczos. A
picture for each, of its first caption, seed = its place among the 800, no truncation. -n takes
fewer of these pictures, evenly spaced, against all 800 photographs (SWD: against their own).

Sections: judges (KID, precision, recall by three networks that trained nothing), swd, caption (does
a picture carry its caption), colours (colour_judge.py), spectrum (its peaks), refine
(photographs shrunk to 64 px and refined, Lanczos beside it), diversity (eight pictures of one
caption), memory (the nearest training photographs; not by default, it judges all of them).
"""

from __future__ import annotations

import argparse
import hashlib
import json
import platform
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import colour_judge
import numpy as np
import sheet
import torch
from anchors import anchors
from drawing import EIGHT, PICTURES, SKETCHES, How, asked, draw, read_samples, write_samples
from judging import JUDGES, Panel, sentences
from photographs import examples, oxford, photographs, resized, spread
from torch import Tensor

import stackgan
from stackgan import StackGAN
from stackgan.errors import InputError
from stackgan.evaluation.metrics.diversity import diversity
from stackgan.evaluation.metrics.neighbours import nearest
from stackgan.evaluation.metrics.spectrum import peaks
from stackgan.evaluation.metrics.swd import swd

SECTIONS = ("judges", "swd", "caption", "colours", "spectrum", "refine", "diversity", "memory")
BY_DEFAULT = SECTIONS[:-1]
COUNT = 800
REPOSITORY = Path(__file__).resolve().parents[1]
SHARED = REPOSITORY.parent / "shared"
READ_AT_ONCE = 512  # photographs of the training classes


class Measurement:
    """The reference photographs, the judges, and which of the pictures are looked at."""

    def __init__(self, data_root: Path, panel: Panel, sizes: list[int], count: int) -> None:
        self.data_root = data_root
        self.panel = panel
        self.sizes = sizes
        needed = {SKETCHES, *sizes}
        self.known = {size: oxford(data_root, "test", size, COUNT) for size in sorted(needed)}
        self.places = spread(len(self.known[SKETCHES]), count)
        self.wanted = asked(self.known[SKETCHES], self.places)

    def shrunk(self) -> Tensor:
        """Return the photographs at 64 px of the places looked at, for ``refine``."""
        return self.known[SKETCHES].take(self.places).pixels

    def compare(self, pixels: Tensor, size_px: int, what: str) -> dict[str, Any]:
        """Return the judges' figures of pictures against the photographs of a size."""
        known = self.known[size_px].pixels
        return self.panel.compare(pixels, known, what, f"photographs at {size_px} px")

    def protocol(self) -> dict[str, Any]:
        """Return what every figure depends on beside the pictures."""
        captions = "\n".join(self.wanted.captions["pictures"])
        return {
            "data": "Oxford-102, reader's split test, photographs evenly spaced by name",
            "classes": sorted(set(self.known[SKETCHES].groups)),
            "photographs": len(self.known[SKETCHES]),
            "photographs_sha256": {str(size): one.sha256 for size, one in self.known.items()},
            "squares": "middle, corner at whole pixels, Pillow's Lanczos",
            "n": len(self.places),
            "captions": "first of each photograph",
            "captions_sha256": hashlib.sha256(captions.encode()).hexdigest(),
            "seeds": f"place among the {len(self.known[SKETCHES])} photographs",
            "judges_sha256": self.panel.sha256(),
            "kid": "unbiased, (x.y / D + 1)^3, all pictures as one subset",
            "precision_recall": "k = 3, Euclidean; with fewer pictures recall falls",
            "swd": "7x7 patches, 128 an image and level, reference's mean and deviation, x 1000",
            "version": stackgan.__version__,
            "torch": torch.__version__,
            "threads": torch.get_num_threads(),
            "processor": _processor(),
        }


def judged(
    measured: Measurement, samples: dict[str, Tensor], sections: list[str]
) -> dict[str, dict[str, Any]]:
    """Return the figures by size, then section, of every section whose pictures are there."""
    figures: dict[str, dict[str, Any]] = {str(size): {} for size in measured.sizes}
    for size in measured.sizes:
        for section in sections:
            what = {"colours": "colours", "refine": "refine", "diversity": "diversity"}
            pixels = samples.get(f"{what.get(section, 'pictures')}-{size}")
            if pixels is not None:
                figures[str(size)][section] = _SECTIONS[section](measured, pixels, size)
    return figures


def _judges(measured: Measurement, pixels: Tensor, size_px: int) -> dict[str, Any]:
    return measured.compare(pixels, size_px, f"pictures at {size_px} px")


def _swd(measured: Measurement, pixels: Tensor, size_px: int) -> dict[str, Any]:
    own = measured.known[size_px].take(measured.places)
    levels = swd(pixels, own.pixels, 0)
    return {**{str(level): one for level, one in levels.items()},
            "mean": float(np.mean(list(levels.values())))}  # fmt: skip


def _caption(measured: Measurement, pixels: Tensor, size_px: int) -> dict[str, Any]:
    pool = measured.known[size_px]
    chosen = pool.take(measured.places)
    return measured.panel.captions(pixels, chosen, pool, f"pictures at {size_px} px")


def _colours(measured: Measurement, pixels: Tensor, size_px: int) -> dict[str, Any]:
    shape = (len(colour_judge.COLOURS), len(colour_judge.WORDINGS), colour_judge.SEEDS)
    arrays = pixels.permute(0, 2, 3, 1).contiguous().numpy()
    return colour_judge.on_pictures(arrays.reshape(*shape, size_px, size_px, 3))


def _spectrum(measured: Measurement, pixels: Tensor, size_px: int) -> dict[str, Any]:
    return asdict(peaks(pixels, measured.known[size_px].pixels))


def _refine(measured: Measurement, pixels: Tensor, size_px: int) -> dict[str, Any]:
    lanczos = resized(measured.shrunk(), size_px)
    return {
        "n": len(pixels),
        "refined": measured.compare(pixels, size_px, "refined photographs"),
        "lanczos": measured.compare(lanczos, size_px, "photographs enlarged by Lanczos"),
    }


def _diversity(measured: Measurement, pixels: Tensor, size_px: int) -> dict[str, Any]:
    """Mean feature distance between eight pictures of one caption, of that within a class."""
    found = {}
    known = measured.known[size_px]
    groups = sorted(set(known.groups))
    for name in measured.panel.names:
        theirs = measured.panel.features(name, known.pixels, f"photographs at {size_px} px")
        within = [diversity(theirs[[group == one for group in known.groups]]) for one in groups]
        mine = measured.panel.features(name, pixels, "eight of each caption")
        apart = [diversity(mine[at : at + EIGHT]) for at in range(0, len(mine), EIGHT)]
        found[name] = {
            "ratio": float(np.mean(apart) / np.mean(within)),
            "least": float(min(apart) / np.mean(within)),
        }
    return found


def _memory(measured: Measurement, pixels: Tensor, size_px: int) -> dict[str, Any]:
    """Distance of 64 pictures to their nearest training photographs, of that of held-out ones."""
    name = measured.panel.names[0]
    training = examples(measured.data_root, "train")
    parts = []
    for start in range(0, len(training), READ_AT_ONCE):
        part = photographs(training[start : start + READ_AT_ONCE], size_px).pixels
        what = f"training photographs {start} to {start + len(part)} at {size_px} px"
        parts.append(measured.panel.features(name, part, what))
    features = torch.cat(parts)
    chosen = sheet.unselected(pixels)
    found = nearest(measured.panel.features(name, chosen, "64 pictures"), features)
    held_out = measured.panel.features(name, measured.known[size_px].pixels, "photographs")
    apart = nearest(held_out, features).distances
    return {
        "judge": name,
        "n": len(chosen),
        "training_photographs": len(features),
        "ratio": float(found.distances.mean() / apart.mean()),
        "least": float(found.distances.min() / apart.mean()),
        "nearest": [training[int(place)].image.stem for place in found.indices[:, 0]],
    }


_SECTIONS = {
    "judges": _judges,
    "swd": _swd,
    "caption": _caption,
    "colours": _colours,
    "spectrum": _spectrum,
    "refine": _refine,
    "diversity": _diversity,
    "memory": _memory,
}


def drawn_by_model(
    model: StackGAN, measured: Measurement, sections: list[str], how: How
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Return the pictures and what the protocol says of the model."""
    if model.stage2 is None and PICTURES in measured.sizes:
        measured.sizes.remove(PICTURES)
        print(f"{model.name} has no Stage-II: no figures at 256 px", file=sys.stderr)
        if not measured.sizes:
            raise InputError(f"{model.name} has no Stage-II; ask for --size 64")
    shrunk = measured.shrunk() if "refine" in sections else None
    samples = draw(model, measured.wanted, measured.sizes, sections, how, shrunk)
    said = {
        "model": model.name,
        "model_sha256": {
            file: facts["sha256"] for file, facts in model.loaded.config["files"].items()
        },
        "encoder_sha256": model.encoder.sha256,
        "truncation": "none" if how.truncation == 1 else how.truncation,
        "best_of": how.best_of or 1,
        "device": str(model.device),
    }
    return samples, said


def save_sheets(path: Path, samples: dict[str, Tensor], figures: dict[str, Any],
                measured: Measurement) -> None:  # fmt: skip
    """Write 64 unselected pictures of each size; with ``memory`` each beside its neighbour."""
    sizes = [size for size in measured.sizes if f"pictures-{size}" in samples]
    for size in sizes:
        chosen = sheet.unselected(samples[f"pictures-{size}"])
        suffix = f"-{size}" if len(sizes) > 1 else ""
        sheet.save(chosen, path.with_name(f"{path.stem}{suffix}.png"))
        if "memory" in figures.get(str(size), {}):
            by_name = {one.image.stem: one for one in examples(measured.data_root, "train")}
            names = figures[str(size)]["memory"]["nearest"]
            beside = photographs([by_name[name] for name in names], size).pixels
            pairs = torch.stack([chosen, beside], dim=1).flatten(0, 1)
            sheet.save(pairs, path.with_name(f"{path.stem}-neighbours-{size}.png"))


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{named[0]}, {len(named)} cores" if named else platform.processor()


def _show(name: str, value: Any, depth: int = 0) -> None:
    if isinstance(value, list):
        return
    if isinstance(value, dict):
        print(f"{'  ' * depth}{name}")
        for key, inner in value.items():
            _show(str(key), inner, depth + 1)
    else:
        text = f"{value:.4f}" if isinstance(value, float) and abs(value) < 1 else value
        text = f"{value:.2f}" if isinstance(value, float) and abs(value) >= 1 else text
        print(f"{'  ' * depth}{name:<{40 - 2 * depth}}{text}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--model", help="a shipped name, a model folder or a run folder")
    add("--anchors", action="store_true", help="score photographs of known faults")
    add("--wanted", type=Path, help="write the captions and seeds as JSON, and stop")
    add("--samples", type=Path, help="an .npz of pictures drawn for --wanted elsewhere")
    add("--save-samples", type=Path, help="keep what --model drew as such an .npz")
    add("--size", choices=("64", "256", "both"), default="both", help="pixels (default: both)")
    add("-n", "--n", type=int, default=COUNT, help="pictures, evenly spaced (default: 800)")
    add("--sections", nargs="+", default=list(BY_DEFAULT), choices=SECTIONS)
    add("--by", nargs="+", default=list(JUDGES), choices=JUDGES, help="judges (default: all)")
    add("--truncation", type=float, default=1.0, help="scales what is random (default: 1, none)")
    add("--best-of", type=int, help="keep the best of so many seeds, as generate --best-of does")
    add("--data-root", type=Path, default=SHARED / "data", help="the folder with oxford102/")
    add("--judges", type=Path, default=SHARED / "judges", help="the folder of the judges")
    add("--cache", type=Path, help="folder of features known from earlier calls")
    add("--json", type=Path, help="write the figures with their protocol")
    add("--sheet", type=Path, help="PNG of 64 unselected pictures; -64 and -256 where both")
    options = parser.parse_args()
    if options.n < 4:
        parser.error(f"--n is {options.n}; expected 4 or more")
    if not (options.model or options.anchors or options.wanted or options.samples):
        parser.error("one of --model, --anchors, --wanted and --samples is needed")
    return options


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Return the figures asked for, with their protocol."""
    sizes = [SKETCHES, PICTURES] if options.size == "both" else [int(options.size)]
    panel = Panel(options.by, options.judges, options.cache)
    if "caption" in options.sections and (options.model or options.samples):
        panel.require_captions()
    measured = Measurement(options.data_root, panel, sizes, options.n)
    figures: dict[str, Any] = {"protocol": measured.protocol()}
    if options.wanted:
        options.wanted.write_text(json.dumps(measured.wanted.as_json(), indent=1) + "\n")
        return figures
    if options.anchors:
        figures["anchors"] = anchors(panel, options.data_root, measured.known, sizes, options.n)
    samples: dict[str, Tensor] = {}
    if options.samples:
        samples = read_samples(options.samples, measured.wanted)
        figures["protocol"]["model"] = str(options.samples)
    elif options.model:
        model = StackGAN.from_pretrained(options.model)
        how = How(options.truncation, options.best_of)
        samples, said = drawn_by_model(model, measured, options.sections, how)
        figures["protocol"] |= said
        if options.save_samples:
            write_samples(options.save_samples, samples)
    if samples:
        if options.sheet:
            save_sheets(options.sheet, samples, {}, measured)
        figures |= judged(measured, samples, options.sections)
        if options.sheet and "memory" in options.sections:
            save_sheets(options.sheet, samples, figures, measured)
    return figures


def main() -> None:
    """Print the figures asked for, each with its protocol."""
    options = _arguments()
    with sentences("pictures.py"):
        figures = measure(options)
    for name, value in figures.items():
        _show(name, value)
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
