"""Training checkpoints: one file, written whole or not at all, read strictly and as data only."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch
from torch import nn

from stackgan.errors import ModelError, RunFailed
from stackgan.files import whole_file
from stackgan.systems.spectrum import Spectrum
from stackgan.training.steps import Stage

FORMAT = "stackgan-checkpoint/1"


def save_checkpoint(path: Path, stage: Stage, **more: Any) -> None:
    """Write everything the next step depends on: networks, optimizers, average, step, ``more``.

    The file appears under its name only when it is whole and on the disk (flushed, then renamed);
    a kill at any moment leaves the one before it.

    Raises:
        RunFailed: the disk is full or the folder cannot be written.
    """
    state = {
        "format": FORMAT,
        "step": stage.step,
        "generator": stage.generator.state_dict(),
        "discriminator": stage.discriminator.state_dict(),
        "generator_optimizer": stage.generator_optimizer.state_dict(),
        "discriminator_optimizer": stage.discriminator_optimizer.state_dict(),
        "average": None if stage.average is None else stage.average.state_dict(),
        "projected": None if stage.projected is None else stage.projected.state_dict(),
        "side_heads": None if stage.side_heads is None else stage.side_heads.state_dict(),
        "spectrum": None if stage.spectrum is None else stage.spectrum.seen,
        "sketcher": None if stage.moving is None else stage.moving.state_dict(),
        **more,
    }
    try:
        with whole_file(path) as part, part.open("wb") as file:
            torch.save(state, file)
            file.flush()
            os.fsync(file.fileno())
    except (OSError, RuntimeError) as error:
        raise RunFailed(
            f"the checkpoint {path} could not be written ({error}); the one before it is untouched"
        ) from None


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint as tensors, numbers, strings and containers; anything else is refused.

    Raises:
        ModelError: the file is damaged, of another kind, or holds something else.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ModelError(f"{path} cannot be read as a checkpoint ({reason})") from None
    found = state.get("format") if isinstance(state, dict) else None
    if found != FORMAT:
        raise ModelError(f"{path} has format {found!r}; this version reads {FORMAT!r}")
    return dict(state)


def restore(stage: Stage, state: dict[str, Any], path: Path) -> None:
    """Put a checkpoint's state into ``stage``, strictly: every entry fits or nothing is used.

    Raises:
        ModelError: the checkpoint is of other networks or settings.
    """
    try:
        _fill(stage.generator, state["generator"])
        _fill(stage.discriminator, state["discriminator"])
        if (stage.average is None) != (state["average"] is None):
            raise KeyError("average")
        if stage.average is not None:
            _fill(stage.average, state["average"])
        if stage.projected is not None:
            if state["projected"] is None:
                raise KeyError("projected")
            _fill(stage.projected, state["projected"])
        if stage.side_heads is not None:
            if state.get("side_heads") is None:
                raise KeyError("side_heads")
            _fill(stage.side_heads, state["side_heads"])
        if stage.spectrum is not None:
            stage.spectrum.seen = _power_seen(stage.spectrum, state.get("spectrum"))
        if stage.moving is not None:
            _fill(stage.moving, state["sketcher"])
        stage.generator_optimizer.load_state_dict(state["generator_optimizer"])
        stage.discriminator_optimizer.load_state_dict(state["discriminator_optimizer"])
        stage.step = int(state["step"])
    except (KeyError, ValueError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise ModelError(f"{path} does not fit these networks and settings ({reason})") from None


def _power_seen(spectrum: Spectrum, seen: object) -> torch.Tensor | None:
    """The running power, where the checkpoint has one (before the first step it has none)."""
    if seen is None:
        return None
    if not isinstance(seen, torch.Tensor) or seen.shape != spectrum.reference.shape:
        raise ValueError("spectrum of another size")
    return seen.to(spectrum.reference)


def _fill(network: nn.Module, weights: dict[str, torch.Tensor]) -> None:
    network.load_state_dict(weights, strict=True)
