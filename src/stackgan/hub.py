"""Model folders: write one, read one (``model_folder``). Loading never executes anything."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from stackgan.config import Architecture
from stackgan.encoders import describe, find_encoder, matching_encoder
from stackgan.errors import ModelError
from stackgan.files import file_sha256, whole_folder, write_json
from stackgan.model_folder import (
    CARD,
    CONFIG,
    DISCRIMINATOR,
    ENCODER,
    FORMAT,
    GENERATOR,
    PROJECTED,
    STAGE1_DISCRIMINATOR,
    STAGE1_PROJECTED,
    find_model,
    model_name,
    read_architecture,
    read_config,
    read_truncation,
    require_file,
    verify_file,
)
from stackgan.systems.stackgan.build import build_discriminator, build_stage1, build_stage2
from stackgan.text import TextEncoder
from stackgan.version import __version__


@dataclass
class LoadedModel:
    """A model folder in memory: networks in evaluation mode on the CPU, float32."""

    name: str
    folder: Path
    config: dict[str, Any]
    architecture: Architecture
    stage1: nn.Module
    stage2: nn.Module | None
    encoder: TextEncoder
    _discriminators: dict[int, nn.Module] = field(default_factory=dict, repr=False)

    @property
    def last_stage(self) -> Literal[1, 2]:
        """The stage that paints its pictures."""
        return 1 if self.stage2 is None else 2

    def has_discriminator(self, stage: Literal[1, 2]) -> bool:
        """Whether the folder holds the discriminator of ``stage``."""
        return self._discriminator_file(stage) in self.config["files"]

    def discriminator(self, stage: Literal[1, 2] | None = None) -> nn.Module:
        """The discriminator of ``stage`` (None: the last one), read at the first call.

        Raises:
            ModelError: none is kept.
        """
        stage = stage or self.last_stage
        if stage not in self._discriminators:
            file = self._discriminator_file(stage)
            if file not in self.config["files"]:
                raise ModelError(f"{self.folder} holds no {file}: it was saved without one")
            with torch.random.fork_rng(devices=[]):  # meta and spectral_norm: 2 s for sympy
                network = build_discriminator(self.architecture, stage)
            _fill(network, _read_weights(self.folder, file, self.config), self.folder / file)
            self._discriminators[stage] = network
        return self._discriminators[stage]

    def projected_weights(self, stage: Literal[1, 2]) -> dict[str, Tensor] | None:
        """The weights of the projected discriminator of ``stage``; None where none is kept."""
        file = PROJECTED if stage == self.last_stage else STAGE1_PROJECTED
        return (
            _read_weights(self.folder, file, self.config) if file in self.config["files"] else None
        )

    def _discriminator_file(self, stage: Literal[1, 2]) -> str:
        return DISCRIMINATOR if stage == self.last_stage else STAGE1_DISCRIMINATOR


def load_model(
    name_or_dir: str | Path, *, encoder: TextEncoder | str | Path | None = None
) -> LoadedModel:
    """Load a shipped model, a model folder or a run folder, every file checked by its sha256.

    Args:
        encoder: for a model whose encoder is kept elsewhere: itself, its name or path; any other
            than it was trained with is refused by name.

    Raises:
        ModelError: nothing there, a damaged file (named), or an encoder the generator was not
            trained with.
    """
    folder = find_model(name_or_dir)
    config = read_config(folder)
    architecture = read_architecture(folder)
    weights = _read_weights(folder, GENERATOR, config)
    with torch.device("meta"):
        stage1 = build_stage1(architecture)
        has_stage2 = any(key.startswith("stage2.") for key in weights)
        stage2 = build_stage2(architecture) if has_stage2 else None
    both = nn.ModuleDict({"stage1": stage1} | ({"stage2": stage2} if stage2 is not None else {}))
    _fill(both, weights, folder / GENERATOR)
    name = str(config.get("name") or model_name(folder))
    given = find_encoder(encoder) if isinstance(encoder, str | Path) else encoder
    found = matching_encoder(folder, config, given)
    return LoadedModel(name, folder, config, architecture, stage1, stage2, found)


def save_model(
    folder: Path,
    *,
    architecture: Mapping[str, Any],
    stage1: nn.Module,
    stage2: nn.Module | None,
    encoder: TextEncoder,
    discriminator: nn.Module | None = None,
    stage1_discriminator: nn.Module | None = None,
    projected: Mapping[str, Tensor] | None = None,
    stage1_projected: Mapping[str, Tensor] | None = None,
    training: Mapping[str, Any] | None = None,
    scores: Mapping[str, Any] | None = None,
    truncation: float | None = None,
    card: str | None = None,
    name: str | None = None,
    dtype: torch.dtype = torch.bfloat16,
    keep_encoder: bool = False,
) -> Path:
    """Write a model folder and put it in place of an older one by renaming; return the folder.

    Kernels are stored in ``dtype``, vectors (biases, normalisation statistics) in float32. An
    encoder of up to 10 MB, or with ``keep_encoder`` of any size, travels inside; of another one
    name, sha256 and source are kept. ``truncation`` is the model's own, used where none is named.
    """
    folder = Path(folder)
    with whole_folder(folder) as fresh:
        stages = nn.ModuleDict({"stage1": stage1} | ({} if stage2 is None else {"stage2": stage2}))
        judge = _state(discriminator)
        states = {GENERATOR: _state(stages), DISCRIMINATOR: judge, PROJECTED: projected}
        if stage2 is not None:
            states[STAGE1_DISCRIMINATOR] = _state(stage1_discriminator)
            states[STAGE1_PROJECTED] = stage1_projected
        for file, state in states.items():
            if state is not None:
                save_file(_compact(state, dtype), fresh / file, {"format": FORMAT})
        kept_encoder = describe(encoder, at_any_size=keep_encoder)
        if kept_encoder["file"]:
            encoder.save(fresh / ENCODER)  # type: ignore[attr-defined]
        if card is not None:
            (fresh / CARD).write_text(card, encoding="utf-8")
        files = [path for path in sorted(fresh.iterdir()) if path.name != CARD]
        config = {
            "format": FORMAT,
            "name": name or model_name(folder),
            "version": __version__,
            "architecture": dict(architecture),
            "encoder": kept_encoder,
            "training": dict(training or {}),
            "scores": dict(scores or {}),
            **({} if truncation is None else {"sampling": {"truncation": truncation}}),
            "files": {path.name: _facts(path) for path in files},
        }
        read_truncation(config)
        write_json(fresh / CONFIG, config)
        _settle(fresh)
    return folder


def write_scores(folder: Path, scores: Mapping[str, Any]) -> None:
    """Merge measured ``scores`` into a model folder's ``config.json``."""
    config = read_config(folder)
    config["scores"] = {**config.get("scores", {}), **scores}
    write_json(folder / CONFIG, config)


def write_truncation(folder: Path, truncation: float) -> None:
    """Make ``truncation`` what a model folder is sampled with where none is named."""
    config = read_config(folder)
    config["sampling"] = {**config.get("sampling", {}), "truncation": truncation}
    read_truncation(config)
    write_json(folder / CONFIG, config)


def _read_weights(folder: Path, name: str, config: Mapping[str, Any]) -> dict[str, Tensor]:
    require_file(folder, name)
    verify_file(folder, name, config)
    try:
        stored = load_file(folder / name)
    except SafetensorError as error:
        raise ModelError(f"{folder / name} is not a safetensors file ({error})") from error
    return {k: v.float() if v.is_floating_point() else v for k, v in stored.items()}


def _fill(network: nn.Module, weights: Mapping[str, Tensor], path: Path) -> None:
    """Give a network built on the meta device its weights, strictly, and freeze it."""
    wanted = {key: list(value.shape) for key, value in network.state_dict().items()}
    found = {key: list(value.shape) for key, value in weights.items()}
    for key in sorted(wanted.keys() | found.keys()):
        if wanted.get(key) != found.get(key):
            raise ModelError(
                f"{path} does not fit the architecture in {CONFIG}: tensor {key!r} is "
                f"{found.get(key, 'missing')}, expected {wanted.get(key, 'no such tensor')}"
            )
    network.load_state_dict(weights, strict=True, assign=True)
    network.eval().requires_grad_(False)


def _state(network: nn.Module | None) -> Mapping[str, Tensor] | None:
    return None if network is None else network.state_dict()


def _compact(state: Mapping[str, Tensor], dtype: torch.dtype) -> dict[str, Tensor]:
    """Contiguous CPU copies, kernels in ``dtype``, vectors in float32."""
    compact = {}
    for key, value in state.items():
        value = value.detach().cpu()
        if value.is_floating_point():
            value = value.to(dtype if value.dim() > 1 else torch.float32)
        compact[key] = value.contiguous().clone()
    return compact


def _facts(path: Path) -> dict[str, Any]:
    return {"sha256": file_sha256(path), "bytes": path.stat().st_size}


def _settle(folder: Path) -> None:
    """Let everyone read the files, and put them on the disk."""
    for path in folder.iterdir():
        path.chmod(0o644)  # safetensors writes files that others cannot read
        with path.open("rb") as file:
            os.fsync(file.fileno())
