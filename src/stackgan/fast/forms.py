"""Which of several equal forms a convolution is computed by.

The forms (``winograd``, ``doubling``, ``halving``, ``small_maps``, torch's own) are the same
function; which is fastest depends on processor, precision and shape, and no flag of a processor
tells. So a table says it, filled by measuring (``fast.tuning``); what it does not hold is
computed by each layer's rule, which was measured in bfloat16 on AVX-512.

The table is of the process: a run of training fills it before its first step and keeps it in its
folder, so that a resumed run computes by the same forms, bit for bit.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import NamedTuple

import torch
from torch import Tensor

TORCH = "torch"
"""The form that is torch's own convolution; the only one with a second gradient."""


class Case(NamedTuple):
    """A function with the shapes it is computed for."""

    function: str
    """conv3x3, up3x3, or conv with kernel, stride and padding, such as conv4s2p1."""
    dtype: str
    """float32 or bfloat16."""
    maps_in: int
    maps_out: int
    batch: int
    height: int
    width: int
    """Of what is read."""

    @property
    def name(self) -> str:
        """One line, as a table keeps it: "conv3x3 float32 256>256 16x8x8"."""
        shape = f"{self.batch}x{self.height}x{self.width}"
        return f"{self.function} {self.dtype} {self.maps_in}>{self.maps_out} {shape}"


class _State:
    table: dict[str, str] = {}  # noqa: RUF012
    met: dict[Case, None] | None = None
    torch_alone = False


def choose(function: str, input: Tensor, maps_out: int, rule: str) -> str:
    """The form for this call: the table's, else ``rule``."""
    if _State.torch_alone:
        return TORCH
    if _State.met is None and not _State.table:
        return rule
    batch, maps_in, height, width = input.shape
    dtype = str(precision(input)).removeprefix("torch.")
    case = Case(function, dtype, maps_in, maps_out, batch, height, width)
    if _State.met is not None:
        _State.met[case] = None
    return _State.table.get(case.name, rule)


def precision(input: Tensor) -> torch.dtype:
    """What ``input`` is read in: autocast's precision where that is on, else its own."""
    device = input.device.type
    lower = torch.is_autocast_enabled(device)
    return torch.get_autocast_dtype(device) if lower else input.dtype


def use_forms(table: Mapping[str, str]) -> None:
    """Compute by ``table`` (:attr:`Case.name` -> form) from now on; an empty one: by the rules."""
    _State.table = dict(table)


def forms_in_use() -> dict[str, str]:
    """A copy of the table."""
    return dict(_State.table)


@contextmanager
def torch_alone() -> Iterator[None]:
    """Within, every convolution is torch's own: for gradients that are differentiated again."""
    before = _State.torch_alone
    _State.torch_alone = True
    try:
        yield
    finally:
        _State.torch_alone = before


@contextmanager
def met_cases() -> Iterator[dict[Case, None]]:
    """Gather every case that is computed within, in the order they are met."""
    before, met = _State.met, dict[Case, None]()
    _State.met = met
    try:
        yield met
    finally:
        _State.met = before
