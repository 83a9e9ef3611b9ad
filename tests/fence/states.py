"""What three steps of each preset leave behind: digests here, means and norms elsewhere."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from fence.machines import sha256
from torch import Tensor

from stackgan.config import load_settings
from stackgan.data.toy import draw
from stackgan.text.char_cnn_rnn import CharCnnRnn, Sizes
from stackgan.training.checkpoint import read_checkpoint
from stackgan.training.run import Plan, begin, train

PRESETS = ("modern", "paper", "authors-pt", "authors-tf")
STAGES = ("stage1", "stage2")
RECORD = "states.json"

SMALL = [
    "precision=fp32",
    "architecture.condition_dim=8",
    "architecture.noise_dim=6",
    "architecture.text_dim=8",
    "architecture.stage1_generator_width=8",
    "architecture.stage1_discriminator_width=4",
    "architecture.stage2_generator_width=8",
    "architecture.stage2_discriminator_width=4",
    "stage1.steps=3",
    "stage2.steps=3",
    "stage1.batch_size=4",
    "stage2.batch_size=4",
    "log_every=1",
]
"""Every preset made small; all else is its own."""
SHORT = {
    # A step of pixels alone, one of shrunken photographs, one of both; R1 in two of three.
    "modern": ["stage2.pixel_steps=1", "stage2.pair_steps=2", "stage1.r1_every=2"],
}
"""What a preset does only after many steps, within three."""
PLACE = ("format", "settings", "encoder", "used_s")
"""Of a checkpoint, what is no arithmetic: how it was asked for, and the time it took."""
TIMES = ("seconds", "time")
"""Of a line of the log, the same."""


def train_small(folder: Path, preset: str, nudge: int | None = None) -> Path:
    """A run of both stages, three steps each, as ``stackgan train`` carries one out.

    ``nudge`` moves the text encoder's weights by a millionth of themselves, which is drawn from it:
    what then differs is what rounding may make different.
    """
    toy, encoder = folder / "toy", folder / "text_encoder.safetensors"
    if not encoder.exists():
        draw(toy, seed=1, count=36)
        write_encoder(encoder, nudge)
    run = folder / preset
    settings = load_settings([preset], None, [*SMALL, *SHORT.get(preset, [])])
    plan = Plan(data="toy", root=str(toy), encoder=str(encoder), settings=settings)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)  # spectral normalisation begins with vectors of the global stream
        begin(run, plan)
        train(run, plan)
    return run


def write_encoder(path: Path, nudge: int | None = None) -> None:
    """A tiny text encoder of weights that numpy draws, the same on every machine."""
    random = np.random.default_rng(0)
    other = np.random.default_rng(nudge)
    encoder = CharCnnRnn(Sizes(conv1=8, conv2=8, hidden=8, dim=12), name="fence")
    with torch.no_grad():
        for weight in encoder.parameters():
            drawn = random.standard_normal(tuple(weight.shape), dtype=np.float32)
            if nudge is not None:
                drawn *= 1 + 1e-6 * other.standard_normal(drawn.shape, dtype=np.float32)
            weight.copy_(torch.from_numpy(0.3 * drawn))
    encoder.save(path)


def entries(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """The leaves of nested dictionaries and lists by their dotted names, in sorted order."""
    if isinstance(value, dict):
        for key in sorted(value, key=str):
            yield from entries(value[key], f"{name}.{key}" if name else str(key))
    elif isinstance(value, list | tuple):
        for place, each in enumerate(value):
            yield from entries(each, f"{name}.{place}")
    else:
        yield name, value


def state_of(run: Path, stage: str) -> dict[str, Any]:
    """What the next step of a run's stage would depend on, and what each step said."""
    state = read_checkpoint(run / stage / "checkpoint.pt")
    rows = [
        json.loads(row) for row in (run / stage / "log.jsonl").read_text("utf-8").split("\n")[:-1]
    ]
    said = [{k: v for k, v in row.items() if k not in TIMES} for row in rows]
    return {part: value for part, value in state.items() if part not in PLACE} | {"log": said}


def _bytes(leaf: Any) -> bytes:
    """Kind and value of a leaf; a tensor's in the order of its axes, however it lies in memory."""
    if isinstance(leaf, Tensor):
        head = f"{leaf.dtype} {tuple(leaf.shape)} "
        return head.encode() + leaf.contiguous().numpy().tobytes()
    return f"{type(leaf).__name__} {leaf!r}".encode()


def digests(state: dict[str, Any]) -> dict[str, str]:
    """Digests of a state.

    ``everything``: each name with its value. ``values``: the tensors without their names, which
    stays where entries are renamed or moved. Then the first of each part's, to tell where.
    """
    named = {part: sha256(_named(value, part)) for part, value in sorted(state.items())}
    tensors = [leaf for _, leaf in entries(state) if isinstance(leaf, Tensor)]
    return {
        "everything": sha256(_named(state, "")),
        "values": sha256("\n".join(sorted(sha256(_bytes(each)) for each in tensors)).encode()),
        **{part: digest[:16] for part, digest in named.items()},
    }


def _named(value: Any, name: str) -> bytes:
    rows = [f"{where} {sha256(_bytes(leaf))}" for where, leaf in entries(value, name)]
    return "\n".join(rows).encode()
