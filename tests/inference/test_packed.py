"""Packed layers are the folded ones, whatever is drawn with a picture."""

import copy

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.testing import assert_close

from stackgan import StackGAN
from stackgan.config import Architecture
from stackgan.hub import load_model
from stackgan.inference import packed
from stackgan.inference.fold import fold_batchnorm, lower_precision
from stackgan.inference.packed import (
    PackedColours,
    PackedConv,
    PackedLinear,
    PackedResidual,
    PackedTiles,
    PackedUp,
    pack,
    pack_convolution,
)
from stackgan.networks.blocks import ResidualBlock
from stackgan.networks.initialise import initialise
from stackgan.networks.layers import JoinConv
from stackgan.systems.stackgan.build import build_stage1, build_stage2

pytestmark = pytest.mark.skipif(not packed.can_pack(), reason="this torch has no oneDNN")


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(params=["tiny_model", "modern_model"])
def loaded(request):
    return load_model(request.getfixturevalue(request.param))


def tensorflow() -> Architecture:
    return Architecture(
        embedding_dim=16, condition_dim=8, noise_dim=6, stage1_generator_width=8,
        stage2_generator_width=8, residual_blocks=1, stage1_generator="bottleneck",
    )  # fmt: skip


def test_packed_networks_are_the_folded_ones(loaded):
    given = {"embedding": draw(3, 16), "noise": draw(3, 6, seed=1), "eps": draw(3, 8, seed=2)}
    folded = fold_batchnorm(loaded.stage1)
    sketches = folded(**given).images
    ready = pack(copy.deepcopy(folded))
    with torch.inference_mode():
        assert_close(ready(**given).images, sketches, rtol=1e-4, atol=1e-5)
    del given["noise"]
    folded = fold_batchnorm(loaded.stage2)
    pictures = folded(sketches, **given).images
    with torch.inference_mode():
        ready = pack(copy.deepcopy(folded))
        # In [-1, 1]: a two-hundredth of a level, as processors sum in other orders.
        assert_close(ready(sketches, **given).images, pictures, rtol=1e-4, atol=4e-5)
    assert pictures.std() > 0.05


def test_tensorflow_s_stage1_is_packed_too():
    network = build_stage1(tensorflow())
    initialise(network, torch.Generator().manual_seed(0))
    folded = fold_batchnorm(network)
    given = draw(2, 16), draw(2, 6, seed=1), draw(2, 8, seed=2)
    with torch.inference_mode():
        plain = folded(*given).images
        assert_close(pack(folded)(*given).images, plain, rtol=1e-4, atol=1e-5)


def test_no_layer_is_left_unpacked(loaded):
    for network in (loaded.stage1, loaded.stage2):
        kinds = [type(module) for module in pack(fold_batchnorm(network)).modules()]
        left = [k for k in kinds if issubclass(k, nn.Conv2d | nn.ConvTranspose2d | nn.Linear)]
        assert left == []
        assert PackedColours in kinds and PackedLinear in kinds


def test_where_there_is_no_onednn_networks_stay_and_draw_the_same(monkeypatch):
    asked = ["a yellow flower", "pink petals"] * 2, [0, 1, 2, 3]
    usual = StackGAN.from_pretrained("flowers", "cpu").draw(*asked)
    monkeypatch.setattr(packed, "can_pack", lambda: False)
    model = StackGAN.from_pretrained("flowers", "cpu")
    assert not any(isinstance(module, PackedConv) for module in model.stage2.modules())
    drawn = model.draw(*asked)
    apart = (drawn.pictures.int() - usual.pictures.int()).abs()
    assert (apart <= 2).float().mean() > 0.99
    assert torch.equal(model.draw(*asked, batch=1).pictures, drawn.pictures)


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("transposed", [False, True])
def test_a_packed_convolution_may_end_in_relu(transposed, bias):
    kind = nn.ConvTranspose2d if transposed else nn.Conv2d
    layer = kind(6, 5, 4, 2, 1, bias=bias).requires_grad_(False)
    x = draw(3, 6, 8, 6).contiguous(memory_format=torch.channels_last)
    with torch.inference_mode():
        assert_close(PackedConv(layer)(x), layer(x), rtol=1e-5, atol=1e-5)
        ready = PackedConv(layer, relu=True)(x)
        assert_close(ready, F.relu(layer(x)), rtol=1e-5, atol=1e-5)
    assert ready.is_contiguous(memory_format=torch.channels_last)


def test_a_packed_transposed_convolution_adds_nothing():
    layer = PackedConv(nn.ConvTranspose2d(3, 2, 4, 2, 1).requires_grad_(False))
    with torch.inference_mode(), pytest.raises(TypeError, match="adds nothing"):
        layer(draw(1, 3, 4, 4), draw(1, 2, 8, 8))


HAS_BF16 = bool(getattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: False)())
in_bfloat16 = pytest.mark.skipif(not HAS_BF16, reason="this processor's oneDNN has no bfloat16")


def wide(dtype: torch.dtype = torch.bfloat16, maps: int = 512) -> nn.Conv2d:
    layer = nn.Conv2d(maps, maps, 3, padding=1).requires_grad_(False)
    nn.init.ones_(layer.bias)
    return layer.to(dtype).to(memory_format=torch.channels_last)  # type: ignore[call-overload]


@pytest.mark.parametrize("form", [PackedConv, PackedTiles])
@pytest.mark.parametrize("relu", [False, True])
def test_what_is_added_is_added_before_relu(form, relu):
    layer, x = wide(), draw(1, 512, 4, 4)
    addend = draw(1, 512, 4, 4, seed=1)
    exact = layer.float()(x) + addend
    with torch.inference_mode():
        found = form(wide_like(layer, form), relu)(x, addend).float()
    expected = F.relu(exact) if relu else exact
    assert float((found - expected).norm() / expected.norm()) < 0.01


def wide_like(layer: nn.Conv2d, form: type) -> nn.Conv2d:
    lower = HAS_BF16 or form is PackedTiles
    return copy.deepcopy(layer).to(torch.bfloat16 if lower else torch.float32)


@in_bfloat16
def test_many_maps_in_bfloat16_alone_go_by_tiles():
    assert isinstance(pack_convolution(wide()), PackedTiles)
    assert isinstance(pack_convolution(wide(torch.float32)), PackedConv)
    assert isinstance(pack_convolution(wide(maps=504)), PackedConv)
    strided = nn.Conv2d(512, 512, 3, stride=2, padding=1, dtype=torch.bfloat16)
    assert isinstance(pack_convolution(strided.requires_grad_(False)), PackedConv)


def test_colours_are_those_of_the_convolution():
    layer = nn.Conv2d(8, 3, 3, padding=1).requires_grad_(False)
    x = draw(2, 8, 6, 12).contiguous(memory_format=torch.channels_last)
    with torch.inference_mode():
        found = PackedColours(layer)(x)
        assert_close(found, layer(x), rtol=1e-5, atol=1e-5)
    assert found.shape == (2, 3, 6, 12)


@pytest.mark.parametrize("bias", [False, True])
def test_the_first_up_sampling_is_the_transposed_convolution(bias):
    layer = nn.ConvTranspose2d(6, 5, 4, 2, 1, bias=bias).requires_grad_(False)
    x = draw(2, 6, 4, 4)
    with torch.inference_mode():
        assert_close(PackedUp(layer)(x), layer(x), rtol=1e-5, atol=1e-5)


def test_a_join_without_a_code_is_packed():
    layer = JoinConv(4, 0, 5).requires_grad_(False)
    x = draw(2, 4, 6, 6)
    plain = layer(x)
    with torch.inference_mode():
        assert_close(pack(nn.Sequential(layer))(x), plain, rtol=1e-5, atol=1e-5)


def test_a_block_that_is_not_folded_keeps_its_normalisation():
    block = ResidualBlock(4).eval().requires_grad_(False)
    network = nn.Sequential(copy.deepcopy(block))
    with torch.inference_mode():
        assert_close(pack(network)(draw(1, 4, 4, 4)), block(draw(1, 4, 4, 4)))
    assert not isinstance(network[0], PackedResidual)


@in_bfloat16
def test_published_widths_give_the_same_bytes_in_any_batch():
    """512 maps by tiles, a first up-sampling of 1,024."""
    a = Architecture(
        embedding_dim=16, condition_dim=128, noise_dim=100, stage1_generator_width=128,
        stage2_generator_width=128, residual_blocks=1,
    )  # fmt: skip
    networks = build_stage1(a), build_stage2(a)
    for network in networks:
        initialise(network, torch.Generator().manual_seed(0))
    first = pack(fold_batchnorm(networks[0]))
    second = pack(lower_precision(fold_batchnorm(networks[1]), torch.bfloat16))
    assert sum(isinstance(m, PackedTiles) for m in second.modules()) == 3
    embedding, noise, eps = draw(4, 16), draw(4, 100, seed=1), draw(4, 128, seed=2)

    def drawn(rows: slice) -> Tensor:
        part = [x[rows].clone() for x in (embedding, noise, eps)]
        sketches = first(*part).images.contiguous(memory_format=torch.channels_last)
        with torch.autocast("cpu", torch.bfloat16):
            return second(sketches, part[0], part[2]).images

    with torch.inference_mode():
        whole = drawn(slice(0, 4))
        for size in (1, 2):
            parts = [drawn(slice(k, k + size)) for k in range(0, 4, size)]
            assert torch.equal(torch.cat(parts), whole)


@pytest.mark.parametrize("avx512", [False, True])
@pytest.mark.parametrize("transposed", [False, True])
def test_a_weight_is_laid_out_for_the_maps_that_come(
    transposed: bool, avx512: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packed, "has_avx512", lambda: avx512)
    layer = nn.ConvTranspose2d(6, 4, 4, 2, 1) if transposed else nn.Conv2d(6, 4, 3, padding=1)
    ready = PackedConv(layer)
    for size in ((2, 6, 8, 8), (1, 6, 8, 8), (3, 6, 4, 12), (2, 6, 8, 8)):
        x = draw(*size).contiguous(memory_format=torch.channels_last)
        with torch.inference_mode():
            assert_close(ready(x), layer(x), rtol=1e-4, atol=1e-5)
    sizes = [(8, 6, 8, 8), (1, 6, 8, 8), (8, 6, 4, 12)]
    assert list(ready.weights) == ([()] if avx512 else sizes)
