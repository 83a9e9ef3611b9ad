"""Model folders: what is saved is what is loaded; what is damaged is named."""

import json
import os
import shutil

import pytest
import torch

import stackgan.hub as hub
from stackgan import model_folder
from stackgan.errors import ModelError
from stackgan.hub import load_model, save_model, write_scores, write_truncation
from stackgan.model_folder import (
    CONFIG,
    DISCRIMINATOR,
    ENCODER,
    GENERATOR,
    find_model,
    read_config,
    read_truncation,
    shipped_models,
)

FILES = [GENERATOR, ENCODER, DISCRIMINATOR]


@pytest.fixture
def spoiled(tiny_model, tmp_path):
    """A copy of the tiny model for a test to damage."""
    return shutil.copytree(tiny_model, tmp_path / "spoiled")


def save_again(loaded, folder, **more):
    return save_model(
        folder,
        architecture=loaded.architecture.model_dump(),
        stage1=loaded.stage1,
        stage2=loaded.stage2,
        encoder=loaded.encoder,
        **more,
    )


def test_saving_what_was_loaded_gives_the_same_bytes(tiny_model, tmp_path):
    loaded = load_model(tiny_model)
    save_again(loaded, tmp_path / "again")
    for name in (GENERATOR, ENCODER):
        assert (tmp_path / "again" / name).read_bytes() == (tiny_model / name).read_bytes()


def test_every_weight_of_both_stages_travels(new_model, tmp_path):
    loaded = load_model(new_model(tmp_path / "a"))
    with torch.no_grad():
        for network in (loaded.stage1, loaded.stage2):
            for number, parameter in enumerate(network.parameters()):
                parameter.fill_(number + 0.5)
    again = load_model(save_again(loaded, tmp_path / "b", dtype=torch.float32))
    for stage in ("stage1", "stage2"):
        expected = getattr(loaded, stage).state_dict()
        found = getattr(again, stage).state_dict()
        assert found.keys() == expected.keys()
        for key, value in expected.items():
            assert torch.equal(found[key], value), key


def test_kernels_are_stored_in_bf16_and_statistics_in_float32(tiny_model):
    from safetensors.torch import load_file

    for key, value in load_file(tiny_model / GENERATOR).items():
        if value.is_floating_point():
            assert value.dtype == (torch.bfloat16 if value.dim() > 1 else torch.float32), key


def test_a_loaded_model_is_frozen_float32_and_in_evaluation_mode(tiny_model):
    loaded = load_model(tiny_model)
    for network in (loaded.stage1, loaded.stage2, loaded.discriminator()):
        assert not network.training
        for parameter in network.parameters():
            assert parameter.dtype == torch.float32 and not parameter.requires_grad
            assert parameter.device.type == "cpu"


@pytest.mark.parametrize("name", ["tiny_model", "modern_model", "tiny_stage1"])
def test_the_discriminator_answers(request, name):
    loaded = load_model(request.getfixturevalue(name))
    side = 64 if loaded.stage2 is None else loaded.architecture.crop_px or 256
    judge = loaded.discriminator()
    embedding = loaded.encoder.encode(["a pink flower", "a blue flower"])
    logits = judge.conditional(judge.features(torch.zeros(2, 3, side, side)), embedding)
    assert logits.shape == (2,) and logits.isfinite().all()
    assert loaded.discriminator() is loaded.discriminator()


@pytest.mark.skipif(os.name == "nt", reason="Windows has no modes")
def test_everyone_may_read_a_model(tiny_model):
    for path in tiny_model.iterdir():
        assert path.stat().st_mode & 0o444 == 0o444, path.name


def test_the_card_scores_and_training_travel(tiny_model):
    loaded = load_model(tiny_model)
    assert loaded.name == "tiny"
    assert loaded.config["scores"] == {"kid": 0.5}
    assert loaded.config["training"]["data"] == "none"
    assert (tiny_model / "README.md").read_text() == "# tiny\n"


def test_scores_are_merged_and_the_model_still_loads(spoiled):
    write_scores(spoiled, {"swd": 70.0})
    assert load_model(spoiled).config["scores"] == {"kid": 0.5, "swd": 70.0}


def test_a_truncation_travels_in_the_folder(tiny_model, tmp_path):
    loaded = load_model(tiny_model)
    assert "sampling" not in loaded.config and read_truncation(loaded.config) == 1.0
    folder = save_again(loaded, tmp_path / "calm", truncation=0.7)
    assert read_truncation(load_model(folder).config) == 0.7
    write_truncation(folder, 0.0)
    assert read_truncation(load_model(folder).config) == 0.0


@pytest.mark.parametrize("value", [-0.1, "0.8", None, True, float("nan"), float("inf")])
def test_a_truncation_that_is_none_is_refused(spoiled, value):
    if isinstance(value, float):
        with pytest.raises(ModelError, match="expected a number from 0 on"):
            write_truncation(spoiled, value)
        assert "sampling" not in read_config(spoiled)
    with pytest.raises(ModelError, match="sampling truncation"):
        read_truncation({"sampling": {"truncation": value}})
    with pytest.raises(ModelError, match="sampling truncation None"):
        read_truncation({"sampling": 0.8})


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("how", ["flipped", "short", "empty", "gone"])
def test_a_damaged_file_is_named(spoiled, name, how):
    path = spoiled / name
    data = bytearray(path.read_bytes())
    data[-3] ^= 255
    damaged = {"flipped": bytes(data), "short": bytes(data[:100]), "empty": b""}
    path.unlink()
    if how in damaged:
        path.write_bytes(damaged[how])
    with pytest.raises(ModelError, match=name.replace(".", r"\.")):
        load_model(spoiled).discriminator()


def test_another_encoder_is_refused_by_name(spoiled, new_model, tmp_path):
    other = new_model(tmp_path / "other", seed=1)
    shutil.copy(other / ENCODER, spoiled / ENCODER)
    with pytest.raises(ModelError, match=r"'tiny-0'.*'tiny-1'"):
        load_model(spoiled)


def test_another_encoder_given_is_refused_by_name(tiny_model, new_model, tmp_path):
    other = load_model(new_model(tmp_path / "other", seed=1))
    with pytest.raises(ModelError, match=r"'tiny-0'.*'tiny-1'"):
        load_model(tiny_model, encoder=other.encoder)


class Foreign:
    """An encoder that a package holds: it cannot save itself."""

    name, dim, sha256 = "foreign", 16, "ab" * 32

    def encode(self, captions):
        return torch.zeros(len(captions), 16)


def test_an_encoder_kept_elsewhere_is_asked_for_and_accepted(tiny_model, tmp_path):
    loaded = load_model(tiny_model)
    loaded.encoder = Foreign()
    folder = save_again(loaded, tmp_path / "m")
    assert not (folder / ENCODER).exists()
    with pytest.raises(ModelError, match="'foreign'"):
        load_model(folder)
    assert load_model(folder, encoder=Foreign()).encoder.name == "foreign"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": "stackgan-model/9"}, "stackgan-model/9"),
        ({"format": None}, "format"),
        ({"architecture": {"embedding_dim": 16, "widht": 3}}, "widht"),
        ({"architecture": {"embedding_dim": 16}}, "does not fit"),
    ],
)
def test_a_config_of_another_kind_is_refused(spoiled, change, message):
    path = spoiled / CONFIG
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(ModelError, match=message) as caught:
        load_model(spoiled)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("change", ["missing", "unknown"])
def test_weights_are_loaded_strictly(spoiled, change):
    from safetensors.torch import load_file, save_file

    weights = load_file(spoiled / GENERATOR)
    if change == "missing":
        del weights["stage2.rgb.weight"]
    else:
        weights["stage1.more.weight"] = torch.zeros(3)
    save_file(weights, spoiled / GENERATOR)
    config = read_config(spoiled)
    config["files"][GENERATOR]["sha256"] = hub.file_sha256(spoiled / GENERATOR)
    hub.write_json(spoiled / CONFIG, config)
    name = "stage2.rgb.weight" if change == "missing" else "stage1.more.weight"
    with pytest.raises(ModelError, match=f"does not fit.*{name}"):
        load_model(spoiled)


def test_a_config_that_is_not_json_is_named(spoiled):
    (spoiled / CONFIG).write_text("{")
    with pytest.raises(ModelError, match=CONFIG):
        read_config(spoiled)


def test_a_run_folder_stands_for_its_model(tiny_model, tmp_path):
    shutil.copytree(tiny_model, tmp_path / "run" / "model")
    assert find_model(tmp_path / "run") == tmp_path / "run" / "model"


def test_an_unknown_name_hears_the_nearest_shipped_one(tmp_path, monkeypatch, tiny_model):
    shutil.copytree(tiny_model, tmp_path / "flowers")
    monkeypatch.setattr(model_folder, "SHIPPED", tmp_path)
    assert shipped_models() == ["flowers"]
    assert find_model("flowers") == tmp_path / "flowers"
    with pytest.raises(ModelError, match="did you mean 'flowers'"):
        find_model("flower")


def test_a_shipped_name_wins_over_a_folder_but_a_path_means_the_folder(
    tmp_path, monkeypatch, tiny_model
):
    shutil.copytree(tiny_model, tmp_path / "shipped" / "flowers")
    shutil.copytree(tiny_model, tmp_path / "here" / "flowers")
    monkeypatch.setattr(model_folder, "SHIPPED", tmp_path / "shipped")
    monkeypatch.chdir(tmp_path / "here")
    assert find_model("flowers") == tmp_path / "shipped" / "flowers"
    assert find_model("./flowers").resolve() == tmp_path / "here" / "flowers"


def test_a_file_and_an_empty_folder_are_no_model(tmp_path):
    (tmp_path / "x.bin").write_bytes(b"1")
    with pytest.raises(ModelError, match="is a file"):
        find_model(tmp_path / "x.bin")
    with pytest.raises(ModelError, match="neither"):
        find_model(tmp_path)


def test_a_failed_save_leaves_the_older_model(tiny_model, tmp_path):
    loaded = load_model(tiny_model)
    folder = save_again(loaded, tmp_path / "m")
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    with pytest.raises(TypeError):
        save_again(loaded, folder, training={"bad": object()})
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert [path.name for path in tmp_path.iterdir()] == ["m"]


@pytest.mark.parametrize("renames", [0, 1])
def test_a_kill_between_the_renames_of_a_save_loses_nothing(
    tiny_model, tmp_path, monkeypatch, renames
):
    loaded = load_model(tiny_model)
    folder = save_again(loaded, tmp_path / "run" / "model", name="older")
    real, done = hub.os.replace, []

    def stop_after(source, target):
        if not str(target).endswith(CONFIG):
            if len(done) == renames:
                raise KeyboardInterrupt
            done.append(target)
        real(source, target)

    monkeypatch.setattr(hub.os, "replace", stop_after)
    with pytest.raises(KeyboardInterrupt):
        save_again(loaded, folder, name="newer")
    monkeypatch.setattr(hub.os, "replace", real)
    assert load_model(tmp_path / "run").name == "older"
    save_again(loaded, folder, name="newer")
    assert load_model(tmp_path / "run").name == "newer"
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["model"]


@pytest.mark.parametrize("name", shipped_models())
def test_a_shipped_model_is_whole_and_at_most_40_mb(name):
    loaded = load_model(name)
    assert loaded.discriminator() is not None
    assert loaded.name == name
    total = sum(path.stat().st_size for path in loaded.folder.iterdir())
    assert total <= 40_000_000
    assert (loaded.folder / "README.md").is_file()


def heads(seed: int, width: int = 5) -> dict[str, torch.Tensor]:
    random = torch.Generator().manual_seed(seed)
    return {
        "heads.0.weight": torch.randn(width, 3, 3, 3, generator=random),
        "heads.0.bias": torch.randn(width, generator=random),
        "standard.scale": torch.randn((), generator=random),
    }


def test_projected_weights_of_both_stages_travel_and_older_folders_have_none(tiny_model, tmp_path):
    loaded = load_model(tiny_model)
    assert loaded.projected_weights(1) is loaded.projected_weights(2) is None
    folder = save_again(loaded, tmp_path / "a", projected=heads(1), stage1_projected=heads(2))
    again = load_model(folder)
    assert {"projected.safetensors", "stage1_projected.safetensors"} <= again.config["files"].keys()
    for stage, seed in ((2, 1), (1, 2)):
        found = again.projected_weights(stage)
        assert found is not None and found.keys() == heads(seed).keys()
        for name, value in heads(seed).items():
            kept = value.bfloat16().float() if value.dim() > 1 else value
            assert torch.equal(found[name], kept), name
    only = load_model(save_again(loaded, tmp_path / "b", projected=heads(1)))
    assert only.projected_weights(1) is None and only.projected_weights(2) is not None


def test_a_sketcher_s_projected_weights_are_stage_1_s(tiny_stage1, tmp_path):
    loaded = load_model(tiny_stage1)
    folder = save_again(loaded, tmp_path / "a", projected=heads(1), stage1_projected=heads(2))
    again = load_model(folder)
    assert "stage1_projected.safetensors" not in again.config["files"]
    assert again.projected_weights(2) is None
    found = again.projected_weights(1)
    assert found is not None and torch.equal(found["heads.0.bias"], heads(1)["heads.0.bias"])


def test_damaged_projected_weights_are_named(tiny_model, tmp_path):
    folder = save_again(load_model(tiny_model), tmp_path / "a", projected=heads(1))
    path = folder / "projected.safetensors"
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(ModelError, match=r"projected\.safetensors is damaged"):
        load_model(folder).projected_weights(2)
