"""Adam in one pass over the weights, in whatever order they lie in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, cast

import torch
from torch import Tensor


class FusedAdam(torch.optim.Adam):
    """torch's fused Adam, given each weight as it lies in memory; its state is plain Adam's.

    torch 2.13's fused kernel on a CPU copies the gradients of channels-last weights, which takes
    several times as long as the step itself, and where a gradient lies otherwise than its weight
    it pairs the wrong entries. Here both are seen in the order in which they are stored, and what
    lies otherwise is first laid like its weight.
    """

    def __init__(self, params: Any, lr: float, betas: tuple[float, float]) -> None:
        super().__init__(params, lr, betas, fused=True)
        for group in self.param_groups:  # now, before a step's maps lie around it
            for weight in group["params"]:
                self._state_of(weight)

    @property
    def one_by_one(self) -> bool:
        """Whether :meth:`stepping` costs nothing: a processor gains nothing from one large call."""
        return str(self.param_groups[0]["params"][0].device.type) == "cpu"

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """Update every weight that has a gradient; ``closure`` is not called."""
        for group in self.param_groups:
            weights = [p for p in group["params"] if p.grad is not None]
            if weights:
                self._update(weights, group)

    @contextmanager
    def stepping(self) -> Iterator[list[Tensor]]:
        """While this lasts each weight is updated, and its gradient freed, once it is whole.

        The same numbers as :meth:`step` after the backward pass, without room for all gradients at
        once. A weight's gradient is whole when nothing of the graph that reads the weight is left.

        Yields:
            the norms of the gradients, one for each weight updated.
        """
        norms: list[Tensor] = []

        @torch.no_grad()
        def update(weight: Tensor, group: dict[str, Any]) -> None:
            norms.append(torch.linalg.vector_norm(weight.grad))
            self._update([weight], group)
            weight.grad = None

        hooks = [
            weight.register_post_accumulate_grad_hook(partial(update, group=group))
            for group in self.param_groups
            for weight in group["params"]
        ]
        try:
            yield norms
        finally:
            for hook in hooks:
                hook.remove()

    def _update(self, weights: list[Tensor], group: dict[str, Any]) -> None:
        states = [self._state_of(p) for p in weights]
        beta1, beta2 = group["betas"]
        torch._fused_adam_(
            [_as_stored(p, p) for p in weights],
            [_as_stored(_laid_like(cast(Tensor, p.grad), p), p) for p in weights],
            [_as_stored(state["exp_avg"], p) for state, p in zip(states, weights, strict=True)],
            [_as_stored(state["exp_avg_sq"], p) for state, p in zip(states, weights, strict=True)],
            [],
            self._count(states),
            lr=group["lr"],
            beta1=beta1,
            beta2=beta2,
            weight_decay=group["weight_decay"],
            eps=group["eps"],
            amsgrad=False,
            maximize=False,
        )

    def _state_of(self, weight: Tensor) -> dict[str, Tensor]:
        """The weight's state, begun at zero, each part stored in the weight's order."""
        state: dict[str, Tensor] = self.state[weight]
        if not state:
            state["step"] = torch.zeros((), dtype=torch.float32, device=weight.device)
            state["exp_avg"] = torch.zeros_like(weight)
            state["exp_avg_sq"] = torch.zeros_like(weight)
        for name in ("exp_avg", "exp_avg_sq"):
            state[name] = _laid_like(state[name], weight)
        return state

    @staticmethod
    def _count(states: list[dict[str, Tensor]]) -> list[Tensor]:
        steps = [state["step"] for state in states]
        torch._foreach_add_(steps, 1)
        return steps


def _laid_like(tensor: Tensor, weight: Tensor) -> Tensor:
    """``tensor``, copied where its entries lie in memory otherwise than those of ``weight``."""
    if tensor.stride() == weight.stride():
        return tensor
    return torch.empty_like(weight).copy_(tensor)


def _as_stored(tensor: Tensor, weight: Tensor) -> Tensor:
    """The same memory with its axes in the order of ``weight``'s strides: contiguous."""
    order = sorted(range(weight.dim()), key=weight.stride, reverse=True)
    return tensor.detach().permute(order)
