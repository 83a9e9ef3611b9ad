"""The authors' PyTorch files become our networks and compute what theirs computed."""

import pytest
import torch

from stackgan.errors import ModelError
from stackgan.legacy.authors_pt import kind_of, read_networks
from stackgan.legacy.pth import read_pth

KINDS = ["stage1_D", "stage1_G", "stage2_D", "stage2_G"]
CLOSE = {"rtol": 0, "atol": 1e-5}


@pytest.fixture(scope="module")
def files(published):
    return [published / f"{kind}.pth" for kind in KINDS]


@pytest.fixture(scope="module", params=["as published", "new format, module."])
def made(request, files, tmp_path_factory):
    if request.param != "as published":
        folder = tmp_path_factory.mktemp("new")
        for path in files:
            state = {f"module.{key}": value for key, value in read_pth(path).items()}
            torch.save(state, folder / path.name)
        files = [folder / path.name for path in files]
    return read_networks(files)


def test_stage_1(made, published, recorded):
    alone = read_networks([published / "stage1_G.pth"]).stage1
    for network in (made.stage1, alone):
        drawn = network(recorded["embedding"], recorded["noise"], recorded["stage1_eps"])
        torch.testing.assert_close(drawn.images, recorded["stage1_image"], **CLOSE)
        torch.testing.assert_close(drawn.gaussian.mean, recorded["stage1_mean"], **CLOSE)
        torch.testing.assert_close(drawn.gaussian.log_var, recorded["stage1_log_var"], **CLOSE)


def test_stage_2_and_the_stage_1_inside_its_file(published, recorded):
    made = read_networks([published / "stage2_G.pth"])
    embedding = recorded["embedding"]
    sketch = made.stage1(embedding, recorded["noise"], recorded["stage2_sketch_eps"]).images
    torch.testing.assert_close(sketch, recorded["stage2_sketch"], **CLOSE)
    drawn = made.stage2(sketch, embedding, recorded["stage2_eps"])
    torch.testing.assert_close(drawn.images, recorded["stage2_image"], **CLOSE)
    torch.testing.assert_close(drawn.gaussian.mean, recorded["stage2_mean"], **CLOSE)
    torch.testing.assert_close(drawn.gaussian.log_var, recorded["stage2_log_var"], **CLOSE)


@pytest.mark.parametrize("stage", [1, 2])
def test_discriminators(made, recorded, stage):
    judge = made.stage1_discriminator if stage == 1 else made.stage2_discriminator
    features = judge.features(recorded[f"stage{stage}_image"])
    torch.testing.assert_close(features.whole, recorded[f"stage{stage}_d_features"], **CLOSE)
    said = judge.conditional(features, recorded[f"stage{stage}_mean"]).sigmoid()
    names = ["probability"] if stage == 1 else ["probability_conditional"]
    torch.testing.assert_close(said, recorded[f"stage{stage}_d_{names[0]}"], **CLOSE)
    alone = judge.unconditional(features)
    if stage == 1:
        assert alone is None
    else:
        expected = recorded["stage2_d_probability_unconditional"]
        torch.testing.assert_close(alone.sigmoid(), expected, **CLOSE)


def test_sizes_are_read_from_the_tensors(made):
    a = made.architecture
    assert (a.embedding_dim, a.condition_dim, a.noise_dim, a.residual_blocks) == (24, 8, 6, 2)
    assert a.conditioning == "relu" and a.discriminator_text == "mean" and a.joint_kernel == 3


def scaled(width, residual, embedding=10, condition=4, noise=3):
    """Shapes of a Stage-II generator's file of another width."""
    w = width
    shapes = {"ca_net.fc.weight": (2 * condition, embedding), "ca_net.fc.bias": (2 * condition,)}

    def norm(name, size):
        shapes.update({f"{name}.{n}": (size,) for n in NORM})

    NORM = ("weight", "bias", "running_mean", "running_var")
    for conv, maps in (("encoder.2", 2 * w), ("encoder.5", 4 * w)):
        shapes[f"{conv}.weight"] = (maps, maps // 2, 4, 4)
        norm(f"encoder.{int(conv[-1]) + 1}", maps)
    shapes["encoder.0.weight"] = (w, 3, 3, 3)
    shapes["hr_joint.0.weight"] = (4 * w, 4 * w + condition, 3, 3)
    norm("hr_joint.1", 4 * w)
    for block in range(residual):
        for place in (0, 3):
            shapes[f"residual.{block}.block.{place}.weight"] = (4 * w, 4 * w, 3, 3)
            norm(f"residual.{block}.block.{place + 1}", 4 * w)
    for k in range(4):
        out = 2 * w // 2**k
        shapes[f"upsample{k + 1}.1.weight"] = (out, 2 * out, 3, 3)
        norm(f"upsample{k + 1}.2", out)
    shapes["img.0.weight"] = (3, w // 4, 3, 3)
    inner = {"ca_net.fc.weight": shapes["ca_net.fc.weight"], "ca_net.fc.bias": (2 * condition,)}
    inner["fc.0.weight"] = (128 * w, condition + noise)
    inner |= {f"fc.1.{n}": (128 * w,) for n in NORM}
    for k in range(4):
        out = 4 * w // 2**k
        inner[f"upsample{k + 1}.1.weight"] = (out, 2 * out, 3, 3)
        inner |= {f"upsample{k + 1}.2.{n}": (out,) for n in NORM}
    inner["img.0.weight"] = (3, w // 2, 3, 3)
    return shapes | {f"STAGE1_G.{key}": shape for key, shape in inner.items()}


@pytest.mark.parametrize("width, residual", [(8, 4), (12, 1)])
def test_other_widths_and_block_counts(tmp_path, width, residual):
    state = {key: torch.rand(shape) for key, shape in scaled(width, residual).items()}
    torch.save(state, tmp_path / "netG.pth")
    made = read_networks([tmp_path / "netG.pth"])
    a = made.architecture
    assert (a.stage1_generator_width, a.stage2_generator_width) == (width, width)
    assert (a.residual_blocks, a.noise_dim) == (residual, 3)
    sketch = made.stage1(torch.rand(2, 10), torch.rand(2, 3)).images
    assert made.stage2(sketch, torch.rand(2, 10)).images.shape == (2, 3, 256, 256)


def test_a_stage_1_that_differs_from_the_one_inside_is_told(published, tmp_path):
    state = read_pth(published / "stage1_G.pth")
    state["img.0.weight"] = state["img.0.weight"] + 1
    torch.save(state, tmp_path / "other.pth")
    made = read_networks([tmp_path / "other.pth", published / "stage2_G.pth"])
    assert "other.pth" in made.notes[0] and "stage2_G.pth" in made.notes[0]
    inside = read_networks([published / "stage2_G.pth"]).stage1
    assert torch.equal(made.stage1.rgb.weight, inside.rgb.weight)
    both = [published / "stage1_G.pth", published / "stage2_G.pth"]
    assert read_networks(both).notes == []


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("fault", ["missing", "unknown", "shape", "nan", "whole"])
def test_what_does_not_fit_is_named(published, tmp_path, kind, fault):
    state = read_pth(published / f"{kind}.pth")
    key = "ca_net.fc.bias" if kind.endswith("G") else "encode_img.3.bias"
    if fault == "missing":
        del state[key]
    elif fault == "unknown":
        state["surprise.weight"] = torch.zeros(1)
        key = "surprise"
    elif fault == "shape":
        state[key] = torch.zeros(3)
    else:
        state[key] = state[key] * float("nan") if fault == "nan" else state[key].long()
    path = tmp_path / "bad.pth"
    torch.save(state, path)
    with pytest.raises(ModelError) as told:
        read_networks([path])
    assert str(path) in str(told.value) and "\n" not in str(told.value)


def test_files_of_two_models_and_two_of_a_kind(published, tmp_path):
    state = read_pth(published / "stage1_D.pth")
    state["get_cond_logits.outlogits.0.weight"] = torch.zeros(32, 41, 3, 3)
    torch.save(state, tmp_path / "other_D.pth")
    with pytest.raises(ModelError, match=r"condition_dim 9 .* 8.*not of one model"):
        read_networks([published / "stage1_G.pth", tmp_path / "other_D.pth"])
    with pytest.raises(ModelError, match="both a stage1_G"):
        read_networks([published / "stage1_G.pth"] * 2)


def test_another_network_is_no_network_of_theirs(tmp_path):
    torch.save({"layer.weight": torch.zeros(2)}, tmp_path / "other.pth")
    assert kind_of({"layer.weight": torch.zeros(2)}) is None
    with pytest.raises(ModelError, match=r"other\.pth is no network .*'layer\.weight'"):
        read_networks([tmp_path / "other.pth"])
