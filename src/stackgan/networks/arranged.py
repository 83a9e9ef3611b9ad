"""Parts of networks that can compute their function fast, or operation by operation."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from itertools import pairwise
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import _SpectralNorm
from torch.utils.checkpoint import checkpoint

from stackgan.networks.together import batches_of, together


class Arranged(nn.Module):
    """A part that can compute its function fast, or operation by operation as published.

    The two differ in their last bits, which a few training steps make visible: a unit that falls to
    the other side of zero passes its gradient or not. On a CPU batch normalisation's sums are also
    less exact in the channels-last layout that the fast way uses.
    """

    literal = False
    from_4x4: str | None = None
    """The up convolution that reads maps of 4x4, by its path in this network, where it has one."""
    recompute: Literal["none", "largest", "all"] = "none"
    """Which parts keep no inner maps for the way back (``stage*.recompute``)."""

    @property
    def layout(self) -> torch.memory_format:
        """How the feature maps lie in memory."""
        return torch.contiguous_format if self.literal else torch.channels_last

    def through(self, block: Callable[..., Tensor], *inputs: Tensor, large: bool = False) -> Tensor:
        """Pass ``inputs`` through ``block``; where ``recompute`` says so its maps are not kept.

        ``block`` is a part of this network, or one of its methods.
        """
        result: Tensor
        parts = block if isinstance(block, nn.Module) else self
        again = self.recompute == "all" or (large and self.recompute == "largest")
        if again and torch.is_grad_enabled() and not _is_spectral(parts):
            result = checkpoint(
                block,
                *inputs,
                use_reentrant=False,
                preserve_rng_state=False,
                context_fn=partial(_contexts, parts),
            )
        else:
            result = block(*inputs)
        return result


class Normalised:
    """A part with layers that are normalised, and which is by which: so that they can be folded."""

    NORMS: ClassVar[dict[str, str]] = {}
    """Layer -> the normalisation of what leaves it, by their paths in this part."""


def norms_of(part: nn.Module) -> list[tuple[str, str]]:
    """Paths of (layer, the normalisation of what leaves it) that ``part`` has.

    In a sequence whatever follows may be one.
    """
    if isinstance(part, nn.Sequential):
        return list(pairwise(name for name, _ in part.named_children()))
    named = part.NORMS.items() if isinstance(part, Normalised) else ()
    there = dict(part.named_modules())
    return [(layer, norm) for layer, norm in named if layer in there and norm in there]


def is_folded(part: nn.Module) -> bool:
    """Whether no normalisation is left in ``part`` (``inference.fold``)."""
    return all(isinstance(part.get_submodule(norm), nn.Identity) for _, norm in norms_of(part))


def _is_spectral(block: nn.Module) -> bool:
    """Whether a weight of ``block`` changes with every pass, so that no pass can be repeated."""
    return any(isinstance(module, _SpectralNorm) for module in block.modules())


def _contexts(block: nn.Module) -> tuple[AbstractContextManager[Any], AbstractContextManager[Any]]:
    """Of the first pass, and of the second: there no statistics move a second time."""
    return nullcontext(), _statistics_stay(block, batches_of(block))


@contextmanager
def _statistics_stay(block: nn.Module, batches: int) -> Iterator[None]:
    """Let batch normalisation compute as ever and leave its running statistics as they are."""
    norms = [m for m in block.modules() if isinstance(m, nn.BatchNorm1d | nn.BatchNorm2d)]
    kept = [(norm.momentum, norm.num_batches_tracked) for norm in norms]
    for norm in norms:
        norm.momentum, norm.num_batches_tracked = 0.0, None
    try:
        with together(block, batches):
            yield
    finally:
        for norm, (momentum, count) in zip(norms, kept, strict=True):
            norm.momentum, norm.num_batches_tracked = momentum, count
