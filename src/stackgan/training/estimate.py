"""What a run would cost, measured: sizes of the networks, time for a step, memory."""

from __future__ import annotations

import sys
import time
from typing import Any, Literal

import torch
from torch import nn

from stackgan.config import Settings
from stackgan.models.build import build_stage1
from stackgan.training.assemble import assemble
from stackgan.training.run import has_bf16
from stackgan.training.steps import Stage, StepBatch, train_step

CLASSES = 100
"""Classes of the trial's data: their number hardly costs."""


def parameters(network: nn.Module) -> int:
    """How many weights ``network`` has."""
    return sum(p.numel() for p in network.parameters())


def estimate_stage(settings: Settings, number: Literal[1, 2], device: str) -> dict[str, Any]:
    """Train on noise with two small batches and draw the line through both to the stage's own.

    Returns:
        generator and discriminator (weights), steps, step_s (seconds a step), hours (of all steps),
        memory_bytes (peak of the process).
    """
    wanted = settings.stage1 if number == 1 else settings.stage2
    small, large = (2, 6) if number == 2 else (4, 12)
    small, large = min(small, wanted.batch_size), min(large, wanted.batch_size)
    stage = _trial(settings, number, device)
    first, second = (_measure(stage, settings, number, batch) for batch in (small, large))
    share = (wanted.batch_size - small) / max(1, large - small)
    step_s = max(second[0], first[0] + share * (second[0] - first[0]))
    return {
        "generator": parameters(stage.generator),
        "discriminator": parameters(stage.discriminator),
        "steps": wanted.steps,
        "step_s": step_s,
        "hours": step_s * wanted.steps / 3600,
        "memory_bytes": int(first[1] + share * max(0, second[1] - first[1])),
    }


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
        bf16=settings.precision != "fp32" and has_bf16(device),
        stage_settings=trial,
    )
    if trial.spectrum_weight:
        side = _seen_px(settings, number)
        stage.spectrum = torch.ones(side, side // 2 + 1, device=stage.device)
    return stage


def _seen_px(settings: Settings, number: Literal[1, 2]) -> int:
    """Side of what the discriminators of a stage see."""
    a = settings.architecture
    return a.stage1_px if number == 1 else a.crop_px or a.image_px


def _measure(
    stage: Stage, settings: Settings, number: Literal[1, 2], batch: int
) -> tuple[float, int]:
    """Seconds of the fastest of three steps of ``batch`` examples, and the peak memory after."""
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
    seconds = []
    for _ in range(3):
        stage.step = 1  # no lazy penalty in the steps that are timed
        started = time.perf_counter()
        float(train_step(stage, example, random)["kl"])  # waits for the device
        seconds.append(time.perf_counter() - started)
    return min(seconds), _peak_bytes(device)


def _peak_bytes(device: torch.device) -> int:
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    if sys.platform == "win32":
        return 0  # not told there
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
