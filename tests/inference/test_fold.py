"""Folding and lower precision: the same function as the plain network."""

import copy

import pytest
import torch
from torch import nn

from stackgan.hub import load_model
from stackgan.inference.fold import fold_batchnorm, lower_precision
from stackgan.networks.layers import UpConv


@pytest.fixture(params=["tiny_model", "modern_model"])
def loaded(request):
    return load_model(request.getfixturevalue(request.param))


def inputs(count=3):
    random = torch.Generator().manual_seed(5)
    sizes = {"embedding": 16, "noise": 6, "eps": 8}
    return {name: torch.randn(count, size, generator=random) for name, size in sizes.items()}


def test_a_folded_stage1_is_the_plain_one(loaded):
    x = inputs()
    plain = loaded.stage1(**x).images
    folded = fold_batchnorm(copy.deepcopy(loaded.stage1))(**x).images
    torch.testing.assert_close(folded, plain, rtol=1e-3, atol=3e-4)
    assert plain.std() > 0.05


def test_a_folded_stage2_is_the_plain_one(loaded):
    x = inputs()
    sketches = loaded.stage1(**x).images
    plain = loaded.stage2(sketches, x["embedding"], x["eps"]).images
    network = fold_batchnorm(copy.deepcopy(loaded.stage2))
    folded = network(sketches, x["embedding"], x["eps"]).images
    torch.testing.assert_close(folded, plain, rtol=1e-3, atol=3e-4)


def test_no_normalisation_and_no_plain_up_block_is_left(loaded):
    for network in (loaded.stage1, loaded.stage2):
        fold_batchnorm(network)
        kinds = [type(module) for module in network.modules()]
        assert nn.BatchNorm2d not in kinds and nn.BatchNorm1d not in kinds
        assert UpConv not in kinds and nn.ConvTranspose2d in kinds


def test_folding_ends_training(loaded):
    network = fold_batchnorm(loaded.stage1.train())
    assert not network.training
    assert not any(parameter.requires_grad for parameter in network.parameters())


def test_an_unrelated_normalisation_stays():
    network = nn.Sequential(nn.BatchNorm2d(3), nn.Conv2d(3, 4, 3), nn.ReLU(), nn.BatchNorm2d(4))
    x = torch.randn(2, 3, 5, 5)
    network.train()(x)
    plain = copy.deepcopy(network).eval()(x)
    torch.testing.assert_close(fold_batchnorm(network)(x), plain)


def test_a_layer_with_a_bias_folds_too():
    network = nn.Sequential(nn.Linear(5, 4), nn.BatchNorm1d(4))
    for _ in range(3):
        network.train()(torch.randn(16, 5) + 2)
    x = torch.randn(3, 5)
    plain = copy.deepcopy(network).eval()(x)
    torch.testing.assert_close(fold_batchnorm(network)(x), plain)


def test_lower_precision_spares_the_conditioning(loaded):
    network = lower_precision(loaded.stage1, torch.bfloat16)
    assert network.conditioning.layer.weight.dtype == torch.float32
    assert network.rgb.weight.dtype == torch.bfloat16
