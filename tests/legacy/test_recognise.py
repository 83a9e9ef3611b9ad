"""Files that are none of ours: what each is, in one sentence, and nothing of it is run."""

import gzip
import io
import json
import os
import pickle
import struct
import tarfile
import zipfile

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from stackgan.legacy.recognise import recognise, text_in, whose


def zipped(*names):
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for name in names:
            archive.writestr(name, b"x")
    return made.getvalue()


def tarred(name):
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as archive:
        archive.addfile(tarfile.TarInfo(name), io.BytesIO())
    return made.getvalue()


def picture(kind):
    made = io.BytesIO()
    Image.new("RGB", (40, 40)).save(made, kind)
    return made.getvalue()


def numpy_file(save, *arguments, **arrays):
    made = io.BytesIO()
    save(made, *arguments, **arrays)
    return made.getvalue()


def safetensors(*names, **more):
    tensors = {name: {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]} for name in names}
    header = json.dumps({**more, **tensors}).encode()
    return struct.pack("<Q", len(header)) + header + b"\0" * 4


class Runs:
    def __init__(self, canary):
        self.canary = canary

    def __reduce__(self):
        return os.system, (f"touch {self.canary}",)


HTML = b"<!DOCTYPE html><html><head><title>Google Drive - Virus scan warning</title></html>"
LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"
S3 = b'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>AccessDenied</Code></Error>'
INDEX = b"\0\0\1\2" * 30 + b"\x57\xfb\x80\x8b\x24\x75\x47\xdb"

FILES = {
    "page.pth": (HTML, "it is a web page (HTML)"),
    "page.pickle": (b"\xef\xbb\xbf\r\n  <HTML lang=en>", "it is a web page (HTML)"),
    "refused.pth": (S3, "it is XML, often a server's refusal"),
    "pointer.pth": (LFS, "it is a Git LFS pointer, not the file itself: run `git lfs pull`"),
    "nothing.pth": (b"", "it is empty (0 bytes)"),
    "nothing.pickle": (b"", "it is empty (0 bytes)"),
    "zeros.pth": (b"\0" * 9000, "it is nothing but zeros"),
    "photo.pth": (picture("JPEG"), "it is a picture (JPEG)"),
    "photo.t7": (picture("PNG"), "it is a picture (PNG)"),
    "photo.pickle": (picture("WEBP"), "it is a picture (WebP)"),
    "paper.pth": (b"%PDF-1.5\n%\xd0\xd4", "it is a PDF document"),
    "birds.zip": (zipped("text/a.txt", "b"), "a zip archive without data.pkl, of 2 files"),
    "empty.zip": (zipped(), "a zip archive without data.pkl, of 0 files"),
    "table.xlsx": (zipped("[Content_Types].xml", "xl/workbook.xml"), "it is an Office document"),
    "model.keras": (zipped("config.json", "model.weights.h5"), "it is a Keras model"),
    "rows.npz": (numpy_file(np.savez, a=np.ones(2)), "it is a numpy archive (.npz)"),
    "rows.npy": (numpy_file(np.save, np.ones(2)), "it is a numpy array (.npy)"),
    "all.tar": (tarred("netG.pth"), "it is a tar archive: unpack it and import the files in it"),
    "all.tar.gz": (gzip.compress(tarred("netG.pth")), "it is packed by gzip (.gz or .tar.gz)"),
    "all.7z": (b"7z\xbc\xaf\x27\x1c\0\4", "it is a 7z archive"),
    "weights.h5": (b"\x89HDF\r\n\x1a\n\0\0", "it is a file of HDF5"),
    "net.onnx": (b"\x08\x07\x12\x07pytorch\x1a\x051.9.0:\xd1", "it is a model in ONNX"),
    "net.tflite": (b"\x1c\0\0\0TFL3\x14\0", "it is a TensorFlow Lite model"),
    "saved_model.pb": (b"\x08\x01\x12\xb4\xe9\x0e\n\xb9", "it is a TensorFlow graph (.pb)"),
    "renamed.bin": (INDEX, "it is the index of a TensorFlow checkpoint"),
    "model.ckpt-600000.index": (INDEX, "is a TensorFlow checkpoint, which cannot be imported yet"),
    "llama.gguf": (b"GGUF\3\0\0\0", "it is a model in GGUF"),
    "unet.safetensors": (
        safetensors("down_blocks.0.conv.weight"), "it is a network of the package diffusers as"
    ),
    "other.safetensors": (
        safetensors("w", __metadata__={"format": "pt"}), "safetensors, its first tensor w, which"
    ),
    "generator.safetensors": (
        safetensors("stage1.project.weight"), "it is of a model folder of this program: name that"
    ),
    "error.pth": (b'{"message": "Not Found"}', "it is JSON, not weights; it begins '{\"message\""),
    "entry.pth": (b"Entry not found", "no pickle but text, beginning 'Entry not found'"),
    "user.bin": (b"Invalid username or password.", "but text, beginning 'Invalid username"),
    "script.t7": (b"import torch\nprint('hello')\n", "but text, beginning \"import torch print"),
    "names.txt": (b"001.Black_footed_Albatross\n", "no pickle but text, beginning '001.Black_foo"),
    "utf16.pickle": ("a list of names".encode("utf-16"), "but text, beginning 'a list of names'"),
    "noise.pth": (bytes(range(200, 256)) * 9, "it is no pickle, or a damaged one: byte 0 is 0xc8"),
    "numbers.pickle": (pickle.dumps({"a": 1}), "is a pickle of dict, expected file names, class"),
    "program": (b"\x7fELF\2\1\1\0", "it is a program, which is neither run nor imported"),
}  # fmt: skip


def refused(command_line, path, to):
    done = command_line("import", path, "--to", to)
    assert done.code == 2 and done.out == "" and not to.exists()
    assert done.err.count("\n") == 1 and done.err[:-1].isprintable() and str(path) in done.err
    return done.err


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_is_none_of_ours_is_said_to_be_what_it_is(command_line, tmp_path, name):
    content, said = FILES[name]
    (tmp_path / name).write_bytes(content)
    assert said in refused(command_line, tmp_path / name, tmp_path / "made")


@pytest.mark.parametrize("protocol", [0, 2, 4])
@pytest.mark.parametrize("name", ["evil.pickle", "evil.pth", "evil.txt"])
def test_a_pickle_that_would_run_is_refused_by_name_and_not_as_text(
    command_line, tmp_path, name, protocol
):
    (tmp_path / name).write_bytes(pickle.dumps(Runs(tmp_path / "canary"), protocol))
    said = refused(command_line, tmp_path / name, tmp_path / "made")
    assert "posix.system" in said and not (tmp_path / "canary").exists()


@pytest.mark.parametrize(
    ("inside", "said"),
    [
        ([], "it is a folder; name the files in it"),
        (["saved_model.pb"], "it is a folder of TensorFlow's SavedModel"),
        (["model_index.json"], "it is a folder of the package diffusers"),
        (["config.json", "generator.safetensors"], "it is a model folder already: name it with"),
    ],
)
def test_a_folder_is_said_to_be_one(command_line, tmp_path, inside, said):
    (tmp_path / "given").mkdir()
    for name in inside:
        (tmp_path / "given" / name).touch()
    assert said in refused(command_line, tmp_path / "given", tmp_path / "made")


NETWORKS = [
    ("h_net2.att.conv_context.weight", "AttnGAN's generator"),
    ("h_net2.jointConv.0.weight", "StackGAN-v2"),
    ("img_code_s16.0.weight", "a discriminator of StackGAN-v2 (StackGAN++) or AttnGAN"),
    ("COND_DNET.outlogits.0.weight", "AttnGAN's discriminator"),
    ("emb_cnn_code.weight", "AttnGAN's image encoder"),
    ("rnn.weight_ih_l0", "AttnGAN's text encoder"),
    ("block0.affine0.linear1.linear1.weight", "DF-GAN's generator"),
    ("model.diffusion_model.out.0.weight", "Stable Diffusion"),
    ("layer1.0.conv1.weight", "a ResNet"),
    ("Conv2d_1a_3x3.conv.weight", "an Inception-v3"),
]


@pytest.mark.parametrize(("tensor", "said"), NETWORKS)
def test_a_network_of_others_is_said_to_be_whose_it_is(command_line, tmp_path, tensor, said):
    state = {"module.ca_net.fc.weight": torch.ones(2, 3), f"module.{tensor}": torch.ones(2)}
    torch.save(state, tmp_path / "netG_epoch_600.pth")
    told = refused(command_line, tmp_path / "netG_epoch_600.pth", tmp_path / "made")
    assert said in told and "expected a network of StackGAN's authors' PyTorch code" in told


def test_the_authors_own_names_are_nobody_elses(published):
    for file in published.glob("*.pth"):
        assert whose(torch.load(file, weights_only=True)) is None and recognise(file) is None


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (torch.ones(2, 3), "it holds a tensor alone, expected a state dict"),
        ([torch.ones(2)], "it holds a value of type list, expected a state dict"),
        ({}, "it holds an empty dictionary, expected a state dict"),
        ({"epoch": 3, "weights": torch.ones(1)}, "it holds a value of type int under epoch"),
        ({3: torch.ones(1)}, "it calls a tensor 3, expected a name"),
    ],
)
def test_what_torch_saved_in_place_of_weights_is_said_in_plain_words(
    command_line, tmp_path, value, said
):
    torch.save(value, tmp_path / "saved.pth")
    told = refused(command_line, tmp_path / "saved.pth", tmp_path / "made")
    assert said in told and "_View" not in told


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    st.binary(max_size=300), st.sampled_from([b"", b"PK\3\4", b"\x10\0\0\0\0\0\0\0{", b"\x08\7"])
)
def test_any_bytes_are_named_in_a_short_phrase_or_left_to_the_readers(tmp_path, data, start):
    path = tmp_path / "file"
    path.write_bytes(start + data)
    for said in (recognise(path), text_in(path)):
        assert said is None or (len(said) < 300 and "\n" not in said)
