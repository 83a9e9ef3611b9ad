"""What a system is made of, whatever its networks: the turns of a step.

A system's step is a generator of :class:`Turn`, in the order the paper gives. Whoever drives it
(``training.turns``) owns what all systems share: optimizers, accumulation, averages, rates.
"""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor

from stackgan.tensors import Scalar


class Turn(NamedTuple):
    """A part of one player's turn: its loss is backpropagated before the step goes on.

    A turn has as many parts as the batch is accumulated in, one after another; with the last of
    them the player's weights move.
    """

    player: str
    """Whose weights move: "discriminator", "generator" ..."""
    loss: Scalar
    """Of this part, so that the parts' gradients add up to the batch's."""
    report: dict[str, Tensor]
    """Scalars of this part, on their device."""
