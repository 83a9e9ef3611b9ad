"""What a file is that cannot be imported, told by its bytes or by its tensors' names alone."""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Iterable
from pathlib import Path

from stackgan.plain_text import decode_text, not_utf8, plain
from stackgan.safe_pickle import opened
from stackgan.safe_pickle.machine import Buffer, shown

_PICTURE = "a picture ({}), not weights"
_UNPACK = "{}: unpack it and import the files in it"
_KERAS = "a file of HDF5, in which Keras and MATLAB save: its weights cannot be imported"
_BY_FIRST_BYTES = (
    (rb"version https://git-lfs", "a Git LFS pointer, not the file itself: run `git lfs pull`"),
    (
        rb"(?i)(\xef\xbb\xbf)?\s*<(!doctype\s+html|html|head|body|script)",
        "a web page (HTML), which a browser shows in place of the file: download the file itself",
    ),
    (
        rb"(\xef\xbb\xbf)?\s*<\?xml",
        "XML, often a server's refusal: open it in an editor to see why, and download it again",
    ),
    (rb"\xff\xd8\xff", _PICTURE.format("JPEG")),
    (rb"\x89PNG\r\n", _PICTURE.format("PNG")),
    (rb"GIF8[79]a", _PICTURE.format("GIF")),
    (rb"RIFF.{4}WEBP", _PICTURE.format("WebP")),
    (rb"II\*\0|MM\0\*", _PICTURE.format("TIFF")),
    (rb"%PDF", "a PDF document, not weights"),
    (rb"\x1f\x8b", _UNPACK.format("packed by gzip (.gz or .tar.gz)")),
    (rb"BZh[1-9]1AY", _UNPACK.format("packed by bzip2 (.bz2)")),
    (rb"\xfd7zXZ\0", _UNPACK.format("packed by xz")),
    (rb"\x28\xb5\x2f\xfd", _UNPACK.format("packed by zstd")),
    (rb"7z\xbc\xaf\x27\x1c", _UNPACK.format("a 7z archive")),
    (rb"Rar!\x1a\x07", _UNPACK.format("a RAR archive")),
    (rb"\x89HDF\r\n", _KERAS),
    (rb"MATLAB 5", "a file of MATLAB (.mat), which cannot be imported"),
    (rb"\x93NUMPY", "a numpy array (.npy), expected weights or the authors' data"),
    (rb"GGUF", "a model in GGUF, the format of llama.cpp, which cannot be imported"),
    (rb".{4}TFL3", "a TensorFlow Lite model, which cannot be imported"),
    (rb"\x08[\x01-\x20](\x12.[\w.+ -]{2}|[\x3a\x42])", "a model in ONNX, which cannot be imported"),
    (rb"\x7fELF|MZ.{76}This program", "a program, which is neither run nor imported"),
)
_TF_TABLE = b"\x57\xfb\x80\x8b\x24\x75\x47\xdb"
_SAFETENSORS_MOST_BYTES = 100_000_000
_NETWORKS = (
    (r"h_net\d\.att\.", "AttnGAN's generator"),
    (r"h_net\d\.|img_net\d\.", "a generator of StackGAN-v2 (StackGAN++) or one made after it"),
    (r"(UN)?COND_DNET\.", "AttnGAN's discriminator"),
    (r"img_code_s\d+", "a discriminator of StackGAN-v2 (StackGAN++) or AttnGAN"),
    (r"emb_cnn_code\.|emb_features\.", "AttnGAN's image encoder (DAMSM)"),
    (r"encoder\.weight|rnn\.weight_ih_l0", "AttnGAN's text encoder (DAMSM) or another LSTM"),
    (r"block\d\.affine\d\.", "DF-GAN's generator"),
    (r"model\.diffusion_model\.|first_stage_model\.", "a checkpoint of Stable Diffusion"),
    (r"down_blocks\.\d+\.|up_blocks\.\d+\.", "a network of the package diffusers"),
    (r"(synthesis|mapping)\.|style\.\d+\.weight", "a network of StyleGAN"),
    (r"visual\.|text_model\.", "a network of CLIP"),
    (r"(bert\.)?embeddings\.word_embeddings\.", "a language model of the package transformers"),
    (r"Conv2d_1a_3x3\.", "an Inception-v3"),
    (r"layer1\.0\.conv1\.", "a ResNet"),
    (r"main\.\d+\.weight", "a network of DCGAN"),
)


def recognise(path: Path) -> str | None:
    """Return what ``path`` is, a phrase that follows "it is"; None for what may be ours.

    Only looked at: nothing is unpacked or built. ``Refused`` where it cannot be opened.
    """
    if path.is_dir():
        return _folder(path)
    with opened(path) as data:
        start = bytes(data[:512])
        if not start:
            return "empty (0 bytes): download it again"
        for pattern, kind in _BY_FIRST_BYTES:
            if re.match(pattern, start, re.DOTALL):
                return kind
        if path.suffix == ".pb":
            return "a TensorFlow graph (.pb), which cannot be imported"
        if bytes(data[-8:]) == _TF_TABLE:
            return "the index of a TensorFlow checkpoint, which cannot be imported yet"
        if start[:2] == b"PK":
            return _zip(path)
        if start[257:262] == b"ustar" and b"sys_info" not in start[:100]:
            return _UNPACK.format("a tar archive")
        if not start.strip(b"\0") and not any(data[at] for at in range(0, len(data), 4093)):
            return "nothing but zeros, as a download leaves that was broken off: fetch it again"
        return _safetensors(data) or _json(start)


def whose(names: Iterable[str]) -> str | None:
    """Return whose network has tensors of these names, None where it is not known."""
    found = list(names)
    for pattern, network in _NETWORKS:
        if any(re.match(pattern, name) for name in found):
            return network
    return None


def text_in(path: Path) -> str | None:
    """Return how ``path`` begins where that is text as people and servers write it, else None."""
    with opened(path) as data:
        start = bytes(data[:400])
    cut = 3 if len(start) == 400 else 0  # at most so much of a letter is left at the end
    known = any(not_utf8(start[: len(start) - left]) is None for left in range(cut + 1))
    text = decode_text(start) if known else None
    if text is None or any(ord(sign) < 32 and sign not in "\t\n" for sign in text):
        return None
    return " ".join(plain(text).split())[:60] or None


def _folder(path: Path) -> str:
    for name, kind in (
        ("generator.safetensors", "a model folder already: name it with --model"),
        ("saved_model.pb", "a folder of TensorFlow's SavedModel, which cannot be imported"),
        ("model_index.json", "a folder of the package diffusers, which cannot be imported"),
    ):
        if (path / name).exists():
            return kind
    return "a folder; name the files in it"


def _zip(path: Path) -> str | None:
    """A zip that torch.save did not write; None for one that it did, or that is damaged."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, NotImplementedError, ValueError, OSError, EOFError):
        return None
    if any(name.split("/")[-1] == "data.pkl" for name in names):
        return None
    if "[Content_Types].xml" in names:
        return "an Office document, not weights"
    if "model.weights.h5" in names:
        return "a Keras model (.keras), which cannot be imported"
    if names and all(name.endswith(".npy") for name in names):
        return "a numpy archive (.npz); one with captions and embeddings goes to --encoder as it is"
    such_as = f", the first {shown(names[0])}" if names else ""
    said = f"a zip archive without data.pkl, of {len(names)} files{such_as}"
    return _UNPACK.format(said)


def _safetensors(data: Buffer) -> str | None:
    length = int.from_bytes(data[:8], "little")
    if not 2 <= length <= min(len(data) - 8, _SAFETENSORS_MOST_BYTES) or data[8:9] != b"{":
        return None
    try:
        header = json.loads(bytes(data[8 : 8 + length]))
    except (ValueError, RecursionError):
        return None
    names = [name for name in header if name != "__metadata__"]
    if any(re.match(r"stage[12]\.", name) for name in names):
        return "of a model folder of this program: name that folder with --model"
    first = f", its first tensor {shown(names[0])}" if names else ""
    network = whose(names)
    of = f"{network} as safetensors" if network else f"a file of safetensors{first}"
    return f"{of}, which cannot be imported"


def _json(start: bytes) -> str | None:
    text = (decode_text(start) or "").lstrip()
    if not re.match(r'\{\s*"|\[\s*[\[{"]', text):
        return None
    begins = " ".join(plain(text).split())[:60]
    return f"JSON, not weights; it begins {begins!r}"
