"""The four published char-CNN-RNNs: their names, their tensors, the numbers they computed.

``tests/recorded/char_cnn_rnn/embeddings.npz`` holds what the published networks made of five
captions on weights that :func:`drawn` repeats; ``keys.json`` their tensors' names and shapes.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch

from stackgan.errors import ModelError
from stackgan.text import PUBLISHED, CharCnnRnn, load_encoder

RECORDED = Path(__file__).parents[1] / "recorded" / "char_cnn_rnn"
KNOWN = json.loads((RECORDED / "keys.json").read_text())
VARIANTS = {
    "char-cnn-rnn-cvpr-birds": "birds_cvpr",
    "char-cnn-rnn-cvpr-flowers": "flowers_cvpr",
    "char-cnn-rnn-icml-birds": "birds_icml",
    "char-cnn-rnn-icml-flowers": "flowers_icml",
}


def drawn(shapes: dict[str, list[int]]) -> dict[str, torch.Tensor]:
    """Tensor i of the sorted names is drawn from seed 1000 + i."""
    state = {}
    for place, key in enumerate(sorted(shapes)):
        values = np.random.default_rng(1000 + place).standard_normal(shapes[key], dtype=np.float32)
        scale = 0.05 if values.ndim == 1 else 1 / np.sqrt(np.prod(shapes[key][1:]))
        state[key] = torch.from_numpy((values * scale).astype(np.float32))
    return state


@cache
def published(name: str) -> CharCnnRnn:
    return CharCnnRnn.from_published(drawn(KNOWN["keys"][VARIANTS[name]]), name)


def test_the_four_have_names() -> None:
    assert PUBLISHED.keys() == VARIANTS.keys()


@pytest.mark.parametrize("name", VARIANTS)
def test_each_has_the_published_tensors(name: str) -> None:
    with torch.device("meta"):
        state = CharCnnRnn(PUBLISHED[name]).state_dict()
    expected = KNOWN["keys"][VARIANTS[name]]
    assert {key: list(value.shape) for key, value in state.items()} == expected


@pytest.mark.parametrize("name", VARIANTS)
def test_sizes_are_read_from_the_weights(name: str) -> None:
    encoder = published(name)
    assert encoder.sizes == PUBLISHED[name] and encoder.name == name


@pytest.mark.parametrize("name", VARIANTS)
def test_recorded_embeddings_come_out_alone_and_in_a_batch(name: str) -> None:
    with np.load(RECORDED / "embeddings.npz") as arrays:
        expected = torch.from_numpy(arrays[VARIANTS[name]])
    encoder, captions = published(name), KNOWN["captions"]
    alone = torch.cat([encoder.encode([caption]) for caption in captions])
    torch.testing.assert_close(alone, expected, atol=1e-5, rtol=0)
    torch.testing.assert_close(encoder.encode(captions), expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("recurrence", ["rnn", "gru"])
def test_other_widths_are_read_too_and_the_file_loses_no_bit(
    tmp_path: Path, recurrence: str
) -> None:
    shapes: dict[str, list[int]] = {"conv1.weight": [8, 70, 4], "conv2.weight": [12, 8, 4]}
    shapes |= {"conv3.weight": [16, 12, 4], "emb_proj.weight": [24, 16]}
    gates = ("", "_update", "_reset") if recurrence == "gru" else ("",)
    shapes |= {f"rnn.{way}{gate}.weight": [16, 16] for way in ("i2h", "h2h") for gate in gates}
    shapes |= {key.replace("weight", "bias"): shape[:1] for key, shape in shapes.items()}
    encoder = CharCnnRnn.from_published(drawn(shapes), "mine")
    assert (encoder.sizes.hidden, encoder.dim, encoder.sizes.recurrence) == (16, 24, recurrence)
    loaded = load_encoder(encoder.save(tmp_path))
    assert torch.equal(loaded.encode(["a red bird"]), encoder.encode(["a red bird"]))


@pytest.mark.parametrize(
    ("key", "shape", "message"),
    [
        ("conv2.weight", None, "conv2.weight"),
        ("emb_proj.weight", (24, 256, 1), "emb_proj.weight"),
        ("rnn.h2h.bias", None, r"rnn.h2h.bias' is missing, expected \[256\]"),
        ("rnn.h2h.weight", (256, 255), r"rnn.h2h.weight' is \[256, 255\]"),
        ("conv4.weight", (1,), "conv4.weight' .*no such tensor"),
    ],
)
def test_weights_that_fit_no_encoder_are_named(
    key: str, shape: tuple[int, ...] | None, message: str
) -> None:
    state = {k: torch.zeros(v) for k, v in KNOWN["keys"]["birds_cvpr"].items() if k != key}
    if shape is not None:
        state[key] = torch.zeros(shape)
    with pytest.raises(ModelError, match=message):
        CharCnnRnn.from_published(state, "birds")


def test_a_published_name_tells_how_its_weights_come(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    name = "char-cnn-rnn-icml-flowers"
    with pytest.raises(ModelError, match="stackgan import"):
        load_encoder(name)
    published(name).save(tmp_path / name)
    assert load_encoder(name).name == name
