"""Every weight of a network drawn anew, so that a run depends on its seed alone."""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import nn

from stackgan.networks.conditioning import truncated


def initialise(
    network: nn.Module, random: torch.Generator, kind: Literal["normal", "truncated"] = "normal"
) -> None:
    """Draw every weight anew from ``random``, so that a run depends on its seed alone.

    Under batch normalisation N(0, 0.02) with gains N(1, 0.02), as the authors' code, or
    (``truncated``) as TF with convolutions truncated at two deviations of 0.02; without it
    (the modern discriminators) He's normal, which keeps the signal's size through LeakyReLU 0.2.
    A weight that a network starts at zero stays at zero.
    """
    batch = any(isinstance(m, nn.BatchNorm1d | nn.BatchNorm2d) for m in network.modules())
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
                module.weight.normal_(1.0, 0.02, generator=random)
                module.bias.zero_()
            elif isinstance(module, nn.Conv2d | nn.Linear):
                _draw(module, 0.02 if batch else None, random)
                if kind == "truncated" and batch and isinstance(module, nn.Conv2d):
                    module.weight.copy_(0.02 * truncated(module.weight / 0.02))


def _draw(layer: nn.Conv2d | nn.Linear, deviation: float | None, random: torch.Generator) -> None:
    """Draw one layer's weight, and its spectral normalisation's vectors where it has one."""
    normalised = getattr(layer, "parametrizations", None)
    weight = layer.weight if normalised is None else normalised.weight.original
    if not weight.count_nonzero():
        return
    weight.normal_(0.0, deviation or math.sqrt(2 / 1.04 / weight[0].numel()), generator=random)
    if layer.bias is not None:
        layer.bias.zero_()
    for spectral in () if normalised is None else normalised.weight:
        for vector in (spectral._u, spectral._v):
            vector.normal_(generator=random).div_(vector.norm())
        spectral._power_method(spectral._reshape_weight_to_matrix(weight), 15)
