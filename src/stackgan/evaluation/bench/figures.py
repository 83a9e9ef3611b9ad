"""What is measured in this process: steps, sampling, convolutions, and how the cost grows."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from stackgan.evaluation.bench.setup import (
    PUBLISHED,
    SHIPPED,
    Bench,
    Number,
    fast_stage,
    noise_batch,
    published_architecture,
)
from stackgan.evaluation.bench.sides import Sides, both_sides
from stackgan.evaluation.bench.timing import Timing, interleaved
from stackgan.memory import keep_freed_memory
from stackgan.training.steps import StepBatch, train_step

PRECISIONS = ("fp32", "bf16")
BEST_MAPS, BEST_PX = 256, 32
"""The convolution that a machine's best is measured with: maps, and pixels of a side."""


@dataclass(frozen=True)
class Figure:
    """One measured number, with what it should at least (or at most) be and what it aims at."""

    name: str
    value: float
    unit: str
    required: float | None = None
    aim: float | None = None
    lower_is_better: bool = False
    spread: float | None = None
    """Of the times behind it: longest minus shortest, as a share of the median."""
    details: dict[str, Any] = field(default_factory=dict)

    @property
    def met(self) -> bool | None:
        """Whether it is at least (at most) what is required; None where nothing is."""
        if self.required is None:
            return None
        return self.value <= self.required if self.lower_is_better else self.value >= self.required


Measure = Callable[[Bench], list[Figure]]


def ratio(
    name: str, timings: dict[str, Timing], required: float | None = None, aim: float | None = None
) -> Figure:
    """How many times as long the plain recipe takes."""
    plain, fast = timings["plain"], timings["fast"]
    return Figure(
        name,
        plain.median / fast.median,
        "x",
        required,
        aim,
        spread=max(plain.spread, fast.spread),
        details={
            "plain_s": plain.median,
            "fast_s": fast.median,
            "plain_all_s": list(plain.seconds),
            "fast_all_s": list(fast.seconds),
        },
    )


def _in_turns(bench: Bench, sides: Sides, times: int = 1, **work: Any) -> dict[str, Timing]:
    """Both sides' seconds for one piece of work; each does it ``times`` times a turn."""
    turns = {name: partial(ask, times=times) for name, ask in sides.prepare(**work).items()}
    taken = interleaved(turns, bench.repeats, bench.rounds, bench.clock)
    return {name: Timing(tuple(s / times for s in t.seconds)) for name, t in taken.items()}


def _steps(
    bench: Bench, sides: Sides, name: str, number: Number, size: int, networks: str = PUBLISHED
) -> Figure:
    batch = bench.batch(size)
    work: dict[str, Any] = {"kind": "step", "number": number, "batch": batch, "networks": networks}
    on_gpu = {1: (3.0, 5.0), 2: (2.5, 5.0)}
    on_cpu = {1: (5.0, 7.0), 2: (5.0, 6.5)}
    limits = (on_gpu if bench.device.type == "cuda" else on_cpu)[number]
    return ratio(f"{name}, batch {batch}", _in_turns(bench, sides, **work), *limits)


def stage1(bench: Bench) -> list[Figure]:
    """A Stage-I step of the published networks."""
    with both_sides(bench) as sides:
        return [_steps(bench, sides, "Stage-I step", 1, 64)]


def stage2(bench: Bench) -> list[Figure]:
    """A Stage-II step of the published networks at 256x256."""
    sizes = (16,) if bench.quick else (16, 8)
    with both_sides(bench) as sides:
        return [_steps(bench, sides, "Stage-II 256 step", 2, size) for size in sizes]


def _sampling(bench: Bench, sides: Sides, name: str, networks: str) -> list[Figure]:
    found = []
    for size, required, aim in ((8, 5.0, 7.0), (1, 2.5, 4.0)):
        batch = bench.batch(size)
        times = 32 // batch  # short work: many a turn, as a turn begins with the other's caches
        timings = _in_turns(bench, sides, times, kind="sample", batch=batch, networks=networks)
        found.append(ratio(f"{name}, batch {batch}", timings, required, aim))
    return found


def sampling(bench: Bench) -> list[Figure]:
    """Both stages of the published networks, embeddings to pixels."""
    with both_sides(bench) as sides:
        return _sampling(bench, sides, "sampling, both stages", PUBLISHED)


def shipped_model(bench: Bench) -> list[Figure]:
    """The shipped model's own networks: steps of both stages, and sampling."""
    with both_sides(bench) as sides:
        figures = [
            _steps(bench, sides, "shipped model, Stage-I step", 1, 64, SHIPPED),
            _steps(bench, sides, "shipped model, Stage-II step", 2, 8, SHIPPED),
        ]
        return figures + _sampling(bench, sides, "shipped model, sampling", SHIPPED)


def convolution(bench: Bench) -> list[Figure]:
    """Arithmetic done a second in a step, as a share of the machine's best convolution's."""
    best = {dtype: _best_convolution(bench, dtype) for dtype in (torch.float32, torch.bfloat16)}
    figures = [
        Figure(f"best 3x3 convolution, {str(dtype).removeprefix('torch.')}", rate / 1e9, "GFLOP/s")
        for dtype, rate in best.items()
    ]
    of_step = best[torch.bfloat16 if bench.bf16 else torch.float32]
    cases: tuple[tuple[Number, int], ...] = ((1, 64), (2, 16))
    for number, size in cases:
        batch = bench.batch(size)
        work, timing = fast_step_timing(bench, number, batch)
        done = operations_of(work)
        # in float32 every convolution is computed directly, as the machine's best one is
        direct = operations_of(fast_step(bench, number, batch, bf16=False))
        name = f"Stage-{'I' * number} step, of the machine's best"
        limits = {"multiplications done": (0.6, 0.75), "as direct convolutions": (None, None)}
        for (counted, (required, aim)), count in zip(limits.items(), (done, direct), strict=True):
            rate = count / timing.median
            details = {"gflop": count / 1e9, "gflop_per_s": rate / 1e9}
            figures.append(
                Figure(
                    f"{name}, {counted}",
                    rate / of_step,
                    "share",
                    required,
                    aim,
                    spread=timing.spread,
                    details=details,
                )
            )
    return figures


def precisions(bench: Bench) -> list[Figure]:
    """A step of each stage in float32 and in bfloat16, and which of them this machine chooses."""
    figures = []
    cases: tuple[tuple[Number, int], ...] = ((1, 16), (2, 4))
    for number, size in cases:
        batch = bench.batch(size)
        work = {name: fast_step(bench, number, batch, bf16=name == "bf16") for name in PRECISIONS}
        keep_freed_memory()
        taken = interleaved(work, bench.repeats, bench.rounds, bench.clock)
        chosen = "bf16" if bench.bf16 else "fp32"
        for name, timing in taken.items():
            told = f"Stage-{'I' * number} step, batch {batch}, {name}"
            told += " (chosen)" if name == chosen else ""
            figures.append(Figure(told, timing.median, "s", spread=timing.spread))
    return figures


def operations_of(work: Callable[[], object]) -> int:
    """Floating-point operations of the convolutions and matrix products that ``work`` does."""
    with FlopCounterMode(display=False) as counter:
        work()
    return int(counter.get_total_flops())


def _best_convolution(bench: Bench, dtype: torch.dtype) -> float:
    """Floating-point operations a second of the fastest of several runs."""
    maps, side, batch = (16, 8, 2) if bench.quick else (BEST_MAPS, BEST_PX, 16)
    random = torch.Generator().manual_seed(0)
    x = torch.randn(batch, maps, side, side, generator=random).to(bench.device, dtype)
    x = x.contiguous(memory_format=torch.channels_last)
    weight = torch.randn(maps, maps, 3, 3, generator=random).to(bench.device, dtype)
    weight = weight.contiguous(memory_format=torch.channels_last)
    keep_freed_memory()
    with torch.inference_mode():
        taken = interleaved(
            {"convolution": lambda: F.conv2d(x, weight, padding=1)},
            2 * bench.repeats,
            bench.rounds,
            bench.clock,
        )
    operations = 2 * 9 * batch * maps * maps * side * side
    return operations / min(taken["convolution"].seconds)


def fast_step_timing(
    bench: Bench, number: Number, batch: int, architecture: Any = None
) -> tuple[Callable[[], object], Timing]:
    """A step as ``stackgan train`` makes it, and how long it takes."""
    work = fast_step(bench, number, batch, architecture)
    keep_freed_memory()
    timings = interleaved({"fast": work}, bench.repeats, bench.rounds, bench.clock)
    return work, timings["fast"]


def fast_step(
    bench: Bench, number: Number, batch: int, architecture: Any = None, bf16: bool | None = None
) -> Callable[[], object]:
    """A step as ``stackgan train`` makes it."""
    a = architecture or published_architecture(bench)
    stage = fast_stage(bench, number, bf16=bf16, architecture=a)
    pixels, embedding = noise_batch(bench, number, batch, a)
    example = StepBatch(pixels, embedding, embedding.roll(-1, 0))
    return lambda: train_step(stage, example, torch.Generator().manual_seed(stage.step))


def cost(bench: Bench) -> list[Figure]:
    """Seconds of a step against what it computes, over batch, width and size."""
    base = published_architecture(bench)
    points: list[dict[str, Any]] = []
    for what, value, number, batch, change in _cases(bench):
        architecture = base.model_copy(update=change)
        work, timing = fast_step_timing(bench, number, batch, architecture)
        operations = operations_of(work)
        points.append(
            {"what": what, "value": value, "gflop": operations / 1e9, "seconds": timing.median}
        )
    slope = growth([(p["gflop"], p["seconds"]) for p in points])
    name = "cost grows as this power of the arithmetic"
    return [
        Figure(name, slope, "power", 1.1, 1.0, lower_is_better=True, details={"points": points})
    ]


def _cases(bench: Bench) -> list[tuple[str, int, Number, int, dict[str, Any]]]:
    """(what, its value, stage, batch, what differs in the networks)."""
    batches, widths, sizes = ((2, 4), (8, 16), (128, 256))
    if not bench.quick:
        batches, widths = (8, 16, 32, 64), (32, 64, 96, 128)  # type: ignore[assignment]
    cases: list[tuple[str, int, Number, int, dict[str, Any]]] = [
        ("batch", batch, 1, batch, {}) for batch in batches
    ]
    for width in widths:
        change = {"stage1_generator_width": width, "stage1_discriminator_width": width // 2}
        cases.append(("width", width, 1, bench.batch(32), change))
    for size in sizes:
        cases.append(("size", size, 2, bench.batch(8), {"image_px": size}))
    return cases


def growth(points: list[tuple[float, float]]) -> float:
    """The power p of the curve y = a x^p nearest to the points, by least squares of logarithms."""
    logs = [(math.log(x), math.log(y)) for x, y in points]
    mean_x = sum(x for x, _ in logs) / len(logs)
    mean_y = sum(y for _, y in logs) / len(logs)
    above = sum((x - mean_x) * (y - mean_y) for x, y in logs)
    return above / sum((x - mean_x) ** 2 for x, _ in logs)
