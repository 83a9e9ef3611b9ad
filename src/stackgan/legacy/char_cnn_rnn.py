"""Published char-CNN-RNNs -> our encoder: the public PyTorch port's ``.pth``, Torch7's nets.

The port's names are our names. A Torch7 net is a graph of modules without names: its layers are
told by their place in that graph, a shared weight by the storage it lies in.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from pathlib import Path

import torch
from torch import Tensor

from stackgan.errors import ModelError
from stackgan.files import file_sha256
from stackgan.legacy import torch7
from stackgan.legacy.pth import read_pth
from stackgan.legacy.torch7 import LuaObject, Table, walk
from stackgan.text.alphabet import ALPHABET
from stackgan.text.char_cnn_rnn import CharCnnRnn

KERNEL = 4
MARK = "emb_proj.weight"

_Layer = tuple[torch7.Tensor, torch7.Tensor]  # weight, bias
_Layers = dict[tuple[int, int], _Layer]


def read_encoder(path: Path) -> CharCnnRnn:
    """Read a published encoder from ``.pth`` or ``.t7``; its sizes are those of its tensors.

    Raises:
        ModelError: the file is damaged, asks for what is not allowed, or holds no char-CNN-RNN.
        DataError: a ``.t7`` file that is damaged or asks for what is not allowed.
    """
    state = encoder_state(path, torch7.read_t7(path)) if path.suffix == ".t7" else read_pth(path)
    return to_encoder(path, state)


def to_encoder(path: Path, state: dict[str, Tensor]) -> CharCnnRnn:
    """An encoder of weights under the port's names, called after its file."""
    for key, value in state.items():
        if not value.isfinite().all():
            raise ModelError(f"{path}: tensor {key!r} holds numbers that are not finite")
    encoder = CharCnnRnn.from_published(state, str(path))
    encoder.name = path.stem
    encoder.notes["imported"] = f"{path.name}, sha256 {file_sha256(path)}"
    return encoder


def holds_encoder(found: object) -> bool:
    """Whether what a ``.t7`` file holds has a convolution in it."""
    return any(
        isinstance(part, LuaObject) and part.name.endswith("TemporalConvolution")
        for part in walk(found)
    )


def encoder_state(path: Path, found: object) -> dict[str, Tensor]:
    """The tensors of a Torch7 net under the port's names.

    Raises:
        ModelError: the net is no char-CNN-RNN, or its layers cannot be told apart.
    """
    parts = list(walk(_text_net(found)))
    objects = [part for part in parts if isinstance(part, LuaObject)]
    state = _convolutions(path, objects)
    hidden = state["conv3.weight"].shape[0]
    linear, uses = _linears(objects)
    square = {same for same, (weight, _) in linear.items() if weight.values.shape == (hidden,) * 2}
    rest = [same for same in linear if same not in square]
    if len(rest) != 1 or len(square) not in (2, 6):
        raise ModelError(
            f"{path} has {len(rest)} linear layers to the embedding and {len(square)} recurrent "
            "ones, expected a char-CNN-RNN's 1 and 2, or 6 of a GRU"
        )
    names = _by_graph(parts, square) or _by_uses(uses, square)
    if set(names.values()) != square or len(names) != len(square):
        raise ModelError(f"{path}: its recurrent layers cannot be told apart by their graph")
    names["emb_proj"] = rest[0]
    for name, same in names.items():
        for kind, part in zip(("weight", "bias"), linear[same], strict=True):
            state[f"{name}.{kind}"] = _tensor(part)
    return state


def _text_net(found: object) -> object:
    """The text side of a training checkpoint (``protos.enc_doc``), else the whole."""
    protos = found.get("protos") if isinstance(found, Table) else None
    inner = protos.get("enc_doc") if isinstance(protos, Table) else None
    return found if inner is None else inner


def _tensor(part: torch7.Tensor) -> Tensor:
    return torch.from_numpy(part.values.astype("f4"))


def _layer(module: LuaObject) -> _Layer | None:
    weight, bias = module.fields.get("weight"), module.fields.get("bias")
    if not isinstance(weight, torch7.Tensor) or not isinstance(bias, torch7.Tensor):
        return None
    return (weight, bias) if weight.values.ndim == 2 and bias.values.ndim == 1 else None


def _convolutions(path: Path, objects: list[LuaObject]) -> dict[str, Tensor]:
    """The three convolutions, each reading what the one before it gives."""
    layers: _Layers = {}
    for module in objects:
        layer = _layer(module) if module.name.endswith("TemporalConvolution") else None
        if layer is not None:
            layers[layer[0].same] = layer
    state: dict[str, Tensor] = {}
    channels = len(ALPHABET)
    for name in ("conv1", "conv2", "conv3"):
        fits = [s for s, (w, _) in layers.items() if w.values.shape[1] == KERNEL * channels]
        if len(fits) != 1 and not (fits and name == "conv3"):
            raise ModelError(
                f"{path} has {len(fits)} convolutions of width {KERNEL} over {channels} channels, "
                "expected a char-CNN-RNN's three in a row"
            )
        weight, bias = (_tensor(part) for part in layers.pop(fits[0]))
        state[f"{name}.weight"] = weight.view(len(weight), KERNEL, channels).mT.contiguous()
        state[f"{name}.bias"] = bias
        channels = len(weight)
    return state


def _linears(objects: list[LuaObject]) -> tuple[_Layers, Counter[tuple[int, int]]]:
    """Linear layers by their weight's place, and how many modules use each."""
    layers: _Layers = {}
    uses: Counter[tuple[int, int]] = Counter()
    for module in objects:
        layer = _layer(module) if module.name.endswith(".Linear") else None
        if layer is not None:
            layers[layer[0].same] = layer
            uses[layer[0].same] += 1
    return layers, uses


def _by_uses(
    uses: Counter[tuple[int, int]], square: set[tuple[int, int]]
) -> dict[str, tuple[int, int]]:
    """A plain net reads its input once more than its own state: at the first step."""
    if len(square) != 2:
        return {}
    first, second = sorted(square, key=lambda same: -uses[same])
    return {"rnn.i2h": first, "rnn.h2h": second} if uses[first] > uses[second] else {}


def _by_graph(
    parts: list[Table | LuaObject], square: set[tuple[int, int]]
) -> dict[str, tuple[int, int]]:
    """Tell the recurrent layers by what they read and by what reads them; {} without a graph.

    A node's data has its module and, under ``mapindex``, the data of the nodes it reads.
    """
    nodes = [p for p in parts if isinstance(p, Table) and isinstance(p.get("mapindex"), Table)]
    readers: defaultdict[int, list[Table]] = defaultdict(list)
    for node in nodes:
        for read in _reads(node):
            readers[id(read)].append(node)
    names: dict[str, tuple[int, int]] = {}
    for node in nodes:
        same = _weight_of(node)
        if same not in square or same is None:
            continue
        sums = [after for after in readers[id(node)] if _module(after) == "CAddTable"]
        gates = [g for add in sums for g in readers[id(add)] if _module(g) == "Sigmoid"]
        suffix = ""
        if gates:
            kept = {_module(after) for gate in gates for after in readers[id(gate)]}
            suffix = "_update" if "MulConstant" in kept else "_reset"
        own = any(_module(read) not in ("", "Identity") for read in _reads(node))
        name = f"rnn.{'h2h' if own else 'i2h'}{suffix}"
        if names.setdefault(name, same) != same:
            return {}
    return names


def _reads(node: Table) -> list[Table]:
    index = node.get("mapindex")
    return [read for read in index.sequence() if isinstance(read, Table)]


def _module(node: Table) -> str:
    module = node.get("module")
    return module.name.rpartition(".")[2] if isinstance(module, LuaObject) else ""


def _weight_of(node: Table) -> tuple[int, int] | None:
    """The place of the weight of a node's linear layer, alone or inside a ``Sequential``."""
    module = node.get("module")
    if isinstance(module, LuaObject) and module.name.endswith(".Sequential"):
        inner = module.fields.get("modules")
        steps = inner.sequence() if isinstance(inner, Table) else []
        module = steps[0] if len(steps) == 1 else None
    if not isinstance(module, LuaObject) or not module.name.endswith(".Linear"):
        return None
    layer = _layer(module)
    return None if layer is None else layer[0].same
