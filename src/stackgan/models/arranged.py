"""Parts of networks that can compute their function fast, or operation by operation."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import _SpectralNorm
from torch.utils.checkpoint import checkpoint


class Arranged(nn.Module):
    """A part that can compute its function fast, or operation by operation as published.

    The two differ in their last bits, which a few training steps make visible: a unit that falls to
    the other side of zero passes its gradient or not. On a CPU batch normalisation's sums are also
    less exact in the channels-last layout that the fast way uses.
    """

    literal = False
    recompute = False
    """Whether blocks keep no inner maps for the way back (``stage*.recompute``)."""

    @property
    def layout(self) -> torch.memory_format:
        """How the feature maps lie in memory."""
        return torch.contiguous_format if self.literal else torch.channels_last

    def through(self, block: nn.Module, *inputs: Tensor) -> Tensor:
        """Pass ``inputs`` through ``block``; with ``recompute`` its inner maps are not kept."""
        result: Tensor
        if self.recompute and torch.is_grad_enabled() and not _is_spectral(block):
            result = checkpoint(
                block,
                *inputs,
                use_reentrant=False,
                preserve_rng_state=False,
                context_fn=partial(_contexts, block),
            )
        else:
            result = block(*inputs)
        return result


def _is_spectral(block: nn.Module) -> bool:
    """Whether a weight of ``block`` changes with every pass, so that no pass can be repeated."""
    return any(isinstance(module, _SpectralNorm) for module in block.modules())


def _contexts(block: nn.Module) -> tuple[AbstractContextManager[Any], AbstractContextManager[Any]]:
    """Of the first pass, and of the second: there no statistics move a second time."""
    return nullcontext(), _statistics_stay(block)


@contextmanager
def _statistics_stay(block: nn.Module) -> Iterator[None]:
    """Let batch normalisation compute as ever and leave its running statistics as they are."""
    norms = [m for m in block.modules() if isinstance(m, nn.BatchNorm1d | nn.BatchNorm2d)]
    kept = [(norm.momentum, norm.num_batches_tracked) for norm in norms]
    for norm in norms:
        norm.momentum, norm.num_batches_tracked = 0.0, None
    try:
        yield
    finally:
        for norm, (momentum, count) in zip(norms, kept, strict=True):
            norm.momentum, norm.num_batches_tracked = momentum, count
