"""A step's batch in parts: what each reads, its random numbers twice, and their scalars' means."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import NamedTuple

from jaxtyping import Int
from torch import Tensor, nn

from stackgan.tensors import Embedding, Pixels

Labels = Int[Tensor, " B"]


class StepBatch(NamedTuple):
    """What a step reads of its batch, on the networks' device."""

    pixels: Pixels
    embedding: Embedding
    wrong_embedding: Embedding
    wrong_pixels: Pixels | None = None  # another example's, for ``wrong_pair="image"``
    labels: Labels | None = None  # each example's class by number, for the side heads
    conditions: Mapping[str, Tensor] = MappingProxyType({})  # by name, as in the batch drawn


Draw = Callable[[int, int], Tensor]
"""``draw(rows, dim)``: standard normal numbers [rows, dim], in the order of noise, eps."""


class Numbers:
    """``draw`` that can give the same numbers again."""

    def __init__(self, draw: Draw) -> None:
        self._draw = draw
        self._given: list[Tensor] = []
        self._next = 0

    def __call__(self, rows: int, dim: int) -> Tensor:
        """The next numbers [rows, dim]: drawn, or those that were drawn in this place."""
        if self._next == len(self._given):
            self._given.append(self._draw(rows, dim))
        self._next += 1
        return self._given[self._next - 1]

    def again(self, same: bool) -> None:
        """From the beginning: the ``same`` numbers, or new ones."""
        self._next = 0
        if not same:
            self._given.clear()


def split(batch: StepBatch, count: int) -> list[StepBatch]:
    """The batch in ``count`` equal parts, each with its own part of every condition."""
    if count == 1:
        return [batch]
    *tensors, _ = batch
    split = [[None] * count if field is None else field.chunk(count) for field in tensors]
    told = {name: field.chunk(count) for name, field in batch.conditions.items()}
    conditions = [{name: parts[place] for name, parts in told.items()} for place in range(count)]
    return [StepBatch(*fields) for fields in zip(*split, conditions, strict=True)]


def add(report: dict[str, Tensor], said: dict[str, Tensor], count: int) -> None:
    """Add one of ``count`` parts' scalars to their means."""
    for name, value in said.items():
        share = value if count == 1 else value / count
        report[name] = report[name] + share if name in report else share


@contextlib.contextmanager
def only_asked(*judges: nn.Module) -> Iterator[None]:
    """No gradients for the weights of ``judges``, until whoever asked them has had its own."""
    for judge in judges:
        judge.requires_grad_(False)
    try:
        yield
    finally:
        for judge in judges:
            judge.requires_grad_(True)
