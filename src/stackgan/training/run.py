"""A whole training run in one folder: data, encoder, Stage-I, Stage-II, model folder.

RUN/settings.json       the resolved settings and what the run reads
RUN/encoder/            the text encoder, where the run trained its own
RUN/cache/              the photographs, decoded and squared
RUN/stage1/, stage2/    checkpoint.pt, log.jsonl, sheet-STEP.png, captions.txt
RUN/model/              the model folder, rewritten with every checkpoint
"""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch

from stackgan.config import Settings, StageSettings, validate_settings
from stackgan.data import Example, read_examples
from stackgan.data.batches import Batches
from stackgan.encoders import find_encoder
from stackgan.errors import DataError, InputError, ModelError
from stackgan.hub import load_model, save_model, write_json
from stackgan.models.conditioning import measure_text
from stackgan.models.stage1 import Stage1Generator
from stackgan.models.stage2 import Stage2Generator
from stackgan.text import TextEncoder, load_encoder
from stackgan.training.assemble import assemble
from stackgan.training.checkpoint import read_checkpoint, restore, save_checkpoint
from stackgan.training.loop import Tally, paint_sheet, require_finite, run_steps
from stackgan.training.prepare import (
    embed_examples,
    in_steps,
    photographs_power,
    require_image_network,
    stage_batches,
    train_own_encoder,
)
from stackgan.training.record import Recorder
from stackgan.training.start import Sketching, given_stage1, take_over
from stackgan.training.steps import Stage

SHEET_CAPTIONS, SHEET_COLUMNS = 8, 8

Say = Callable[[str], None]
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Plan:
    """What a run reads and does; written to ``settings.json`` at its start."""

    data: str
    root: str
    settings: Settings
    stages: tuple[Literal[1, 2], ...] = (1, 2)
    encoder: str | None = None
    stage1: str | None = None
    init_from: str | None = None
    options: dict[str, Any] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """A dictionary that :func:`read_plan` reads back."""
        values = asdict(self)
        values["settings"] = self.settings.model_dump(mode="json")
        return values


def read_plan(run: Path) -> Plan:
    """The plan of the run in folder ``run``; ModelError where there is none."""
    path = run / "settings.json"
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        settings = validate_settings(values.pop("settings"))
        return Plan(settings=settings, **values | {"stages": tuple(values["stages"])})
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(f"{run} holds no run that could be resumed ({error})") from None


def check(plan: Plan) -> list[Example]:
    """See that everything the plan names can be used; return the training examples.

    Raises:
        InputError: a stage's batch is larger than the data set.
        DataError, ModelError: the data set, encoder or model cannot be read.
    """
    examples = read_examples(plan.data, Path(plan.root), "train", **plan.options)
    if plan.encoder is not None:
        find_encoder(plan.encoder)
    for model in (plan.stage1, plan.init_from):
        if model is not None:
            load_model(model)
    own_encoder = plan.encoder is plan.stage1 is plan.init_from is None
    require_image_network(plan.settings, plan.stages, own_encoder)
    if len(examples) < 2:
        raise InputError(f"{plan.root} has one training example: a training needs at least two")
    for number in plan.stages:
        batch = getattr(plan.settings, f"stage{number}").batch_size
        if len(examples) < batch:
            raise InputError(
                f"stage{number}.batch_size is {batch} and {plan.root} has {len(examples)} training "
                f"examples; add --set stage{number}.batch_size={max(2, len(examples) // 2)}"
            )
    return examples


def begin(run: Path, plan: Plan) -> None:
    """Make the run's folder, once :func:`check` found everything usable.

    Raises:
        InputError: a run lies there already.
    """
    if (run / "settings.json").exists():
        raise InputError(f"{run} holds a run already: add --resume, or name another folder")
    check(plan)
    run.mkdir(parents=True, exist_ok=True)
    write_json(run / "settings.json", plan.as_json())


@dataclass(frozen=True)
class _Run:
    """What every stage of a run shares."""

    folder: Path
    plan: Plan
    settings: Settings
    encoder: TextEncoder
    fixed: list[str]
    say: Say
    progress: Progress


def train(
    run: Path,
    plan: Plan,
    *,
    device: str = "cpu",
    say: Say = lambda sentence: None,
    progress: Progress = lambda what, done, total: None,
) -> Path:
    """Carry the run in folder ``run`` from wherever it stands to its end; return the model folder.

    A stage that is finished is not touched; one that is half done goes on from its checkpoint and
    ends bit for bit as if it had never stopped.

    Raises:
        DataError, InputError, ModelError: the data or files the plan names cannot be used.
        NonFiniteLoss: a loss became NaN; the last good checkpoint stays.
        KeyboardInterrupt: after the checkpoint was written.
    """
    examples = read_examples(plan.data, Path(plan.root), "train", **plan.options)
    encoder = _encoder(run, plan, examples, say, progress)
    settings = _with_encoder(plan.settings, encoder)
    embeddings, rows, typed = embed_examples(
        encoder, examples, plan.settings, _cache_folder(run, plan), progress
    )
    shared = _Run(run, plan, settings, encoder, _sheet_captions(plan, examples), say, progress)
    sketching = Sketching()
    if 1 not in plan.stages:
        source = plan.stage1 or plan.init_from
        sketching = given_stage1(source, settings, encoder if plan.encoder is not None else None)
    for number in plan.stages:
        cache = _cache_folder(run, plan)
        batches = stage_batches(
            cache, plan.settings, number, examples, embeddings, rows, typed, progress
        )
        settings = in_steps(settings, number, batches.steps_per_epoch)
        stage = _make(plan, settings, number, batches.class_count, sketching.generator, device)
        for network in (stage.generator, stage.average, *stage.asked):
            if network is not None:
                measure_text(network, embeddings)
        if stage.settings.spectrum_weight:
            stage.spectrum = photographs_power(batches, stage.crop_px).to(stage.device)
        if plan.init_from is not None:
            fresh = not (run / f"stage{number}" / "checkpoint.pt").exists()
            take_over(plan.init_from, stage, number, say if fresh else lambda sentence: None)
        _train_stage(shared, stage, number, batches, sketching)
        if isinstance(stage.generator, Stage1Generator):
            average = stage.average if stage.average is not None else stage.generator
            projected = None if stage.projected is None else stage.projected.state_dict()
            sketching = Sketching(average, stage.discriminator, projected)  # type: ignore[arg-type]
    return run / "model"


def _train_stage(
    run: _Run,
    stage: Stage,
    number: Literal[1, 2],
    batches: Batches,
    before: Sketching,
) -> None:
    """Train one stage to its last step, writing log, sheets, checkpoints and the model folder."""
    folder, settings, steps = run.folder / f"stage{number}", run.settings, stage.settings.steps
    name = f"Stage-{'I' * number}"
    _write_captions(folder, run.fixed)
    tally, resumed_at = _resume(run, stage, folder / "checkpoint.pt", name)
    recorder = Recorder(folder, run.say, resumed_at)
    embedding = run.encoder.encode(run.fixed)
    started, first = time.monotonic(), stage.step
    if resumed_at is None:
        _save(run, stage, folder / "checkpoint.pt", tally)
    with _interruptible() as interrupted:
        for report in run_steps(stage, batches, settings.seed, number):
            tally.add(report)
            step = stage.step
            run.progress(name, step, steps)
            last = step == steps
            if step % settings.log_every == 0 or last:
                means = tally.means()
                require_finite(means, step)
                seconds = (time.monotonic() - started) / (step - first)
                recorder.line(step, means | {"seconds": seconds, "time": time.time()})
                tally = Tally()
            if step % settings.sheet_every == 0 or last:
                pixels, diversity = paint_sheet(stage, embedding, SHEET_COLUMNS, 0)
                recorder.sheet(step, pixels, SHEET_COLUMNS, diversity)
            if step % settings.checkpoint_every == 0 or last or interrupted():
                _save(run, stage, folder / "checkpoint.pt", tally)
                _save_model(run, stage, before)
            if interrupted():
                recorder.close()
                run.say(f"stopped; `stackgan train --run {run.folder} --resume` goes on")
                raise KeyboardInterrupt
    recorder.close()
    if first == steps and number == run.plan.stages[-1]:
        # a kill may have fallen between checkpoint and model folder
        _save_model(run, stage, before)


def _resume(run: _Run, stage: Stage, checkpoint: Path, name: str) -> tuple[Tally, int | None]:
    """Go on from the stage's checkpoint, where there is one: the log's means, and the step."""
    if not checkpoint.exists():
        return Tally(), None
    state = read_checkpoint(checkpoint)
    restore(stage, state, checkpoint)
    if stage.step < stage.settings.steps:
        run.say(f"{name} goes on from step {stage.step}")
    return Tally(state["tally"]["sums"], state["tally"]["counts"]), stage.step


def _save(run: _Run, stage: Stage, checkpoint: Path, tally: Tally) -> None:
    """Write the checkpoint, unless something in it is not finite."""
    require_finite(tally.means(), stage.step)
    save_checkpoint(
        checkpoint,
        stage,
        tally=tally.state(),
        settings=run.settings.model_dump(mode="json"),
        encoder=run.encoder.sha256,
    )


@contextmanager
def _interruptible() -> Iterator[Callable[[], bool]]:
    """Let the step in flight finish on Ctrl-C (and on a polite kill); a second Ctrl-C stops now."""
    caught: list[int] = []

    def remember(signum: int, frame: Any) -> None:
        if caught:
            raise KeyboardInterrupt
        caught.append(signum)

    try:
        before = {s: signal.signal(s, remember) for s in (signal.SIGINT, signal.SIGTERM)}
    except ValueError:  # not in the main thread: nobody presses Ctrl-C here
        before = {}
    try:
        yield lambda: bool(caught)
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)


def _make(
    plan: Plan,
    settings: Settings,
    number: Literal[1, 2],
    classes: int,
    stage1: Stage1Generator | None,
    device: str,
) -> Stage:
    """Networks of one stage, drawn from the run's seed (or begun from ``init_from``)."""
    random = torch.Generator().manual_seed(plan.settings.seed * 2 + number)
    bf16 = settings.precision == "bf16" or (settings.precision == "auto" and has_bf16(device))
    return assemble(settings, number, classes, random, sketcher=stage1, device=device, bf16=bf16)


def has_bf16(device: str) -> bool:
    """Whether ``device`` multiplies in bf16 (a processor without AVX-512 BF16 only imitates it)."""
    if device.startswith("cuda"):
        return bool(torch.cuda.is_bf16_supported())
    if device != "cpu":
        return False
    return bool(
        getattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)()
        or getattr(torch.cpu, "_is_amx_tile_supported", lambda: False)()
    )


def _encoder(
    run: Path, plan: Plan, examples: list[Example], say: Say, progress: Progress
) -> TextEncoder:
    if plan.encoder is not None:
        return find_encoder(plan.encoder)
    if plan.init_from is not None:
        return load_model(plan.init_from).encoder
    if plan.stage1 is not None:
        return load_model(plan.stage1).encoder
    own = run / "encoder"
    if not (own / "text_encoder.safetensors").exists():
        bf16 = plan.settings.precision != "fp32" and has_bf16("cpu")
        cache = _cache_folder(run, plan)
        train_own_encoder(own, plan.settings, plan.data, examples, cache, bf16, say, progress)
    return load_encoder(own)


def averaged(settings: StageSettings) -> str:
    """What the weights of a model folder are, for its card."""
    if settings.average_half_life:
        ramp = settings.average_ramp
        bound = f", at most {ramp:g} of the images so far" if ramp else ""
        return f"running average (EMA, half-life {settings.average_half_life} images{bound})"
    return f"running average (EMA {settings.average})" if settings.average else "as trained"


def _cache_folder(run: Path, plan: Plan) -> Path:
    """What `stackgan data prepare` cached, where that was run; else a folder inside the run."""
    prepared = Path(plan.root) / ".stackgan"
    return prepared if prepared.is_dir() and os.access(prepared, os.W_OK) else run / "cache"


def _with_encoder(settings: Settings, encoder: TextEncoder) -> Settings:
    """The same settings with the embedding's length that the encoder gives."""
    architecture = settings.architecture.model_copy(update={"embedding_dim": encoder.dim})
    return settings.model_copy(update={"architecture": architecture})


def _sheet_captions(plan: Plan, examples: list[Example]) -> list[str]:
    """Eight captions for the sheets: of the test split where there is one, evenly spaced."""
    try:
        shown = read_examples(plan.data, Path(plan.root), "test", **plan.options) or examples
    except DataError:  # everything is in the training split
        shown = examples
    step = max(1, len(shown) // SHEET_CAPTIONS)
    return [example.captions[0] for example in shown[::step] if example.captions][:SHEET_CAPTIONS]


def _write_captions(folder: Path, captions: list[str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "captions.txt").write_text("\n".join(captions) + "\n", encoding="utf-8")


def _save_model(run: _Run, stage: Stage, before: Sketching) -> None:
    """Rewrite RUN/model from the averaged generator."""
    generator = stage.average if stage.average is not None else stage.generator
    second = isinstance(generator, Stage2Generator)
    stage1 = stage.sketcher if second else generator
    if stage1 is None:
        raise ModelError("Stage-II was trained without a Stage-I")
    save_model(
        run.folder / "model",
        architecture=run.settings.architecture.model_dump(mode="json"),
        stage1=stage1,
        stage2=generator if second else None,
        discriminator=stage.discriminator,
        stage1_discriminator=before.discriminator,
        projected=None if stage.projected is None else stage.projected.state_dict(),
        stage1_projected=before.projected,
        encoder=run.encoder,
        training={
            "data": run.plan.data,
            "stage": 2 if second else 1,
            "step": stage.step,
            "weights": averaged(stage.settings),
            "settings": run.settings.model_dump(mode="json", exclude={"architecture"}),
        },
    )
