"""Model folders: write one, read one, find a shipped one. Loading never executes anything.

A model folder holds

==============================  ==================================================================
``config.json``                 format tag, architecture, encoder, training card, measured scores,
                                and the sha256 of every other file
``generator.safetensors``       both generators, prefixed ``stage1.`` and ``stage2.``
``text_encoder.safetensors``    the encoder whose embeddings the generators read; of one over 10 MB
                                ``config.json`` keeps name, sha256 and where it was found
``discriminator.safetensors``   the last stage's discriminator, for nearest neighbours (optional)
``stage1_discriminator...``     Stage-I's, where that is not the last: fine-tuning goes on from it
                                (``stage1_discriminator.safetensors``, optional)
``README.md``                   the model card (optional)
==============================  ==================================================================
"""

from __future__ import annotations

import hashlib
import json
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

if TYPE_CHECKING:
    from stackgan.config import Architecture
    from stackgan.text import TextEncoder

FORMAT = "stackgan-model/1"
CONFIG = "config.json"
GENERATOR = "generator.safetensors"
ENCODER = "text_encoder.safetensors"
DISCRIMINATOR = "discriminator.safetensors"
STAGE1_DISCRIMINATOR = "stage1_discriminator.safetensors"
CARD = "README.md"
MOST_ENCODER_BYTES = 10_000_000
"""An encoder up to this size travels in the model folder."""
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


def find_encoder(name_or_path: str | Path) -> TextEncoder:
    """Load an encoder by name, file or folder; else the one of a shipped, model or run folder.

    Raises:
        ModelError: none of these is there (with the nearest name), or the file is no encoder.
        InputError: it needs a package that is not installed.
    """
    from stackgan.text import encoder_names, is_encoder, load_encoder

    path = Path(name_or_path)
    in_model = (path / CONFIG).is_file() and (path / ENCODER).is_file()
    if is_encoder(name_or_path) and not in_model:
        return load_encoder(name_or_path)
    try:
        folder = find_model(name_or_path)
    except ModelError as error:
        if os.sep in str(name_or_path) or Path(name_or_path).exists():
            raise ModelError(f"{name_or_path} is no encoder file or folder, and {error}") from None
        hint = nearest(str(name_or_path), [*encoder_names(), *shipped_models()])
        raise ModelError(
            f"no encoder and no model named {str(name_or_path)!r}, and no such file or folder; "
            f"{hint}"
        ) from None
    return _matching_encoder(folder, read_config(folder), None)


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


def load_model(name_or_dir: str | Path, *, encoder: TextEncoder | None = None) -> LoadedModel:
    """Load a shipped model, a model folder or a run folder, every file checked by its sha256.

    Args:
        encoder: for a model whose encoder is kept elsewhere; any other is refused by name.

    Raises:
        ModelError: nothing there, a damaged file (named), or an encoder the generator was not
            trained with.
    """
    from stackgan.config import Architecture
    from stackgan.models.build import build_stage1, build_stage2

    folder = find_model(name_or_dir)
    config = read_config(folder)
    try:
        architecture = Architecture(**config["architecture"])
    except (TypeError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise ModelError(f"{folder / CONFIG}: unusable architecture ({reason})") from error
    weights = _read_weights(folder, GENERATOR, config)
    with torch.device("meta"):
        stage1 = build_stage1(architecture)
        has_stage2 = any(key.startswith("stage2.") for key in weights)
        stage2 = build_stage2(architecture) if has_stage2 else None
    both = nn.ModuleDict({"stage1": stage1} | ({"stage2": stage2} if stage2 is not None else {}))
    _fill(both, weights, folder / GENERATOR)
    name = str(config.get("name") or model_name(folder))
    encoder = _matching_encoder(folder, config, encoder)
    return LoadedModel(name, folder, config, architecture, stage1, stage2, encoder)


def save_model(
    folder: Path,
    *,
    architecture: Mapping[str, Any],
    stage1: nn.Module,
    stage2: nn.Module | None,
    encoder: TextEncoder,
    discriminator: nn.Module | None = None,
    stage1_discriminator: nn.Module | None = None,
    training: Mapping[str, Any] | None = None,
    scores: Mapping[str, Any] | None = None,
    card: str | None = None,
    name: str | None = None,
    dtype: torch.dtype = torch.bfloat16,
) -> Path:
    """Write a model folder and put it in place of an older one by renaming; return the folder.

    Kernels are stored in ``dtype``, vectors (biases, normalisation statistics) in float32. An
    encoder of up to 10 MB travels inside; of a larger one name, sha256 and source are kept.
    """
    from stackgan import __version__

    folder = Path(folder)
    _finish_swap(folder)
    fresh = folder.with_name(f".{folder.name}.part-{os.getpid()}")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    try:
        both = {f"stage1.{key}": value for key, value in stage1.state_dict().items()}
        if stage2 is not None:
            both |= {f"stage2.{key}": value for key, value in stage2.state_dict().items()}
        save_file(_compact(both, dtype), fresh / GENERATOR, {"format": FORMAT})
        judges = {DISCRIMINATOR: discriminator}
        if stage2 is not None:
            judges[STAGE1_DISCRIMINATOR] = stage1_discriminator
        for file, judge in judges.items():
            if judge is not None:
                save_file(_compact(judge.state_dict(), dtype), fresh / file, {"format": FORMAT})
        inside = _travels(encoder)
        if inside:
            encoder.save(fresh / ENCODER)  # type: ignore[attr-defined]
        if card is not None:
            (fresh / CARD).write_text(card, encoding="utf-8")
        config = {
            "format": FORMAT,
            "name": name or model_name(folder),
            "version": __version__,
            "architecture": dict(architecture),
            "encoder": {
                "name": encoder.name,
                "dim": encoder.dim,
                "sha256": encoder.sha256,
                "file": ENCODER if inside else None,
                "source": None if inside else getattr(encoder, "source", None),
            },
            "training": dict(training or {}),
            "scores": dict(scores or {}),
            "files": {
                path.name: {"sha256": file_sha256(path), "bytes": path.stat().st_size}
                for path in sorted(fresh.iterdir())
                if path.name != CARD
            },
        }
        write_json(fresh / CONFIG, config)
        for path in fresh.iterdir():
            path.chmod(0o644)  # safetensors writes files that others cannot read
            _flush(path)
        _swap(fresh, folder)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    return folder


def write_scores(folder: Path, scores: Mapping[str, Any]) -> None:
    """Merge measured ``scores`` into a model folder's ``config.json``."""
    config = read_config(folder)
    config["scores"] = {**config.get("scores", {}), **scores}
    write_json(folder / CONFIG, config)


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write ``content`` as indented JSON: a temporary file, then a rename."""
    part = path.with_name(f".{path.name}.part-{os.getpid()}")
    part.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    os.replace(part, path)


def model_name(folder: Path) -> str:
    """A model's name by its place: RUN for ``RUN/model``, else the folder's own name."""
    folder = folder.absolute()
    name = folder.parent.name if folder.name in {"model", ".model.old"} else folder.name
    return name or "model"


def file_sha256(path: Path) -> str:
    """The hexadecimal sha256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _travels(encoder: TextEncoder) -> bool:
    """Whether the encoder's own file goes into the model folder."""
    size = getattr(encoder, "file_bytes", None)
    return size is not None and hasattr(encoder, "save") and size() <= MOST_ENCODER_BYTES


def _matching_encoder(
    folder: Path, config: Mapping[str, Any], given: TextEncoder | None
) -> TextEncoder:
    """The encoder the generators were trained with: the folder's own, or the one given."""
    wanted = config["encoder"]
    if given is not None:
        _require_same(folder, wanted, given.name, given.sha256)
        return given
    from stackgan.text import load_encoder

    if not wanted.get("file"):
        return _encoder_elsewhere(folder, wanted)
    _require_file(folder, ENCODER)
    intact = file_sha256(folder / ENCODER) == config["files"].get(ENCODER, {}).get("sha256")
    try:
        encoder = load_encoder(folder / ENCODER)
    except ModelError:
        if not intact:
            _verify(folder, ENCODER, config)
        raise
    if not intact:
        if encoder.name != wanted["name"]:
            _require_same(folder, wanted, encoder.name, encoder.sha256)
        _verify(folder, ENCODER, config)
    return encoder


def _encoder_elsewhere(folder: Path, wanted: Mapping[str, Any]) -> TextEncoder:
    """An encoder that is not in the model folder, from where it was found in training.

    That is a name, a path, or the folder ``encoder`` of the run that ``folder`` lies in.
    """
    from stackgan.text import is_encoder, load_encoder

    source = wanted.get("source")
    places = [place for place in (source, folder.parent / "encoder") if place and is_encoder(place)]
    for place in places:
        encoder = load_encoder(place)
        if encoder.sha256 == wanted["sha256"]:
            return encoder
    where = f", which was at {source}" if source else ""
    if source and places:
        _require_same(folder, wanted, f"what is now at {source}", encoder.sha256)
    raise ModelError(
        f"{folder} keeps no encoder: name {wanted['name']!r} (sha256 "
        f"{str(wanted['sha256'])[:12]}){where}, with --encoder or encoder="
    )


def _require_same(folder: Path, wanted: Mapping[str, Any], name: str, sha256: str) -> None:
    if sha256 != wanted["sha256"]:
        raise ModelError(
            f"{folder} was trained with encoder {wanted['name']!r} (sha256 "
            f"{str(wanted['sha256'])[:12]}), not with {name!r} ({sha256[:12]}); give it the "
            "encoder it was trained with"
        )


def _read_weights(folder: Path, name: str, config: Mapping[str, Any]) -> dict[str, Tensor]:
    _require_file(folder, name)
    _verify(folder, name, config)
    try:
        stored = load_file(folder / name)
    except SafetensorError as error:
        raise ModelError(f"{folder / name} is not a safetensors file ({error})") from error
    return {k: v.float() if v.is_floating_point() else v for k, v in stored.items()}


def _require_file(folder: Path, name: str) -> None:
    if not (folder / name).is_file():
        raise ModelError(f"{folder} lacks {name}; copy the whole model folder again")


def _verify(folder: Path, name: str, config: Mapping[str, Any]) -> None:
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


def _finish_swap(folder: Path) -> None:
    """Bring back the older folder where a save was killed between its two renames."""
    if _older(folder).is_dir() and not folder.exists():
        os.replace(_older(folder), folder)


def _older(folder: Path) -> Path:
    """Where the older folder lies between the two renames of a save."""
    return folder.with_name(f".{folder.name}.old") if folder.name else folder


def _flush(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())
