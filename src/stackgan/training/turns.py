"""What the turns of every system share: gradients added up, weights moved, scalars averaged."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor

from stackgan.fast.adam import FusedAdam
from stackgan.systems.parts import add
from stackgan.systems.system import Turn


def take(
    turns: Iterator[Turn], optimizers: Mapping[str, torch.optim.Optimizer], parts: int
) -> dict[str, Tensor]:
    """Go through a step's turns, each of ``parts`` parts; the weights move with a turn's last.

    Returns:
        each scalar's mean over the parts, and under "d_gradient", "g_gradient" and so on (the
        player's first letter) the norm of its gradient; on their device, without synchronising.
    """
    report: dict[str, Tensor] = {}
    turn = next(turns, None)
    while turn is not None:
        player, optimizer = turn.player, optimizers[turn.player]
        optimizer.zero_grad(set_to_none=True)
        for left in reversed(range(parts)):
            if turn is None or turn.player != player:
                raise ValueError(f"the turn of the {player} ended before its {parts} parts")
            add(report, turn.report, parts)
            if left:
                turn.loss.backward()  # type: ignore[no-untyped-call]
            else:
                report[f"{player[0]}_gradient"] = _move(optimizer, turn)
            turn = next(turns, None)
    return report


def _move(optimizer: torch.optim.Optimizer, turn: Turn) -> Tensor:
    """Backpropagate a turn's last part, step, free the gradients and return their norm."""
    if isinstance(optimizer, FusedAdam) and optimizer.one_by_one:
        with optimizer.stepping() as norms:
            turn.loss.backward()  # type: ignore[no-untyped-call]
        norm: Tensor = torch.linalg.vector_norm(torch.stack(norms))
        return norm
    turn.loss.backward()  # type: ignore[no-untyped-call]
    gradients = [
        p.grad for group in optimizer.param_groups for p in group["params"] if p.grad is not None
    ]
    norm = torch.nn.utils.get_total_norm(gradients)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)  # the other network's step has no room for them
    return norm
