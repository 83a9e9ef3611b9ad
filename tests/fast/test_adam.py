"""The fused Adam is torch's plain one, in whatever order weights and gradients are stored."""

import copy
from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from stackgan.fast.adam import FusedAdam

LAYOUTS: dict[str, Callable[[Tensor], Tensor]] = {
    "contiguous": lambda x: x.contiguous(),
    "channels-last": lambda x: x.contiguous(memory_format=torch.channels_last),
    "up kernel": lambda x: x.permute(1, 2, 3, 0).contiguous().permute(3, 0, 1, 2),
}


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def trained(optimizer: torch.optim.Optimizer, weights: list[Tensor], layout: str) -> list[Tensor]:
    for step in range(3):
        for place, weight in enumerate(weights):
            gradient = draw(*weight.shape, seed=10 * step + place)
            weight.grad = LAYOUTS[layout](gradient) if weight.dim() == 4 else gradient
        optimizer.step()
    return [weight.detach() for weight in weights]


@pytest.mark.parametrize("of_gradients", LAYOUTS)
@pytest.mark.parametrize("of_weights", LAYOUTS)
def test_it_is_adam_whatever_lies_where(of_weights: str, of_gradients: str) -> None:
    first = [LAYOUTS[of_weights](draw(6, 5, 3, 3)), draw(4), draw(3, 2, seed=1), draw(1, seed=2)]
    mine, theirs = ([torch.nn.Parameter(x.clone()) for x in first] for _ in range(2))
    assert mine[0].stride() == first[0].stride()
    fused = FusedAdam(mine, 0.1, (0.5, 0.999))
    plain = torch.optim.Adam(theirs, 0.1, (0.5, 0.999), foreach=False)
    assert_close(trained(fused, mine, of_gradients), trained(plain, theirs, of_gradients))


def test_its_state_is_that_of_torch_s_own() -> None:
    mine, theirs = (
        [torch.nn.Parameter(LAYOUTS["channels-last"](draw(6, 5, 3, 3)))] for _ in range(2)
    )
    fused = FusedAdam(mine, 0.1, (0.5, 0.999))
    plain = torch.optim.Adam(theirs, 0.1, (0.5, 0.999), foreach=False)
    trained(plain, theirs, "channels-last")
    mine[0].data.copy_(theirs[0].data)
    state = copy.deepcopy(plain.state_dict())
    for part in ("exp_avg", "exp_avg_sq"):  # as a file may hold it
        state["state"][0][part] = state["state"][0][part].contiguous()
    fused.load_state_dict(state)
    assert_close(trained(fused, mine, "channels-last"), trained(plain, theirs, "channels-last"))
    assert_close(fused.state_dict()["state"], plain.state_dict()["state"])


def test_a_weight_without_gradient_stays() -> None:
    still, moved = (torch.nn.Parameter(draw(3)) for _ in range(2))
    optimizer = FusedAdam([still, moved], 0.1, (0.5, 0.999))
    moved.grad = draw(3, seed=1)
    before = still.detach().clone()
    optimizer.step()
    assert torch.equal(still, before) and not torch.equal(moved, before)
    assert optimizer.state[still]["step"] == 0 and not optimizer.state[still]["exp_avg"].any()


@pytest.mark.parametrize("layout", LAYOUTS)
def test_stepping_weight_by_weight_is_a_step(layout: str) -> None:
    first = [LAYOUTS[layout](draw(6, 5, 3, 3)), draw(6, seed=1)]
    mine, theirs = ([torch.nn.Parameter(x.clone()) for x in first] for _ in range(2))

    def loss(weights: list[torch.nn.Parameter], seed: int) -> Tensor:
        x = draw(2, 5, 8, 8, seed=seed)
        once = torch.nn.functional.conv2d(x, weights[0], weights[1])
        twice = torch.nn.functional.conv2d(x.flip(2), weights[0], weights[1])  # read twice
        return (once.square() + twice.sin()).mean()

    at_once = FusedAdam(mine, 0.1, (0.5, 0.999))
    after = FusedAdam(theirs, 0.1, (0.5, 0.999))
    for seed in range(3):
        with at_once.stepping() as norms:
            loss(mine, seed).backward()
        assert all(weight.grad is None for weight in mine)
        after.zero_grad()
        loss(theirs, seed).backward()
        gradients = [weight.grad for weight in theirs if weight.grad is not None]
        assert_close(torch.linalg.vector_norm(torch.stack(norms)),
                     torch.nn.utils.get_total_norm(gradients))  # fmt: skip
        after.step()
        assert_close(mine, theirs, rtol=0, atol=0)
    loss(mine, 9).backward()  # past the context nothing moves
    assert_close(mine, theirs, rtol=0, atol=0)
    assert all(weight.grad is not None for weight in mine)
