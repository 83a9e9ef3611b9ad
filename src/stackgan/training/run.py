"""A whole training run in one folder: data, encoder, Stage-I, Stage-II, model folder.

RUN/settings.json       the resolved settings and what the run reads
RUN/inputs.json         digests of that, compared whenever the run goes on
RUN/.lock               the number of the process that is at work, while it is
RUN/encoder/            the text encoder, where the run trained its own
RUN/cache/              the photographs, decoded and squared
RUN/stage1/, stage2/    checkpoint.pt, log.jsonl, sheet-STEP.png, captions.txt
RUN/model/              the model folder, rewritten with every checkpoint
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import torch

from stackgan.config import Settings, StageSettings
from stackgan.data import Example, read_examples
from stackgan.data.batches import Batches
from stackgan.errors import ModelError, NonFiniteLoss
from stackgan.files import remove_parts, write_json
from stackgan.hub import load_model, save_model
from stackgan.networks.conditioning import measure_text
from stackgan.systems.spectrum import Spectrum
from stackgan.systems.stackgan.stage1 import Stage1Generator
from stackgan.systems.stackgan.stage2 import Stage2Generator
from stackgan.text import TextEncoder, load_encoder
from stackgan.training.arithmetic import choose, go_on, write_arithmetic
from stackgan.training.assemble import assemble, computes_in_bf16
from stackgan.training.checkpoint import read_checkpoint, restore, save_checkpoint
from stackgan.training.inputs import kept_inputs, read_inputs, require_same, write_inputs
from stackgan.training.lock import held
from stackgan.training.loop import Tally, paint_sheet, require_finite, require_sound, run_steps
from stackgan.training.plan import Plan, cache_folder, read_plan, require_new
from stackgan.training.planning import Clock, announce, draft, note_used, settle
from stackgan.training.prepare import (
    embed_examples,
    in_steps,
    photographs_power,
    require_image_network,
    stage_batches,
    train_own_encoder,
    with_dim,
)
from stackgan.training.prepared import use_prepared
from stackgan.training.record import Recorder
from stackgan.training.resume import advice, other_rates, require_steps_left, steps_done, tell
from stackgan.training.sheets import sheet_captions, write_captions
from stackgan.training.shortage import shortage_told
from stackgan.training.start import Sketching, given_encoder, given_stage1, take_over
from stackgan.training.steps import Stage
from stackgan.training.trainable import require_trainable

SHEET_COLUMNS = 8
FOLDERS = ("encoder", "cache", "stage1", "stage2")

Say = Callable[[str], None]
Progress = Callable[[str, int, int], None]


def check(plan: Plan, begun: Path | None = None) -> list[Example]:
    """See that everything the plan names can be used; return the training examples.

    Args:
        begun: the folder of a run that is to go on; nothing is written there.

    Raises:
        InputError: a stage's batch is larger than the data set, or the run ``begun`` would read
            something else than at its start.
        DataError, ModelError: the data set, encoder or model cannot be read.
    """
    examples, encoder = _checked(plan)
    if begun is not None and kept_inputs(begun) is not None:
        require_same(begun, plan, read_inputs(plan, examples, encoder), lambda sentence: None)
    return examples


def _checked(plan: Plan) -> tuple[list[Example], TextEncoder | None]:
    """The examples, and the text encoder that the run is given; see :func:`check`."""
    examples = read_examples(plan.data, Path(plan.root), "train", **plan.options)
    encoder = given_encoder(plan)
    for model in (plan.stage1, plan.init_from):
        if model is not None:
            load_model(model)
    require_image_network(plan.settings, plan.stages, plan.trains_encoder)
    require_trainable(plan, examples, encoder)
    return examples, encoder


def begin(run: Path, plan: Plan, *, device: str = "cpu", say: Say = lambda sentence: None) -> Plan:
    """Make the run's folder, once :func:`check` found everything usable; return the plan.

    One with a budget comes back with the steps that fill it, measured and said.

    Raises:
        InputError: a run lies there already, or the budget is too short.
    """
    require_new(run)
    examples, encoder = _checked(plan)
    arithmetic = choose(plan, device, say)
    arithmetic.use()
    plan = draft(run, plan, examples, device)
    announce(plan, device, say)
    inputs = read_inputs(plan, examples, encoder, sheet_captions(plan, examples))
    run.mkdir(parents=True, exist_ok=True)
    with held(run):
        require_new(run)
        write_inputs(run, inputs)
        write_arithmetic(run, arithmetic)
        write_json(run / "settings.json", plan.as_json())
    return plan


@dataclass(frozen=True)
class _Run:
    """What every stage of a run shares."""

    folder: Path
    plan: Plan
    settings: Settings
    encoder: TextEncoder
    fixed: list[str]
    clock: Clock
    say: Say
    progress: Progress


def train(
    run: Path,
    plan: Plan,
    *,
    device: str = "cpu",
    threads: int | None = None,
    say: Say = lambda sentence: None,
    progress: Progress = lambda what, done, total: None,
) -> Path:
    """Carry the run in folder ``run`` from wherever it stands to its end; return the model folder.

    A stage that is finished is not touched; one that is half done goes on from its checkpoint and
    ends bit for bit as if it had never stopped. It computes in what it began with (precision,
    forms of convolution, threads); other ``threads`` move the last bits, which is said.

    Raises:
        DataError, InputError, ModelError: the data or files the plan names cannot be used.
        InputError: they are others than when the run began, or another process is at work in it.
        NonFiniteLoss: a loss became NaN; the last good checkpoint stays.
        KeyboardInterrupt: after the checkpoint was written.
    """
    with held(run):
        for folder in (run, *(run / name for name in FOLDERS)):
            remove_parts(folder)
        return _train(run, plan, device, threads, say, progress)


def _train(
    run: Path, plan: Plan, device: str, threads: int | None, say: Say, progress: Progress
) -> Path:
    """:func:`train`, while the run's folder is held."""
    examples = read_examples(plan.data, Path(plan.root), "train", **plan.options)
    if plan.budget is not None and not plan.budget.settled:
        plan = read_plan(run)  # it was planned since
    clock = Clock(0.0 if plan.budget is None else plan.budget.used_s)
    encoder = given_encoder(plan)
    if encoder is not None and not any((run / f"stage{n}").exists() for n in plan.stages):
        source = plan.encoder or plan.init_from or plan.stage1
        say(f"text encoder: {encoder.name} taken over from {source}; none is trained")
    fixed = _go_on(run, plan, examples, encoder, say)
    use_prepared(run, plan, examples, say)
    arithmetic = go_on(run, plan, device, threads, say)
    arithmetic.use()
    plan = replace(plan, settings=arithmetic.settled(plan.settings))
    if encoder is None:
        encoder, plan = _own_encoder(run, plan, examples, clock, say, progress)
    settings = _with_encoder(plan.settings, encoder)
    embeddings, rows, typed = embed_examples(
        encoder, examples, plan.settings, cache_folder(run, plan), progress
    )
    shared = _Run(run, plan, settings, encoder, fixed, clock, say, progress)
    sketching = Sketching()
    if 1 not in plan.stages:
        source = plan.stage1 or plan.init_from
        sketching = given_stage1(source, settings, encoder if plan.encoder is not None else None)
    for number in plan.stages:
        cache = cache_folder(run, plan)
        batches = stage_batches(
            cache, plan.settings, number, examples, embeddings, rows, typed, progress
        )
        if plan.budget is not None:
            plan = settle(run, plan, number, encoder.dim, clock, device, say)
            settings = _with_encoder(plan.settings, encoder)
            shared = replace(shared, plan=plan, settings=settings)
        settings = in_steps(settings, number, batches.steps_per_epoch)
        with shortage_told(getattr(settings, f"stage{number}"), number):
            stage = _make(plan, settings, number, batches.class_count, sketching.generator, device)
        for network in (stage.generator, stage.average, *stage.asked):
            if network is not None:
                measure_text(network, embeddings)
        if stage.settings.spectrum_weight:
            reference = photographs_power(batches, stage.crop_px)
            stage.spectrum = Spectrum(reference.to(stage.device))
        if plan.init_from is not None:
            fresh = not (run / f"stage{number}" / "checkpoint.pt").exists()
            take_over(plan.init_from, stage, number, say if fresh else lambda sentence: None)
        with shortage_told(stage.settings, number):
            _train_stage(shared, stage, number, batches, sketching)
        if isinstance(stage.generator, Stage1Generator):
            average = stage.average if stage.average is not None else stage.generator
            projected = None if stage.projected is None else stage.projected.state_dict()
            sketching = Sketching(average, stage.discriminator, projected)  # type: ignore[arg-type]
    return run / "model"


def _go_on(
    run: Path, plan: Plan, examples: list[Example], encoder: TextEncoder | None, say: Say
) -> list[str]:
    """See that the run reads what it began with and keep what changed of its plan.

    Returns:
        the captions of the sheets, the same to the run's end.

    Raises:
        InputError: it would read something else, or a stage has done more steps than it is to have.
    """
    inputs = require_same(run, plan, read_inputs(plan, examples, encoder), say)
    kept = read_plan(run)
    if plan != kept:
        for number in plan.stages:
            batch = getattr(plan.settings, f"stage{number}").batch_size
            settings = in_steps(plan.settings, number, max(1, len(examples) // batch))
            checkpoint = run / f"stage{number}" / "checkpoint.pt"
            require_steps_left(settings, number, steps_done(checkpoint), checkpoint)
        tell(kept, plan, run, say)
        write_json(run / "settings.json", plan.as_json())
    return list(inputs.sheet) or sheet_captions(plan, examples)


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
    write_captions(folder, run.fixed)
    tally, resumed_at, slowed = _resume(run, stage, folder / "checkpoint.pt", number)
    first_of_all = number == run.plan.stages[0]
    recorder = Recorder(folder, run.say, resumed_at, tell_board=first_of_all)
    embedding = run.encoder.encode(run.fixed)
    started, first = time.monotonic(), stage.step
    if resumed_at is None:
        _save(run, stage, folder / "checkpoint.pt", tally)
    with _interruptible() as interrupted, _advised(run, stage, number, slowed):
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


def _resume(
    run: _Run, stage: Stage, checkpoint: Path, number: Literal[1, 2]
) -> tuple[Tally, int | None, bool]:
    """Go on from the stage's checkpoint, where there is one.

    Returns:
        the log's means, the step, and whether rates or precision are others than before it.
    """
    if not checkpoint.exists():
        return Tally(), None, False
    state = read_checkpoint(checkpoint)
    if state.get("encoder", run.encoder.sha256) != run.encoder.sha256:
        raise ModelError(
            f"{checkpoint} was trained with another text encoder (sha256 "
            f"{str(state['encoder'])[:12]}) than {run.encoder.name!r} is now "
            f"({run.encoder.sha256[:12]}): put that one back, or begin a new run"
        )
    restore(stage, state, checkpoint)
    require_steps_left(run.settings, number, stage.step, checkpoint)
    if run.plan.budget is not None:
        run.clock.go_on(state["used_s"])
    if stage.step < stage.settings.steps:
        run.say(f"Stage-{'I' * number} goes on from step {stage.step}")
    tally = Tally(state["tally"]["sums"], state["tally"]["counts"])
    return tally, stage.step, other_rates(state.get("settings"), run.settings, number)


@contextmanager
def _advised(run: _Run, stage: Stage, number: Literal[1, 2], slowed: bool) -> Iterator[None]:
    """Say with a loss that is no number what helps: other rates, unless they were tried in vain."""
    first = stage.step
    try:
        yield
    except NonFiniteLoss as error:
        at_once = slowed and stage.step - first <= run.settings.log_every
        tip = advice(run.folder, number, stage.settings, stage.bf16, at_once)
        raise NonFiniteLoss(f"{error}: {tip}") from None


def _save(run: _Run, stage: Stage, checkpoint: Path, tally: Tally) -> None:
    """Write the checkpoint, unless something in it is not finite."""
    used = {} if run.plan.budget is None else {"used_s": run.clock.used_s()}
    require_finite(tally.means(), stage.step)
    require_sound(stage)
    save_checkpoint(
        checkpoint,
        stage,
        tally=tally.state(),
        settings=run.settings.model_dump(mode="json"),
        encoder=run.encoder.sha256,
        **used,
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
    bf16 = computes_in_bf16(settings, device)
    return assemble(settings, number, classes, random, sketcher=stage1, device=device, bf16=bf16)


def _own_encoder(
    run: Path, plan: Plan, examples: list[Example], clock: Clock, say: Say, progress: Progress
) -> tuple[TextEncoder, Plan]:
    """The text encoder that the run trains, once; and the plan, which knows how long it took."""
    own = run / "encoder"
    if not (own / "text_encoder.safetensors").exists():
        cache = cache_folder(run, plan)
        try:
            train_own_encoder(own, plan.settings, plan.data, examples, cache, say, progress)
        except KeyboardInterrupt:
            say(
                f"stopped; `stackgan train --run {run} --resume` goes on, with the text encoder's "
                "training from its start"
            )
            raise
        plan = note_used(run, plan, clock)
    return load_encoder(own), plan


def averaged(settings: StageSettings) -> str:
    """What the weights of a model folder are, for its card."""
    if settings.average_half_life:
        ramp = settings.average_ramp
        bound = f", at most {ramp:g} of the images so far" if ramp else ""
        return f"running average (EMA, half-life {settings.average_half_life} images{bound})"
    return f"running average (EMA {settings.average})" if settings.average else "as trained"


def _with_encoder(settings: Settings, encoder: TextEncoder) -> Settings:
    """The same settings with the embedding's length that the encoder gives."""
    return with_dim(settings, encoder.dim)


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
