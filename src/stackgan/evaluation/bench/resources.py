"""What is measured around the networks: memory, data, a cold command, two processes at once."""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from stackgan.data.batches import Batches
from stackgan.data.cache import prepare_cache
from stackgan.data.examples import Example
from stackgan.errors import RunFailed
from stackgan.evaluation.bench.figures import Figure, fast_step_timing, ratio
from stackgan.evaluation.bench.recipe import plain_load
from stackgan.evaluation.bench.setup import PUBLISHED, Bench, Number
from stackgan.evaluation.bench.sides import SIDES, Child
from stackgan.evaluation.bench.timing import Timing, interleaved
from stackgan.tensors import to_images

CAPTIONS, PHOTOGRAPH_PX = 10, (500, 375)
CAPTION = "a flower with pink petals"


def memory(bench: Bench) -> list[Figure]:
    """Peak memory of Stage-II steps, of the plain recipe's: resident above `import torch`, or the
    device's own.
    """
    batch, steps = bench.batch(16), 2 if bench.quick else 4
    peaks = {}
    for side in SIDES:
        with Child(bench, side) as child:
            child.ask(prepare=_step(2, batch), warm_up=steps)
            peaks[side] = float(child.ask(peak=True)["bytes"])
    return [
        Figure(
            f"peak memory of a Stage-II step, batch {batch}, of the plain recipe's",
            peaks["fast"] / peaks["plain"],
            "share",
            0.6,
            0.5,
            lower_is_better=True,
            details={f"{side}_mib": peak / 2**20 for side, peak in peaks.items()},
        )
    ]


def data(bench: Bench) -> list[Figure]:
    """Batches from the cache against Pillow for each item, and the share of a step they take."""
    figures = []
    with tempfile.TemporaryDirectory(prefix="stackgan-bench-") as folder:
        files = photographs(Path(folder), bench)
        cases: tuple[tuple[Number, int, int], ...] = ((1, 64, 64), (2, 256, 16))
        for number, side, size in cases:
            batch = bench.batch(size)
            timings = _loading(bench, files, Path(folder), side, batch)
            name = f"data for Stage-{'I' * number}, batch {batch}"
            found = ratio(name, timings, 10.0)
            found.details["images_per_s"] = batch / timings["fast"].median
            found.details["plain_images_per_s"] = batch / timings["plain"].median
            _, step = fast_step_timing(bench, number, batch)
            share = timings["fast"].median / step.median
            name = f"{name}, of a step"
            figures += [found, Figure(name, share, "share", 0.05, lower_is_better=True)]
    return figures


def photographs(folder: Path, bench: Bench) -> list[Path]:
    """JPEG files of smooth noise, of a photograph's size and about its weight."""
    width, height = (60, 40) if bench.quick else PHOTOGRAPH_PX
    random = np.random.default_rng(0)
    files = []
    for place in range(8 if bench.quick else 128):
        coarse = random.integers(0, 256, (height // 5, width // 5, 3), dtype=np.uint8)
        image = Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)
        files.append(folder / f"{place:03d}.jpg")
        image.save(files[-1], quality=90)
    return files


def _loading(
    bench: Bench, files: list[Path], folder: Path, side: int, batch: int
) -> dict[str, Timing]:
    dim = 16 if bench.quick else 1024
    shape = (len(files), CAPTIONS, dim)
    embeddings = np.random.default_rng(1).standard_normal(shape, dtype=np.float32)
    examples = [Example(file, ("a",) * CAPTIONS, None, None) for file in files]
    cache = prepare_cache(examples, side * 76 // 64, folder)
    rows = [tuple(range(k * CAPTIONS, (k + 1) * CAPTIONS)) for k in range(len(files))]
    flat = torch.from_numpy(embeddings.reshape(-1, dim))
    batches = Batches(cache.pixels, flat, rows, [None] * len(files), batch, side, 0)
    places = iter(range(10**9))

    def fast() -> object:
        epoch, index = divmod(next(places), batches.steps_per_epoch)
        drawn = batches.batch(epoch, index)
        return to_images(drawn.pixels), drawn.embedding, drawn.wrong_embedding

    random = np.random.default_rng(2)

    def plain() -> object:
        chosen = random.permutation(len(files))[:batch]
        return plain_load([files[k] for k in chosen], embeddings[chosen], side, random)

    return interleaved({"plain": plain, "fast": fast}, bench.repeats, bench.rounds)


def cold(bench: Bench) -> list[Figure]:
    """One picture from a cold command, above a process that only imports torch."""
    with tempfile.TemporaryDirectory(prefix="stackgan-bench-") as folder:
        picture = Path(folder) / "picture.png"
        command = [sys.executable, "-m", "stackgan", "generate", CAPTION, "--out", str(picture)]
        works = {
            "torch": lambda: _run([sys.executable, "-c", "import torch"]),
            "command": lambda: _run(command),
        }
        timings = interleaved(works, 1 if bench.quick else bench.repeats, bench.rounds)
    above = [
        command - bare
        for command, bare in zip(timings["command"].seconds, timings["torch"].seconds, strict=True)
    ]
    return [
        Figure(
            "one picture from a cold command, above `import torch`",
            statistics.median(above),
            "s",
            1.0,
            0.5,
            lower_is_better=True,
            spread=max(timing.spread for timing in timings.values()),
            details={f"{name}_s": timing.median for name, timing in timings.items()},
        )
    ]


def processes(bench: Bench) -> list[Figure]:
    """Steps a second of two processes of one thread each, against one such process alone."""
    rounds = 1 if bench.quick else 3
    alone, both = [], []
    for _ in range(rounds):
        alone.append(_together(bench, 1))
        both.append(_together(bench, 2))
    value = 2 * statistics.median(alone) / statistics.median(both)
    details = {"one_s": statistics.median(alone), "two_s": statistics.median(both)}
    name = "two processes of one thread, of one"
    return [Figure(name, value, "x", 1.7, 2.0, details=details)]


def _together(bench: Bench, count: int) -> float:
    """Seconds that the slowest of ``count`` processes takes, all begun at the same moment."""
    steps = 1 if bench.quick else 5
    with ExitStack() as stack:
        children = [stack.enter_context(Child(bench, "fast", threads=1)) for _ in range(count)]
        for child in children:
            child.say(prepare=_step(1, bench.batch(16)), warm_up=2)
        for child in children:
            child.hear()
        for child in children:
            child.say(times=steps)
        return max(float(child.hear()["seconds"]) for child in children)


def _step(number: Number, batch: int) -> dict[str, Any]:
    return {"kind": "step", "number": number, "batch": batch, "networks": PUBLISHED}


def _run(command: Sequence[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        said = (done.stderr.strip() or "it said nothing").splitlines()[-1]
        raise RunFailed(f"`{' '.join(command[1:4])} ...` failed while it was timed: {said}")
