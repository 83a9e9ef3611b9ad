"""Caption -> embedding: everything that reads text.

``alphabet`` (characters and words), ``char_cnn_rnn`` (the paper's encoder), ``sentence`` (MiniLM),
``vectors`` (GloVe, word2vec), ``precomputed`` (embeddings from files); ``encoder_file`` is the file
an encoder has in a model folder. :func:`load_encoder` finds one by name or path.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

from stackgan.errors import ModelError
from stackgan.tensors import Embedding
from stackgan.text.alphabet import words
from stackgan.text.char_cnn_rnn import KIND, PUBLISHED, CharCnnRnn
from stackgan.text.encoder_file import FILE_NAME, read_metadata

__all__ = [
    "FILE_NAME",
    "PUBLISHED",
    "CharCnnRnn",
    "TextEncoder",
    "encoder_names",
    "is_encoder",
    "load_encoder",
    "words",
]


@runtime_checkable
class TextEncoder(Protocol):
    """What the rest of the package knows of a text encoder.

    Where there is more, it is used: ``vocabulary`` (the words it knows), ``length`` (the characters
    it reads), ``any_caption`` (False where it reads listed ones only), ``source`` (the name or path
    it was loaded from), ``save`` with ``file_bytes`` (it can travel in a model folder).
    """

    @property
    def name(self) -> str:
        """A short name for people."""

    @property
    def dim(self) -> int:
        """Numbers in an embedding."""

    @property
    def sha256(self) -> str:
        """Checksum that tells this encoder from every other."""

    def encode(self, captions: Sequence[str]) -> Embedding:
        """Embed captions, float32 [B, E], without gradient; a caption's result knows no other's."""


def encoder_names() -> list[str]:
    """Names that :func:`load_encoder` knows beside files and folders."""
    return ["minilm", "glove", *PUBLISHED]


def load_encoder(name_or_path: Path | str) -> TextEncoder:
    """Load an encoder by name, from its file, or from a folder that holds it.

    ==================================  =========================================================
    ``minilm``, ``glove``               from packages (``sentence``, ``vectors``)
    ``.safetensors``, or its folder     what ``encoder train``, ``import`` and model folders write
    a folder with ``modules.json``      a sentence-transformers model
    ``.txt .vec .bin`` (``.gz``)        word vectors
    ``.npz``, ``.npy``                  embeddings made beforehand
    ==================================  =========================================================

    Raises:
        ModelError: no such file, a damaged one, or one of another kind.
        InputError: it needs a package that is not installed.
    """
    if isinstance(name_or_path, str) and name_or_path in _BY_NAME:
        encoder = _BY_NAME[name_or_path]()
        encoder.source = name_or_path  # type: ignore[attr-defined]
        return encoder
    path = Path(name_or_path).expanduser()
    if not path.exists() and str(name_or_path) in PUBLISHED:
        raise ModelError(
            f"the weights of {name_or_path} are the authors' and not in this package: "
            f"`stackgan import FILE.pth --to {name_or_path}` once, then name that folder"
        )
    encoder = _reader(path)(path)
    encoder.source = str(path.absolute())  # type: ignore[attr-defined]
    return encoder


def is_encoder(name_or_path: Path | str) -> bool:
    """Whether :func:`load_encoder` has something to load there, whole or not."""
    path = Path(name_or_path).expanduser()
    folder = any((path / name).is_file() for name in (FILE_NAME, "modules.json"))
    return str(name_or_path) in encoder_names() or path.is_file() or folder


def _minilm() -> TextEncoder:
    from stackgan.text.sentence import MINILM, SentenceEncoder, minilm_folder

    return SentenceEncoder.load(minilm_folder(), MINILM)


def _glove() -> TextEncoder:
    from stackgan.text.vectors import WordVectors

    return WordVectors.glove()


_BY_NAME: dict[str, Callable[[], TextEncoder]] = {"minilm": _minilm, "glove": _glove}
_VECTORS = {".txt", ".vec", ".bin", ".gz"}
_ARRAYS = {".npz", ".npy"}


def _reader(path: Path) -> Callable[[Path], TextEncoder]:
    """What reads the file or folder at ``path``."""
    if path.is_dir() and not (path / FILE_NAME).is_file() and (path / "modules.json").is_file():
        from stackgan.text.sentence import SentenceEncoder

        return SentenceEncoder.load
    from stackgan.text.precomputed import KIND as PRECOMPUTED
    from stackgan.text.precomputed import Precomputed
    from stackgan.text.vectors import KIND as VECTORS
    from stackgan.text.vectors import WordVectors

    if path.suffix.lower() in _VECTORS:
        return WordVectors.load
    if path.suffix.lower() in _ARRAYS:
        return Precomputed.load
    file = path / FILE_NAME if path.is_dir() else path
    kinds: dict[str, Callable[[Path], TextEncoder]] = {
        KIND: CharCnnRnn.load,
        VECTORS: WordVectors.load,
        PRECOMPUTED: Precomputed.load,
    }
    kind = read_metadata(file)["kind"]
    if kind not in kinds:
        raise ModelError(f"{file} is of kind {kind!r}, expected a text encoder: {', '.join(kinds)}")
    return kinds[kind]
