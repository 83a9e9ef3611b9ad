"""A budgeted run's plan: measured before it starts, and again where a stage begins."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import torch

from stackgan.config import Settings
from stackgan.data import Example
from stackgan.data.cache import find_cache, prepare_cache
from stackgan.data.crop import Resize
from stackgan.files import write_json
from stackgan.networks.features import EfficientNetLite
from stackgan.text import TextEncoder
from stackgan.text.char_cnn_rnn import CharCnnRnn
from stackgan.training.budget import (
    NAMES,
    SHEETS,
    Budget,
    Cost,
    advance,
    divide,
    fit,
    in_words,
    require_room,
    table,
    thin,
)
from stackgan.training.encoder import EncoderTraining
from stackgan.training.estimate import time_warm, try_stage
from stackgan.training.plan import Plan, cache_folder, prepared_folder
from stackgan.training.prepare import (
    embed_examples,
    encoder_examples,
    encoder_settings,
    spread,
    stored_px,
    with_dim,
)
from stackgan.training.start import given_encoder

SHEET_ROWS = 8
FEATURE_BATCH = 8
Say = Callable[[str], None]


class Clock:
    """Seconds of a budgeted run's work that is kept: not the time it was stopped, nor lost work."""

    def __init__(self, used_s: float) -> None:
        self.go_on(used_s)

    def go_on(self, used_s: float) -> None:
        """Count on from ``used_s``: what lies between is lost, or was counted before."""
        self._before, self._since = used_s, _now()

    def used_s(self) -> float:
        """Seconds so far, those of earlier processes included."""
        return self._before + _now() - self._since


def _now() -> float:
    return time.monotonic()


def draft(run: Path, plan: Plan, examples: Sequence[Example], device: str) -> Plan:
    """The plan with the steps that fill its budget on this machine; one that has them stays.

    Raises:
        InputError: the budget is too short for the fewest steps; it names the least.
    """
    if plan.budget is None or plan.budget.settled:
        return plan
    clock = Clock(0.0)
    costs = measure(run, plan, examples, device, _patience(plan.budget))
    budget = replace(plan.budget, used_s=clock.used_s(), costs=costs, settled=("encoder",))
    require_room(budget)
    left = budget.seconds - budget.used_s
    budget = replace(budget, costs=thin(left, costs))
    steps = divide(left, budget.costs)
    settings = fit(plan.settings, budget, steps, len(examples))
    return replace(plan, settings=settings, budget=budget)


def announce(plan: Plan, device: str, say: Say) -> None:
    """Say what was planned, where there is a budget."""
    if plan.budget is not None:
        count = torch.get_num_threads()
        threads = "1 thread" if count == 1 else f"{count} threads"
        say(
            f"planned into {in_words(plan.budget.seconds)}, measured in {plan.budget.used_s:.0f} s "
            f"on {device} with {threads}:\n{table(plan.budget, plan.settings)}"
        )


def settle(
    run: Path, plan: Plan, number: Literal[1, 2], dim: int, clock: Clock, device: str, say: Say
) -> Plan:
    """Decide a stage's steps when it begins: measured anew, written down, and kept from then on.

    ``dim`` is the text encoder's. A stage that has begun before keeps what was written then.
    """
    name = f"stage{number}"
    if plan.budget is None:
        return plan
    if name in plan.budget.settled:
        clock.go_on(plan.budget.used_s)
        return plan
    patience = _patience(plan.budget) / 3
    cost = measure_stage(with_dim(plan.settings, dim), number, device, patience)
    budget = advance(plan.budget, clock.used_s(), {name: cost}, name)
    waiting = [other for other in budget.costs if other == name or other not in budget.settled]
    left = budget.seconds - budget.used_s
    steps = divide(left, {other: budget.costs[other] for other in waiting})
    settings = fit(plan.settings, budget, steps, 0)
    plan = replace(plan, settings=settings, budget=budget)
    write_json(run / "settings.json", plan.as_json())
    say(
        f"{NAMES[name]}: {steps[name]:,} steps of about {cost.step_s:.3g} s, "
        f"{cost.seconds(steps[name]) / 60:.0f} minutes; {max(0.0, left) / 60:.0f} minutes of the "
        f"budget of {in_words(budget.seconds)} are left"
    )
    return plan


def note_used(run: Path, plan: Plan, clock: Clock) -> Plan:
    """Write down what is used of the budget, where there is one."""
    if plan.budget is None:
        return plan
    plan = replace(plan, budget=replace(plan.budget, used_s=clock.used_s()))
    write_json(run / "settings.json", plan.as_json())
    return plan


def _patience(budget: Budget) -> float:
    """About how long all measuring may take: half a minute, or 3 % of the budget, a bit less."""
    return 0.75 * max(30.0, 0.03 * budget.seconds)


def measure(
    run: Path, plan: Plan, examples: Sequence[Example], device: str, patience_s: float
) -> dict[str, Cost]:
    """Try every training of the plan, as it will be done, for about ``patience_s`` in all."""
    cache, settings = prepared_folder(plan) or cache_folder(run, plan), plan.settings
    encoder, tried = given_encoder(plan), None
    if encoder is None:
        tried, encoder = _try_encoder(plan, examples, cache, patience_s / 4)
    one_text_s, texts_s = _embedding_s(encoder, settings, examples)
    photograph_s = _decoding_s(examples, settings)

    def decoding_s(side: int, resize: Resize) -> float:
        there = find_cache(examples, side, cache, settings.fit, resize)
        return 0.0 if there is not None else photograph_s * len(examples)

    costs: dict[str, Cost] = {}
    if tried is not None:
        scaling = one_text_s * sum(len(example.captions) for example in examples)
        side = encoder_settings(settings, plan.data).image_px
        costs["encoder"] = replace(tried, apart_s=scaling + decoding_s(side, "bicubic"))
    for number in plan.stages:
        cost = measure_stage(with_dim(settings, encoder.dim), number, device, patience_s / 3)
        a = settings.architecture
        side = stored_px(examples, a.stage1_px if number == 1 else a.image_px)
        once = decoding_s(side, settings.resize) + texts_s * (number == plan.stages[0])
        costs[f"stage{number}"] = replace(cost, apart_s=cost.apart_s + once)
    return costs


def measure_stage(
    settings: Settings, number: Literal[1, 2], device: str, patience_s: float
) -> Cost:
    """What a stage costs from its first step on: steps, and its sheets."""
    found = try_stage(settings, number, device, patience_s)
    batch = (settings.stage1 if number == 1 else settings.stage2).batch_size
    return Cost(found.step_s, batch, apart_s=found.row_s * SHEET_ROWS * SHEETS)


def _try_encoder(
    plan: Plan, examples: Sequence[Example], cache: Path, patience_s: float
) -> tuple[Cost, CharCnnRnn]:
    """Steps of the text encoder on noise in place of photographs; and an encoder of its sizes."""
    settings = encoder_settings(plan.settings, plan.data)
    sample = spread([each for each in examples if each.captions], max(256, 4 * settings.batch))
    random = torch.Generator().manual_seed(0)
    if settings.image_network == "small":
        side = settings.image_px
        size = (len(sample), 3, side, side)
        images = torch.randint(0, 256, size, dtype=torch.uint8, generator=random)
    else:
        images = torch.randn(len(sample), 2, 1280, generator=random)
    with torch.random.fork_rng(devices=[]):
        training = EncoderTraining(
            [example.captions for example in sample],
            [example.class_name for example in sample],
            images,
            replace(settings, steps=1000),
            [example.subject for example in sample],
        )
        steps = training.steps()
        step_s = time_warm(lambda: next(steps), patience_s / 2)
    cost = Cost(step_s, settings.batch, most=settings.steps)
    if settings.image_network == "lite1":
        shown = encoder_examples(examples, plan.settings)
        if not _features_there(shown, plan.settings, cache):
            each = _feature_s(settings.image_px, patience_s / 2)
            cost = replace(cost, photographs=len(shown), photograph_s=each)
    return cost, training.encoder.eval()


def _features_there(examples: Sequence[Example], settings: Settings, cache: Path) -> bool:
    """Whether an earlier training has left all image features that the encoder needs."""
    pixels = find_cache(examples, settings.encoder.image_px, cache, settings.fit)
    kept = None if pixels is None else pixels.path.with_suffix(".lite1.npz")
    if kept is None or not kept.is_file():
        return False
    with np.load(kept, allow_pickle=False) as stored:
        return len(stored["features"]) == len(examples)


def _feature_s(side: int, patience_s: float) -> float:
    """Seconds for the image features of one photograph, of two views."""
    network = EfficientNetLite(1)
    noise = torch.zeros((FEATURE_BATCH, 3, side, side), dtype=torch.uint8)
    return 2 * time_warm(lambda: network.features(noise), patience_s) / FEATURE_BATCH


def _embedding_s(
    encoder: TextEncoder, settings: Settings, examples: Sequence[Example]
) -> tuple[float, float]:
    """Seconds to embed one text, and all that Stage-I or Stage-II will read."""
    sample = spread(examples, 8)
    embed_examples(encoder, sample[:1], settings)
    started = time.perf_counter()
    texts = len(embed_examples(encoder, sample, settings)[0])
    seconds = time.perf_counter() - started
    return seconds / texts, seconds / len(sample) * len(examples)


def _decoding_s(examples: Sequence[Example], settings: Settings) -> float:
    """Seconds to decode one photograph and make it square."""
    sample = spread(examples, 12)
    side = settings.architecture.image_px
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        prepare_cache(sample, side, Path(folder), settings.fit, resize=settings.resize)
        return (time.perf_counter() - started) / len(sample)
