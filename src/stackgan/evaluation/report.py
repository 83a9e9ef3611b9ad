"""A model and a data set's captions -> scores, each with the protocol it means nothing without."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from stackgan.data import Example
from stackgan.data.crop import Fit
from stackgan.errors import InputError, nearest
from stackgan.evaluation.metrics.frechet import frechet_distance
from stackgan.evaluation.metrics.kid import kid
from stackgan.evaluation.metrics.neighbours import nearest_other
from stackgan.evaluation.metrics.sides import Features, Reference
from stackgan.evaluation.metrics.swd import swd
from stackgan.evaluation.protocol import Protocol, choose
from stackgan.networks.features import EfficientNetLite
from stackgan.networks.image_networks import ImageNetwork
from stackgan.pipeline import StackGAN
from stackgan.tensors import PixelRows, Pixels

Progress = Callable[[int, int], None]
Figures = dict[str, tuple[float, float]]
"""By name, a score of the model and the same of the photographs' halves."""

METRICS = ("kid", "fd", "swd")
SHORT_NAMES = {"efficientnet-lite0": "EffLite0", "efficientnet-lite1": "EffLite1"}


@dataclass(frozen=True)
class Score:
    """One figure, the same of one half of the photographs against the other, and the protocol."""

    value: float
    floor: float
    protocol: Protocol = field(repr=False, compare=False)


@dataclass(frozen=True)
class Report:
    """Scores by name, the protocol they were all taken by."""

    scores: dict[str, Score]
    protocol: Protocol

    def as_json(self) -> dict[str, Any]:
        """Return both as plain dictionaries."""
        scores = {
            name: {"value": score.value, "floor": score.floor}
            for name, score in self.scores.items()
        }
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
    network: ImageNetwork | None = None,
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
    chosen = choose(examples, count, copies=copies, seed=seed, fit=fit, split=split)
    _check_pairs(metrics, len(chosen.examples), len(chosen.captions))
    of_features = any(name != "swd" for name in metrics)
    parts = _Parts(progress, 1 + 2 * of_features)
    pixels = model.generate_pixels(
        chosen.captions, chosen.seeds, stage=stage, truncation=1.0, progress=parts.next()
    )
    photographs = chosen.photographs(pixels.shape[-1])
    figures: Figures = {}
    if of_features:
        _check_spread(pixels, "pictures that the model drew")
        _check_spread(photographs, "photographs")
        network = EfficientNetLite(0) if network is None else network
        features = network.features(pixels, parts.next())
        known = network.features(photographs, parts.next())
        figures |= _feature_scores(features, known, metrics, short_name(network))
    if "swd" in metrics:
        figures |= _patch_scores(pixels, photographs, seed)
    protocol = chosen.protocol(model, photographs, network)
    scores = {name: Score(*pair, protocol) for name, pair in figures.items()}
    return Report(scores, protocol)


def check_metrics(metrics: Sequence[str]) -> list[str]:
    """Return the metrics without repetitions; InputError naming the nearest for an unknown one."""
    for name in metrics:
        if name not in METRICS:
            raise InputError(f"metric {name!r} is unknown; {nearest(name, list(METRICS))}")
    if not metrics:
        raise InputError(f"no metric was named; known: {', '.join(METRICS)}")
    return list(dict.fromkeys(metrics))


def short_name(network: ImageNetwork) -> str:
    """Return what stands in a score's name: EffLite0 for EfficientNet-Lite0."""
    return SHORT_NAMES.get(network.name, network.name)


def _feature_scores(
    features: Features, known: Reference, metrics: Sequence[str], extractor: str
) -> Figures:
    one, other = known[::2], known[1::2]
    figures = {}
    if "kid" in metrics:
        figures[f"KID({extractor})"] = kid(features, known), kid(one, other)
    if "fd" in metrics:
        distance = frechet_distance(features, known)
        figures[f"FD({extractor})"] = distance, frechet_distance(one, other)
    figures["nearest other picture"] = (
        float(nearest_other(features).mean()),
        float(nearest_other(known).mean()),
    )
    return figures


def _patch_scores(pixels: Pixels, photographs: PixelRows, seed: int) -> Figures:
    half = len(photographs) // 2 * 2
    levels = swd(pixels, photographs, seed)
    floors = swd(photographs[:half:2], photographs[1:half:2], seed)
    figures = {f"SWD {size_px}": (levels[size_px], floors[size_px]) for size_px in levels}
    means = (float(np.mean(list(side.values()))) for side in (levels, floors))
    return figures | {"SWD": (next(means), next(means))}


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


def _figure(value: float) -> str:
    return f"{value:.4f}" if abs(value) < 1 else f"{value:.1f}"
