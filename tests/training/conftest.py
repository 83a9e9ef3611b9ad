"""What the tests of training share."""

from collections.abc import Callable

import pytest
import torch

Watch = Callable[[torch.optim.Optimizer, torch.nn.Module], Callable[[], torch.Tensor]]


@pytest.fixture
def last_gradient() -> Watch:
    """``last = last_gradient(optimizer, network)``; after a step ``last()`` is its gradient, flat.

    The step itself frees it.
    """

    def watch(
        optimizer: torch.optim.Optimizer, network: torch.nn.Module
    ) -> Callable[[], torch.Tensor]:
        seen: list[torch.Tensor] = []

        def keep(*_: object) -> None:
            parts = [p.grad.flatten() for p in network.parameters() if p.grad is not None]
            seen.append(torch.cat(parts))

        optimizer.register_step_pre_hook(keep)
        return lambda: seen[-1]

    return watch
