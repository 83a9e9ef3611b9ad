"""What a run would cost, measured: sizes of the networks, time for a step, memory."""

from __future__ import annotations

import resource
import sys
import time
from typing import Any, Literal

import torch
from torch import nn

from stackgan.config import Settings
from stackgan.models.build import build_discriminator, build_stage1, build_stage2, initialise
from stackgan.training.run import has_bf16
from stackgan.training.steps import StepBatch, make_stage, train_step


def parameters(network: nn.Module) -> int:
    """How many weights ``network`` has."""
    return sum(p.numel() for p in network.parameters())


def estimate_stage(
    settings: Settings, number: Literal[1, 2], device: str, trial_batch: int = 8
) -> dict[str, Any]:
    """Train on noise for three small steps and scale up to the stage's own batch.

    Returns:
        generator and discriminator (weights), step_s (seconds a step), hours (of all steps),
        memory_bytes (peak of this process, scaled to the batch).
    """
    stage_settings = settings.stage1 if number == 1 else settings.stage2
    a = settings.architecture
    batch = min(trial_batch, stage_settings.batch_size)
    random = torch.Generator().manual_seed(0)
    generator = build_stage1(a) if number == 1 else build_stage2(a)
    discriminator = build_discriminator(a, number)
    sketcher = build_stage1(a) if number == 2 else None
    for network in (generator, discriminator):
        initialise(network, random)
    where = torch.device(device)
    trial = stage_settings.model_copy(update={"pixel_steps": 0, "pair_steps": 0})
    bf16 = settings.precision != "fp32" and has_bf16(device)
    stage = make_stage(
        generator.to(where),
        discriminator.to(where),
        trial,
        None if sketcher is None else sketcher.to(where),
        bf16,
    )
    side = 64 if number == 1 else a.image_px
    pixels = torch.randint(0, 256, (batch, 3, side, side), dtype=torch.uint8, generator=random)
    embedding = torch.randn(batch, a.embedding_dim, generator=random)
    example = StepBatch(pixels.to(where), embedding.to(where), embedding.flip(0).to(where))
    before = _peak_bytes(where)
    seconds = []
    for _ in range(3):
        started = time.perf_counter()
        report = train_step(stage, example, random)
        float(report["kl"])  # waits for the device
        seconds.append(time.perf_counter() - started)
    scale = stage_settings.batch_size / batch
    step_s = min(seconds) * scale
    held = 16 * (parameters(generator) + parameters(discriminator))
    grown = max(0, _peak_bytes(where) - before - held)
    return {
        "generator": parameters(generator),
        "discriminator": parameters(discriminator),
        "steps": stage_settings.steps,
        "step_s": step_s,
        "hours": step_s * stage_settings.steps / 3600,
        "memory_bytes": int(before + held + grown * scale),
    }


def _peak_bytes(device: torch.device) -> int:
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
