"""What a run would cost, measured: sizes of the networks, time for a step, memory."""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import torch
from torch import nn

from stackgan.config import Settings
from stackgan.fast.forms import Case, met_cases
from stackgan.systems.spectrum import Spectrum
from stackgan.systems.stackgan.build import build_stage1
from stackgan.training.assemble import assemble, computes_in_bf16
from stackgan.training.loop import paint_sheet
from stackgan.training.shortage import shortage_told
from stackgan.training.steps import Stage, StepBatch, train_step

CLASSES = 100
"""Classes of the trial's data: their number hardly costs."""
PATIENCE_S = 12.0
"""About how long a stage is tried before a dry run answers."""


class StageCost(NamedTuple):
    """What a trial of one stage has shown."""

    generator: int
    """Weights."""
    discriminator: int
    """Weights."""
    step_s: float
    """Seconds a step, its share of the lazy penalty included."""
    memory_bytes: int
    """Peak of the process."""
    row_s: float
    """Seconds for the eight pictures of one caption on a sheet."""


def parameters(network: nn.Module) -> int:
    """How many weights ``network`` has."""
    return sum(p.numel() for p in network.parameters())


def estimate_stage(settings: Settings, number: Literal[1, 2], device: str) -> dict[str, Any]:
    """What a dry run tells of a stage.

    Returns:
        generator and discriminator (weights), steps, step_s (seconds a step), hours (of all steps),
        memory_bytes (peak of the process).
    """
    steps = (settings.stage1 if number == 1 else settings.stage2).steps
    cost = try_stage(settings, number, device, PATIENCE_S)
    return {
        "generator": cost.generator,
        "discriminator": cost.discriminator,
        "steps": steps,
        "step_s": cost.step_s,
        "hours": cost.step_s * steps / 3600,
        "memory_bytes": cost.memory_bytes,
    }


def try_stage(
    settings: Settings, number: Literal[1, 2], device: str, patience_s: float
) -> StageCost:
    """Train a stage's networks on noise, for about ``patience_s`` beside the building of them.

    At its own batch where the patience allows it, else at two small ones, and the line through both
    is drawn to the stage's own.
    """
    chosen = settings.stage1 if number == 1 else settings.stage2
    with shortage_told(chosen, number), torch.random.fork_rng(devices=[]):
        stage = _trial(settings, number, device)
        step_s, memory = _step(stage, settings, number, patience_s)
        return StageCost(
            parameters(stage.generator),
            parameters(stage.discriminator),
            step_s,
            memory,
            _row(stage, settings),
        )


def met_by(settings: Settings, number: Literal[1, 2], device: str) -> list[Case]:
    """The convolutions that a step of a stage computes, found by one step on noise."""
    with torch.random.fork_rng(devices=[]), met_cases() as met:
        stage = _trial(settings, number, device)
        example = _noise(stage, settings, number, stage.settings.batch_size)
        stage.step = 1  # no lazy penalty: its convolutions are torch's own
        train_step(stage, example, torch.Generator().manual_seed(0))
    return list(met)


def time_warm(work: Callable[[], object], patience_s: float, most: int = 20) -> float:
    """Median seconds of ``work``, its first time left out; repeated while ``patience_s`` lasts."""
    work()
    seconds: list[float] = []
    while not seconds or (
        len(seconds) < most and sum(seconds) + statistics.mean(seconds) <= patience_s
    ):
        started = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - started)
    return statistics.median(seconds)


def _trial(settings: Settings, number: Literal[1, 2], device: str) -> Stage:
    """The stage as it will be trained, past its warm-up."""
    trial = (settings.stage1 if number == 1 else settings.stage2).model_copy(
        update={"pixel_steps": 0, "pair_steps": 0}
    )
    random = torch.Generator().manual_seed(0)
    stage = assemble(
        settings,
        number,
        CLASSES,
        random,
        sketcher=build_stage1(settings.architecture) if number == 2 else None,
        device=device,
        bf16=computes_in_bf16(settings, device),
        stage_settings=trial,
    )
    if trial.spectrum_weight:
        side = _seen_px(settings, number)
        stage.spectrum = Spectrum(torch.ones(side, side // 2 + 1, device=stage.device))
    return stage


def _seen_px(settings: Settings, number: Literal[1, 2]) -> int:
    """Side of what the discriminators of a stage see."""
    a = settings.architecture
    return a.stage1_px if number == 1 else a.crops_px or a.image_px


def _step(
    stage: Stage, settings: Settings, number: Literal[1, 2], patience_s: float
) -> tuple[float, int]:
    """Seconds a step of the stage's own batch, and the peak memory."""
    wanted, parts = stage.settings.batch_size, stage.settings.accumulate
    small, large = (2, 6) if number == 2 else (4, 12)
    small, large = (min(max(each // parts, 2) * parts, wanted) for each in (small, large))
    first = _measure(stage, settings, number, small, 0.0)
    if 2.5 * first[0] * wanted / small <= patience_s:
        return _measure(stage, settings, number, wanted, patience_s / 2)
    second = _measure(stage, settings, number, large, 0.0)
    share = (wanted - small) / max(1, large - small)
    step_s = max(second[0], first[0] + share * (second[0] - first[0]))
    return step_s, int(first[1] + share * max(0, second[1] - first[1]))


def _measure(
    stage: Stage, settings: Settings, number: Literal[1, 2], batch: int, patience_s: float
) -> tuple[float, int]:
    """Seconds of a step of ``batch`` examples once it is warm, and the peak memory after."""
    example, random = _noise(stage, settings, number, batch), torch.Generator().manual_seed(0)

    def step(place: int) -> None:
        stage.step = place
        float(train_step(stage, example, random)["kl"])  # waits for the device

    plain = time_warm(lambda: step(1), patience_s)  # no lazy penalty in these
    lazy = stage.settings.r1_every
    if not stage.settings.r1_weight or lazy == 1:
        return plain, _peak_bytes(stage.device)
    started = time.perf_counter()
    step(0)
    extra = max(0.0, time.perf_counter() - started - plain)
    return plain + extra / lazy, _peak_bytes(stage.device)


def _noise(stage: Stage, settings: Settings, number: Literal[1, 2], batch: int) -> StepBatch:
    """A batch like the stage's own, of noise."""
    a, device = settings.architecture, stage.device
    random = torch.Generator().manual_seed(0)
    side = a.stage1_px if number == 1 else a.image_px
    pixels = torch.randint(0, 256, (batch, 3, side, side), dtype=torch.uint8, generator=random)
    embedding = torch.randn(batch, a.embedding_dim, generator=random)
    example = StepBatch(
        pixels.to(device),
        embedding.to(device),
        embedding.flip(0).to(device),
        labels=torch.arange(batch, device=device) % CLASSES,
    )
    if stage.settings.wrong_pair == "image":
        example = example._replace(wrong_pixels=example.pixels.flip(0))
    return example


def _row(stage: Stage, settings: Settings) -> float:
    embedding = torch.zeros(1, settings.architecture.embedding_dim)
    started = time.perf_counter()
    paint_sheet(stage, embedding, 8, 0)
    return time.perf_counter() - started


def _peak_bytes(device: torch.device) -> int:
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    if sys.platform == "win32":
        return 0  # not told there
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
