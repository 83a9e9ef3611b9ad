"""What the tests of training share."""

from collections.abc import Callable
from functools import partial

import pytest
import torch

Watch = Callable[[torch.nn.Module], Callable[[], torch.Tensor]]


@pytest.fixture
def last_gradient() -> Watch:
    """``last = last_gradient(network)``; after a step ``last()`` is its gradient, flat.

    The step itself frees it.
    """

    def watch(network: torch.nn.Module) -> Callable[[], torch.Tensor]:
        seen: dict[str, torch.Tensor] = {}

        def keep(weight: torch.Tensor, name: str) -> None:
            assert weight.grad is not None
            seen[name] = weight.grad.flatten().clone()

        for name, weight in network.named_parameters():
            if weight.requires_grad:
                weight.register_post_accumulate_grad_hook(partial(keep, name=name))
        return lambda: torch.cat(
            [seen[name] for name, _ in network.named_parameters() if name in seen]
        )

    return watch
