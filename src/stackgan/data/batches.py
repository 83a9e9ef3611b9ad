"""Cached pixels and embedded captions -> training batches with wrong partners."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from stackgan.data.conditions import Conditions, Crops
from stackgan.errors import InputError
from stackgan.tensors import Embedding, Pixels

WrongPair = Literal["caption", "image", "shifted"]

_ORDER, _DRAW = 0, 1  # the two random streams of a training run: which examples, and what of them


class NoWrongCaption(InputError):
    """Every caption of the other classes is one of this example's own."""

    def __init__(self, example: int) -> None:
        super().__init__(
            f"example {example} has no wrong caption: every caption of the other classes is one of "
            "its own; captions must differ between classes"
        )
        self.example = example


class Batch(NamedTuple):
    """A batch of examples, each with a caption of its own and one that does not describe it."""

    pixels: Pixels  # [B, 3, H, W], channels last in memory
    embedding: Embedding  # of one of the example's own captions
    wrong_embedding: Embedding  # of a caption of an example of another class
    indices: torch.Tensor  # int64 [B], places of the examples
    wrong_pixels: Pixels | None = None  # of other examples, where they make the wrong pairs
    labels: torch.Tensor | None = None  # int64 [B], the examples' classes by number
    conditions: Mapping[str, torch.Tensor] = MappingProxyType({})
    """What was asked for, by name: of ``pixels`` as they are here, see ``Conditions.of``."""


class Typed(NamedTuple):
    """Wordings as people type them, which stand in for a share of the captions."""

    share: float
    """Of the captions drawn."""
    rows: Sequence[tuple[int, ...]]
    """For each example the rows of the embeddings that are its wordings."""
    words: Mapping[int, frozenset[str]]
    """What the wording of a row says."""
    known: Sequence[frozenset[str]]
    """For each example what may be said of it."""


class Batches:
    """Batches of every epoch; each a function of (seed, epoch, index) and of nothing else.

    ``pixels`` is uint8 [N, S, S, 3]. Images stored larger than ``image_px`` are cropped at random
    and flipped (76 -> 64, 304 -> 256). Images stored at ``image_px`` are never cropped: they are
    flipped and moved by up to ``shift_px`` (an ``image_px``-th / 16 when None) with their border
    reflected. ``caption_rows`` holds, for each example, the rows of ``embeddings`` that are its
    captions. The wrong partner is drawn evenly from the examples of other classes; an example
    whose class is None counts as a class of its own, and with fewer than two named classes every
    example does. A caption that an example shares with others is never its wrong one.

    ``wrong_pair="image"`` adds, as TF, the pixels of another example to stand beside this one's
    caption, cropped and flipped afresh; where it is of the same class the place moves on by 100 to
    199, not checked again. ``shifted`` (PT) leaves the pairing to the training step: wrong
    embeddings are then the own ones. ``captions_per_image`` averages the embeddings of so many
    different captions of an example (TF: 4), of all where it has fewer. ``typed`` puts wordings
    in place of captions, own and wrong ones; one that fits an example is never its wrong one.
    ``conditions`` adds boxes and key points, which go where a batch's crops and flips put them;
    what else is drawn does not depend on it.

    Paper: section 3.3, "matching-aware" pairs: real images with mismatched text embeddings.
    """

    def __init__(
        self,
        pixels: NDArray[np.uint8],
        embeddings: Embedding,
        caption_rows: Sequence[tuple[int, ...]],
        classes: Sequence[str | None],
        batch_size: int,
        image_px: int,
        seed: int,
        shift_px: int | None = None,
        flip: bool = True,
        wrong_pair: WrongPair = "caption",
        captions_per_image: int = 1,
        typed: Typed | None = None,
        conditions: Conditions | None = None,
    ) -> None:
        """Raise :class:`InputError` where no batch, or no wrong partner, can be drawn."""
        self.pixels, self.embeddings = pixels, embeddings
        self.batch_size, self.image_px, self.seed, self.flip = batch_size, image_px, seed, flip
        self.wrong_pair, self.captions_per_image = wrong_pair, captions_per_image
        self.typed, self.conditions = typed, conditions
        self.shift_px = image_px // 16 if shift_px is None else shift_px
        self._check(caption_rows, classes)
        named = {name for name in classes if name is not None}
        self.class_count = len(named) if None not in classes and len(named) > 1 else 0
        """How many classes there are to tell apart; 0 where an example has none."""
        self._rows = np.array([row for rows in caption_rows for row in rows], dtype=np.int64)
        self._row_counts = np.array([len(rows) for rows in caption_rows], dtype=np.int64)
        self._row_starts = np.cumsum(self._row_counts) - self._row_counts
        self._group_by_class(classes)
        self._own = [frozenset(rows) for rows in caption_rows]
        if typed is not None:
            counts = np.array([len(rows) for rows in typed.rows], dtype=np.int64)
            self._typed_counts, self._typed_starts = counts, np.cumsum(counts) - counts
            self._typed_rows = np.array([row for rows in typed.rows for row in rows])
        self._rows_are_shared = len(set(self._rows.tolist())) < sum(map(len, self._own))
        if wrong_pair == "caption":
            self._check_wrong_captions()
        self._order: tuple[int, NDArray[np.int64]] = (-1, np.empty(0, dtype=np.int64))

    @property
    def steps_per_epoch(self) -> int:
        """Whole batches in an epoch; the examples that are left over wait for the next order."""
        return len(self.pixels) // self.batch_size

    def batch(self, epoch: int, index: int) -> Batch:
        """Return batch ``index`` of ``epoch``, both from 0.

        Raises :class:`InputError` when the epoch has no such batch.
        """
        if epoch < 0 or not 0 <= index < self.steps_per_epoch:
            raise InputError(
                f"batch {index} of epoch {epoch} does not exist; an epoch has "
                f"{self.steps_per_epoch} batches, counted from 0"
            )
        start = index * self.batch_size
        chosen = self._epoch_order(epoch)[start : start + self.batch_size]
        random = self._random(_DRAW, epoch, index)
        offsets, flipped = self._crops(len(chosen), random)
        pixels = self._cropped(chosen, offsets, flipped)
        embedding, wrong = self._embeddings(chosen, random)
        return Batch(
            torch.from_numpy(pixels).permute(0, 3, 1, 2),  # [B, H, W, 3] -> [B, 3, H, W], a view
            embedding,
            wrong,
            torch.from_numpy(chosen.copy()),
            self._wrong_pixels(chosen, random) if self.wrong_pair == "image" else None,
            torch.from_numpy(self._groups[chosen].astype(np.int64)),
            self._conditions(chosen, offsets, flipped),
        )

    def _embeddings(
        self, chosen: NDArray[np.int64], random: np.random.Generator
    ) -> tuple[Embedding, Embedding]:
        """Of each example's own caption or captions, and of wrong ones."""
        if self.captions_per_image == 1:
            own = self.embeddings[torch.from_numpy(self._caption_of(chosen, random))]
            if self.wrong_pair != "caption":
                return own, own
            return own, self.embeddings[torch.from_numpy(self._wrong_caption(chosen, random))]
        own = torch.stack([self._mean(self._own[example], random) for example in chosen])
        if self.wrong_pair != "caption":
            return own, own
        wrong = []
        for place, partner in enumerate(self._partner(chosen, random)):
            rows = self._own[partner] - self._own[chosen[place]]
            if not rows:  # the partner has no caption but this example's
                rows = frozenset(self._wrong_caption(chosen[place : place + 1], random).tolist())
            wrong.append(self._mean(rows, random))
        return own, torch.stack(wrong)

    def _mean(self, rows: frozenset[int], random: np.random.Generator) -> torch.Tensor:
        """The mean embedding [E] of ``captions_per_image`` different rows of ``rows``."""
        count = min(self.captions_per_image, len(rows))
        drawn = random.choice(sorted(rows), count, replace=False)
        return self.embeddings[torch.from_numpy(drawn)].mean(dim=0)

    def _wrong_pixels(self, chosen: NDArray[np.int64], random: np.random.Generator) -> torch.Tensor:
        """Other examples' pixels [B, 3, H, W], nearly always of other classes (TF)."""
        others = random.integers(0, len(self.pixels), size=len(chosen))
        further = (others + random.integers(100, 200)) % len(self.pixels)
        same = self._groups[others] == self._groups[chosen]
        pixels = self._cropped(np.where(same, further, others), *self._crops(len(chosen), random))
        return torch.from_numpy(pixels).permute(0, 3, 1, 2)

    def _random(self, stream: int, *place: int) -> np.random.Generator:
        seeds = np.random.SeedSequence(self.seed, spawn_key=(stream, *place))
        return np.random.Generator(np.random.Philox(seeds))

    def _epoch_order(self, epoch: int) -> NDArray[np.int64]:
        if self._order[0] != epoch:
            order = self._random(_ORDER, epoch).permutation(len(self.pixels)).astype(np.int64)
            self._order = (epoch, order)
        return self._order[1]

    def _crops(
        self, count: int, random: np.random.Generator
    ) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """Where crops begin, (top, left) [B, 2] in stored pixels, and which are then mirrored."""
        spare = self.pixels.shape[1] - self.image_px
        low, high = (0, spare) if spare else (-self.shift_px, self.shift_px)
        offsets = random.integers(low, high + 1, size=(count, 2))
        flipped = random.random(count) < 0.5
        return offsets, flipped & self.flip

    def _cropped(
        self,
        chosen: NDArray[np.int64],
        offsets: NDArray[np.int64],
        flipped: NDArray[np.bool_],
    ) -> NDArray[np.uint8]:
        """Crop or shift, and flip: [B, H, W, 3]. Each is a choice of rows and of columns."""
        size = self.image_px
        out = np.empty((len(chosen), size, size, 3), dtype=np.uint8)
        for place, example in enumerate(chosen):
            top, left = offsets[place].tolist()
            out[place] = _moved(self.pixels[example], top, left, size)
            if flipped[place]:  # torch's flip takes a tenth of numpy's time
                picture = torch.from_numpy(out[place])
                picture.copy_(picture.flip(1))
        return out

    def _conditions(
        self,
        chosen: NDArray[np.int64],
        offsets: NDArray[np.int64],
        flipped: NDArray[np.bool_],
    ) -> Mapping[str, torch.Tensor]:
        """What was asked for, where the same crops and flips put it."""
        if self.conditions is None:
            return MappingProxyType({})
        sides = np.full_like(offsets, self.image_px)
        windows = np.concatenate([offsets[:, ::-1], sides], axis=1) / self.pixels.shape[1]
        told = self.conditions.of(chosen, Crops(windows, flipped))
        return {name: torch.from_numpy(each) for name, each in told.items()}

    def _caption_of(
        self, examples: NDArray[np.int64], random: np.random.Generator
    ) -> NDArray[np.int64]:
        """Return a row of ``embeddings`` for each example, evenly from its captions.

        Or, with the chance of ``typed``, evenly from its wordings.
        """
        caption = random.integers(0, self._row_counts[examples])
        rows = np.asarray(self._rows[self._row_starts[examples] + caption])
        if self.typed is None:
            return rows
        replaced = random.random(len(examples)) < self.typed.share
        wording = random.integers(0, self._typed_counts[examples])
        return np.where(replaced, self._typed_rows[self._typed_starts[examples] + wording], rows)

    def _wrong_caption(
        self, chosen: NDArray[np.int64], random: np.random.Generator
    ) -> NDArray[np.int64]:
        """Return a row of another class for each example, none of them its own."""
        rows = self._caption_of(self._partner(chosen, random), random)
        if not self._rows_are_shared and self.typed is None:
            return rows
        for place, example in enumerate(chosen):
            for _ in range(100):
                if not self._describes(int(rows[place]), int(example)):
                    break
                partner = self._partner(chosen[place : place + 1], random)
                rows[place] = self._caption_of(partner, random)[0]
            else:
                wrong = self._wrong_rows(int(example))
                apart = [row for row in wrong if not self._describes(row, int(example))]
                rows[place] = random.choice(apart or wrong)
        return rows

    def _describes(self, row: int, example: int) -> bool:
        """Whether a row may be said of an example: one of its captions, or a wording that fits."""
        if row in self._own[example]:
            return True
        if self.typed is None or row not in self.typed.words:
            return False
        fits = self.typed.words[row] <= self.typed.known[example]
        return fits or row in self.typed.rows[example]

    def _partner(self, chosen: NDArray[np.int64], random: np.random.Generator) -> NDArray[np.int64]:
        """Return an example of another group for each, all such examples equally likely."""
        group = self._groups[chosen]
        sizes = self._group_sizes[group]
        place = random.integers(0, len(self._groups) - sizes)
        place += np.where(place >= self._group_starts[group], sizes, 0)  # step over its own group
        return np.asarray(self._by_group[place])

    def _group_by_class(self, classes: Sequence[str | None]) -> None:
        named = sorted({name for name in classes if name is not None})
        numbers = {name: number for number, name in enumerate(named)} if len(named) > 1 else {}
        groups = [
            numbers[name] if name in numbers else len(numbers) + place
            for place, name in enumerate(classes)
        ]
        _, self._groups, self._group_sizes = np.unique(
            groups, return_inverse=True, return_counts=True
        )
        self._group_starts = np.cumsum(self._group_sizes) - self._group_sizes
        self._by_group = np.argsort(self._groups, kind="stable")

    def _wrong_rows(self, example: int) -> list[int]:
        """Every row that may be this example's wrong caption; slow, for the rare cases."""
        others = np.flatnonzero(self._groups != self._groups[example])
        return sorted(
            frozenset().union(*(self._own[other] for other in others)) - self._own[example]
        )

    def _check_wrong_captions(self) -> None:
        """Every example has a wrong caption: doubtful ones alone are looked at one by one."""
        if not self._rows_are_shared:
            return
        everywhere: dict[int, set[int]] = {}
        for group, rows in zip(self._groups.tolist(), self._own, strict=True):
            for row in rows:
                everywhere.setdefault(row, set()).add(group)
        only_here = np.zeros(len(self._group_sizes), dtype=np.int64)
        for groups in everywhere.values():
            if len(groups) == 1:
                only_here[next(iter(groups))] += 1
        for example, rows in enumerate(self._own):
            elsewhere = len(everywhere) - only_here[self._groups[example]]
            if elsewhere <= len(rows) and not self._wrong_rows(example):
                raise NoWrongCaption(example)

    def _check(
        self, caption_rows: Sequence[tuple[int, ...]], classes: Sequence[str | None]
    ) -> None:
        count, stored_px = self.pixels.shape[:2]
        if not count == len(caption_rows) == len(classes):
            raise InputError(
                f"there are {count} images, {len(caption_rows)} lists of captions and "
                f"{len(classes)} classes; expected one of each for every example"
            )
        if self.conditions is not None and len(self.conditions) != count:
            raise InputError(
                f"there are {count} images and conditions of {len(self.conditions)} examples; "
                "expected the same examples"
            )
        if self.batch_size < 1 or count < self.batch_size:
            raise InputError(
                f"batch_size is {self.batch_size} and there are {count} examples; expected a "
                f"batch size from 1 to {count}"
            )
        if count == 1:
            raise InputError("there is a single example; a wrong caption needs at least two")
        if self.pixels.shape[2] != stored_px or stored_px < self.image_px or self.image_px < 1:
            raise InputError(
                f"images are stored at {self.pixels.shape[2]}x{stored_px} and image_px is "
                f"{self.image_px}; expected squares of at least {self.image_px}"
            )
        if not 0 <= self.shift_px < self.image_px:
            raise InputError(f"shift_px is {self.shift_px}; expected from 0 to {self.image_px - 1}")
        if self.seed < 0:
            raise InputError(f"seed is {self.seed}; expected 0 or more")
        for example, rows in enumerate(caption_rows):
            if not rows or min(rows) < 0 or max(rows) >= len(self.embeddings):
                raise InputError(
                    f"example {example} has caption rows {rows}; expected at least one, each from "
                    f"0 to {len(self.embeddings) - 1}"
                )


def _moved(picture: NDArray[np.uint8], top: int, left: int, size: int) -> NDArray[np.uint8]:
    """Return ``size`` rows and columns from (``top``, ``left``), reflecting beyond the border."""
    stored = picture.shape[0]
    if 0 <= top <= stored - size and 0 <= left <= stored - size:
        return picture[top : top + size, left : left + size]
    rows, columns = (_reflected(start, size, stored) for start in (top, left))
    return picture[rows].take(columns, axis=1)


def _reflected(start: int, size: int, stored: int) -> NDArray[np.int64]:
    """Return ``size`` places from ``start``, those outside 0..stored-1 mirrored at the border."""
    places = np.abs(np.arange(start, start + size))
    return np.where(places < stored, places, 2 * (stored - 1) - places)
