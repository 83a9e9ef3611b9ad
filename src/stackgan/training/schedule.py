"""How the learning rates go over a training."""

from __future__ import annotations

from stackgan.config import StageSettings
from stackgan.training.steps import Stage


def learning_rate(settings: StageSettings, step: int, steps_per_epoch: int) -> float:
    """The factor on both rates at ``step`` (0 is the first).

    Halved every ``halve_every_epochs`` epochs (Paper: section 3.5); from ``decay_from`` of all the
    steps on it falls linearly to a hundredth.
    """
    factor = 1.0
    if settings.halve_every_epochs:
        factor = 0.5 ** (step // steps_per_epoch // settings.halve_every_epochs)
    start = settings.decay_from * settings.steps
    if step > start:
        factor *= max(0.01, (settings.steps - step) / (settings.steps - start))
    return factor


def set_learning_rate(stage: Stage, factor: float) -> None:
    """Give both optimizers their rates times ``factor``."""
    settings = stage.settings
    for optimizer, rate in (
        (stage.generator_optimizer, settings.generator_lr),
        (stage.discriminator_optimizer, settings.discriminator_lr),
    ):
        for group in optimizer.param_groups:
            group["lr"] = rate * factor * group.get("share", 1.0)
