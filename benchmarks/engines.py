"""Sampling beside published engines: both stages of a model, embeddings to pixels, in one run.

    pip install onnx onnxscript onnxruntime openvino
    python benchmarks/engines.py --model flowers --batch 8 --json engines.json

Ours in each precision, torch with the networks as loaded, torch with folded normalisations,
onnxruntime and OpenVINO on the same folded networks, exported. All take turns (medians of 15, after
one of each); an engine that is not installed is left out, and said. What each draws is compared
with torch as loaded first, so that nobody is fast at something else.
"""

from __future__ import annotations

import argparse
import importlib
import json
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from stackgan import StackGAN
from stackgan.errors import StackGANError
from stackgan.evaluation.bench.timing import interleaved
from stackgan.hub import LoadedModel, load_model
from stackgan.inference.fold import fold_batchnorm
from stackgan.machine import here
from stackgan.memory import keep_freed_memory
from stackgan.pipeline import Chance
from stackgan.systems.stackgan.build import build_stage1, build_stage2
from stackgan.tensors import to_pixels

Draw = Callable[[], Tensor]
NAMES = ("embedding", "noise", "eps1", "eps2")


class Both(nn.Module):
    """Both stages as one network: embedding, noise and the eps of each -> images."""

    def __init__(self, loaded: LoadedModel, *, folded: bool) -> None:
        super().__init__()
        if loaded.stage2 is None:
            raise SystemExit(f"{loaded.name} has no Stage-II")
        literal = loaded.architecture.model_copy(update={"arithmetic": "literal"})
        self.stage1, self.stage2 = build_stage1(literal), build_stage2(literal)
        self.stage1.load_state_dict(loaded.stage1.state_dict())
        self.stage2.load_state_dict(loaded.stage2.state_dict())
        self.eval().requires_grad_(False)
        if folded:
            for stage in (self.stage1, self.stage2):
                fold_batchnorm(stage)

    def forward(self, embedding: Tensor, noise: Tensor, eps1: Tensor, eps2: Tensor) -> Tensor:
        """Images [B, 3, H, W] in [-1, 1]."""
        sketches = self.stage1(embedding, noise, eps1).images
        images: Tensor = self.stage2(sketches, embedding, eps2).images
        return images


def ours(name: str, given: tuple[Tensor, ...]) -> dict[str, Draw]:
    """``StackGAN`` in each precision that this processor has."""
    embedding, *chance = given
    found: dict[str, Draw] = {}
    for precision in ("fp32", "bf16"):
        try:
            model = StackGAN.from_pretrained(name, "cpu", precision=precision)  # type: ignore[arg-type]
        except StackGANError as error:
            print(f"ours {precision}: left out ({error})", file=sys.stderr)
            continue

        def draw(model: StackGAN = model) -> Tensor:
            drawn = model.render(embedding, Chance(*chance), 2)
            return torch.stack([torch.as_tensor(picture) for picture in drawn.pictures])  # type: ignore[union-attr]

        found[f"ours, {precision}"] = draw
    return found


def torchs(loaded: LoadedModel, given: tuple[Tensor, ...]) -> dict[str, Draw]:
    """Torch on the networks as loaded and folded, channels-last or as they come."""
    found: dict[str, Draw] = {}
    for folded in (False, True):
        network = Both(loaded, folded=folded)

        def draw(network: nn.Module = network) -> Tensor:
            with torch.inference_mode():
                return to_pixels(network(*given))

        found["torch, folded" if folded else "torch, as loaded"] = draw
    return found


def exported(loaded: LoadedModel, given: tuple[Tensor, ...], path: Path) -> Path:
    """The folded networks as one ONNX file of this batch."""
    torch.onnx.export(
        Both(loaded, folded=True), given, str(path), input_names=list(NAMES), dynamo=True,
        external_data=False, verbose=False,
    )  # fmt: skip
    return path


def onnxruntime(path: Path, given: tuple[Tensor, ...], threads: int) -> Draw:
    """Onnxruntime's CPU provider with as many threads as torch."""
    engine = importlib.import_module("onnxruntime")
    options = engine.SessionOptions()
    options.intra_op_num_threads = threads
    session = engine.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    inputs = dict(zip(NAMES, (each.numpy() for each in given), strict=True))
    return lambda: to_pixels(torch.from_numpy(session.run(None, inputs)[0]))


def openvino(path: Path, given: tuple[Tensor, ...], threads: int, precision: str) -> Draw:
    """OpenVINO's CPU plugin with as many threads as torch, told what to compute in."""
    engine: Any = importlib.import_module("openvino")
    core = engine.Core()
    told = {"INFERENCE_NUM_THREADS": threads, "INFERENCE_PRECISION_HINT": precision}
    compiled = core.compile_model(core.read_model(str(path)), "CPU", told)
    inputs = {name: each.numpy() for name, each in zip(NAMES, given, strict=True)}
    return lambda: to_pixels(torch.from_numpy(next(iter(compiled(inputs).values())).copy()))


def engines(loaded: LoadedModel, given: tuple[Tensor, ...], folder: Path) -> dict[str, Draw]:
    """The published engines that are installed."""
    threads, found = torch.get_num_threads(), dict[str, Draw]()
    makers: dict[str, Callable[[Path], Draw]] = {
        "onnxruntime": lambda path: onnxruntime(path, given, threads),
        "OpenVINO, f32": lambda path: openvino(path, given, threads, "f32"),
        "OpenVINO, bf16": lambda path: openvino(path, given, threads, "bf16"),
    }
    try:
        path = exported(loaded, given, folder / "both.onnx")
        for name, make in makers.items():
            try:
                found[name] = make(path)
            except ImportError as error:
                print(f"{name}: left out ({error})", file=sys.stderr)
    except ImportError as error:
        print(f"engines: left out, nothing can be exported ({error})", file=sys.stderr)
    return found


def main() -> None:
    """Compare, time, print, and write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="flowers", help="a shipped model or a model folder")
    parser.add_argument("--batch", type=int, nargs="+", default=[8, 1], help="pictures at a time")
    parser.add_argument("--json", type=Path, help="write the figures")
    options = parser.parse_args()
    keep_freed_memory()
    report: dict[str, Any] = {"machine": here(), "model": options.model, "seconds": {}}
    print(here())
    for batch in options.batch:
        report["seconds"][batch] = timed(options.model, batch)
    if options.json is not None:
        options.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


def timed(name: str, batch: int) -> dict[str, dict[str, float]]:
    """Median and least seconds of each, and its pixels' mean distance from torch as loaded."""
    random, loaded = torch.Generator().manual_seed(0), load_model(name)
    a = loaded.architecture
    dims = (a.embedding_dim, a.noise_dim, a.condition_dim, a.condition_dim)
    given = tuple(torch.randn(batch, dim, generator=random) for dim in dims)
    with tempfile.TemporaryDirectory() as folder:
        draws = torchs(loaded, given) | ours(name, given)
        # drawn before the export: what torch traces it may keep, as a shape without numbers
        drawn = {each: draw().float() for each, draw in draws.items()}
        draws |= engines(loaded, given, Path(folder))
        found = {}
        for each, timing in interleaved(draws, repeats=15, rounds=1).items():
            mine = drawn[each] if each in drawn else draws[each]().float()
            off = (mine - drawn["torch, as loaded"]).abs().mean().item()
            least = min(timing.seconds)
            found[each] = {"median": timing.median, "least": least, "levels_off": off}
            print(
                f"batch {batch}: {each:18s} {1e3 * timing.median:7.1f} ms "
                f"(least {1e3 * least:6.1f}), {off:.3f} levels off"
            )
    return found


if __name__ == "__main__":
    main()
