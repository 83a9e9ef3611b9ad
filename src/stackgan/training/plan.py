"""What a run reads and does, as its folder keeps it."""

from __future__ import annotations

import json
import os
import shutil
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from stackgan.config import Settings, validate_settings
from stackgan.errors import InputError, ModelError
from stackgan.training.budget import Budget

TRAINED = ("encoder/text_encoder.safetensors", "stage1/checkpoint.pt", "stage2/checkpoint.pt")
"""What of a run's folder took training."""


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
    budget: Budget | None = None
    """The time it was given; its settings then hold the steps that were planned into it."""

    def as_json(self) -> dict[str, Any]:
        """A dictionary that :func:`read_plan` reads back."""
        values = asdict(self)
        values["settings"] = self.settings.model_dump(mode="json")
        values["budget"] = None if self.budget is None else self.budget.as_json()
        return values

    @property
    def trains_encoder(self) -> bool:
        """Whether the run trains a text encoder of its own."""
        return self.encoder is self.stage1 is self.init_from is None


def read_plan(run: Path) -> Plan:
    """The plan of the run in folder ``run``; ModelError where there is none."""
    path = run / "settings.json"
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        settings = validate_settings(values.pop("settings"))
        budget = values.pop("budget", None)
        budget = None if budget is None else Budget.from_json(budget)
        values |= {"stages": tuple(values["stages"]), "budget": budget}
        return Plan(settings=settings, **values)
    except (OSError, ValueError, KeyError, TypeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ModelError(
            f"{run} holds no run that could be resumed ({path.name}: {str(reason).lower()})"
        ) from None


def cache_folder(run: Path, plan: Plan) -> Path:
    """Where a run writes its cache: beside what was prepared, or else inside the run."""
    prepared = prepared_folder(plan)
    writable = prepared is not None and os.access(prepared, os.W_OK)
    return prepared if prepared is not None and writable else run / "cache"


def prepared_folder(plan: Plan) -> Path | None:
    """Where `stackgan data prepare` caches the plan's data; None where it never did."""
    folder = Path(plan.root) / ".stackgan"
    return folder if folder.is_dir() else None


def require_new(run: Path) -> None:
    """Raise InputError where a run lies in the folder, or what one has trained."""
    if (run / "settings.json").exists():
        raise InputError(
            f"{run} holds a run already: add --resume and leave all but --run out (`stackgan train "
            f"--run {run} --resume`), or name another folder"
        )
    for name in TRAINED:
        if (run / name).exists():
            raise InputError(
                f"{run} holds {name} of a run whose settings.json is gone: name another folder"
            )


def withdraw(run: Path) -> None:
    """Take a new run's folder away again, which was refused before anything was trained."""
    if any((run / name).exists() for name in TRAINED):
        return
    for name in ("settings.json", "inputs.json", "arithmetic.json"):
        (run / name).unlink(missing_ok=True)
    shutil.rmtree(run / "cache", ignore_errors=True)
    with suppress(OSError):  # it holds what is not the run's
        run.rmdir()
