"""Embeddings made beforehand: a file of captions and their rows, and how such a file is written."""

from __future__ import annotations

import difflib
import hashlib
import json
import zipfile
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import IO, TYPE_CHECKING

import numpy as np
import torch

from stackgan.errors import InputError, ModelError, StackGANError
from stackgan.files import whole_file
from stackgan.tensors import Embedding
from stackgan.text.alphabet import words
from stackgan.text.captions import check_captions, read_caption_file
from stackgan.text.encoder_file import encoder_file, read_table, to_file_bytes, write_file

if TYPE_CHECKING:
    from stackgan.text import TextEncoder

KIND = "precomputed"
CHUNK = 1024
"""Captions between two writes to the part file; also the share that is encoded at once."""
_MOST_BYTES = 2 << 30


class Precomputed:
    """Caption -> the row that a file has for it; a caption it does not have is refused.

    ``sha256`` is the encoder's that made the rows, where the file says so: a generator trained on
    the file may then be given that encoder, and draws captions that the file has not.
    """

    any_caption = False

    def __init__(
        self,
        captions: Sequence[str],
        embeddings: np.ndarray,
        *,
        name: str,
        made_by: str | None = None,
    ) -> None:
        where = f"the embeddings {name}"
        if embeddings.ndim != 2 or len(embeddings) != len(captions) or not embeddings.size:
            raise InputError(
                f"{where} are {list(embeddings.shape)}, expected one row for each of "
                f"{len(captions)} captions"
            )
        if embeddings.dtype.kind != "f" or not np.isfinite(embeddings.sum(dtype=np.float64)):
            raise InputError(f"{where} are {embeddings.dtype}, expected finite floats")
        self.name = name
        self.made_by = made_by
        self.embeddings = embeddings.astype(np.float32, copy=False)
        self.captions = [_plain(caption) for caption in captions]
        self.source: str | None = None
        self._place: dict[str, int] = {}
        for row, caption in enumerate(self.captions):
            first = self._place.setdefault(caption, row)
            if first != row and not np.allclose(embeddings[first], embeddings[row], 1e-3, 1e-4):
                raise InputError(
                    f"{where} hold two different rows for {caption!r}: {first + 1} and {row + 1}"
                )

    @property
    def dim(self) -> int:
        """Numbers in an embedding."""
        return int(self.embeddings.shape[1])

    @cached_property
    def sha256(self) -> str:
        """The checksum of the encoder that made the rows; of captions and rows where unknown."""
        if self.made_by:
            return self.made_by
        total = hashlib.sha256(json.dumps(self.captions, ensure_ascii=False).encode())
        total.update(np.ascontiguousarray(self.embeddings).data)
        return total.hexdigest()

    @cached_property
    def vocabulary(self) -> frozenset[str]:
        """The words of the captions that have a row."""
        return frozenset(word for caption in self._place for word in words(caption))

    def encode(self, captions: Sequence[str]) -> Embedding:
        """Look captions up, float32 [B, E]; white space around and between words does not count.

        Raises:
            InputError: a caption has no row (the nearest one that has is named), or is empty.
        """
        check_captions(captions)
        places = []
        for caption in captions:
            place = self._place.get(_plain(caption))
            if place is None:
                raise InputError(
                    f"{self.name} holds no embedding of {caption!r}; the nearest caption it knows "
                    f"is {self.nearest(caption)!r} (only its encoder could embed another)"
                )
            places.append(place)
        return torch.from_numpy(self.embeddings[places].reshape(-1, self.dim))

    def nearest(self, caption: str) -> str:
        """The known caption that shares most words with ``caption`` and reads most like it."""
        wanted = set(words(caption))
        known = list(self._place)
        shared = [len(wanted.intersection(words(one))) for one in known]
        likely = sorted(range(len(known)), key=lambda place: -shared[place])[:50]
        return max(
            (known[place] for place in likely),
            key=lambda one: difflib.SequenceMatcher(None, caption.lower(), one.lower()).ratio(),
        )

    def file_bytes(self) -> int:
        """About the size of the file that :meth:`save` writes."""
        return int(self.embeddings.nbytes) + sum(map(len, self.captions))

    def save(self, path: Path) -> Path:
        """Write the encoder's own file, atomically; ``path`` may be a folder. Returns the file."""
        listed = json.dumps(self.captions, ensure_ascii=False)
        metadata = {"kind": KIND, "captions": listed, "name": self.name}
        if self.made_by:
            metadata["made_by"] = self.made_by
        rows = torch.from_numpy(self.embeddings.copy())
        return write_file(path, to_file_bytes({"embeddings": rows}, metadata))

    @classmethod
    def load(cls, path: Path) -> Precomputed:
        """Read ``.npz`` as `stackgan encoder embed` writes it, ``.npy`` beside its captions, or
        :meth:`save`'s own file. ``NAME.npy`` has its captions in ``NAME.txt``, one a line.

        Raises:
            ModelError: no such file, or arrays that are no captions and embeddings.
        """
        try:
            if path.is_dir() or path.suffix == ".safetensors":
                return cls._from_own(encoder_file(path))
            if path.suffix == ".npy":
                return cls._from_npy(path)
            return cls._from_npz(path)
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            if isinstance(error, InputError):
                raise ModelError(f"{path}: {error}") from None
            reason = " ".join(str(error).split())
            raise ModelError(
                f"{path} cannot be read as embeddings ({reason}), expected an .npz with arrays "
                "'embeddings' and 'captions' (strings, no objects)"
            ) from None

    @classmethod
    def _from_own(cls, file: Path) -> Precomputed:
        from stackgan.text.encoder_file import read_metadata

        captions, table, name = read_table(file, KIND, "captions", "embeddings")
        made_by = read_metadata(file).get("made_by")
        return cls(captions, table.numpy(), name=name, made_by=made_by)

    @classmethod
    def _from_npz(cls, path: Path) -> Precomputed:
        with np.load(path, allow_pickle=False) as arrays:
            captions, embeddings = arrays["captions"], arrays["embeddings"]
            encoder = arrays["encoder"].tolist() if "encoder" in arrays else None
        name, made_by = encoder or (path.stem, None)
        texts = [one.decode() if isinstance(one, bytes) else str(one) for one in captions.tolist()]
        return cls(texts, embeddings, name=name, made_by=made_by)

    @classmethod
    def _from_npy(cls, path: Path) -> Precomputed:
        beside = path.with_suffix(".txt")
        if not beside.is_file():
            raise InputError(f"its captions are expected in {beside}, one a line")
        return cls(read_caption_file(beside), np.load(path, allow_pickle=False), name=path.stem)


def embed_to_file(
    encoder: TextEncoder,
    captions: Sequence[str],
    out: Path,
    progress: Callable[[int, int], None] | None = None,
) -> bool:
    """Embed captions into the ``.npz`` that :class:`Precomputed` reads; a second call goes on.

    Arrays: ``embeddings`` float32 [N, E] and ``captions``, both in the order given, and ``encoder``
    (name, sha256). What is done lies in ``OUT.part``, row by row, until ``out`` is whole; a part of
    other captions or of another encoder is begun anew. A caption given twice is embedded once, and
    stopping changes no bit. ``progress`` counts different captions.

    Returns:
        Whether an earlier call was gone on from.

    Raises:
        InputError: a caption is empty, or one is so long that the table of captions would not fit.
    """
    check_captions(captions)
    longest = max(map(len, captions), default=0)
    if 4 * longest * len(captions) > _MOST_BYTES:
        raise InputError(
            f"a caption has {longest} characters, which makes the table of {len(captions)} "
            f"captions larger than {_MOST_BYTES >> 30} GB; shorten it"
        )
    place = {caption: row for row, caption in enumerate(dict.fromkeys(captions))}
    part = out.with_name(out.name + ".part")
    header = _header(encoder, place)
    done = _rows_done(part, header, encoder.dim)
    try:
        with part.open("r+b" if done else "wb") as file:
            if not done:
                file.write(header)
            file.truncate(len(header) + 4 * encoder.dim * done)
            file.seek(0, 2)
            _embed_rest(encoder, list(place), done, file, progress)
    except StackGANError:
        part.unlink()  # a caption the encoder refuses, which it would refuse again
        raise
    rows = np.memmap(part, np.float32, "r", len(header), (len(place), encoder.dim))
    _write_npz(out, encoder, captions, rows[[place[caption] for caption in captions]])
    del rows
    part.unlink()
    return done > 0


def _header(encoder: TextEncoder, captions: Mapping[str, int]) -> bytes:
    """What a part file begins with: whose rows it holds. Its length is a multiple of four."""
    listed = json.dumps(list(captions), ensure_ascii=False).encode()
    facts = [encoder.sha256, encoder.dim, len(captions), hashlib.sha256(listed).hexdigest()]
    line = json.dumps(facts).encode()
    return line + b" " * (-(len(line) + 1) % 4) + b"\n"


def _rows_done(part: Path, header: bytes, dim: int) -> int:
    """Whole chunks in a part file that begins with ``header``, in rows; else 0."""
    if not part.is_file():
        return 0
    with part.open("rb") as file:
        fits = file.read(len(header)) == header
    rows = (part.stat().st_size - len(header)) // (4 * dim)
    return rows // CHUNK * CHUNK if fits else 0


def _embed_rest(
    encoder: TextEncoder,
    captions: list[str],
    done: int,
    file: IO[bytes],
    progress: Callable[[int, int], None] | None,
) -> None:
    """Append the rows of ``captions[done:]``, chunk by chunk, so that a kill costs one chunk."""
    for start in range(done, len(captions), CHUNK):
        rows = encoder.encode(captions[start : start + CHUNK])
        file.write(rows.numpy().astype("<f4", copy=False).tobytes())
        file.flush()
        if progress is not None:
            progress(min(start + CHUNK, len(captions)), len(captions))


def _write_npz(
    out: Path, encoder: TextEncoder, captions: Sequence[str], embeddings: np.ndarray
) -> None:
    with whole_file(out) as part, part.open("wb") as opened:
        np.savez(
            opened,
            embeddings=embeddings,
            captions=np.array(captions),
            encoder=np.array([encoder.name, encoder.sha256]),
        )


def _plain(caption: str) -> str:
    return " ".join(caption.split())
