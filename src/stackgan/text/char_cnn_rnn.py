"""The char-CNN-RNN text encoder: characters -> convolutions -> recurrence -> mean -> embedding.

Paper: char-CNN-RNN (Reed et al., CVPR 2016), section 4; the GRU is the ICML 2016 birds variant's.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Literal, NamedTuple, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from stackgan.errors import InputError, ModelError
from stackgan.tensors import Embedding
from stackgan.text.alphabet import ALPHABET, LENGTH, numbers
from stackgan.text.encoder_file import (
    FILE_NAME,
    FORMAT,
    encoder_file,
    read_file,
    to_file_bytes,
    write_file,
)

__all__ = ["FILE_NAME", "FORMAT", "PUBLISHED", "CharCnnRnn", "Sizes"]

KIND = "char-cnn-rnn"
EXTRA_PREFIXES = ("image_projection.", "image_network.", "joint.")

Recurrence = Literal["rnn", "gru"]


@dataclass(frozen=True)
class Sizes:
    """What a char-CNN-RNN is built from; the defaults are the published CVPR birds and flowers."""

    conv1: int = 384
    """Maps of the first convolution."""
    conv2: int = 512
    """Maps of the second convolution."""
    hidden: int = 256
    """Maps of the third convolution and units of the recurrent net."""
    dim: int = 1024
    """Numbers in an embedding."""
    recurrence: Recurrence = "rnn"
    """Reed's plain recurrent net, or his GRU."""
    third_pool: bool = True
    """Pool 3/2 after the third convolution (8 steps); without it there are 18 (ICML birds)."""


PUBLISHED: Mapping[str, Sizes] = {
    "char-cnn-rnn-cvpr-birds": Sizes(),
    "char-cnn-rnn-cvpr-flowers": Sizes(),
    "char-cnn-rnn-icml-birds": Sizes(hidden=512, recurrence="gru", third_pool=False),
    "char-cnn-rnn-icml-flowers": Sizes(hidden=512),
}
"""The published encoders: of the CVPR 2016 and the ICML 2016 paper, for CUB and Oxford-102."""


class _Steps(NamedTuple):
    """Time steps of a layer, packed: those that see a character, and one for all after the end.

    Flower captions end after 60 of 201 characters and what follows is one constant a layer, so
    computing it once saves two thirds of the work and changes no result.
    """

    rows: Tensor  # steps that see a character, then the common one; channels
    places: Tensor  # B, T: the row of each step
    lengths: Tensor  # B: characters of each caption
    stride: int  # characters from one step to the next

    def then(self, width: int, stride: int, layer: Callable[[Tensor], Tensor]) -> _Steps:
        """Apply ``layer`` ([rows, width, channels] -> [rows, maps]) to windows of steps."""
        sources = self.places.unfold(1, width, stride)  # B, T', width
        starts = torch.arange(sources.shape[1], device=sources.device) * self.stride * stride
        seen = starts < self.lengths[:, None]  # B, T'
        common = torch.full_like(sources[:1, 0], len(self.rows) - 1)
        rows = layer(F.embedding(torch.cat([sources[seen], common]), self.rows))
        order = seen.flatten().cumsum(0).view(seen.shape) - 1
        places = torch.where(seen, order, len(rows) - 1)
        return _Steps(rows, places, self.lengths, self.stride * stride)

    def conv(self, layer: nn.Conv1d) -> _Steps:
        """Width-4 convolution, as one matrix product."""
        weight = layer.weight.transpose(1, 2).flatten(1)  # maps, 4 * channels
        return self.then(4, 1, lambda windows: F.linear(windows.flatten(1), weight, layer.bias))

    def pool(self, stride: int = 3) -> _Steps:
        """Max-pool by 3. Before the threshold, not after it as published: both are monotone."""
        return self.then(3, stride, lambda windows: windows.amax(1))

    def threshold(self) -> _Steps:
        """Zero what is not over 1e-6."""
        return self._replace(rows=F.threshold(self.rows, 1e-6, 0.0))

    def unpacked(self) -> Tensor:
        """Return [B, T, channels]."""
        return F.embedding(self.places, self.rows)


class Recurrent(nn.Module):
    """Reed's recurrent nets; the first state knows no gate and no hidden bias."""

    def __init__(self, size: int, kind: Recurrence) -> None:
        super().__init__()
        self.kind = kind
        self.i2h = nn.Linear(size, size)
        self.h2h = nn.Linear(size, size)
        if kind == "gru":
            self.i2h_update = nn.Linear(size, size)
            self.h2h_update = nn.Linear(size, size)
            self.i2h_reset = nn.Linear(size, size)
            self.h2h_reset = nn.Linear(size, size)

    def forward(self, x: Tensor) -> Tensor:
        """Return the mean of all states, [B, hidden], of [B, T, hidden]."""
        inputs = self.i2h(x).unbind(1)
        gru = self.kind == "gru"
        state = inputs[0].tanh() if gru else inputs[0].relu()
        total: Tensor = state
        if gru:
            updates, resets = self.i2h_update(x).unbind(1), self.i2h_reset(x).unbind(1)
        for step in range(1, len(inputs)):
            if gru:
                update = torch.sigmoid(updates[step] + self.h2h_update(state))
                reset = torch.sigmoid(resets[step] + self.h2h_reset(state))
                candidate = torch.tanh(inputs[step] + self.h2h(reset * state))
                state = update * candidate + (1 - update) * state
            else:
                state = torch.relu(inputs[step] + self.h2h(state))
            total = total + state
        return total / len(inputs)


class CharCnnRnn(nn.Module):
    """Caption -> embedding; implements :class:`stackgan.text.TextEncoder`.

    Parameter names are those of the published weights. ``vocabulary`` holds the words of the
    captions it was trained on, ``extra`` the tensors that travel in its file beside its own (the
    image side of the joint embedding), ``notes`` further strings of the file's metadata, ``pad``
    how many spaces it reads before a caption.

    Differs: encoders that are trained here read ``pad`` spaces before a caption because without,
    as in the published ones (whose ``pad`` is 0), its first character lies in one window of the
    first convolution and the first word counts for little: of "red flower" they hardly read "red"
    (``encoder.pad``).
    """

    def __init__(
        self,
        sizes: Sizes | None = None,
        *,
        name: str = KIND,
        vocabulary: Iterable[str] = (),
        extra: Mapping[str, Tensor] | None = None,
        notes: Mapping[str, str] | None = None,
        pad: int = 0,
    ) -> None:
        super().__init__()
        self.sizes = sizes = sizes or Sizes()
        self.name = name
        self.vocabulary = frozenset(vocabulary)
        self.extra = dict(extra or {})
        self.notes = dict(notes or {})
        self.file_dtype = torch.bfloat16
        self.source: str | None = None
        self.pad = pad
        self.length = LENGTH - pad  # characters read of a caption
        self.conv1 = nn.Conv1d(len(ALPHABET), sizes.conv1, 4)
        self.conv2 = nn.Conv1d(sizes.conv1, sizes.conv2, 4)
        self.conv3 = nn.Conv1d(sizes.conv2, sizes.hidden, 4)
        self.rnn = Recurrent(sizes.hidden, sizes.recurrence)
        self.emb_proj = nn.Linear(sizes.hidden, sizes.dim)

    def initialise(self, random: torch.Generator) -> None:
        """Draw weights that keep the signal's size through all layers; call it before training.

        Differs: He et al.'s scale instead of the default, which shrinks the differences between
        captions ten thousand times before the last layer, because that delays reading for hours.
        """
        one_hot = (2 / self.conv1.kernel_size[0]) ** 0.5  # four of 280 inputs are one
        with torch.no_grad():
            nn.init.normal_(self.conv1.weight, 0.0, one_hot, generator=random)
            for layer in (self.conv2, self.conv3):
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu", generator=random)
            for name, module in self.rnn.named_children():
                if isinstance(module, nn.Linear) and name.startswith("h2h"):
                    nn.init.orthogonal_(module.weight, 0.5, generator=random)
                elif isinstance(module, nn.Linear):
                    nn.init.kaiming_normal_(module.weight, nonlinearity="relu", generator=random)
            nn.init.xavier_normal_(self.emb_proj.weight, generator=random)
            for parameter in self.parameters():
                if parameter.ndim == 1:
                    parameter.zero_()

    @property
    def dim(self) -> int:
        """Numbers in an embedding."""
        return self.sizes.dim

    @property
    def sha256(self) -> str:
        """The checksum of the file :meth:`save` writes, whatever its name."""
        return hashlib.sha256(self.to_bytes()).hexdigest()

    def forward(self, characters: Tensor) -> Embedding:
        """Embed int64 [B, 201] from :func:`stackgan.text.alphabet.numbers`, with gradients."""
        embedding: Tensor = self.emb_proj(self.mean_state(characters))
        return embedding

    def mean_state(self, characters: Tensor) -> Tensor:
        """Return the recurrent states averaged over time, [B, hidden]: all but ``emb_proj``."""
        steps = self._conv1(characters).pool().threshold()  # 198 -> 66 steps, conv1
        steps = steps.conv(self.conv2).pool().threshold()  # 63 -> 21 steps, conv2
        steps = steps.conv(self.conv3)  # 18 steps, hidden
        steps = (steps.pool(2) if self.sizes.third_pool else steps).threshold()
        state: Tensor = self.rnn(steps.unpacked())
        return state

    def _conv1(self, characters: Tensor) -> _Steps:
        """Convolve one-hot characters: the sum of four looked-up columns and the bias."""
        none = len(ALPHABET)
        columns = self.conv1.weight.permute(2, 1, 0)  # 4, 70, conv1
        table = F.pad(columns, (0, 0, 0, 1)).flatten(0, 1)  # a zero row for "no character"
        offsets = torch.arange(4, device=characters.device) * (none + 1)
        read = torch.arange(none + 1, device=characters.device)[:, None]  # row = character
        inputs = _Steps(read, characters, (characters < none).sum(1), 1)

        def layer(windows: Tensor) -> Tensor:
            summed = F.embedding_bag(windows.squeeze(2) + offsets, table, mode="sum")
            return summed if self.conv1.bias is None else summed + self.conv1.bias

        return inputs.then(4, 1, layer)

    def numbers(self, captions: Sequence[str]) -> Tensor:
        """What :meth:`forward` takes of captions, int64 [B, 201], the spaces before them too."""
        return numbers(captions, pad=self.pad)

    @torch.inference_mode()
    def _encode(self, captions: Sequence[str], batch_size: int) -> Tensor:
        device = self.conv1.weight.device
        parts = [
            self(self.numbers(captions[start : start + batch_size]).to(device)).float()
            for start in range(0, len(captions), batch_size)
        ]
        return torch.cat(parts) if parts else torch.empty(0, self.dim, device=device)

    def encode(self, captions: Sequence[str], batch_size: int = 256) -> Embedding:
        """Embed captions, float32 [B, E], without gradient; a caption's result knows no other's.

        Raises:
            InputError: ``captions`` is one string, or one of them is empty.
        """
        if isinstance(captions, str):
            raise InputError("encode takes a list of captions, not one string: put it in brackets")
        return self._encode(captions, batch_size).clone()

    def to_bytes(self, dtype: torch.dtype | None = None) -> bytes:
        """Return the whole file: safetensors with metadata, matrices in ``dtype``, vectors float32.

        Without ``dtype`` matrices are stored as in the file this encoder came from, else in bf16.
        """
        dtype = dtype or self.file_dtype
        tensors = {**self.state_dict(), **self.extra}
        stored = {
            key: value.detach().to("cpu", dtype if value.ndim > 1 else torch.float32).contiguous()
            for key, value in tensors.items()
        }
        return to_file_bytes(stored, self._metadata())

    def _metadata(self) -> dict[str, str]:
        return {
            **self.notes,
            "format": FORMAT,
            "kind": KIND,
            "name": self.name,
            "alphabet": ALPHABET,
            "length": str(LENGTH),
            "sizes": json.dumps(asdict(self.sizes)),
            "vocabulary": json.dumps(sorted(self.vocabulary), ensure_ascii=False),
            **({"pad": str(self.pad)} if self.pad else {}),
        }

    def save(self, path: Path, dtype: torch.dtype | None = None) -> Path:
        """Write the encoder's file, atomically; ``path`` may be a folder. Returns the file.

        What is computed afterwards is what the file holds only after :meth:`load`: bf16 rounds.
        """
        return write_file(path, self.to_bytes(dtype))

    def file_bytes(self) -> int:
        """Size of the file that :meth:`save` writes."""
        return len(self.to_bytes())

    @classmethod
    def load(cls, path: Path) -> CharCnnRnn:
        """Read an encoder's file (or the folder that holds it); compute in float32, in eval mode.

        Raises:
            ModelError: no such file, another format, or tensors that do not fit its sizes.
        """
        file = encoder_file(path)
        metadata, tensors = read_file(file, KIND)
        encoder = cls._from_metadata(file, metadata)
        own = {key: value for key, value in tensors.items() if not key.startswith(EXTRA_PREFIXES)}
        expected = {key: value.shape for key, value in encoder.state_dict().items()}
        if expected != {key: value.shape for key, value in own.items()}:
            odd = sorted(
                key
                for key in expected.keys() | own.keys()
                if key not in own or expected.get(key) != own[key].shape
            )
            raise ModelError(f"{file}: tensor {odd[0]!r} is missing, unknown or of another shape")
        encoder.file_dtype = own["conv1.weight"].dtype
        own = {key: value.float() for key, value in own.items()}
        encoder.load_state_dict(own, assign=True)  # not to_empty: it imports sympy, a second long
        encoder.extra = {key: value.float() for key, value in tensors.items() if key not in own}
        return encoder.eval().requires_grad_(False)

    @classmethod
    def from_published(cls, state: Mapping[str, Tensor], name: str) -> CharCnnRnn:
        """Take over published weights under their own names; the widths are read from them.

        Saved in float32, as published. A GRU has 18 steps, a plain net 8: so it is in the four of
        :data:`PUBLISHED`.

        Raises:
            ModelError: a tensor is missing, unknown or of a shape that fits no char-CNN-RNN.
        """
        with torch.device("meta"):
            encoder = cls(_published_sizes(name, state), name=name)
        expected = encoder.state_dict()
        for key in sorted(expected.keys() | state.keys()):
            wanted = list(expected[key].shape) if key in expected else "no such tensor"
            found = list(state[key].shape) if key in state else "missing"
            if wanted != found:
                raise ModelError(f"{name}: tensor {key!r} is {found}, expected {wanted}")
        encoder.load_state_dict({key: value.float() for key, value in state.items()}, assign=True)
        encoder.file_dtype = torch.float32
        return encoder.eval().requires_grad_(False)

    @classmethod
    def _from_metadata(cls, file: Path, metadata: dict[str, str]) -> CharCnnRnn:
        try:
            found = dict(json.loads(metadata["sizes"]))
            vocabulary = [str(word) for word in json.loads(metadata["vocabulary"])]
            name, alphabet, length = (metadata[key] for key in ("name", "alphabet", "length"))
            pad = int(metadata.get("pad", "0"))
        except (KeyError, TypeError, ValueError) as error:
            raise ModelError(f"{file}: the metadata of this encoder is damaged: {error}") from None
        sizes = _sizes(file, found)
        if alphabet != ALPHABET or length != str(LENGTH):
            raise ModelError(
                f"{file} reads {len(alphabet)} characters to {length}, "
                f"expected the published {len(ALPHABET)} to {LENGTH}"
            )
        if not 0 <= pad <= LENGTH // 2:
            raise ModelError(
                f"{file} reads {pad} spaces before a caption, expected 0 to {LENGTH // 2}"
            )
        known = {"format", "kind", "name", "alphabet", "length", "sizes", "vocabulary", "pad"}
        notes = {key: value for key, value in metadata.items() if key not in known}
        with torch.device("meta"):
            encoder = cls(sizes, name=name, vocabulary=vocabulary, notes=notes, pad=pad)
        return encoder


def _published_sizes(name: str, state: Mapping[str, Tensor]) -> Sizes:
    """The widths of published weights: what each layer gives."""
    layers = ("conv1", "conv2", "conv3", "emb_proj")
    shapes = {key: tuple(value.shape) for key, value in state.items()}
    for layer in layers:
        if len(shapes.get(f"{layer}.weight", ())) != (2 if layer == "emb_proj" else 3):
            raise ModelError(
                f"{name}: tensor '{layer}.weight' is missing or no weight of this layer; "
                f"expected a char-CNN-RNN's {', '.join(layers)} and rnn"
            )
    gru = "rnn.h2h_reset.weight" in state
    conv1, conv2, hidden, dim = (shapes[f"{layer}.weight"][0] for layer in layers)
    return Sizes(conv1, conv2, hidden, dim, "gru" if gru else "rnn", third_pool=not gru)


def _sizes(file: Path, found: Mapping[str, object]) -> Sizes:
    """The sizes a file's metadata names, checked before a network is made of them."""
    known = {field.name: field.type for field in fields(Sizes)}
    fits = {
        "int": lambda value: type(value) is int and 0 < value <= 65536,
        "bool": lambda value: type(value) is bool,
        "Recurrence": lambda value: value in get_args(Recurrence),
    }
    for key, value in found.items():
        if key not in known or not fits[str(known[key])](value):
            raise ModelError(
                f"{file}: the sizes of this encoder make no network: {key} is {value!r}"
            )
    return Sizes(**found)  # type: ignore[arg-type]
