"""What a run begins from where it does not begin at nothing: a model to fine-tune or to refine."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from stackgan.config import Settings
from stackgan.encoders import find_encoder
from stackgan.errors import InputError, ModelError
from stackgan.hub import load_model
from stackgan.systems.stackgan.stage1 import Stage1Generator
from stackgan.text import TextEncoder
from stackgan.training.plan import Plan
from stackgan.training.steps import Stage


class Sketching(NamedTuple):
    """The finished Stage-I that Stage-II refines, and its discriminators where they are known."""

    generator: Stage1Generator | None = None
    discriminator: torch.nn.Module | None = None
    projected: Mapping[str, Tensor] | None = None


def given_encoder(plan: Plan) -> TextEncoder | None:
    """The text encoder that a run is given or takes from a model; None where it trains its own."""
    if plan.encoder is not None:
        return find_encoder(plan.encoder)
    model = plan.init_from or plan.stage1
    return None if model is None else load_model(model).encoder


def take_over(name: str, stage: Stage, number: Literal[1, 2], say: Callable[[str], None]) -> None:
    """Begin from a model's networks and say which; ModelError where they have other sizes."""
    model = load_model(name)
    generator = model.stage1 if number == 1 else model.stage2
    parts: dict[str, tuple[torch.nn.Module, torch.nn.Module]] = {}
    if generator is not None:
        parts["generator"] = (stage.generator, generator)
    if model.has_discriminator(number):
        parts["discriminator"] = (stage.discriminator, model.discriminator(number))
    try:
        for mine, theirs in parts.values():
            mine.load_state_dict(theirs.state_dict())
    except RuntimeError:
        raise ModelError(
            f"{name} has other networks than this run's settings; leave architecture.* out of "
            "--set and --config, and its own are taken (stackgan inspect shows them)"
        ) from None
    if generator is not None and stage.average is not None:
        stage.average.load_state_dict(generator.state_dict())
    names = [*parts]
    wanted = ["generator", "discriminator"]
    if stage.projected is not None:
        wanted.append("projected discriminator")
        if fits(stage.projected, model.projected_weights(number)):
            names.append("projected discriminator")
    taken = " and ".join(names) or "nothing"
    anew = [part for part in wanted if part not in names]
    began = " and ".join([*anew, "optimizers"])
    say(f"Stage-{'I' * number}: {taken} taken over from {name}; {began} begun anew")


def fits(network: torch.nn.Module, weights: Mapping[str, Tensor] | None) -> bool:
    """Fill ``network`` with ``weights``, where there are any of its names and sizes."""
    if weights is None:
        return False
    sizes = {name: value.shape for name, value in network.state_dict().items()}
    if sizes != {name: value.shape for name, value in weights.items()}:
        return False
    network.load_state_dict(weights)
    return True


def given_stage1(source: str | None, settings: Settings, encoder: TextEncoder | None) -> Sketching:
    """The trained Stage-I that Stage-II refines; refused with another encoder or other sizes."""
    if source is None:
        raise InputError("Stage-II refines a Stage-I: name one with --stage1, or train both")
    model = load_model(source, encoder=encoder)
    stage1 = model.stage1
    if not isinstance(stage1, Stage1Generator):
        raise ModelError(f"{source} holds no Stage-I generator")
    mine, theirs = settings.architecture, model.architecture
    for name in ("embedding_dim", "condition_dim", "noise_dim", "stage1_generator_width",
                 "stage1_generator", "stage1_px", "conditioning_augmentation", "eps",
                 "conditioning", "modulated", "text_input"):  # fmt: skip
        if getattr(mine, name) != getattr(theirs, name):
            raise InputError(
                f"architecture.{name} is {getattr(mine, name)} here and {getattr(theirs, name)} in "
                f"{source}; add --set architecture.{name}={getattr(theirs, name)}"
            )
    discriminator = model.discriminator(1) if model.has_discriminator(1) else None
    return Sketching(stage1, discriminator, model.projected_weights(1))
