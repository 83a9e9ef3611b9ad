"""Model folders: write one, read one, find a shipped one. Loading never executes anything.

A model folder holds

==============================  ==================================================================
``config.json``                 format tag, architecture, encoder, training card, measured scores,
                                ``sampling`` (the truncation that is used where none is named), and
                                the sha256 of every other file
``generator.safetensors``       both generators, prefixed ``stage1.`` and ``stage2.``
``text_encoder.safetensors``    the encoder whose embeddings the generators read; of one over 10 MB
                                ``config.json`` keeps name, sha256 and where it was found
``discriminator.safetensors``   the last stage's discriminator, for nearest neighbours (optional)
``stage1_discriminator...``     Stage-I's, where that is not the last: fine-tuning goes on from it
                                (``stage1_discriminator.safetensors``, optional)
``projected.safetensors``       the last stage's projected discriminator without its frozen network
                                (and ``stage1_projected.safetensors``, Stage-I's), for the same
``README.md``                   the model card (optional)
==============================  ==================================================================
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from stackgan.errors import ModelError, nearest
from stackgan.files import part_of, remove_left_overs, whole_file

if TYPE_CHECKING:
    from stackgan.config import Architecture
    from stackgan.text import TextEncoder

FORMAT = "stackgan-model/1"
CONFIG = "config.json"
GENERATOR = "generator.safetensors"
ENCODER = "text_encoder.safetensors"
DISCRIMINATOR = "discriminator.safetensors"
STAGE1_DISCRIMINATOR = "stage1_discriminator.safetensors"
PROJECTED = "projected.safetensors"
STAGE1_PROJECTED = "stage1_projected.safetensors"
CARD = "README.md"
SHIPPED = Path(__file__).parent / "shipped"


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
        from stackgan.models.build import build_discriminator

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


def shipped_models() -> list[str]:
    """Names of the models inside the package, sorted."""
    if not SHIPPED.is_dir():
        return []
    return sorted(folder.name for folder in SHIPPED.iterdir() if (folder / CONFIG).is_file())


def find_model(name_or_dir: str | Path) -> Path:
    """Find the model folder meant by a shipped name, a model folder or a run folder.

    A shipped name wins over a folder of the same name; write ``./flowers`` for the folder.

    Raises:
        ModelError: nothing is there, with the nearest shipped name.
    """
    text = str(name_or_dir)
    if text in shipped_models():
        return SHIPPED / text
    path = Path(name_or_dir).expanduser()
    for folder in (path, path / "model", _older(path), _older(path / "model")):
        if (folder / CONFIG).is_file():
            return folder
    if path.is_dir():
        raise ModelError(
            f"{path} is neither a model folder nor a run folder: it holds no {CONFIG} and no "
            f"model/{CONFIG}"
        )
    if path.exists():
        raise ModelError(f"{path} is a file; give the model folder that holds {CONFIG}")
    if os.sep in text:
        raise ModelError(f"no model folder at {path}")
    hint = nearest(text, shipped_models()) if shipped_models() else "none is shipped"
    raise ModelError(f"no model named {text!r} and no such folder; shipped models: {hint}")


def read_config(folder: Path) -> dict[str, Any]:
    """Read and check a model folder's ``config.json``; ModelError where it is not one of ours."""
    path = folder / CONFIG
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"{path} cannot be read as JSON ({error})") from error
    found = config.get("format") if isinstance(config, dict) else None
    if found != FORMAT:
        raise ModelError(f"{path} has format {found!r}; this version reads {FORMAT!r}")
    missing = {"architecture", "encoder", "files"} - config.keys()
    if missing:
        raise ModelError(f"{path} lacks {', '.join(sorted(missing))}")
    return dict(config)


def read_architecture(folder: Path) -> Architecture:
    """The architecture a model folder's ``config.json`` tells; ModelError where it is unusable."""
    from stackgan.config import Architecture

    try:
        return Architecture(**read_config(folder)["architecture"])
    except (TypeError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise ModelError(f"{folder / CONFIG}: unusable architecture ({reason})") from error


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
    from stackgan.encoders import find_encoder, matching_encoder
    from stackgan.models.build import build_stage1, build_stage2

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
    from stackgan import __version__
    from stackgan.encoders import describe

    folder = Path(folder)
    _finish_swap(folder)
    fresh = part_of(folder)
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    try:
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
        _swap(fresh, folder)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
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


def read_truncation(config: Mapping[str, Any]) -> float:
    """The truncation a model folder names for sampling; 1.0, none, where it names none.

    Raises:
        ModelError: it is no number from 0 on.
    """
    sampling = config.get("sampling", {})
    found: Any = sampling.get("truncation", 1.0) if isinstance(sampling, Mapping) else None
    number = isinstance(found, int | float) and not isinstance(found, bool)
    if not number or not 0 <= found < math.inf:
        raise ModelError(
            f"{CONFIG} has sampling truncation {found!r}; expected a number from 0 on, 1 is none"
        )
    return float(found)


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write ``content`` as indented JSON, whole or not at all."""
    with whole_file(path) as part:
        part.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def model_name(folder: Path) -> str:
    """A model's name by its place: RUN for ``RUN/model``, else the folder's own name."""
    folder = folder.absolute()
    name = folder.parent.name if folder.name in {"model", ".model.old"} else folder.name
    return name or "model"


def file_sha256(path: Path) -> str:
    """The hexadecimal sha256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _read_weights(folder: Path, name: str, config: Mapping[str, Any]) -> dict[str, Tensor]:
    require_file(folder, name)
    verify_file(folder, name, config)
    try:
        stored = load_file(folder / name)
    except SafetensorError as error:
        raise ModelError(f"{folder / name} is not a safetensors file ({error})") from error
    return {k: v.float() if v.is_floating_point() else v for k, v in stored.items()}


def require_file(folder: Path, name: str) -> None:
    """ModelError where a model folder lacks one of its files."""
    if not (folder / name).is_file():
        raise ModelError(f"{folder} lacks {name}; copy the whole model folder again")


def verify_file(folder: Path, name: str, config: Mapping[str, Any]) -> None:
    """ModelError where a file is not the one that ``config.json`` describes."""
    expected = config["files"].get(name, {}).get("sha256")
    found = file_sha256(folder / name)
    if found != expected:
        raise ModelError(
            f"{folder / name} is damaged: its sha256 is {found[:12]}, {CONFIG} says "
            f"{str(expected)[:12]}; copy the model folder again"
        )


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


def _swap(fresh: Path, folder: Path) -> None:
    """Put ``fresh`` in the place of ``folder``; killed between, :func:`_finish_swap` mends it."""
    old = _older(folder)
    shutil.rmtree(old, ignore_errors=True)
    if folder.exists():
        os.replace(folder, old)
    os.replace(fresh, folder)
    shutil.rmtree(old, ignore_errors=True)
    remove_left_overs(folder)


def _finish_swap(folder: Path) -> None:
    """Bring back the older folder where a save was killed between its two renames."""
    if _older(folder).is_dir() and not folder.exists():
        os.replace(_older(folder), folder)


def _older(folder: Path) -> Path:
    """Where the older folder lies between the two renames of a save."""
    return folder.with_name(f".{folder.name}.old") if folder.name else folder


def _facts(path: Path) -> dict[str, Any]:
    return {"sha256": file_sha256(path), "bytes": path.stat().st_size}


def _settle(folder: Path) -> None:
    """Let everyone read the files, and put them on the disk."""
    for path in folder.iterdir():
        path.chmod(0o644)  # safetensors writes files that others cannot read
        with path.open("rb") as file:
            os.fsync(file.fileno())
