"""Files as others wrote them: the recorded ones, a writer of ``.t7``, nets as Torch7 saved them."""

from __future__ import annotations

import json
import struct
from itertools import count
from pathlib import Path

import numpy as np
import pytest
import torch

RECORDED = Path(__file__).parents[1] / "recorded"
PUBLISHED = RECORDED / "stackgan_pt"
SMALL = {"conv1": 6, "conv2": 7, "hidden": 5, "dim": 9}


@pytest.fixture(scope="session")
def published():
    """The folder of recorded files; never write into it."""
    return PUBLISHED


@pytest.fixture(scope="session")
def recorded():
    """forward.npz: what the authors' networks computed."""
    with np.load(PUBLISHED / "forward.npz") as arrays:
        return {name: torch.from_numpy(array) for name, array in arrays.items()}


@pytest.fixture(scope="session")
def published_encoders():
    """Shapes of the four published encoders, the captions, the embeddings."""
    found = json.loads((RECORDED / "char_cnn_rnn" / "keys.json").read_text("utf-8"))
    with np.load(RECORDED / "char_cnn_rnn" / "embeddings.npz") as arrays:
        return found["keys"], found["captions"], dict(arrays)


def drawn(shapes):
    """Tensor number i of the sorted names as the recording drew it."""
    state = {}
    for i, (name, shape) in enumerate(sorted(shapes.items())):
        values = np.random.default_rng(1000 + i).standard_normal(shape, dtype=np.float32)
        scale = 0.05 if len(shape) == 1 else 1 / np.sqrt(np.prod(shape[1:]))
        state[name] = torch.from_numpy((values * scale).astype(np.float32))
    return state


@pytest.fixture(scope="session")
def draw_weights():
    return drawn


def small_shapes(gru):
    """A char-CNN-RNN of a few maps, under the port's names."""
    c1, c2, hidden, dim = SMALL.values()
    shapes = {
        "conv1.weight": (c1, 70, 4),
        "conv2.weight": (c2, c1, 4),
        "conv3.weight": (hidden, c2, 4),
        "emb_proj.weight": (dim, hidden),
    }
    for gate in ("", "_update", "_reset") if gru else ("",):
        shapes |= {f"rnn.{side}{gate}.weight": (hidden, hidden) for side in ("i2h", "h2h")}
    return shapes | {n.replace("weight", "bias"): (s[0],) for n, s in shapes.items()}


@pytest.fixture(scope="session")
def small_encoder_state():
    """``small_encoder_state(gru)``: weights of a tiny published-like encoder."""
    return lambda gru: drawn(small_shapes(gru))


class Lua:
    """An object of a Torch class with fields; a tensor is ("storage", numbers, shape, start)."""

    def __init__(self, name, fields):
        self.name, self.fields = name, fields


class Shared:
    """Numbers that tensors share."""

    def __init__(self, array):
        self.array = np.ascontiguousarray(array)


class View:
    """A tensor of ``shape`` from place ``start`` of shared numbers."""

    def __init__(self, shared, shape, start=0):
        self.shared, self.shape, self.start = shared, shape, start


NAMES = {"float32": "Float", "float64": "Double", "int64": "Long", "uint8": "Byte", "int8": "Char"}


class Writer:
    """Writes what ``torch.save`` of Torch7 wrote, in binary or ascii."""

    def __init__(self, ascii_form=False):
        self.ascii, self.parts, self.seen, self.numbers = ascii_form, [], {}, count(1)
        self.kept = []

    def int(self, value, form="<i"):
        self.parts.append(b"%d\n" % value if self.ascii else struct.pack(form, value))

    def longs(self, values):
        if self.ascii:
            self.parts.append(b" ".join(b"%d" % v for v in values) + b"\n" if len(values) else b"")
        else:
            self.parts += [struct.pack("<q", v) for v in values]

    def string(self, raw):
        self.int(len(raw))
        self.parts.append(raw + (b"\n" if self.ascii and raw else b""))

    def index(self, value):
        """Write the object's number; whether its content is to follow."""
        known = id(value) in self.seen
        self.int(self.seen.setdefault(id(value), next(self.numbers)))
        self.kept.append(value)
        return not known

    def object(self, value):
        if value is None:
            self.int(0)
        elif isinstance(value, bool):
            self.int(5)
            self.int(int(value))
        elif isinstance(value, int | float):
            self.int(1)
            text = b"%.17g\n" % value if self.ascii else struct.pack("<d", value)
            self.parts.append(text)
        elif isinstance(value, str | bytes):
            self.int(2)
            self.string(value.encode() if isinstance(value, str) else value)
        elif isinstance(value, dict | list):
            self.table(value)
        else:
            self.torch(value)
        return self

    def table(self, value):
        self.int(3)
        if self.index(value):
            pairs = value.items() if isinstance(value, dict) else enumerate(value, 1)
            self.int(len(value))
            for key, item in pairs:
                self.object(key)
                self.object(item)

    def torch(self, value):
        if isinstance(value, np.ndarray):
            value = View(Shared(value), value.shape)
        self.int(4)
        if not self.index(value):
            return
        self.string(b"V 1")
        if isinstance(value, Lua):
            self.string(value.name.encode())
            self.object(value.fields)
            return
        array = value.array if isinstance(value, Shared) else value.shared.array
        kind = NAMES[str(array.dtype)]
        if isinstance(value, Shared):
            self.string(f"torch.{kind}Storage".encode())
            self.longs([array.size])
            self.numbers_of(array)
            return
        self.string(f"torch.{kind}Tensor".encode())
        steps = [int(np.prod(value.shape[k + 1 :])) for k in range(len(value.shape))]
        self.int(len(value.shape))
        self.longs(value.shape)
        self.longs(steps)
        self.longs([value.start + 1])
        self.object(value.shared)

    def numbers_of(self, array):
        if not self.ascii or array.dtype.itemsize == 1:
            self.parts.append(array.tobytes() + (b"\n" if self.ascii else b""))
        else:
            self.parts.append(b" ".join(b"%.9g" % v for v in array.ravel()) + b"\n")


@pytest.fixture(scope="session")
def write_t7():
    """``write_t7(path, value, ascii_form=False)``; dict and list are tables."""

    def write(path, value, ascii_form=False):
        path.write_bytes(b"".join(Writer(ascii_form).object(value).parts))
        return path

    return write


@pytest.fixture(scope="session")
def t7():
    """The writer's classes: ``t7.Lua``, ``t7.Shared``, ``t7.View``, ``t7.Writer``."""

    class Classes:
        pass

    Classes.Lua, Classes.Shared, Classes.View, Classes.Writer = Lua, Shared, View, Writer
    return Classes


class Net:
    """Builds a graph of modules whose parameters all lie in one flat storage, as trained nets'."""

    def __init__(self, state, graph=True):
        self.state, self.graph = state, graph
        self.place, start = {}, 0
        for name, value in state.items():
            self.place[name] = start
            start += value.numel()
        self.flat = Shared(np.concatenate([self.as_lua(n).ravel() for n in state]))

    def as_lua(self, name):
        value = self.state[name].numpy()
        return value.transpose(0, 2, 1) if value.ndim == 3 else value

    def parameter(self, name):
        value = self.as_lua(name)
        shape = (value.shape[0], value.size // value.shape[0]) if value.ndim > 1 else value.shape
        return View(self.flat, shape, self.place[name])

    def module(self, kind, name):
        fields = {k: self.parameter(f"{name}.{k}") for k in ("weight", "bias")}
        return Lua(f"nn.{kind}", fields | {"train": False})

    def node(self, module, *reads):
        data = {"module": module, "mapindex": {k: read for k, read in enumerate(reads, 1)}}
        data["mapindex"] |= {}
        return data

    def linear(self, name, read):
        inner = [self.module("Linear", name)]
        return self.node(Lua("nn.Sequential", {"modules": inner}), read)

    def plain(self, kind, *reads):
        return self.node(Lua(f"nn.{kind}", {}), *reads)

    def recurrent(self, steps, gru):
        nodes, state = [], None
        for _ in range(steps):
            x = self.plain("Identity")
            own = self.linear("rnn.i2h", x)
            nodes += [x, own]
            if state is None:
                state = self.plain("Tanh" if gru else "ReLU", own)
                nodes.append(state)
                continue
            read = state
            if gru:
                gates = []
                for gate in ("update", "reset"):
                    pair = [
                        self.linear(f"rnn.i2h_{gate}", x),
                        self.linear(f"rnn.h2h_{gate}", state),
                    ]
                    total = self.plain("CAddTable", *pair)
                    gates.append(self.plain("Sigmoid", total))
                    nodes += [*pair, total, gates[-1]]
                update, reset = gates
                read = self.plain("CMulTable", reset, state)
                nodes.append(read)
            hidden = self.linear("rnn.h2h", read)
            total = self.plain("CAddTable", own, hidden)
            candidate = self.plain("Tanh" if gru else "ReLU", total)
            nodes += [hidden, total, candidate]
            if gru:
                taken = self.plain("CMulTable", update, candidate)
                less = self.plain("MulConstant", update)
                rest = self.plain("AddConstant", less)
                old = self.plain("CMulTable", rest, state)
                candidate = self.plain("CAddTable", taken, old)
                nodes += [taken, less, rest, old, candidate]
            state = candidate
        return nodes

    def build(self, gru):
        convolutions = [self.module("TemporalConvolution", f"conv{k}") for k in (1, 2, 3)]
        nodes = self.recurrent(4, gru)
        if not self.graph:
            nodes = [{"module": node["module"]} for node in nodes]
        wrapped = [Lua("nngraph.Node", {"data": node, "id": k}) for k, node in enumerate(nodes)]
        inner = Lua("nn.gModule", {"forwardnodes": wrapped})
        parts = [*convolutions, inner, self.module("Linear", "emb_proj")]
        net = Lua("nn.gModule", {"modules": parts})
        return {"protos": {"enc_doc": net, "enc_image": Lua("nn.Identity", {})}, "epoch": 3.5}


@pytest.fixture(scope="session")
def lua_net():
    """``lua_net(state, gru, graph=True)``: a training checkpoint as Torch7 holds it."""
    return lambda state, gru, graph=True: Net(state, graph).build(gru)
