"""Several batches that pass a network together, treated each by itself where it matters."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class PerBatch(nn.Module):
    """A part whose result depends on the batch as a whole."""

    batches = 1
    """How many equal batches its input is, one after the other."""

    def each(self, function: Callable[[Tensor], Tensor], input: Tensor) -> Tensor:
        """``function`` of each batch by itself."""
        if self.batches == 1:
            return function(input)
        return torch.cat([function(part) for part in input.chunk(self.batches)])


class BatchNorm2d(PerBatch, nn.BatchNorm2d):
    """``nn.BatchNorm2d`` that normalises each of several batches by its own statistics."""

    def forward(self, input: Tensor) -> Tensor:
        """Map [B, C, H, W] to the same shape."""
        return self.each(super().forward, input)


@contextmanager
def together(network: nn.Module, batches: int) -> Iterator[None]:
    """While this lasts, what passes ``network`` is so many equal batches, one after the other."""
    parts = [module for module in network.modules() if isinstance(module, PerBatch)]
    before = [part.batches for part in parts]
    for part in parts:
        part.batches = batches
    try:
        yield
    finally:
        for part, count in zip(parts, before, strict=True):
            part.batches = count


def batches_of(network: nn.Module) -> int:
    """How many batches pass ``network`` together at this moment."""
    counts = {m.batches for m in network.modules() if isinstance(m, PerBatch)}
    return max(counts, default=1)
