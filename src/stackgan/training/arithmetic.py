"""What a run computes in - precision, threads, forms of convolution - chosen once, then kept.

Each of them moves the last bits of a sum, and a few steps of training make that visible; so a run
keeps what it began with in its folder, and goes on with it after any stop.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Literal

import torch

from stackgan.config import Settings
from stackgan.errors import ModelError
from stackgan.fast.forms import use_forms
from stackgan.fast.tuning import tune
from stackgan.files import write_json
from stackgan.machine import keep, kept, processor
from stackgan.training.assemble import computes_in_bf16
from stackgan.training.estimate import met_by
from stackgan.training.plan import Plan

Say = Callable[[str], None]

FILE = "arithmetic.json"
WORTH_STEPS, WORTH_S = 500, 600
"""A stage of fewer steps, or a budget of fewer seconds, ends before its forms have paid."""


@dataclass(frozen=True)
class Arithmetic:
    """What a run computes in."""

    precision: Literal["fp32", "bf16"]
    threads: int
    processor: str
    torch: str
    forms: dict[str, str] = field(default_factory=dict)
    """The form of each convolution (``fast.forms``); one that is not here: by the rules."""

    def use(self) -> None:
        """Compute by its threads and forms from now on, in the whole process."""
        torch.set_num_threads(self.threads)
        use_forms(self.forms)

    def settled(self, settings: Settings) -> Settings:
        """The same settings with the precision that ``auto`` has become."""
        if settings.precision != "auto":
            return settings
        return settings.model_copy(update={"precision": self.precision})


def choose(plan: Plan, device: str, say: Say = lambda sentence: None) -> Arithmetic:
    """What a new run computes in: precision and forms by measuring, where that is worth it."""
    settings = plan.settings
    precision: Literal["fp32", "bf16"] = "bf16" if computes_in_bf16(settings, device) else "fp32"
    forms: dict[str, str] = {}
    for number in plan.stages if device == "cpu" else ():
        stage = settings.stage1 if number == 1 else settings.stage2
        fast = settings.architecture.arithmetic == "fast"
        long = stage.steps >= WORTH_STEPS if plan.budget is None else plan.budget.seconds >= WORTH_S
        if fast and long:
            forms |= measured_forms(settings, number, say)
    return Arithmetic(precision, torch.get_num_threads(), processor(), torch.__version__, forms)


def measured_forms(
    settings: Settings, number: Literal[1, 2], say: Say = lambda sentence: None
) -> dict[str, str]:
    """The fastest form of each convolution of a stage on this CPU.

    What was measured before with this processor, torch and number of threads is taken from the
    machine's cache; the rest is measured and kept there.
    """
    cases = met_by(settings, number, "cpu")
    known = known_forms()
    new = [case for case in cases if case.name not in known]
    if new:
        say(f"Stage-{'I' * number}: measuring {len(new)} convolutions, once on this machine")
        known |= tune(new)
        keep("forms", known)
    return {case.name: known[case.name] for case in cases}


def known_forms() -> dict[str, str]:
    """Every form that was measured on this machine."""
    found = kept("forms")
    pairs = found.items() if isinstance(found, dict) else ()
    return {name: form for name, form in pairs if isinstance(form, str)}


def write_arithmetic(run: Path, arithmetic: Arithmetic) -> None:
    """Keep it in the run's folder."""
    write_json(run / FILE, asdict(arithmetic))


def read_arithmetic(run: Path) -> Arithmetic | None:
    """What the run in folder ``run`` began with; None where an older version began it.

    Raises:
        ModelError: the file is damaged.
    """
    path = run / FILE
    if not path.exists():
        return None
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        texts = [*values["forms"].values(), values["processor"], values["torch"]]
        counted = isinstance(values["threads"], int) and values["threads"] >= 1
        named = values["precision"] in ("fp32", "bf16") and {*map(type, texts)} == {str}
        if not counted or not named or set(values) != {each.name for each in fields(Arithmetic)}:
            raise ValueError("values of another kind")
        return Arithmetic(**values)
    except (OSError, ValueError, TypeError, AttributeError, KeyError) as error:
        raise ModelError(
            f"{path} does not tell what the run computes in ({error}); remove it, and the run goes "
            "on with what is fastest here, no longer to the last bit"
        ) from None


def go_on(run: Path, plan: Plan, device: str, threads: int | None, say: Say) -> Arithmetic:
    """What the run in folder ``run`` goes on with: what it began with, where that is known.

    ``threads`` takes the place of its own, which is said, as are another processor or torch:
    with them the last bits of a sum differ.
    """
    found = read_arithmetic(run)
    if found is None:
        found = choose(plan, device, say)
        write_arithmetic(run, found)
        return found
    changed = []
    if found.processor != processor():
        changed.append(f"on {found.processor}, and this is {processor()}")
    if found.torch != torch.__version__:
        changed.append(f"with torch {found.torch}, and this is {torch.__version__}")
    if threads is not None and threads != found.threads:
        changed.append(f"with {_threads(found.threads)}, and now it has {threads}")
        found = Arithmetic(**(asdict(found) | {"threads": threads}))
    for sentence in changed:
        say(f"the run began {sentence}: from here it goes on the same but for the last bits")
    return found


def _threads(count: int) -> str:
    return "1 thread" if count == 1 else f"{count} threads"
