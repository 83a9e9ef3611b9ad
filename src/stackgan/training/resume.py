"""What may be another when a run goes on: where its data lies, and what changes no other bit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from stackgan.config import Settings, StageSettings, given_settings, validate_settings
from stackgan.errors import InputError
from stackgan.training.budget import CADENCE, is_planned
from stackgan.training.checkpoint import read_checkpoint
from stackgan.training.plan import Plan

RATES = ("generator_lr", "discriminator_lr")
LENGTHS = ("steps", "epochs")
PLACES = ("root", "encoder", "stage1", "init_from")


@dataclass(frozen=True)
class Change:
    """What `--resume` was given beside the run's folder."""

    places: dict[str, str]
    """Where what the run reads lies now, by its name in the plan (:data:`PLACES`)."""
    assignments: Sequence[str] = ()
    """``key=value`` as `--set` takes them."""


def changed(run: Path, plan: Plan, change: Change) -> Plan:
    """The plan with what the change asks for; what a run cannot change is refused.

    Raises:
        InputError: a place the run never had, a setting that is fixed at the start, or steps that
            are done already.
    """
    for name in change.places:
        if getattr(plan, name) is None:
            raise InputError(
                f"{run} was begun without --{name.replace('_', '-')}, which cannot be added; begin "
                "a new run with it"
            )
    places: dict[str, Any] = dict(change.places)
    plan = replace(plan, **places)
    if not change.assignments:
        return plan
    values = plan.settings.model_dump(mode="json")
    for name, value in _flat(given_settings(None, list(change.assignments))).items():
        _require_changeable(run, plan, name)
        table, _, field = name.rpartition(".")
        place = values[table] if table else values
        place[field] = value
        if field == "steps":
            place["epochs"] = None  # what is given last counts
    return replace(plan, settings=validate_settings(values))


def _flat(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested settings by their dotted names."""
    flat: dict[str, Any] = {}
    for name, value in values.items():
        inside = isinstance(value, dict)
        flat |= _flat(value, f"{prefix}{name}.") if inside else {prefix + name: value}
    return flat


def _require_changeable(run: Path, plan: Plan, name: str) -> None:
    table, _, field = name.rpartition(".")
    of_stage = table in ("stage1", "stage2") and field in (*RATES, *LENGTHS)
    if not of_stage and name not in ("precision", *CADENCE):
        raise InputError(
            f"{name} is fixed when a run begins: with --resume, --set takes precision, stageN."
            f"{', stageN.'.join((*LENGTHS, *RATES))}, {', '.join(CADENCE)}; begin a new run for "
            "another"
        )
    if plan.budget is not None and is_planned(name):
        raise InputError(
            f"{name} is planned by the budget of {run}, which the run keeps: leave it out"
        )
    later = run / "stage2" / "checkpoint.pt"
    if table == "stage1" and 2 in plan.stages and later.exists():
        raise InputError(
            f"{name} is of a training that is over: Stage-II was begun upon the Stage-I of {run}; "
            "begin a new run for another"
        )


def tell(kept: Plan, plan: Plan, run: Path, say: Callable[[str], None]) -> None:
    """Say what the run does from now on that it did not before, one sentence in all."""
    before = _flat(kept.settings.model_dump())
    rows = [
        f"{name} {value} in place of {before[name]}"
        for name, value in _flat(plan.settings.model_dump()).items()
        if value != before[name] and name not in CADENCE
    ]
    if rows:
        say(
            f"from here on {', '.join(rows)}: the weights of {run} will be others than without "
            "that change"
        )


def require_steps_left(
    settings: Settings, number: Literal[1, 2], done: int, checkpoint: Path
) -> None:
    """Raise InputError where a stage has done more steps than it is to have."""
    asked = (settings.stage1 if number == 1 else settings.stage2).steps
    if done > asked:
        raise InputError(
            f"{checkpoint} has done {done} steps, more than the {asked} that stage{number} is to "
            "have: steps are not taken back, so give it as many or more"
        )


def steps_done(checkpoint: Path) -> int:
    """Steps in a stage's checkpoint; 0 where there is none."""
    return int(read_checkpoint(checkpoint)["step"]) if checkpoint.exists() else 0


def other_rates(kept: Any, settings: Settings, number: Literal[1, 2]) -> bool:
    """Whether a checkpoint's settings ``kept`` have other rates or another precision."""
    now, name = settings.model_dump(mode="json"), f"stage{number}"
    try:
        return kept["precision"] != now["precision"] or any(
            kept[name][rate] != now[name][rate] for rate in RATES
        )
    except (KeyError, TypeError):
        return False


def advice(run: Path, number: int, settings: StageSettings, bf16: bool, at_once: bool) -> str:
    """What helps where a loss became NaN, as the end of a sentence.

    ``at_once``: before any finite line of the log although the run went on with other rates, so
    that its checkpoint itself leads there.
    """
    lower = {name: min(2e-4, getattr(settings, name) / 4) for name in RATES}
    words = " ".join(f"--set stage{number}.{name}={rate:g}" for name, rate in lower.items())
    precision = ", with --set precision=fp32 in place of bf16" if bf16 else ""
    if at_once:
        return (
            "it was reached soon after the run went on from there, so begin a new run, with lower "
            f"rates{precision} (such as {words})"
        )
    return f"`stackgan train --run {run} --resume {words}` goes on from it with lower rates" + (
        ", and --set precision=fp32 leaves bf16" if bf16 else ""
    )
