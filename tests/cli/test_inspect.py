"""``stackgan inspect``: every kind of file we write, and files we did not."""

import json
import shutil

import pytest
import torch
from PIL import Image

from stackgan import StackGAN
from stackgan.hub import write_truncation


def told(command_line, path):
    done = command_line("inspect", path, "--json")
    assert (done.code, done.err) == (0, ""), done.err
    return json.loads(done.out)


def test_a_model_folder(command_line, tiny_model):
    facts = told(command_line, tiny_model)
    assert facts["kind"] == "model folder" and facts["name"] == "tiny"
    assert facts["architecture"]["embedding_dim"] == 16
    assert facts["encoder"]["name"] == "tiny-0"
    assert facts["scores"] == {"kid": 0.5}
    assert facts["bytes"] > 1000
    words = command_line("inspect", tiny_model).out
    assert "embedding_dim: 16" in words and "kid: 0.5" in words


def test_a_run_folder(command_line, tiny_model, tmp_path):
    shutil.copytree(tiny_model, tmp_path / "model")
    assert told(command_line, tmp_path)["kind"] == "run folder"


def test_a_picture(command_line, tiny_model, tmp_path):
    (path,) = StackGAN.from_pretrained(tiny_model, "cpu")("a pink flower", seed=3).save(tmp_path)
    facts = told(command_line, path)
    assert facts["kind"] == "picture" and facts["size_px"] == [256, 256]
    assert (facts["caption"], facts["seed"], facts["model"]) == ("a pink flower", "3", "tiny")
    assert facts["truncation"] == "1.0"


def test_the_truncation_that_a_model_is_sampled_with(command_line, tiny_model, tmp_path):
    assert told(command_line, tiny_model)["sampling"] == {"truncation": 1.0}
    write_truncation(shutil.copytree(tiny_model, tmp_path / "calm"), 0.8)
    assert told(command_line, tmp_path / "calm")["sampling"] == {"truncation": 0.8}


def test_an_encoder_file_and_the_generators_file(command_line, tiny_model):
    facts = told(command_line, tiny_model / "text_encoder.safetensors")
    assert facts["kind"] == "text encoder" and facts["name"] == "tiny-0"
    assert facts["vocabulary_words"] > 5 and "alphabet" not in facts
    facts = told(command_line, tiny_model / "generator.safetensors")
    assert facts["kind"] == "tensors" and facts["parameters"] > 1000


def test_a_folder_with_an_encoder_alone(command_line, tiny_model, tmp_path):
    shutil.copy(tiny_model / "text_encoder.safetensors", tmp_path)
    assert told(command_line, tmp_path)["kind"] == "text encoder"


def test_a_checkpoint(command_line, tmp_path):
    torch.save({"format": "stackgan-checkpoint/1", "step": 12}, tmp_path / "checkpoint.pt")
    facts = told(command_line, tmp_path / "checkpoint.pt")
    assert facts["kind"] == "checkpoint" and facts["step"] == 12


class Evil:
    def __reduce__(self):
        return print, ("executed",)


def test_what_is_not_ours_is_said_and_never_executed(command_line, tmp_path):
    Image.new("RGB", (4, 4)).save(tmp_path / "plain.png")
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n")
    (tmp_path / "broken.safetensors").write_bytes(b"\xff" * 40)
    (tmp_path / "words.txt").write_text("hello")
    torch.save({"format": Evil()}, tmp_path / "evil.pt")
    names = ["plain.png", "broken.png", "broken.safetensors", "words.txt", "evil.pt", "gone"]
    for name in names:
        done = command_line("inspect", tmp_path / name)
        assert done.code == 2 and done.out == "", name
        assert done.err.count("\n") == 1 and name in done.err


@pytest.mark.parametrize("name", ["model", "mdoel"])
def test_an_unknown_name(command_line, name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert command_line("inspect", name).code == 2
