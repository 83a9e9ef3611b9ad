"""The real photographs the benchmarks compare with: which, in which order, with which captions.

Shared by ``flowers.py`` and ``colour_judge.py``. Reads ``oxford102/`` (64x64 copies with captions;
which caption belongs to which photograph is an inferred join) and ``flowers_hires/`` (folders of
species, 224 to 227 px, enlarged here to 256 by Pillow's bicubic).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from stackgan.data import read_examples
from stackgan.data.examples import Split
from stackgan.data.images import read_image, to_square
from stackgan.errors import DataError
from stackgan.models.features import EfficientNetLite

# The held-out species of flowers_hires/ and their classes in oxford102/, in the order of the list.
HELD_OUT_SPECIES = {"colts-foot": "class_00012", "pansy": "class_00052", "rose": "class_00074"}


@dataclass(frozen=True)
class Photographs:
    """Photographs in a fixed order; ``captions`` and ``groups`` (class or species) go with them."""

    pixels: Tensor  # uint8 [N, 3, H, W]
    names: list[str]
    captions: list[tuple[str, ...]]
    groups: list[str]

    def __len__(self) -> int:
        return len(self.names)

    @property
    def first_captions(self) -> list[str]:
        return [captions[0] for captions in self.captions]

    def take(self, places: Sequence[int]) -> Photographs:
        """Return the photographs at these places, in this order."""
        return Photographs(
            self.pixels[torch.as_tensor(list(places))],
            [self.names[place] for place in places],
            [self.captions[place] for place in places],
            [self.groups[place] for place in places],
        )


def oxford(data_root: Path, split: Split) -> Photographs:
    """Return the captioned 64x64 photographs of a split ("test": 840, "train": 5,652), by name."""
    examples = read_examples("oxford102", data_root / "oxford102", split)
    return Photographs(
        _stacked([read_image(example.image) for example in examples]),
        [example.image.stem for example in examples],
        [example.captions for example in examples],
        [str(example.class_name) for example in examples],
    )


def hires(data_root: Path, split: str) -> Photographs:
    """Return the 256x256 photographs: "test" the 800 of the held-out species, "train" the 3,603.

    A held-out photograph's caption: photograph k of a species takes the first caption of photograph
    k (modulo their number) of its class in ``oxford102/``. The others have none.
    """
    root = data_root / "flowers_hires"
    if not root.is_dir():
        raise DataError(f"{root} is missing; --data-root is the folder that holds flowers_hires/")
    held_out = sorted(HELD_OUT_SPECIES)
    species = sorted(folder.name for folder in root.iterdir() if folder.is_dir())
    chosen = held_out if split == "test" else [name for name in species if name not in held_out]
    files = [(name, file) for name in chosen for file in sorted((root / name).glob("*.jpg"))]
    captions: list[tuple[str, ...]] = [()] * len(files)
    if split == "test":
        captions = _species_captions([name for name, _ in files], oxford(data_root, "test"))
    return Photographs(
        _stacked([to_square(read_image(file), 256) for _, file in files]),
        [f"{name}/{file.name}" for name, file in files],
        captions,
        [name for name, _ in files],
    )


def resized(pixels: Tensor, size_px: int, resampling: Image.Resampling) -> Tensor:
    """Resize each picture by one of Pillow's resamplers, antialiased."""
    return _stacked(
        [picture.resize((size_px, size_px), resampling) for picture in pictures(pixels)]
    )


def pictures(pixels: Tensor) -> list[Image.Image]:
    """Return pixels [N, 3, H, W] as Pillow images."""
    return [Image.fromarray(array) for array in pixels.permute(0, 2, 3, 1).contiguous().numpy()]


def cached_features(
    network: EfficientNetLite,
    pixels: Tensor,
    cache: Path | None,
    progress: Callable[[int, int], None] | None = None,
) -> Tensor:
    """Return the network's features, from ``cache`` where the same pixels were judged before."""
    if cache is None:
        return network.features(pixels, progress)
    key = hashlib.sha256(network.sha256.encode() + pixels.contiguous().numpy().tobytes())
    file = cache / f"{network.name}-{key.hexdigest()[:24]}.npy"
    if file.is_file():
        return torch.from_numpy(np.load(file))
    features = network.features(pixels, progress)
    cache.mkdir(parents=True, exist_ok=True)
    unfinished = file.with_suffix(".part.npy")
    np.save(unfinished, features.numpy())
    unfinished.replace(file)
    return features


def _species_captions(species: list[str], captioned: Photographs) -> list[tuple[str, ...]]:
    seen = dict.fromkeys(species, 0)
    result = []
    for name in species:
        group = HELD_OUT_SPECIES[name]
        of_class = [
            captions
            for captions, of in zip(captioned.captions, captioned.groups, strict=True)
            if of == group
        ]
        result.append(of_class[seen[name] % len(of_class)])
        seen[name] += 1
    return result


def _stacked(images: Sequence[Image.Image]) -> Tensor:
    arrays = np.stack([np.asarray(image) for image in images])
    return torch.from_numpy(arrays).permute(0, 3, 1, 2).contiguous()
