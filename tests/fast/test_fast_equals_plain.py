"""What is computed fast is the function that the paper words: values, gradients, penalties."""

import copy
from collections.abc import Callable
from typing import Literal

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.testing import assert_close

from stackgan.config import Architecture, load_settings
from stackgan.fast.replicated import convolve_replicated, replicate
from stackgan.fast.small_maps import SMALL_PX, transpose_small
from stackgan.fast.up_kernels import transposed_kernel
from stackgan.networks.heads import JointLogits
from stackgan.networks.initialise import initialise
from stackgan.networks.layers import Conv2d, JoinConv, UpConv, spectral, store_up_kernels
from stackgan.networks.together import batches_of
from stackgan.systems.stackgan.build import build_discriminator, build_stage2
from stackgan.systems.stackgan.discriminators import Discriminator, Features


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)).double()


def gradients(function: Callable[[], Tensor], of: list[Tensor]) -> tuple[Tensor, ...]:
    y = function()
    return torch.autograd.grad((y * draw(*y.shape, seed=7)).sum(), of)


SMALL = [(4, 2, 1, 8), (4, 2, 1, 16), (3, 1, 1, 4), (4, 1, 0, 4), (1, 1, 0, 4), (4, 2, 1, 9)]


@pytest.mark.parametrize(("kernel", "stride", "padding", "side"), SMALL)
def test_a_convolution_of_small_maps_is_torch_s(
    kernel: int, stride: int, padding: int, side: int
) -> None:
    layer = Conv2d(5, 6, kernel, stride, padding).double()
    x = draw(3, 5, side, side).requires_grad_(True)
    assert_close(layer(x), layer.plain(x))
    weights = [x, *layer.parameters()]
    fast, plain = (gradients(lambda f=f: f(x), weights) for f in (layer, layer.plain))
    assert_close(fast, plain)

    def penalty(function: Callable[[Tensor], Tensor]) -> tuple[Tensor, ...]:  # as R1's
        (slope,) = torch.autograd.grad(function(x).square().sum(), x, create_graph=True)
        return torch.autograd.grad(slope.square().sum(), [x, layer.weight])

    assert_close(penalty(layer), penalty(layer.plain))


@pytest.mark.parametrize("size", [(4, 4), (1, 3)])
@pytest.mark.parametrize("bias", [False, True])
def test_a_transposed_convolution_of_small_maps_is_torch_s(
    bias: bool, size: tuple[int, int]
) -> None:
    x, kernel = draw(2, 5, *size).requires_grad_(True), draw(5, 3, 4, 4, seed=1)
    of = [x, kernel.requires_grad_(True)] + ([draw(3, seed=2).requires_grad_(True)] * bias)

    def plain() -> Tensor:
        return F.conv_transpose2d(*of, stride=2, padding=1)

    def fast() -> Tensor:
        return transpose_small(*of)

    assert_close(fast(), plain())
    assert_close(gradients(fast, of), gradients(plain, of))
    assert fast().is_contiguous(memory_format=torch.channels_last)


def test_overlapping_windows_are_summed_exactly() -> None:
    """In bfloat16 256 + 1 is 256, and would be after any number of ones."""
    x = torch.full((1, 1, 2, 2), 256.0)
    x[0, 0, 0, 0] = x[0, 0, 1, 0] = x[0, 0, 1, 1] = 1.0
    kernel = torch.ones(1, 1, 4, 4)
    lower = transpose_small(x.bfloat16(), kernel.bfloat16())
    assert lower.dtype == torch.bfloat16
    assert_close(lower.float(), transpose_small(x, kernel).bfloat16().float(), rtol=0, atol=0)
    assert lower.max() == 260


@pytest.mark.parametrize("side", [SMALL_PX, SMALL_PX + 1])
def test_only_small_maps_become_a_matrix_product(side: int) -> None:
    layer, x = Conv2d(2, 3, 3, padding=1), torch.ones(1, 2, side, side)
    name = type(layer(x).grad_fn).__name__
    assert ("Convolution" in name) == (side > SMALL_PX)
    layer.literal = True
    assert "Convolution" in type(layer(x).grad_fn).__name__


@pytest.mark.parametrize("kernel", [1, 3, 5])
@pytest.mark.parametrize("size", [(4, 4), (5, 3), (1, 2)])
def test_a_replicated_code_is_convolved_without_its_map(kernel: int, size: tuple[int, int]) -> None:
    code, weight = draw(2, 3).requires_grad_(True), draw(4, 3, kernel, kernel, seed=1)
    weight = weight.requires_grad_(True)

    def plain() -> Tensor:
        return F.conv2d(replicate(code, torch.Size(size)), weight, padding=kernel // 2)

    def fast() -> Tensor:
        return convolve_replicated(code, weight, torch.Size(size)).double()

    assert_close(fast(), plain(), rtol=1e-5, atol=1e-5)
    pair = [code, weight]
    assert_close(gradients(fast, pair), gradients(plain, pair), rtol=1e-5, atol=1e-5)


def test_the_join_of_features_and_condition_is_one_convolution() -> None:
    join = JoinConv(4, 3, 5)
    x, code = draw(2, 4, 6, 6).float().requires_grad_(True), draw(2, 3, seed=1).float()
    code.requires_grad_(True)
    assert_close(join(x, code), join.plain(x, code), rtol=1e-5, atol=1e-5)
    of = [x, code, join.weight]
    fast, plain = (gradients(lambda f=f: f(x, code).double(), of) for f in (join, join.plain))
    assert_close(fast, plain, rtol=1e-5, atol=1e-5)
    join.literal = True
    assert torch.equal(join(x, code), join.plain(x, code))


def test_the_join_keeps_the_weights_of_the_one_convolution() -> None:
    state = JoinConv(4, 3, 5).state_dict()
    assert {name: value.shape for name, value in state.items()} == {"weight": (5, 7, 3, 3)}
    architecture = Architecture(embedding_dim=4, condition_dim=3, stage2_generator_width=4)
    assert build_stage2(architecture).state_dict()["join.weight"].shape == (16, 19, 3, 3)


@pytest.mark.parametrize("kernel", [1, 3])
@pytest.mark.parametrize("normalisation", ["batch", "spectral", "none"])
def test_joint_logits_fast_and_literal(kernel: int, normalisation: str) -> None:
    head = JointLogits(6, 3, normalisation, kernel=kernel)  # type: ignore[arg-type]
    head.eval()  # spectral normalisation's vectors stay
    features, text = draw(2, 6, 4, 4).float(), draw(2, 3, seed=1).float()
    fast = head(features, text)
    literal = copy.deepcopy(head)
    for module in literal.modules():
        module.literal = True  # type: ignore[assignment]
    assert_close(fast, literal(features, text), rtol=1e-5, atol=1e-5)


def test_stored_up_kernels_are_the_same_weights() -> None:
    network = nn.Sequential(UpConv(6, 4)).to(memory_format=torch.channels_last)
    before = network[0].weight.detach().clone()
    x = draw(2, 6, 5, 5).float()
    plain = network[0].plain(x)
    store_up_kernels(network)
    assert torch.equal(network[0].weight, before)
    assert_close(network(x), plain, rtol=1e-5, atol=1e-5)
    assert network[0].weight.permute(1, 2, 3, 0).is_contiguous()
    kernel = transposed_kernel(network[0].weight)
    assert kernel.is_contiguous(memory_format=torch.channels_last)
    network(x).sum().backward()
    assert network[0].weight.grad.permute(1, 2, 3, 0).is_contiguous()


def test_up_kernels_made_while_sampling_train_afterwards() -> None:
    layer, x = UpConv(3, 2), draw(1, 3, 2, 2).float()
    from stackgan.fast.up_kernels import _kernel_map

    _kernel_map.cache_clear()
    with torch.inference_mode():
        layer(x)
    layer(x).sum().backward()
    assert layer.weight.grad is not None


def test_presets_have_both_arithmetics() -> None:
    assert load_settings(["authors-pt"]).architecture.arithmetic == "literal"
    assert load_settings(["modern"]).architecture.arithmetic == "fast"


CRITICS: dict[str, dict[str, object]] = {
    "batch": {},
    "bottleneck": {"stage1_discriminator": "bottleneck", "stage2_discriminator": "bottleneck"},
    "modern": {
        "normalisation": "none",
        "unconditional": True,
        "patches": True,
        "minibatch_deviation": True,
    },
}


@pytest.mark.parametrize("stage", [1, 2])
@pytest.mark.parametrize("kind", CRITICS)
def test_batches_that_pass_together_are_judged_each_by_itself(
    kind: str, stage: Literal[1, 2]
) -> None:
    """Values, gradients and running statistics, the last of which know the order."""
    a = Architecture(
        embedding_dim=6, text_dim=4, image_px=128, stage1_discriminator_width=4,
        stage2_discriminator_width=4, **CRITICS[kind],  # type: ignore[arg-type]
    )  # fmt: skip
    one = build_discriminator(a, stage)
    initialise(one, torch.Generator().manual_seed(0))
    one = one.double()
    two = copy.deepcopy(one)
    px, text = one.image_px, draw(4, 6)
    batches = [3 * draw(4, 3, px, px, seed=k) + k for k in range(3)]

    def answers(found: list[Features], network: Discriminator) -> Tensor:
        heads = [network.conditional(f, text).double() for f in found]
        alone = [network.unconditional(f) for f in found]
        return torch.cat([*heads, *(x.double() for x in alone if x is not None)])

    apart = answers([one.features(x) for x in batches], one)
    joined = answers(two.features_of(*batches), two)
    assert_close(joined, apart, rtol=1e-5, atol=1e-6)
    weight = draw(len(apart), seed=9)
    (apart * weight).sum().backward()  # type: ignore[no-untyped-call]
    (joined * weight).sum().backward()  # type: ignore[no-untyped-call]
    for (name, mine), theirs in zip(two.named_parameters(), one.parameters(), strict=True):
        assert_close(mine.grad, theirs.grad, rtol=1e-4, atol=1e-6, msg=name)
    assert_close(two.state_dict(), one.state_dict(), rtol=1e-5, atol=1e-7)
    assert batches_of(two) == 1


def test_codes_asked_alone_give_the_same_bits_in_any_batch() -> None:
    join = JoinConv(8, 128, 64)
    join.codes_alone = True
    features, codes = draw(8, 8, 16, 16).float(), draw(8, 128, seed=1).float()
    with torch.inference_mode():
        whole = join(0 * features, codes)
        alone = [join(0 * features[k : k + 1], codes[k : k + 1]) for k in range(8)]
        join.codes_alone = False
        assert_close(join(0 * features, codes), whole)
    assert_close(whole, torch.cat(alone), rtol=0, atol=0)


@pytest.mark.parametrize(("kernel", "stride", "padding", "side"), SMALL)
def test_a_spectral_weight_is_read_once_a_pass(
    kernel: int, stride: int, padding: int, side: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each reading moves the vectors that estimate its norm."""
    layer = spectral(Conv2d(5, 6, kernel, stride, padding), "spectral").train()
    moves: list[int] = []
    estimate = layer.parametrizations.weight[0]
    ours = estimate._power_method
    monkeypatch.setattr(estimate, "_power_method", lambda *x: (moves.append(1), ours(*x)))
    layer(draw(2, 5, side, side).float())
    assert len(moves) == 1
