"""The authors' PyTorch generators and discriminators of both stages -> our networks.

Differs: Stage-I's first layer reads [noise, condition] there and [condition, noise] here, and the
first convolution of a discriminator's head reads image and text in one kernel there; both are the
same numbers in another order.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from stackgan.config import Architecture, load_settings
from stackgan.errors import InputError, ModelError
from stackgan.legacy.pth import read_pth
from stackgan.systems.stackgan.build import build_discriminator, build_stage1, build_stage2

Kind = Literal["stage1_G", "stage1_D", "stage2_G", "stage2_D"]
INNER = "STAGE1_G."
_NORM = r"(weight|bias|running_mean|running_var)"

_CONDITION = (r"ca_net\.fc\.(weight|bias)", r"conditioning.layer.\1")
_RGB = (r"img\.0\.weight", "rgb.weight")
_RULES: dict[Kind, list[tuple[str, str]]] = {
    "stage1_G": [
        _CONDITION,
        _RGB,
        (r"fc\.0\.weight", "project.weight"),
        (rf"fc\.1\.{_NORM}", r"project_norm.\1"),
        (r"upsample([1-4])\.1\.weight", r"blocks.\1.conv.weight"),
        (rf"upsample([1-4])\.2\.{_NORM}", r"blocks.\1.norm.\2"),
    ],
    "stage2_G": [
        _CONDITION,
        _RGB,
        (r"encoder\.0\.weight", "encode.0.0.weight"),
        (r"encoder\.2\.weight", "encode.1.0.weight"),
        (rf"encoder\.3\.{_NORM}", r"encode.1.1.\1"),
        (r"encoder\.5\.weight", "encode.2.0.weight"),
        (rf"encoder\.6\.{_NORM}", r"encode.2.1.\1"),
        (r"hr_joint\.0\.weight", "join.weight"),
        (rf"hr_joint\.1\.{_NORM}", r"join_norm.\1"),
        (r"residual\.(\d{1,3})\.block\.0\.weight", r"residual.\1.conv1.weight"),
        (rf"residual\.(\d{{1,3}})\.block\.1\.{_NORM}", r"residual.\1.norm1.\2"),
        (r"residual\.(\d{1,3})\.block\.3\.weight", r"residual.\1.conv2.weight"),
        (rf"residual\.(\d{{1,3}})\.block\.4\.{_NORM}", r"residual.\1.norm2.\2"),
        (r"upsample([1-4])\.1\.weight", r"up.\1.conv.weight"),
        (rf"upsample([1-4])\.2\.{_NORM}", r"up.\1.norm.\2"),
    ],
}
_HEADS = [
    (rf"get_cond_logits\.outlogits\.1\.{_NORM}", r"joint.norm.\1"),
    (r"get_cond_logits\.outlogits\.3\.(weight|bias)", r"joint.score.\1"),
    (r"get_uncond_logits\.outlogits\.0\.(weight|bias)", r"alone.score.\1"),
]
_JOINT = "get_cond_logits.outlogits.0.weight"


@dataclass
class Networks:
    """What some files of the authors hold, as our networks in evaluation mode."""

    architecture: Architecture
    stage1: nn.Module | None = None
    stage2: nn.Module | None = None
    stage1_discriminator: nn.Module | None = None
    stage2_discriminator: nn.Module | None = None
    notes: list[str] = field(default_factory=list)


def kind_of(state: Mapping[str, Tensor]) -> Kind | None:
    """Which of the authors' networks a state dict is by its names, None for no such."""
    if "encode_img.0.weight" in state:
        return "stage2_D" if "encode_img.11.weight" in state else "stage1_D"
    if "hr_joint.0.weight" in state:
        return "stage2_G"
    return "stage1_G" if "fc.0.weight" in state and "ca_net.fc.weight" in state else None


def read_networks(paths: list[Path]) -> Networks:
    """Read the authors' ``.pth`` files, one of a kind; sizes are read from the tensors.

    Raises:
        ModelError: a file is damaged, asks for what is not allowed, is no network of theirs, or
            does not fit the others.
    """
    states: dict[Kind, tuple[Path, dict[str, Tensor]]] = {}
    for path in paths:
        state = read_pth(path)
        kind = kind_of(state)
        if kind is None:
            raise ModelError(
                f"{path} is no network of the authors' PyTorch code: its first tensor is "
                f"{next(iter(state))[:80]!r}"
            )
        if kind in states:
            raise ModelError(f"{path} and {states[kind][0]} are both a {kind}; give one of them")
        states[kind] = (path, state)
    return to_networks(states)


def to_networks(states: Mapping[Kind, tuple[Path, dict[str, Tensor]]]) -> Networks:
    """Our networks of state dicts that were read; each comes with the file it is from."""
    states = dict(states)
    notes: list[str] = []
    if "stage2_G" in states:
        path, whole = states["stage2_G"]
        inner = {k.removeprefix(INNER): v for k, v in whole.items() if k.startswith(INNER)}
        states["stage2_G"] = path, {k: v for k, v in whole.items() if not k.startswith(INNER)}
        if inner:
            given = states.get("stage1_G")
            if given is not None and not _equal(given[1], inner):
                notes.append(
                    f"{given[0]} differs from the Stage-I inside {path}, which was trained with "
                    "its Stage-II and is the one that is kept"
                )
            states["stage1_G"] = path, inner
    architecture = _architecture(states)
    made = Networks(architecture, notes=notes)
    for kind, (path, state) in states.items():
        renamed = _renamed(path, kind, state)
        with torch.device("meta"):
            network: nn.Module
            if kind == "stage1_G":
                made.stage1 = network = build_stage1(architecture)
            elif kind == "stage2_G":
                made.stage2 = network = build_stage2(architecture)
            elif kind == "stage1_D":
                made.stage1_discriminator = network = build_discriminator(architecture, 1)
            else:
                made.stage2_discriminator = network = build_discriminator(architecture, 2)
        _fill(path, network, renamed)
    return made


def _equal(one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[key], other[key]) for key in one)


def _architecture(states: Mapping[Kind, tuple[Path, dict[str, Tensor]]]) -> Architecture:
    """The preset ``authors-pt`` in the tensors' sizes; what no file tells follows the other."""
    found: dict[str, tuple[int, Path]] = {}

    def learn(name: str, value: int, path: Path) -> None:
        before = found.setdefault(name, (value, path))
        if before[0] != value:
            raise ModelError(
                f"{path} has {name} {value} and {before[1]} has {before[0]}: they are not of one "
                "model"
            )

    for kind, (path, state) in states.items():
        if kind.endswith("G"):
            code = _shape(path, state, "ca_net.fc.weight", 2)
            learn("embedding_dim", code[1], path)
            learn("condition_dim", code[0] // 2, path)
        if kind == "stage1_G":
            first = _shape(path, state, "fc.0.weight", 2)
            learn("noise_dim", first[1] - code[0] // 2, path)
            learn("stage1_generator_width", first[0] // 128, path)
        elif kind == "stage2_G":
            learn("stage2_generator_width", _shape(path, state, "encoder.0.weight", 4)[0], path)
            blocks = {key.split(".")[1] for key in state if key.startswith("residual.")}
            learn("residual_blocks", len(blocks), path)
        else:
            width = _shape(path, state, "encode_img.0.weight", 4)[0]
            learn(f"{kind[:6]}_discriminator_width", width, path)
            learn("condition_dim", _shape(path, state, _JOINT, 4)[1] - 8 * width, path)
    sizes: dict[str, Any] = {name: value for name, (value, _) in found.items()}
    for name, other in (("generator", 4), ("discriminator", 1)):
        widths = [sizes.get(f"stage{stage}_{name}_width") for stage in (1, 2)]
        generator = sizes.get("stage1_generator_width") or sizes.get("stage2_generator_width")
        default = max(other, next(filter(None, widths), (generator or 128) // 2))
        for stage in (1, 2):
            sizes.setdefault(f"stage{stage}_{name}_width", default)
    path = next(iter(states.values()))[0]
    settings = load_settings(["authors-pt"]).architecture
    try:
        return Architecture.model_validate(settings.model_dump() | sizes)
    except (InputError, ValueError) as error:
        reason = " ".join(str(error).split())[:200]
        raise ModelError(f"{path}: its sizes make no network ({reason})") from None


def _shape(path: Path, state: Mapping[str, Tensor], key: str, axes: int) -> list[int]:
    if key not in state or state[key].dim() != axes:
        found = list(state[key].shape) if key in state else "missing"
        raise ModelError(f"{path}: tensor {key!r} is {found}, expected {axes} axes")
    return list(state[key].shape)


def _renamed(path: Path, kind: Kind, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors under our names, in our order of columns."""
    renamed: dict[str, Tensor] = {}
    for key, value in state.items():
        if key.endswith("num_batches_tracked"):
            continue
        if not value.is_floating_point() or not value.isfinite().all():
            raise ModelError(f"{path}: tensor {key!r} holds no finite numbers")
        if key == _JOINT and kind.endswith("D"):
            features = 8 * len(state["encode_img.0.weight"])
            renamed["joint.image.weight"] = value[:, :features].float().contiguous()
            renamed["joint.text.weight"] = value[:, features:].float().contiguous()
            continue
        name = _place(kind, key)
        if name is None:
            raise ModelError(f"{path}: the authors' {kind} has no tensor {key[:80]!r}")
        if name == "project.weight":
            condition = len(state["ca_net.fc.weight"]) // 2
            value = torch.cat([value[:, -condition:], value[:, :-condition]], dim=1)
        renamed[name] = value.float()
    return renamed


def _place(kind: Kind, key: str) -> str | None:
    """Our name of one of their tensors."""
    for pattern, name in _RULES.get(kind, _HEADS):
        match = re.fullmatch(pattern, key)
        if match:
            ours = match.expand(name)
            # theirs count up blocks from 1, ours from 0
            return re.sub(r"^(blocks|up)\.(\d)", lambda m: f"{m[1]}.{int(m[2]) - 1}", ours, count=1)
    match = re.fullmatch(rf"encode_img\.(\d{{1,2}})\.{_NORM}", key)
    if kind in _RULES or match is None:
        return None
    # convolutions at 0, 2, 5, 8, 11 ... each but the first with its normalisation behind it
    number = int(match[1])
    block, norm = (number + 1) // 3, number % 3 == 0 and number > 0
    if number % 3 == 1:
        return None
    downs = 4 if kind == "stage1_D" else 6
    if block < downs:
        return f"down.{block}.{'norm' if norm else 'conv'}.{match[2]}"
    return f"compress.{3 * (block - downs) + norm}.{match[2]}"


def _fill(path: Path, network: nn.Module, renamed: dict[str, Tensor]) -> None:
    """Give a network on the meta device its weights, strictly, and freeze it."""
    wanted = network.state_dict()
    for key in wanted:
        if key.endswith("num_batches_tracked"):
            renamed[key] = torch.tensor(0)
    for key in sorted(wanted.keys() | renamed.keys()):
        expected = list(wanted[key].shape) if key in wanted else "no such tensor"
        found = list(renamed[key].shape) if key in renamed else "missing"
        if expected != found:
            raise ModelError(f"{path}: tensor {key!r} is {found}, expected {expected}")
    network.load_state_dict(renamed, assign=True)
    network.eval().requires_grad_(False)
