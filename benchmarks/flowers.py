"""How good are the flowers? KID, SWD, diversity and memorising, by the protocol of README.md.

    python benchmarks/flowers.py --anchors                      what known pictures score
    python benchmarks/flowers.py --model flowers --json OUT.json
    python benchmarks/flowers.py --samples FILE.npz             pictures drawn elsewhere
    python benchmarks/flowers.py --wanted OUT.json              the captions and seeds to draw

``--samples`` holds uint8 arrays in the order of ``--wanted``, any of: ``sketches``
[840, 64, 64, 3]; ``pictures`` [800, 256, 256, 3] and ``own_sketches`` [800, 64, 64, 3] (those the
pictures were made from); ``refined`` [800, 256, 256, 3]; ``eight_sketches`` [10, 8, 64, 64, 3];
``eight_pictures`` [9, 8, 256, 256, 3]. A section is judged where its arrays are there.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from flower_lists import Wanted, draw, wanted
from flower_lists import progress as progress_line
from photographs import (
    Photographs,
    cached_features,
    hires,
    oxford,
    pictures,
    resized,
)
from PIL import Image, ImageFilter
from torch import Tensor

import stackgan
from stackgan.evaluation.neighbours import nearest, nearest_other
from stackgan.evaluation.scores import diversity, frechet_distance, kid, swd
from stackgan.models.features import EfficientNetLite

SECTIONS = ["sketches", "pictures", "refine", "diversity", "memory"]
SEED = 0
BICUBIC, LANCZOS = Image.Resampling.BICUBIC, Image.Resampling.LANCZOS


class Judge:
    """EfficientNet-Lite0, the photographs it compares with, and a folder of features known."""

    def __init__(self, data_root: Path, cache: Path | None) -> None:
        self.network = EfficientNetLite(0)
        self.data_root = data_root
        self.cache = cache
        self._photographs: dict[tuple[int, str], Photographs] = {}

    def photographs(self, size_px: int, split: str) -> Photographs:
        """Return the photographs of 64 or 256 px of a split, read once."""
        if (size_px, split) not in self._photographs:
            read = oxford if size_px == 64 else hires
            self._photographs[size_px, split] = read(self.data_root, split)
        return self._photographs[size_px, split]

    def features(self, pixels: Tensor, what: str) -> Tensor:
        """Return the features of pictures, by the cache where it knows them."""
        progress = progress_line(f"features of {what}")
        return cached_features(self.network, pixels, self.cache, progress)

    def real(self, size_px: int, split: str) -> Tensor:
        """Return the features of all photographs of a split."""
        photographs = self.photographs(size_px, split)
        return self.features(photographs.pixels, f"{split} photographs at {size_px} px")

    def protocol(self) -> dict[str, Any]:
        """Return what every figure below depends on."""
        return {
            "extractor": f"{self.network.name} sha256 {self.network.sha256}",
            "input": "224x224 by Pillow's bicubic, (pixel - 127) / 128, mean over height and width",
            "kid": "kernel (x.y/1280 + 1)^3, unbiased, all images as one subset",
            "swd": "7x7 patches, 128 an image and level, reference's mean and deviation for each "
            f"channel, 512 projections, x 1000, seed {SEED}",
            "captions": "Oxford-102, Reed et al., inferred join, first of each photograph",
            "seeds": "place in the list",
            "truncation": "none",
            "version": stackgan.__version__,
            "torch": torch.__version__,
        }


def anchors(judge: Judge) -> dict[str, Any]:
    """Score pictures of known quality: what a figure is to be read beside."""
    held_out = judge.photographs(64, "test")
    pixels, known = held_out.pixels, judge.real(64, "test")
    training = _spread(judge.photographs(64, "train"), len(held_out)).pixels
    blurred = _mapped(pixels, lambda picture: picture.filter(ImageFilter.GaussianBlur(1.5)))
    rows = {
        "training classes": training,
        "32x32 enlarged": resized(resized(pixels, 32, BICUBIC), 64, BICUBIC),
        "blurred by 1.5 px": blurred,
        "noise of sigma 20": _noisy(pixels, 20),
        "16x16 enlarged": resized(resized(pixels, 16, BICUBIC), 64, BICUBIC),
        "20 photographs repeated": pixels[:20].repeat(42, 1, 1, 1),
        "round blobs on green": _blobs(len(held_out)),
    }
    small: dict[str, Any] = {
        "halves": {
            "kid": kid(known[::2], known[1::2]),
            "swd": swd(pixels[::2], pixels[1::2], SEED),
        }
    }
    for name, compared in rows.items():
        features = judge.features(compared, name)
        small[name] = {"kid": kid(features, known), "swd": swd(compared, pixels, SEED)}
    return {"64x64": small, "256x256": _large_anchors(judge)}


def _large_anchors(judge: Judge) -> dict[str, Any]:
    held_out = judge.photographs(256, "test").pixels
    known = judge.real(256, "test")
    through = {size: _through(held_out, size) for size in (128, 96, 64)}
    sharpened = _mapped(through[64], lambda picture: picture.filter(ImageFilter.UnsharpMask()))
    rows = {
        "other species": _spread(judge.photographs(256, "train"), len(held_out)).pixels,
        **{f"through {size}x{size}": enlarged for size, enlarged in through.items()},
        "through 64x64, unsharp mask": sharpened,
        "through 64x64, noise of sigma 8": _noisy(through[64], 8),
    }
    scores = {"halves": {"kid": kid(known[::2], known[1::2])}}
    for name, compared in rows.items():
        scores[name] = {"kid": kid(judge.features(compared, name), known)}
    return scores


def judge_sketches(judge: Judge, samples: dict[str, Tensor]) -> dict[str, Any]:
    """64x64: one sketch for each of the 840 captioned photographs of the held-out classes."""
    photographs = judge.photographs(64, "test").pixels
    known = judge.real(64, "test")
    features = judge.features(samples["sketches"], "sketches")
    levels = swd(samples["sketches"], photographs, SEED)
    mine, real = float(nearest_other(features).mean()), float(nearest_other(known).mean())
    return {
        "n": len(features),
        "kid": kid(features, known),
        "kid_halves_of_real": kid(known[::2], known[1::2]),
        "fd": frechet_distance(features, known),
        "swd": levels,
        "swd_mean": float(np.mean(list(levels.values()))),
        "nearest_other": mine,
        "nearest_other_of_real": real,
        "nearest_other_ratio": mine / real,
    }


def judge_pictures(judge: Judge, samples: dict[str, Tensor]) -> dict[str, Any]:
    """256x256: Stage-II against its own sketches enlarged, both against held-out photographs.

    Beside KID the SWD, which knows no network: a Stage-II that was trained against a relative of
    the judge must not please the judge alone.
    """
    known = judge.real(256, "test")
    enlarged = resized(samples["own_sketches"], 256, LANCZOS)
    stage2 = kid(judge.features(samples["pictures"], "pictures"), known)
    lanczos = kid(judge.features(enlarged, "own sketches enlarged"), known)
    photographs = judge.photographs(256, "test").pixels
    return {
        "n": len(samples["pictures"]),
        "kid": stage2,
        "kid_sketches_by_lanczos": lanczos,
        "ratio": stage2 / lanczos,
        "swd": swd(samples["pictures"], photographs, SEED),
        "swd_sketches_by_lanczos": swd(enlarged, photographs, SEED),
        "kid_halves_of_real": kid(known[::2], known[1::2]),
    }


def judge_refine(judge: Judge, samples: dict[str, Tensor]) -> dict[str, Any]:
    """256x256: held-out photographs shrunk to 64x64 and refined, against themselves."""
    known = judge.real(256, "test")
    enlarged = _through(judge.photographs(256, "test").pixels, 64)
    return {
        "n": len(samples["refined"]),
        "kid": kid(judge.features(samples["refined"], "refined photographs"), known),
        "kid_lanczos": kid(judge.features(enlarged, "photographs by Lanczos"), known),
    }


def judge_diversity(judge: Judge, samples: dict[str, Tensor]) -> dict[str, Any]:
    """Eight pictures of one caption, against photographs of one class."""
    result = {}
    for size_px, key in ((64, "eight_sketches"), (256, "eight_pictures")):
        if key not in samples:
            continue
        known = judge.real(size_px, "test")
        groups = np.array(judge.photographs(size_px, "test").groups)
        within = {
            group: diversity(known[torch.from_numpy(np.flatnonzero(groups == group))])
            for group in sorted(set(groups))
        }
        captions, seeds = samples[key].shape[:2]
        features = judge.features(samples[key].flatten(0, 1), key).unflatten(0, (captions, seeds))
        apart = [diversity(of_one_caption) for of_one_caption in features]
        real = float(np.mean(list(within.values())))
        result[f"{size_px}x{size_px}"] = {
            "captions": captions,
            "pictures_a_caption": seeds,
            "distance": float(np.mean(apart)),
            "least": min(apart),
            "within_classes_of_real": real,
            "ratio": float(np.mean(apart)) / real,
        }
    return result


def judge_memory(judge: Judge, samples: dict[str, Tensor], sheets: Path | None) -> dict[str, Any]:
    """The nearest training photograph of 64 pictures, against that of held-out photographs."""
    result = {}
    for size_px, key in ((64, "sketches"), (256, "pictures")):
        if key not in samples:
            continue
        training = judge.real(size_px, "train")
        places = np.linspace(0, len(samples[key]) - 1, 64).round().astype(int)
        chosen = samples[key][torch.from_numpy(places)]
        found = nearest(judge.features(chosen, f"64 {key}"), training)
        real = float(nearest(judge.real(size_px, "test"), training).distances.mean())
        mine = float(found.distances.mean())
        result[f"{size_px}x{size_px}"] = {
            "n": len(chosen),
            "training_photographs": len(training),
            "distance": mine,
            "least": float(found.distances.min()),
            "held_out_to_training": real,
            "ratio": mine / real,
        }
        if sheets is not None:
            sheets.mkdir(parents=True, exist_ok=True)
            neighbours = judge.photographs(size_px, "train").pixels[found.indices[:, 0]]
            _sheet(chosen, neighbours).save(sheets / f"neighbours-{size_px}.png")
    return result


def judged(
    judge: Judge, samples: dict[str, Tensor], sections: list[str], sheets: Path | None
) -> dict[str, Any]:
    """Return the scores of each section whose pictures are there."""
    scores: dict[str, Any] = {}
    if "sketches" in sections and "sketches" in samples:
        scores["sketches"] = judge_sketches(judge, samples)
    if "pictures" in sections and {"pictures", "own_sketches"} <= samples.keys():
        scores["pictures"] = judge_pictures(judge, samples)
    if "refine" in sections and "refined" in samples:
        scores["refine"] = judge_refine(judge, samples)
    if "diversity" in sections:
        scores["diversity"] = judge_diversity(judge, samples)
    if "memory" in sections:
        scores["memory"] = judge_memory(judge, samples, sheets)
    return scores


def _spread(photographs: Photographs, count: int) -> Photographs:
    """Return ``count`` of them, evenly spaced in their order."""
    places = np.linspace(0, len(photographs) - 1, count).round().astype(int)
    return photographs.take(places.tolist())


def _through(pixels: Tensor, size_px: int) -> Tensor:
    return resized(resized(pixels, size_px, LANCZOS), pixels.shape[-1], LANCZOS)


def _mapped(pixels: Tensor, change: Any) -> Tensor:
    arrays = [np.array(change(picture)) for picture in pictures(pixels)]
    return torch.from_numpy(np.stack(arrays)).permute(0, 3, 1, 2).contiguous()


def _noisy(pixels: Tensor, sigma: float) -> Tensor:
    random = np.random.default_rng(1)
    noise = torch.from_numpy(random.normal(0, sigma, tuple(pixels.shape)))
    return (pixels + noise).round().clamp(0, 255).to(torch.uint8)


def _blobs(count: int) -> Tensor:
    """Draw round blobs of one colour on green, the least that could pass for flowers."""
    random = np.random.default_rng(1)
    rows, columns = np.mgrid[:64, :64]
    drawn = np.empty((count, 3, 64, 64), dtype=np.uint8)
    for picture in drawn:
        picture[:] = random.integers((20, 70, 10), (70, 130, 50))[:, None, None]
        row, column = random.uniform(26, 38, 2)
        blob = np.hypot(rows - row, columns - column) < random.uniform(12, 24)
        picture[:, blob] = random.integers(80, 256, 3)[:, None]
    return torch.from_numpy(drawn)


def _sheet(chosen: Tensor, neighbours: Tensor) -> Image.Image:
    """Lay out pairs, 8 in a row: a picture and, right of it, its nearest training photograph."""
    pairs = torch.cat([chosen, neighbours], dim=3)  # [64, 3, H, 2 W]
    gaps = torch.nn.functional.pad(pairs, (0, 6, 0, 6), value=255)
    rows = [torch.cat(list(row), dim=2) for row in gaps.split(8)]
    return pictures(torch.cat(rows, dim=1)[None])[0]


def _show(name: str, value: Any, depth: int = 0) -> None:
    if isinstance(value, dict):
        print(f"{'  ' * depth}{name}")
        for key, inner in value.items():
            _show(str(key), inner, depth + 1)
    else:
        text = f"{value:.4f}" if isinstance(value, float) and abs(value) < 1 else value
        text = f"{value:.2f}" if isinstance(value, float) and abs(value) >= 1 else text
        print(f"{'  ' * depth}{name:<{44 - 2 * depth}}{text}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data-root", type=Path, default=Path("../shared/data"))
    parser.add_argument("--anchors", action="store_true", help="score pictures of known quality")
    parser.add_argument("--model", help="a shipped name, a model folder or a run folder")
    parser.add_argument("--samples", type=Path, help="an .npz of pictures drawn elsewhere")
    parser.add_argument("--save-samples", type=Path, help="keep what --model drew as an .npz")
    parser.add_argument("--wanted", type=Path, help="write the captions and seeds, and stop")
    parser.add_argument("--sections", nargs="+", default=SECTIONS, choices=SECTIONS)
    parser.add_argument("--sheets", type=Path, help="folder for the sheets of nearest neighbours")
    parser.add_argument("--cache", type=Path, help="folder of features known from earlier calls")
    parser.add_argument("--json", type=Path, help="write the figures with their protocol")
    return parser.parse_args()


def _samples(options: argparse.Namespace, lists: Wanted, judge: Judge) -> dict[str, Tensor]:
    if options.samples:
        with np.load(options.samples) as held:
            return {key: torch.from_numpy(held[key]).movedim(-1, -3) for key in held.files}
    photographs = None
    if "refine" in options.sections:
        photographs = resized(judge.photographs(256, "test").pixels, 64, LANCZOS)
    samples = draw(options.model, lists, options.sections, photographs)
    if options.save_samples:
        arrays = {key: pixels.movedim(-3, -1).numpy() for key, pixels in samples.items()}
        np.savez_compressed(options.save_samples, **arrays)
    return samples


def main() -> None:
    """Print the figures asked for, each with its protocol."""
    options = _arguments()
    judge = Judge(options.data_root, options.cache)
    figures: dict[str, Any] = {"protocol": judge.protocol()}
    if options.anchors:
        figures["anchors"] = anchors(judge)
    if options.model or options.samples or options.wanted:
        lists = wanted(judge.photographs(64, "test"), judge.photographs(256, "test"))
        if options.wanted:
            options.wanted.write_text(json.dumps(lists._asdict(), indent=1) + "\n")
            return
        figures["protocol"]["model"] = str(options.model or options.samples)
        samples = _samples(options, lists, judge)
        figures |= judged(judge, samples, options.sections, options.sheets)
    for name, value in figures.items():
        _show(name, value)
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
