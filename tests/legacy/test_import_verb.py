"""``stackgan import``: each kind of file becomes what works like any other, or nothing at all."""

import json
import os
import pickle

import numpy as np
import pytest
import torch
from PIL import Image

from stackgan.hub import load_model
from stackgan.legacy.pth import read_pth
from stackgan.text import load_encoder

CAPTIONS = ["a red bird", "a yellow bird"]


def size_of(path):
    with Image.open(path) as image:
        return image.size


@pytest.fixture
def encoder_file(tmp_path, small_encoder_state):
    """A published-like encoder whose embeddings have the 24 numbers the networks read."""
    state = small_encoder_state(False)
    state["emb_proj.weight"] = torch.randn(24, 5, generator=torch.Generator().manual_seed(1))
    state["emb_proj.bias"] = torch.zeros(24)
    torch.save(state, tmp_path / "encoder.pth")
    return tmp_path / "encoder.pth"


@pytest.fixture
def files(published):
    return [published / f"{kind}.pth" for kind in ("stage1_D", "stage1_G", "stage2_D", "stage2_G")]


def test_a_model_that_draws_interpolates_and_tells_where_it_came_from(
    command_line, files, encoder_file, tmp_path, recorded
):
    folder = tmp_path / "coco"
    done = command_line("import", *files, encoder_file, "--to", folder)
    assert done.code == 0 and str(folder) in done.out, done.err
    made = load_model(folder)
    sketch = made.stage1(recorded["embedding"], recorded["noise"], recorded["stage2_sketch_eps"])
    drawn = made.stage2(sketch.images, recorded["embedding"], recorded["stage2_eps"])
    torch.testing.assert_close(drawn.images, recorded["stage2_image"], rtol=0, atol=1e-5)
    for stage in (1, 2):
        judge = made.discriminator(stage)
        features = judge.features(recorded[f"stage{stage}_image"]).whole
        torch.testing.assert_close(
            features, recorded[f"stage{stage}_d_features"], rtol=0, atol=1e-5
        )
    out = tmp_path / "bird.png"
    assert command_line("generate", CAPTIONS[0], "--model", folder, "--out", out).code == 0
    assert size_of(out) == (256, 256)
    row = tmp_path / "row.png"
    done = command_line("interpolate", *CAPTIONS, "--model", folder, "--steps", 3, "--out", row)
    assert done.code == 0 and row.is_file()
    facts = json.loads(command_line("inspect", folder, "--json").out)
    imported = facts["training"]["imported"]
    assert imported["from"] == "the authors' PyTorch code"
    assert imported["stage2_G"]["file"] == "stage2_G.pth" and len(facts["encoder"]["sha256"]) == 64
    assert "stage2_G.pth" in (folder / "README.md").read_text()


def test_stage_1_alone(command_line, published, encoder_file, tmp_path):
    done = command_line(
        "import", published / "stage1_G.pth", encoder_file, "--to", tmp_path / "m", "--json"
    )
    assert json.loads(done.out)["kind"] == "model folder"
    out = tmp_path / "s.png"
    done = command_line("generate", CAPTIONS[0], "--model", tmp_path / "m", "--out", out)
    assert done.code == 0 and size_of(out) == (64, 64)


def test_without_an_encoder_the_model_says_what_it_lacks(
    command_line, published, encoder_file, tmp_path
):
    folder = tmp_path / "m"
    done = command_line("import", published / "stage1_G.pth", "--to", folder)
    assert done.code == 0 and "no text encoder" in done.out
    done = command_line("generate", "x", "--model", folder, "--out", tmp_path / "x.png")
    assert done.code == 2 and "--encoder" in done.err and "24 numbers" in done.err
    assert command_line("import", encoder_file, "--to", tmp_path / "e").code == 0
    done = command_line("generate", "a bird", "--model", folder, "--encoder", tmp_path / "e",
                        "--out", tmp_path / "x.png")  # fmt: skip
    assert done.code == 0, done.err


def test_an_encoder_of_another_size_is_refused(
    command_line, published, small_encoder_state, tmp_path
):
    torch.save(small_encoder_state(False), tmp_path / "nine.pth")
    done = command_line("import", published / "stage1_G.pth", tmp_path / "nine.pth",
                        "--to", tmp_path / "m")  # fmt: skip
    assert done.code == 2 and "24 numbers" in done.err and "makes 9" in done.err
    assert not (tmp_path / "m").exists()
    assert command_line("import", published / "stage1_G.pth", "--to", tmp_path / "m").code == 0
    assert command_line("import", tmp_path / "nine.pth", "--to", tmp_path / "e").code == 0
    done = command_line("generate", "x", "--model", tmp_path / "m", "--encoder", tmp_path / "e",
                        "--out", tmp_path / "x.png")  # fmt: skip
    assert done.code == 2 and "makes 9" in done.err


def test_an_encoder_from_torch7(command_line, small_encoder_state, lua_net, write_t7, tmp_path):
    state = small_encoder_state(True)
    path = write_t7(tmp_path / "gru18.t7", lua_net(state, True))
    assert command_line("import", path, "--to", tmp_path / "e").code == 0
    facts = json.loads(command_line("inspect", tmp_path / "e", "--json").out)
    assert facts["kind"] == "text encoder" and facts["imported"].startswith("gru18.t7, sha256 ")
    found = load_encoder(tmp_path / "e").state_dict()
    assert torch.equal(found["rnn.h2h_reset.weight"], state["rnn.h2h_reset.weight"])


def captions_file(write_t7, folder):
    rows = np.random.default_rng(0).normal(size=(2, 24)).astype(np.float32)
    value = {"raw_txt": CAPTIONS, "fea_txt": [rows]}
    return write_t7(folder / "val_captions.t7", value), rows


def test_captions_become_embeddings_or_a_models_encoder(
    command_line, write_t7, published, tmp_path
):
    path, rows = captions_file(write_t7, tmp_path)
    assert command_line("import", path, "--to", tmp_path / "c").code == 0
    found = load_encoder(tmp_path / "c" / "val_captions.npz")
    assert torch.equal(found.encode(CAPTIONS), torch.from_numpy(rows))
    model = tmp_path / "m"
    assert command_line("import", published / "stage2_G.pth", path, "--to", model).code == 0
    out = tmp_path / "x.png"
    assert command_line("generate", CAPTIONS[1], "--model", model, "--out", out).code == 0
    done = command_line("generate", "another", "--model", model, "--out", out)
    assert done.code == 2 and "holds no embedding" in done.err


@pytest.fixture
def data_files(tmp_path):
    names = ["001.Auk/Auk_1", "002.Gull/Gull_2"]
    values = {
        "filenames": names,
        "char-CNN-RNN-embeddings": [np.full((2, 24), k, np.float32) for k in (1, 2)],
        "class_info": [1, 2],
    }
    for name, value in values.items():
        (tmp_path / f"{name}.pickle").write_bytes(pickle.dumps(value, 2))
    for name in names:
        file = tmp_path / "text" / f"{name}.txt"
        file.parent.mkdir(parents=True)
        file.write_text(f"{file.stem} one\n{file.stem} two\n{file.stem} three\n")
    return [tmp_path / f"{name}.pickle" for name in values]


@pytest.mark.parametrize("with_texts", [False, True])
def test_pickles_become_a_data_set_with_embeddings(command_line, data_files, tmp_path, with_texts):
    folder = tmp_path / "data"
    more = ["--texts", tmp_path / "text"] if with_texts else []
    done = command_line("import", *data_files, "--to", folder, *more)
    assert done.code == 0, done.err
    for name in ("001.Auk/Auk_1.jpg", "002.Gull/Gull_2.jpg"):
        (folder / name).parent.mkdir()
        Image.new("RGB", (80, 80)).save(folder / name)
    done = command_line("data", "check", "folder", "--root", folder)
    # no file is at fault; that so few cannot be trained on is
    assert done.err == f"stackgan: {folder} has 1 fault; 2 captioned images can be used\n"
    assert done.out.startswith(f"{folder}: ") and "train" in done.out
    from stackgan.data import read_examples

    examples = read_examples("folder", folder, "all")
    assert [e.class_name for e in examples] == ["001.Auk", "002.Gull"]
    captions = [list(e.captions) for e in examples]
    assert captions[1][1] == ("Gull_2 two" if with_texts else "002.Gull/Gull_2, caption 2")
    rows = load_encoder(folder / "char-CNN-RNN-embeddings.npz").encode(captions[0] + captions[1])
    assert rows[:, 0].tolist() == [1, 1, 2, 2]


def test_a_data_set_of_names_and_texts_alone(command_line, data_files, tmp_path):
    done = command_line(
        "import", data_files[0], "--to", tmp_path / "d", "--texts", tmp_path / "text"
    )
    assert done.code == 0 and not list((tmp_path / "d").glob("*.npz"))
    assert len((tmp_path / "d" / "metadata.jsonl").read_text().splitlines()) == 2


class Evil:
    def __init__(self, canary):
        self.canary = str(canary)

    def __reduce__(self):
        return os.system, (f"touch {self.canary}",)


def wrong(tmp_path, published, data_files, write_t7):
    """Command lines that fail, with a word of their sentence."""
    canary = tmp_path / "canary"
    crafted = {
        "evil.pickle": pickle.dumps(Evil(canary)),
        "evil.t7": b"\6\0\0\0\3\0\0\0abc\0\0\0\0",
        "model_600000.ckpt": b"",
        "model.ckpt-600000.data-00000-of-00001": b"",
        "other.bin": b"what is this",
        "cut.pth": (published / "stage1_D.pth").read_bytes()[:-50],
    }
    for name, content in crafted.items():
        (tmp_path / name).write_bytes(content)
    torch.save({"w": Evil(canary)}, tmp_path / "evil.pth")
    torch.save({"w": torch.zeros(1)}, tmp_path / "unknown.pth")
    captions, _ = captions_file(write_t7, tmp_path)
    judge, sketcher = published / "stage1_D.pth", published / "stage1_G.pth"
    names, rows, classes = data_files
    here, known = tmp_path, tmp_path / "known.npz"
    np.savez(known, embeddings=np.ones((1, 24), np.float32), captions=np.array(["a bird"]))
    return {
        "a pickle that runs": ([here / "evil.pickle"], "posix.system"),
        "a .pth that runs": ([here / "evil.pth"], "posix.system"),
        "a .t7 that runs": ([here / "evil.t7"], "evil.t7: it"),
        "TensorFlow": ([here / "model_600000.ckpt"], "cannot be imported yet"),
        "TensorFlow, new": (
            [here / "model.ckpt-600000.data-00000-of-00001"], "TensorFlow checkpoint"
        ),
        "no such file": ([here / "gone.pth"], "gone.pth: there is no such file"),
        "something else": ([here / "other.bin"], "other.bin: it is no pickle"),
        "cut short": ([here / "cut.pth"], "cut.pth: it claims"),
        "an unknown network": ([here / "unknown.pth"], "unknown.pth is neither"),
        "discriminators alone": ([judge], "a model needs a generator"),
        "one twice": ([sketcher, sketcher], "both a stage1_G"),
        "data and networks": ([sketcher, names], "belongs to no model"),
        "two kinds of data": ([names, captions], "import it by itself"),
        "embeddings alone": ([rows], "add the filenames.pickle"),
        "names alone": ([names, classes], "names images without captions"),
        "two lists": ([names, names], "both filenames"),
        "an encoder for data": ([names, rows, "--encoder", known], "--encoder belongs"),
        "two encoders": ([sketcher, captions, "--encoder", known], "several text encoders"),
    }  # fmt: skip


WRONG = [
    "a pickle that runs", "a .pth that runs", "a .t7 that runs", "TensorFlow", "TensorFlow, new",
    "no such file", "something else", "cut short", "an unknown network", "discriminators alone",
    "one twice", "data and networks", "two kinds of data", "embeddings alone", "names alone",
    "two lists", "an encoder for data", "two encoders",
]  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_wrong_use_is_one_sentence_and_writes_nothing(
    command_line, name, tmp_path, published, data_files, write_t7
):
    arguments, word = wrong(tmp_path, published, data_files, write_t7)[name]
    before = sorted(tmp_path.iterdir())
    done = command_line("import", *arguments, "--to", tmp_path / "made")
    assert done.code == 2 and done.out == "" and word in done.err, done.err
    assert done.err.count("\n") == 1 and "Traceback" not in done.err
    assert sorted(tmp_path.iterdir()) == before


def test_the_list_of_wrong_uses_is_whole(tmp_path, published, data_files, write_t7):
    assert list(wrong(tmp_path, published, data_files, write_t7)) == WRONG


def test_a_folder_in_use_is_left_as_it_is(command_line, published, tmp_path):
    (tmp_path / "photo.jpg").write_bytes(b"mine")
    done = command_line("import", published / "stage1_G.pth", "--to", tmp_path)
    assert done.code == 2 and "not an empty folder" in done.err
    assert (tmp_path / "photo.jpg").read_bytes() == b"mine"
    done = command_line("import", published / "stage1_G.pth", "--to", tmp_path / "photo.jpg")
    assert done.code == 2


def test_an_empty_folder_is_filled(command_line, published, encoder_file, tmp_path):
    for name, file in [("m", published / "stage1_G.pth"), ("e", encoder_file)]:
        (tmp_path / name).mkdir()
        assert command_line("import", file, "--to", tmp_path / name).code == 0


def test_a_whole_file_and_its_weights_are_never_changed(command_line, published, tmp_path):
    before = read_pth(published / "stage1_G.pth")
    command_line("import", published / "stage1_G.pth", "--to", tmp_path / "m")
    made = load_model(tmp_path / "m").stage1.state_dict()
    theirs = before["fc.0.weight"]
    assert torch.equal(made["project.weight"][:, :8], theirs[:, 6:])  # condition, then noise
    assert torch.equal(made["project.weight"][:, 8:], theirs[:, :6])


def test_a_ckpt_of_pytorch_is_read_as_one(command_line, published, tmp_path):
    (tmp_path / "netG.ckpt").write_bytes((published / "stage1_G.pth").read_bytes())
    assert command_line("import", tmp_path / "netG.ckpt", "--to", tmp_path / "m").code == 0
