"""A model and a data set's captions -> scores, with the protocol they mean nothing without."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch

from stackgan.data import Example
from stackgan.data.crop import Fit, used_fit
from stackgan.data.images import read_image, to_square
from stackgan.errors import InputError, nearest
from stackgan.evaluation.neighbours import nearest_other
from stackgan.evaluation.scores import Features, Reference, frechet_distance, kid, swd
from stackgan.model_folder import GENERATOR
from stackgan.models.features import EfficientNetLite
from stackgan.pipeline import StackGAN
from stackgan.tensors import Pixels
from stackgan.version import __version__

Progress = Callable[[int, int], None]

METRICS = ("kid", "fd", "swd")
LEAST_PICTURES = 4  # two in each half of the photographs, for the floor
EXTRACTOR = "EffLite0"


@dataclass(frozen=True)
class Score:
    """One figure, and the same figure of one half of the photographs against the other half."""

    value: float
    floor: float


@dataclass(frozen=True)
class Report:
    """Scores by name, the protocol they were taken by."""

    scores: dict[str, Score]
    protocol: dict[str, Any]

    def as_json(self) -> dict[str, Any]:
        """Return both as plain dictionaries."""
        scores = {name: asdict(score) for name, score in self.scores.items()}
        return {"scores": scores, "protocol": self.protocol}

    def as_text(self) -> str:
        """Return a table for a reader, the protocol below it."""
        lines = [f"{'lower is better':<28}{'model':>10}{'real halves':>14}"]
        for name, score in self.scores.items():
            lines.append(f"{name:<28}{_figure(score.value):>10}{_figure(score.floor):>14}")
        lines += ["", *(f"{key}: {value}" for key, value in self.protocol.items())]
        return "\n".join(lines)


def evaluate(
    model: StackGAN,
    examples: Sequence[Example],
    metrics: Sequence[str] = METRICS,
    count: int | None = None,
    *,
    copies: int = 1,
    seed: int = 0,
    stage: int | None = None,
    fit: Fit = "box",
    split: str = "test",
    network: EfficientNetLite | None = None,
    progress: Progress | None = None,
) -> Report:
    """Draw one picture for each example and score them against the examples' photographs.

    Picture i is of the first caption of example i, with seed ``seed + i``. ``count`` takes as many
    examples, evenly spaced in their order; None takes all. A larger ``count`` goes round: every
    first caption, every second one and so on, each ``copies`` times in a row. The photographs go to
    the pictures' size in the way of training (``fit``). ``network`` defaults to EfficientNet-Lite0,
    loaded only where a metric needs it.

    Paper: section 4.2, 30,000 samples of each model; TF draws up to 16 copies of a sentence, PT
    stops without a word near 3,000.

    Raises:
        InputError: for an unknown metric, fewer than 4 examples, SWD of more or fewer pictures
            than photographs, or a side of which nothing can be measured: all pictures alike.
    """
    metrics = check_metrics(metrics)
    chosen = spread(examples, None if count is not None and count > len(examples) else count)
    captions = sentences(chosen, count or len(chosen), copies)
    _check_pairs(metrics, len(chosen), len(captions))
    parts = _Parts(progress, 1 + 2 * any(name != "swd" for name in metrics))
    seeds = [seed + place for place in range(len(captions))]
    pixels = model.generate_pixels(
        captions, seeds, stage=stage, truncation=1.0, progress=parts.next()
    )
    fit = used_fit((example.box for example in chosen), fit)
    photographs = read_pixels(chosen, pixels.shape[-1], fit)
    scores: dict[str, Score] = {}
    if any(name != "swd" for name in metrics):
        _check_spread(pixels, "pictures that the model drew")
        _check_spread(photographs, "photographs")
        network = network or EfficientNetLite(0)
        features = network.features(pixels, parts.next())
        scores |= _feature_scores(features, network.features(photographs, parts.next()), metrics)
    if "swd" in metrics:
        scores |= _patch_scores(pixels, photographs, seed)
    protocol = {
        "N": len(captions),
        "photographs": len(chosen),
        "split": split,
        "references sha256": _digest(photographs),
        "captions": _told(captions, chosen, copies),
        "captions sha256": hashlib.sha256("\n".join(captions).encode()).hexdigest(),
        "seed": f"{seed} + place in the list",
        "extractor": _described(network) if network else "none",
        "resize": f"photographs to {pixels.shape[-1]} px by Pillow's bicubic ({fit}), PNG levels",
        "truncation": "none",
        "weights": _weights(model),
        "model": model.name,
        "checkpoint sha256": model.loaded.config["files"][GENERATOR]["sha256"],
        "version": __version__,
    }
    return Report(scores, protocol)


def check_metrics(metrics: Sequence[str]) -> list[str]:
    """Return the metrics without repetitions; InputError naming the nearest for an unknown one."""
    for name in metrics:
        if name not in METRICS:
            raise InputError(f"metric {name!r} is unknown; {nearest(name, list(METRICS))}")
    if not metrics:
        raise InputError(f"no metric was named; known: {', '.join(METRICS)}")
    return list(dict.fromkeys(metrics))


def spread(examples: Sequence[Example], count: int | None) -> list[Example]:
    """Return ``count`` of the examples, evenly spaced; all for None.

    Raises:
        InputError: where that is fewer than 4, or more than there are.
    """
    asked = len(examples) if count is None else count
    if len(examples) < LEAST_PICTURES:
        raise InputError(
            f"the data set has {len(examples)} examples to score against; expected at least "
            f"{LEAST_PICTURES}, two in each half"
        )
    if not LEAST_PICTURES <= asked <= len(examples):
        raise InputError(
            f"asked for {asked} pictures of {len(examples)} examples; expected from "
            f"{LEAST_PICTURES} to {len(examples)}"
        )
    places = np.linspace(0, len(examples) - 1, asked).round().astype(int)
    return [examples[place] for place in places]


def sentences(examples: Sequence[Example], count: int, copies: int = 1) -> list[str]:
    """Return ``count`` captions: the first of every example, the second, ..., then anew.

    Each stands ``copies`` times in a row. Raises :class:`InputError` for fewer than one copy.
    """
    if copies < 1:
        raise InputError(f"copies is {copies}; expected 1 or more")
    drawn = []
    for place in range(0, count, copies):
        turn, which = divmod(place // copies, len(examples))
        captions = examples[which].captions
        drawn += [captions[turn % len(captions)]] * min(copies, count - place)
    return drawn


def read_pixels(examples: Sequence[Example], size_px: int, fit: Fit = "box") -> Pixels:
    """Return the examples' photographs as pixels of ``size_px``, resized as for training."""
    arrays = [
        # As the cache reads them: a large JPEG in part, unless a box counts its pixels.
        np.asarray(
            to_square(
                read_image(example.image, 4 * size_px if example.box is None else None),
                size_px,
                fit,
                example.box,
            )
        )
        for example in examples
    ]
    return torch.from_numpy(np.stack(arrays)).permute(0, 3, 1, 2).contiguous()


def _feature_scores(
    features: Features, known: Reference, metrics: Sequence[str]
) -> dict[str, Score]:
    one, other = known[::2], known[1::2]
    scores = {}
    if "kid" in metrics:
        scores[f"KID({EXTRACTOR})"] = Score(kid(features, known), kid(one, other))
    if "fd" in metrics:
        distance = frechet_distance(features, known)
        scores[f"FD({EXTRACTOR})"] = Score(distance, frechet_distance(one, other))
    scores["nearest other picture"] = Score(
        float(nearest_other(features).mean()), float(nearest_other(known).mean())
    )
    return scores


def _patch_scores(pixels: Pixels, photographs: Pixels, seed: int) -> dict[str, Score]:
    half = len(photographs) // 2 * 2
    levels = swd(pixels, photographs, seed)
    floors = swd(photographs[:half:2], photographs[1:half:2], seed)
    scores = {f"SWD {size_px}": Score(levels[size_px], floors[size_px]) for size_px in levels}
    means = (float(np.mean(list(side.values()))) for side in (levels, floors))
    return scores | {"SWD": Score(*means)}


def _check_pairs(metrics: Sequence[str], photographs: int, pictures: int) -> None:
    if "swd" in metrics and photographs != pictures:
        raise InputError(
            f"swd compares {photographs} photographs with as many pictures, not {pictures}; "
            "leave it out with --metrics kid,fd"
        )


def _check_spread(pixels: Pixels, what: str) -> None:
    if bool((pixels == pixels[0]).all()):
        raise InputError(
            f"the {len(pixels)} {what} are all alike; KID and FD compare how two sets spread, and "
            "of such they say nothing: --metrics swd leaves them out"
        )


def _told(captions: list[str], examples: Sequence[Example], copies: int) -> str:
    """Say which captions were drawn."""
    if captions == [example.captions[0] for example in examples]:
        return "the first of each example"
    return f"every example's in turn, {copies} in a row of each sentence"


class _Parts:
    """One progress over several passes, each a like share of the whole."""

    def __init__(self, progress: Progress | None, parts: int) -> None:
        self._progress, self._parts, self._begun = progress, parts, -1

    def next(self) -> Progress | None:
        self._begun += 1
        if self._progress is None:
            return None
        progress, begun, parts = self._progress, self._begun, self._parts
        return lambda done, total: progress(begun * total + done, parts * total)


def _described(network: EfficientNetLite) -> str:
    return (
        f"{network.name}, sha256 {network.sha256}, pixels to {network.input_px} px by Pillow's "
        "bicubic, (pixel - 127) / 128, mean over height and width"
    )


def _weights(model: StackGAN) -> str:
    """Say whether the weights are a running average, as far as the training card tells."""
    training = model.loaded.config.get("training", {})
    return str(training.get("weights", "as the model folder holds them"))


def _digest(pixels: Pixels) -> str:
    return hashlib.sha256(pixels.numpy().tobytes()).hexdigest()


def _figure(value: float) -> str:
    return f"{value:.4f}" if abs(value) < 1 else f"{value:.1f}"
