"""``stackgan train --dry-run``: settings, sizes, time and memory of a run that is not begun."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stackgan.cli.answer import answer

if TYPE_CHECKING:
    from stackgan.config import Settings
    from stackgan.training.plan import Plan


def estimate(run: Path, plan: Plan, device: str, json_wanted: bool, resume: bool) -> None:
    """Answer with what the run would read and cost, measured on a few steps.

    In words the settings come at once: they are known before anything is measured.
    """
    from stackgan.fast.forms import use_forms
    from stackgan.training.arithmetic import known_forms
    from stackgan.training.planning import draft
    from stackgan.training.prepare import in_steps
    from stackgan.training.run import check

    examples = check(plan, run if resume else None)
    found = {
        "photographs": len(examples),
        "captions": sum(len(example.captions) for example in examples),
    }
    settled = plan.settings
    for number in plan.stages:
        batch = getattr(plan.settings, f"stage{number}").batch_size
        settled = in_steps(settled, number, max(1, len(examples) // batch))
    settings = settled.model_dump(mode="json")
    if not json_wanted:
        _print_settings(settings, found, plan)
    say("measuring")
    use_forms(known_forms())
    if plan.budget is None:
        lines, told = _costs(plan, settled, device)
    else:
        lines, told = _planned(draft(run, plan, examples, device))
    line, computes = _computes(plan, device)
    told = {"settings": settings, "data": found, **told, "computes": computes}
    answer("\n".join([*lines, line]), told, json_wanted)


def _print_settings(settings: dict[str, Any], found: dict[str, int], plan: Plan) -> None:
    """Settings and data in words, at once; without those that are planned and told later.

    Nor with those of a text encoder's training, where none is trained.
    """
    from stackgan.training.budget import is_planned

    planned = plan.budget is not None
    flat = [each for each in _flat(settings) if not (planned and is_planned(each[0]))]
    if not plan.trains_encoder:
        flat = [each for each in flat if not each[0].startswith("encoder.")]
    lines = [f"{name} = {value}" for name, value in flat]
    if not plan.trains_encoder:
        source = plan.encoder or plan.init_from or plan.stage1
        lines.append(f"text encoder: taken over from {source}; none is trained")
    lines.append(
        f"train on {found['photographs']:,} photographs with {found['captions']:,} captions"
    )
    answer("\n".join(lines), {}, False)
    sys.stdout.flush()


def _costs(plan: Plan, settings: Settings, device: str) -> tuple[list[str], dict[str, Any]]:
    """What each stage would cost, in words and as values."""
    from stackgan.training.estimate import estimate_stage

    costs = {f"stage{n}": estimate_stage(settings, n, device) for n in plan.stages}
    lines = [
        f"{name}: generator {cost['generator'] / 1e6:.2f}M and discriminator "
        f"{cost['discriminator'] / 1e6:.2f}M weights, {cost['steps']} steps of about "
        f"{cost['step_s']:.2f} s = {cost['hours']:.1f} hours, "
        f"{cost['memory_bytes'] / 2**30:.1f} GiB of memory on {device}"
        for name, cost in costs.items()
    ]
    return lines, costs


def _computes(plan: Plan, device: str) -> tuple[str, dict[str, Any]]:
    """What a run would compute in, in words and as values."""
    import torch

    from stackgan.machine import processor
    from stackgan.training.arithmetic import known_forms
    from stackgan.training.assemble import computes_in_bf16

    told = {
        "precision": "bf16" if computes_in_bf16(plan.settings, device) else "fp32",
        "threads": torch.get_num_threads(),
        "processor": processor() if device == "cpu" else device,
        "forms_measured": len(known_forms()),
    }
    line = "computes in {precision} with {threads} threads on {processor}".format_map(told)
    return line, told


def _planned(plan: Plan) -> tuple[list[str], dict[str, Any]]:
    """The settings that fill a budget and its table, in words and as values."""
    from stackgan.training.budget import is_planned, rows, table

    if plan.budget is None:
        return [], {}
    settings = plan.settings.model_dump(mode="json")
    lines = [f"{name} = {value}" for name, value in _flat(settings) if is_planned(name)]
    lines.append(table(plan.budget, plan.settings))
    return lines, {"settings": settings, "budget": rows(plan.budget, plan.settings)}


def _flat(values: dict[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    flat: list[tuple[str, Any]] = []
    for name, value in values.items():
        flat += (
            _flat(value, f"{prefix}{name}.")
            if isinstance(value, dict)
            else [(prefix + name, value)]
        )
    return flat


def say(sentence: str) -> None:
    """Print on stderr what goes on; a table keeps its lines."""
    print(f"stackgan: {sentence}", file=sys.stderr)
