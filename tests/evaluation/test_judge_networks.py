"""The judges of the benchmarks: known networks, loaded as any other image network."""

import importlib
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from stackgan.errors import ModelError
from stackgan.networks.image_networks import ImageNetwork

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture(scope="module")
def judges():
    sys.path.insert(0, str(BENCHMARKS))
    try:
        yield importlib.import_module("judge_networks")
    finally:
        sys.path.remove(str(BENCHMARKS))


@pytest.fixture
def folder(judges, tmp_path):
    """Random weights of both, in the layout and the type of the judges' files."""
    random = torch.Generator().manual_seed(0)
    for name, judge in judges.NETWORKS.items():
        held = {
            key: (torch.randn(entry.shape, generator=random) / max(1, entry[0].numel()) ** 0.5)
            if entry.ndim > 1
            else torch.zeros(entry.shape)
            for key, entry in judge.build().state_dict().items()
        }
        if name == "mobilenetv2":
            held |= {"input.zero": torch.tensor(128.0), "input.scale": torch.tensor(1 / 128)}
        save_file(
            {key: entry.half() for key, entry in held.items()}, tmp_path / f"{name}.safetensors"
        )
    return tmp_path


def pictures(count):
    random = torch.Generator().manual_seed(1)
    return torch.randint(0, 256, (count, 3, 64, 64), dtype=torch.uint8, generator=random)


@pytest.mark.parametrize(
    ("name", "dim", "weights"), [("squeezenet", 512, 1_248_424), ("mobilenetv2", 1280, 3_489_097)]
)
def test_judges_have_the_published_number_of_weights(judges, folder, name, dim, weights):
    # MobileNetV2: 3,504,872 with 17,056 scales of folded norms less and a class (1,281) more.
    judge = judges.load_judge(name, folder)
    assert isinstance(judge, ImageNetwork) and judge.dim == dim
    own = judge.network.state_dict()
    counted = sum(entry.numel() for key, entry in own.items() if not key.startswith("input."))
    assert counted == weights


@pytest.mark.parametrize("name", ["squeezenet", "mobilenetv2"])
def test_a_judge_s_features_do_not_depend_on_the_pictures_beside(judges, folder, name):
    judge = judges.load_judge(name, folder)
    images = pictures(5)
    together = judge.features(images)
    assert together.isfinite().all() and together.std(0).max() > 0
    assert torch.equal(judge.features(images[4:]), together[4:])


def test_squeezenet_reads_blue_first_less_its_mean(judges, folder):
    judge = judges.load_judge("squeezenet", folder)
    levels = pictures(1)
    levels[:] = torch.tensor([123, 117, 104], dtype=torch.uint8).view(1, 3, 1, 1)
    seen = []
    judge.network.conv1.register_forward_hook(lambda _, inputs, __: seen.append(inputs[0]))
    judge.features(levels)
    assert seen[0].abs().max() == 0
    red = levels.clone()
    red[:, 0] += 5
    judge.features(red)
    assert seen[1][0, :, 100, 100].tolist() == [0, 0, 5]


def test_a_judge_s_file_of_another_is_refused(judges, folder):
    (folder / "squeezenet.safetensors").write_bytes(
        (folder / "mobilenetv2.safetensors").read_bytes()
    )
    with pytest.raises(ModelError, match="does not hold the weights of squeezenet"):
        judges.load_judge("squeezenet", folder)
