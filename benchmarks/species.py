"""Which flower is it? A judge of species, set on photographs, with its ceiling on others.

Ridge regression from the features of a network that trained nothing (MobileNetV2, judging.py) to
the classes of Oxford-102, on squares of the size of the pictures to be judged. Four of five
photographs of each class set it, the fifth is left out and gives the ceiling. Read once, features
and the colour judge's calls are kept in files of the cache.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import colour_judge
import numpy as np
import torch
from judging import Panel, progress
from photographs import examples, photographs
from torch import Tensor

from stackgan.data.examples import Example
from stackgan.files import file_sha256

NETWORK = "mobilenetv2"
RIDGE = 1000.0  # of standardised features; from 100 to 10,000 the ceiling moves by two points
LEFT_OUT = 5  # one of so many photographs of a class
READ_AT_ONCE = 256
COLOUR_JUDGE = Path(colour_judge.__file__)
NO_COLOUR = ""


@dataclass(frozen=True)
class Known:
    """Photographs as the judges see them."""

    features: Tensor  # float32 [N, D]
    classes: list[int]
    colours: list[str]  # what the captions say of the petals, or NO_COLOUR
    called: list[str]  # what the colour judge says

    def colour_ceiling(self) -> dict[str, float]:
        """Return the share of photographs of each colour that the colour judge calls so."""
        pairs = list(zip(self.colours, self.called, strict=True))
        return {
            colour: float(np.mean([told == colour for said, told in pairs if said == colour]))
            for colour in colour_judge.COLOURS
            if colour in self.colours
        }


@dataclass(frozen=True)
class Judge:
    """A linear map from features to a score for each class."""

    classes: list[int]
    mean: Tensor
    deviation: Tensor
    weights: Tensor  # [D + 1, C], the last row is the bias

    def ranked(self, features: Tensor) -> list[list[int]]:
        """Return all classes for each picture, the likeliest first."""
        order = _biased((features.double() - self.mean) / self.deviation) @ self.weights
        return [[self.classes[place] for place in row] for row in order.argsort(1, True).tolist()]


def fit(features: Tensor, classes: Sequence[int], ridge: float = RIDGE) -> Judge:
    """Return the ridge classifier of these photographs, every class of equal weight."""
    listed = sorted(set(classes))
    place = torch.tensor([listed.index(each) for each in classes])
    mean, deviation = features.double().mean(0), features.double().std(0).clamp_min(1e-6)
    rows = _biased((features.double() - mean) / deviation)
    each = (len(classes) / len(listed) / place.bincount().double())[place]
    targets = torch.nn.functional.one_hot(place, len(listed)).double()
    square = rows.T @ (rows * each[:, None])
    penalty = torch.full((len(square),), ridge, dtype=torch.float64)
    penalty[-1] = 0.0  # the bias is free
    weights = torch.linalg.solve(square + penalty.diag(), rows.T @ (targets * each[:, None]))
    return Judge(listed, mean, deviation, weights)


def left_out(classes: Sequence[int]) -> list[bool]:
    """Return which photographs set no judge: the fifth, tenth, ... of each class."""
    seen: dict[int, int] = {}
    chosen = []
    for each in classes:
        seen[each] = seen.get(each, 0) + 1
        chosen.append(seen[each] % LEFT_OUT == 0)
    return chosen


def right(ranked: Sequence[Sequence[int]], wanted: Sequence[int], top: int) -> float:
    """Return the share of pictures with a wanted class among their ``top`` likeliest."""
    return float(np.mean([bool(set(row[:top]) & set(wanted)) for row in ranked]))


def read_known(data_root: Path, panel: Panel, size_px: int, cache: Path | None) -> Known:
    """Return all photographs of Oxford-102 as the judges see them at a size.

    The cache keeps some hundred in a file, so that a reading that was broken off goes on.
    """
    chosen = examples(data_root, "all")
    judges = (file_sha256(panel.folder / f"{NETWORK}.safetensors"), file_sha256(COLOUR_JUDGE))
    shown = progress(f"photographs at {size_px} px")
    parts = []
    for start in range(0, len(chosen), READ_AT_ONCE):
        some = chosen[start : start + READ_AT_ONCE]
        names = [f"{example.image.name} {example.captions}" for example in some]
        key = hashlib.sha256("\n".join([str(size_px), *judges, *names]).encode()).hexdigest()
        file = None if cache is None else cache / f"species-{size_px}-{key[:24]}.npz"
        parts.append(_kept(file) or _read(some, panel, size_px, file))
        shown(start + len(some), len(chosen))
    return Known(
        torch.cat([part.features for part in parts]),
        [each for part in parts for each in part.classes],
        [each for part in parts for each in part.colours],
        [each for part in parts for each in part.called],
    )


def _read(some: Sequence[Example], panel: Panel, size_px: int, file: Path | None) -> Known:
    """Judge these photographs, and keep what was found in ``file``."""
    pixels = photographs(some, size_px).pixels
    known = Known(
        panel.judged(NETWORK, pixels),
        [class_number(str(example.class_name)) for example in some],
        [colour_judge.one_colour(example.captions) or NO_COLOUR for example in some],
        colour_judge.judge(pixels.permute(0, 2, 3, 1).numpy()),
    )
    if file is not None:
        file.parent.mkdir(parents=True, exist_ok=True)
        unfinished = file.with_suffix(".part.npz")
        held = {name: np.array(getattr(known, name)) for name in ("classes", "colours", "called")}
        np.savez(unfinished, features=known.features.numpy(), **held)
        unfinished.replace(file)
    return known


def _kept(file: Path | None) -> Known | None:
    """What ``file`` holds, if it is there."""
    if file is None or not file.is_file():
        return None
    with np.load(file, allow_pickle=False) as held:
        lists = (held[name].tolist() for name in ("classes", "colours", "called"))
        return Known(torch.from_numpy(held["features"]), *lists)


def class_number(class_name: str) -> int:
    """Return 74 for ``class_00074``."""
    return int(class_name.removeprefix("class_"))


def _biased(rows: Tensor) -> Tensor:
    return torch.cat([rows, torch.ones(len(rows), 1, dtype=rows.dtype)], dim=1)
