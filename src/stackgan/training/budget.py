"""A time for a whole run, divided among its trainings: arithmetic alone; nothing is measured."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from stackgan.config import Settings, StageSettings
from stackgan.errors import InputError

SHARES = {"encoder": 22.0, "stage1": 46.0, "stage2": 30.0}
"""What each training gets of every 98 parts; one that is not made gives its part to the others."""
SPARE = 0.02
"""Share that no training gets: checkpoints, and what is not measured."""
LEAST_STEPS = 200
"""No training gets fewer: it would show nothing."""
LEAST_PHOTOGRAPHS = 1000
"""A text encoder learns from so many, or from all where there are fewer."""
LEAST_S, MOST_S = 5 * 60.0, 1000 * 3600.0
CHECKPOINT_S = 120.0
SHEETS = 10
CADENCE = ("checkpoint_every", "sheet_every", "log_every")
COUNTS = (
    "steps", "epochs", "photographs", "pixel_steps", "pair_steps", "halve_every_epochs"
)  # fmt: skip
"""What a plan changes of a training; of the whole run it changes :data:`CADENCE`."""
NAMES = {"encoder": "text encoder", "stage1": "Stage-I", "stage2": "Stage-II"}


def parse_budget(text: str) -> float:
    """``20m``, ``1h``, ``1h30m``, ``1.5h`` -> seconds; InputError for anything else."""
    number = r"(\d{1,9}(?:\.\d{1,9})?)"
    found = re.fullmatch(f"(?:{number}h)?(?:{number}m)?", text.strip().lower(), re.ASCII)
    if found is None or not any(found.groups()):
        raise InputError(f"--budget is {text!r}: give hours and minutes, such as 20m, 1h or 1h30m")
    hours, minutes = (float(part or 0) for part in found.groups())
    seconds = hours * 3600 + minutes * 60
    if not LEAST_S <= seconds <= MOST_S:
        raise InputError(
            f"--budget is {text!r}: give at least {in_words(LEAST_S)} and at most "
            f"{in_words(MOST_S)}"
        )
    return seconds


def in_words(seconds: float) -> str:
    """Seconds as ``--budget`` reads them, in whole minutes rounded up: 5400 -> ``1h30m``."""
    hours, minutes = divmod(math.ceil(seconds / 60 - 1e-9), 60)
    return f"{hours}h" * bool(hours) + f"{minutes}m" * bool(minutes or not hours)


@dataclass(frozen=True)
class Cost:
    """What one training costs on this machine, in seconds."""

    step_s: float
    """One step."""
    batch: int
    """Examples in it."""
    photographs: int = 0
    """Whose image features the text encoder needs, out of its own share; 0: they are there."""
    photograph_s: float = 0.0
    """One photograph's."""
    apart_s: float = 0.0
    """Once, before anything is shared: photographs decoded, captions embedded, sheets."""
    most: int | None = None
    """It takes no more steps than these."""

    @property
    def least(self) -> int:
        """The fewest steps it is given."""
        return LEAST_STEPS if self.most is None else min(LEAST_STEPS, self.most)

    @property
    def features_s(self) -> float:
        """All image features."""
        return self.photographs * self.photograph_s

    def seconds(self, steps: int) -> float:
        """The training's own time."""
        return self.features_s + steps * self.step_s

    def thinned(self, photographs: int) -> Cost:
        """With the features of so many photographs at most, but of :data:`LEAST_PHOTOGRAPHS`."""
        most = max(LEAST_PHOTOGRAPHS, photographs)
        return replace(self, photographs=min(self.photographs, most))


@dataclass(frozen=True)
class Budget:
    """The time a run was given and what has become of it; kept in the run's settings.json."""

    seconds: float
    used_s: float = 0.0
    """Of it, when the plan was last written; a checkpoint knows later ones."""
    settled: tuple[str, ...] = ()
    """The trainings whose steps stay as they are, because they have begun."""
    costs: dict[str, Cost] = field(default_factory=dict)
    """As measured last, in the order of the trainings."""
    kept: tuple[str, ...] = ()
    """Of :data:`CADENCE` what the user has set, so that the plan leaves it."""

    def as_json(self) -> dict[str, Any]:
        """A dictionary that :meth:`from_json` reads back."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Budget:
        """TypeError or KeyError where ``values`` are of another kind."""
        costs = {name: Cost(**cost) for name, cost in values["costs"].items()}
        settled, kept = tuple(values["settled"]), tuple(values["kept"])
        return cls(**{**values, "costs": costs, "settled": settled, "kept": kept})


def thin(seconds: float, costs: Mapping[str, Cost]) -> dict[str, Cost]:
    """The costs with image features of so many photographs as half the encoder's share pays for.

    The other half is for its steps: features of all photographs and nothing learnt from them would
    be of no use.
    """
    cost = costs.get("encoder")
    if cost is None or not cost.photographs:
        return dict(costs)
    own = _shared(seconds, costs) * SHARES["encoder"] / sum(SHARES[name] for name in costs)
    return {**costs, "encoder": cost.thinned(math.floor(own / 2 / cost.photograph_s))}


def divide(seconds: float, costs: Mapping[str, Cost]) -> dict[str, int]:
    """How many steps each training gets, so that all of them end after ``seconds``.

    In their order each takes its share of what is left, within its bounds and leaving the others
    their least; what it leaves over goes to those after it. Where not even the least fits, that.
    """
    left = _shared(seconds, costs)
    steps: dict[str, int] = {}
    for name, cost in costs.items():
        later = [other for other in costs if other != name and other not in steps]
        own = left * SHARES[name] / (SHARES[name] + sum(SHARES[other] for other in later))
        own = min(own, left - sum(costs[other].seconds(costs[other].least) for other in later))
        count = max(cost.least, math.floor((own - cost.features_s) / cost.step_s + 1e-9))
        steps[name] = count if cost.most is None else min(count, cost.most)
        left -= cost.seconds(steps[name])
    return steps


def _shared(seconds: float, costs: Mapping[str, Cost]) -> float:
    """What of the time is left for the trainings themselves."""
    return seconds * (1 - SPARE) - sum(cost.apart_s for cost in costs.values())


def least_seconds(costs: Mapping[str, Cost]) -> float:
    """The shortest time in which every training gets its fewest steps."""
    own = sum(cost.apart_s + cost.thinned(0).seconds(cost.least) for cost in costs.values())
    return own / (1 - SPARE)


def require_room(budget: Budget) -> None:
    """Raise :class:`InputError` naming the least budget, where this one holds too few steps."""
    needed = budget.used_s + least_seconds(budget.costs)
    if needed > budget.seconds:
        least = max(LEAST_S, needed * 1.05)  # measured again, it may be a little slower
        raise InputError(
            f"--budget {in_words(budget.seconds)} does not hold {LEAST_STEPS} steps of each "
            f"training on this machine: give at least {in_words(least)}"
        )


def fit(settings: Settings, budget: Budget, steps: Mapping[str, int], images: int) -> Settings:
    """The settings with the counts of ``steps`` and whatever is a share of them.

    How often is saved and shown follows the first stage of ``steps``; ``images`` are the data
    set's, for lengths that were given in epochs.
    """
    changed: dict[str, Any] = {}
    for name, count in steps.items():
        if name == "encoder":
            shown = budget.costs[name].photographs or settings.encoder.photographs
            counts = {"steps": count, "photographs": shown}
            changed[name] = settings.encoder.model_copy(update=counts)
        else:
            stage = getattr(settings, name)
            changed[name] = fit_stage(stage, count, max(1, images // stage.batch_size))
    stages = [name for name in steps if name != "encoder"]
    if stages:
        every = cadence(steps[stages[0]], budget.costs[stages[0]].step_s, settings.log_every)
        changed |= {name: value for name, value in every.items() if name not in budget.kept}
    return settings.model_copy(update=changed)


def fit_stage(stage: StageSettings, steps: int, steps_per_epoch: int) -> StageSettings:
    """A stage of ``steps`` steps, its shorter counts at the shares they had of its length."""
    before = stage.steps if stage.epochs is None else stage.epochs * steps_per_epoch

    def scaled(count: int) -> int:
        return max(1, round(count * steps / before)) if count else 0

    changed = {name: scaled(getattr(stage, name)) for name in COUNTS[3:]}
    return stage.model_copy(update={"steps": steps, "epochs": None, **changed})


def cadence(steps: int, step_s: float, log_every: int) -> dict[str, int]:
    """How often a stage saves (every two minutes, 50 to 500 steps), paints (ten sheets), logs."""
    saved = round(CHECKPOINT_S / step_s / 50) * 50
    return {
        "checkpoint_every": min(500, max(50, saved)),
        "sheet_every": max(1, math.ceil(steps / SHEETS)),
        "log_every": min(log_every, max(1, steps // 8)),
    }


def is_planned(setting: str) -> bool:
    """Whether a plan decides ``setting``, such as ``stage1.steps``."""
    return setting in CADENCE or setting.rpartition(".")[2] in COUNTS


def refuse_planned(given: Mapping[str, Any]) -> None:
    """Raise :class:`InputError` where the user's own settings ``given`` name what is planned."""
    for part, name in [(part, name) for part in SHARES for name in ("steps", "epochs")]:
        if name in (given.get(part) or {}):
            raise InputError(
                f"--budget plans the length of every training: leave {part}.{name} out, or --budget"
            )


def advance(budget: Budget, used_s: float, costs: Mapping[str, Cost], name: str) -> Budget:
    """The budget when training ``name`` begins: its steps stay as they are from now on."""
    known = {other: costs.get(other, cost) for other, cost in budget.costs.items()}
    return replace(budget, used_s=used_s, costs=known, settled=(*budget.settled, name))


def planned(budget: Budget, settings: Settings) -> dict[str, int]:
    """The steps of each training of the budget, as the settings have them."""
    return {name: getattr(settings, name).steps for name in budget.costs}


def rest_seconds(budget: Budget, settings: Settings) -> float:
    """What of the whole budget is neither a training's step nor an image feature."""
    steps = planned(budget, settings)
    return budget.seconds - sum(cost.seconds(steps[name]) for name, cost in budget.costs.items())


def table(budget: Budget, settings: Settings) -> str:
    """The plan for a reader: a line a training, and what all the rest takes."""
    steps = planned(budget, settings)
    lines = [f"{'training':<14}{'steps':>9}{'images':>12}{'s a step':>11}{'minutes':>9}"]
    for name, cost in budget.costs.items():
        if cost.photographs:
            each = f"{'image features':<23}{cost.photographs:>12,}{cost.photograph_s:>11.3g}"
            lines.append(f"{each}{cost.features_s / 60:>9.1f}")
        count, minutes = steps[name], steps[name] * cost.step_s / 60
        images = count * cost.batch
        lines.append(
            f"{NAMES[name]:<14}{count:>9,}{images:>12,}{cost.step_s:>11.3g}{minutes:>9.1f}"
        )
    rest = rest_seconds(budget, settings) / 60
    lines.append(f"{'decoding, embedding, sheets, checkpoints':<46}{rest:>9.1f}")
    return "\n".join(lines)


def rows(budget: Budget, settings: Settings) -> dict[str, Any]:
    """The plan for a program."""
    steps = planned(budget, settings)
    told = {
        name: {
            "steps": steps[name],
            "images": steps[name] * cost.batch,
            "step_s": cost.step_s,
            "features_s": cost.features_s,
            "seconds": cost.seconds(steps[name]),
        }
        for name, cost in budget.costs.items()
    }
    rest = {"measuring_s": budget.used_s, "rest_s": rest_seconds(budget, settings)}
    return {"seconds": budget.seconds, "trainings": told, **rest}
