"""Parts of networks that can compute their function fast, or operation by operation."""

from __future__ import annotations

import torch
from torch import nn


class Arranged(nn.Module):
    """A part that can compute its function fast, or operation by operation as published.

    The two differ in their last bits, which a few training steps make visible: a unit that falls to
    the other side of zero passes its gradient or not. On a CPU batch normalisation's sums are also
    less exact in the channels-last layout that the fast way uses.
    """

    literal = False

    @property
    def layout(self) -> torch.memory_format:
        """How the feature maps lie in memory."""
        return torch.contiguous_format if self.literal else torch.channels_last
