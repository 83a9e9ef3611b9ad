"""The whole path in one file: captions and a seed -> embedding -> sketch -> picture."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from stackgan import arguments
from stackgan.devices import SamplingPrecision, choose_device, sampling_dtype
from stackgan.drawn import Chance as Chance
from stackgan.drawn import Drawn as Drawn
from stackgan.errors import InputError
from stackgan.hub import LoadedModel, load_model
from stackgan.inference.fold import ask_alone, fold_batchnorm, lower_precision
from stackgan.inference.packed import pack
from stackgan.model_folder import read_truncation
from stackgan.networks.arranged import Arranged
from stackgan.pil import Pictures, as_pil, as_pixels
from stackgan.result import Result as Result
from stackgan.tensors import (
    Condition,
    Embedding,
    Images,
    Noise,
    PixelRows,
    Pixels,
    to_images,
    to_pixels,
)
from stackgan.version import __version__

if TYPE_CHECKING:
    from stackgan.joint import JointEmbedding
    from stackgan.text import TextEncoder

Progress = Callable[[int, int], None]
BATCH_1, BATCH_2 = 16, 8
"""Images in one pass of a stage on a GPU: Stage-II's maps at 256x256 are what fills the memory."""


class StackGAN:
    """A trained model, ready to draw.

    ``model(caption, num_images=4, seed=7)`` returns a :class:`Result`. Picture i of a caption
    depends on the caption and ``seed + i`` alone: the same call gives the same bytes, on a CPU also
    whatever is drawn with it; on a GPU pixels differ by at most 2 levels across batch sizes.
    """

    def __init__(
        self, loaded: LoadedModel, device: str = "auto", precision: SamplingPrecision = "auto"
    ) -> None:
        self.name = loaded.name
        self.loaded = loaded
        self.architecture = loaded.architecture
        self.encoder: TextEncoder = loaded.encoder
        self.truncation = read_truncation(loaded.config)
        self.device = choose_device(device)
        self.dtype = sampling_dtype(self.device, precision)
        # Stage-I in float32: what bfloat16 rounds in a sketch, Stage-II sharpens, until 4 % of a
        # picture's pixels differ by more than 2 levels; and it is a tenth of the work.
        self.stage1 = self._ready(loaded.stage1, torch.float32)
        self.stage2 = None if loaded.stage2 is None else self._ready(loaded.stage2, self.dtype)

    def __repr__(self) -> str:
        px = 64 if self.stage2 is None else self.architecture.image_px
        return f"<StackGAN {self.name!r}: {px}x{px} pictures on {self.device}>"

    @classmethod
    def from_pretrained(
        cls,
        name_or_dir: str | Path = "flowers",
        device: str = "auto",
        encoder: TextEncoder | str | Path | None = None,
        precision: SamplingPrecision = "auto",
    ) -> StackGAN:
        """Load a shipped model by name, or a model folder, or the model of a run folder.

        Args:
            device: auto, cpu, cuda or mps.
            encoder: only for a model that keeps its encoder elsewhere; itself, its name or path.
            precision: what Stage-II computes in: fp32, bf16, or auto, the faster one on this
                processor (measured once), float32 on a GPU. Between the two a picture's pixels
                differ by a few levels.

        Raises:
            InputError: another precision or device.
            ModelError: nothing there, a damaged file, or another encoder than it was trained with.
        """
        return cls(load_model(name_or_dir, encoder=encoder), device, precision)

    def __call__(
        self,
        captions: str | Sequence[str],
        num_images: int = 1,
        seed: int = 0,
        stage: int | None = None,
        truncation: float | None = None,
        best_of: int = 1,
        progress: Progress | None = None,
    ) -> Result:
        """Draw ``num_images`` pictures of each caption, with seeds ``seed``, ``seed + 1``, ...

        Args:
            stage: 1 for the 64x64 sketches alone, 2 for pictures; None for the last the model has.
            truncation: scales noise and the spread of the conditions; under 1 is safer and less
                varied, 0 is the mean picture; None is what the model's folder says, else 1.
            best_of: draw so many for each picture and keep the one that fits its caption best, by
                the text encoder's image side. Picture i is chosen of the ``best_of`` seeds from
                ``seed + i * best_of`` on; the result tells which, and that seed alone draws it.

        Raises:
            InputError: an empty caption, a number out of range, a stage the model lacks, or the
                package that ranks is not installed.
            ModelError: ``best_of`` with a text encoder that has no image side.
        """
        captions = arguments.check_captions(captions)
        stage = self._stage(stage)
        arguments.check_count(len(captions), num_images, best_of)
        arguments.check_memory(
            len(captions) * num_images, 64 if stage == 1 else self.architecture.image_px
        )
        parts = list(self.stream(captions, num_images, seed, stage, truncation, best_of, progress))
        return Result.join(parts)

    def stream(
        self,
        captions: str | Sequence[str],
        num_images: int = 1,
        seed: int = 0,
        stage: int | None = None,
        truncation: float | None = None,
        best_of: int = 1,
        progress: Progress | None = None,
    ) -> Iterator[Result]:
        """Draw what a call draws, a few pictures at a time, in the same order and the same bytes.

        However many are asked for, no more than 16 are held. Arguments as in a call, and what a
        call raises is raised here, before anything is drawn.
        """
        captions = arguments.check_captions(captions)
        arguments.check_count(len(captions), num_images, best_of)
        arguments.check_seed(seed, num_images * best_of)
        stage, truncation = self._stage(stage), self.truncated(truncation)
        if best_of > 1:
            _ = self.joint  # what is missing is said before anything is drawn
        return self._parts(captions, num_images, seed, stage, truncation, best_of, progress)

    def _parts(
        self,
        captions: Sequence[str],
        num_images: int,
        seed: int,
        stage: int,
        truncation: float,
        best_of: int,
        progress: Progress | None,
    ) -> Iterator[Result]:
        """The pictures of a call, pass by pass."""
        from stackgan.best_of import best_seeds

        embed = lru_cache(16)(lambda caption: self.embed([caption]))
        count, done = len(captions) * num_images, 0
        each = best_of + 1 if best_of > 1 else 1

        def told_from(begun: int) -> Progress:
            return lambda now, _: None if progress is None else progress(begun + now, count * each)

        for part in self._passes(count, BATCH_1 if stage == 1 else BATCH_2):
            places = range(part.start, part.stop)
            asked = [captions[place // num_images] for place in places]
            told = told_from(done)
            if best_of == 1:
                seeds = [seed + place % num_images for place in places]
            else:
                firsts = [seed + place % num_images * best_of for place in places]
                tried = [first + i for first in firsts for i in range(best_of)]
                seeds, told = best_seeds(self, asked, tried, best_of, truncation, told)
            embedding = torch.cat([embed(caption) for caption in asked])
            drawn = self.render(embedding, self.chance(seeds, truncation), stage, progress=told)
            done += len(places) * each
            yield self._result(drawn, asked, seeds, truncation, best_of)

    def draw(
        self,
        captions: Sequence[str],
        seeds: Sequence[int],
        stage: int | None = None,
        batch: int | None = None,
        truncation: float | None = None,
        progress: Progress | None = None,
    ) -> Drawn:
        """Draw one picture for each (caption, seed) pair; both stages' pixels, on the CPU."""
        stage = self._stage(stage)
        if len(captions) != len(seeds):
            raise InputError(f"{len(captions)} captions and {len(seeds)} seeds; expected as many")
        for one in seeds:
            arguments.check_seed(one)
        chance = self.chance(seeds, self.truncated(truncation))
        embedding = self.embed(arguments.check_captions(captions))
        return self.render(embedding, chance, stage, batch, progress)

    def generate_pixels(
        self,
        captions: Sequence[str],
        seeds: Sequence[int],
        stage: int | None = None,
        batch: int | None = None,
        truncation: float | None = 1.0,
        progress: Progress | None = None,
    ) -> Pixels:
        """Draw in bulk: one picture for each (caption, seed) pair, as uint8 [N, 3, H, W].

        ``stage=1`` gives the sketches [N, 3, 64, 64]; :meth:`draw` gives both at once. What is
        drawn in bulk is measured, so here without truncation unless another is named.
        """
        drawn = self.draw(captions, seeds, stage, batch, truncation, progress)
        return drawn.sketches if drawn.pictures is None else drawn.pictures

    def refine(
        self,
        images: Pictures,
        captions: str | Sequence[str],
        seed: int = 0,
        truncation: float | None = None,
        progress: Progress | None = None,
    ) -> Result:
        """Run Stage-II on given 64x64 images, one caption for all or one for each.

        Image i uses ``seed + i`` as in a call, so refining a call's sketches gives its pictures
        (with the call's ``truncation``, but for the rounding of the sketches to 256 levels).
        """
        self._stage(2)
        sketches = as_pixels(images)
        if isinstance(captions, str):
            captions = [captions] * len(sketches)
        captions = arguments.check_captions(captions)
        if len(captions) != len(sketches):
            raise InputError(
                f"{len(sketches)} images and {len(captions)} captions; expected one for all or "
                "one for each"
            )
        arguments.check_seed(seed, len(sketches))
        seeds = [seed + i for i in range(len(sketches))]
        truncation = self.truncated(truncation)
        pictures = self.refine_pixels(
            sketches, captions, seeds, truncation=truncation, progress=progress
        )
        return self._result(Drawn(sketches, pictures), captions, seeds, truncation)

    def refine_pixels(
        self,
        sketches: Pixels,
        captions: Sequence[str],
        seeds: Sequence[int],
        batch: int | None = None,
        truncation: float | None = 1.0,
        progress: Progress | None = None,
    ) -> PixelRows:
        """Run Stage-II in bulk on uint8 [N, 3, 64, 64]; uint8 [N, 3, P, P]."""
        self._stage(2)
        embedding = self.embed(arguments.check_captions(captions))
        eps2 = self.chance(seeds, self.truncated(truncation)).eps2
        parts = []
        for part in self._passes(len(sketches), batch or BATCH_2):
            images = to_images(sketches[part])
            parts.append(self._stage2(images, embedding[part], eps2[part]))
            if progress is not None:
                progress(min(part.stop, len(sketches)), len(sketches))
        return torch.cat(parts)

    def interpolate(self, first: str, last: str, steps: int = 8, seed: int | None = None) -> Result:
        """Walk in even steps from one caption's embedding to another's, ends included.

        Paper: section 4.3, sentence embedding interpolation: noise zero, so that only the text
        moves. With ``seed`` all that is random is that seed's, the same at every step, so that the
        ends are ``model(first, seed=seed)`` and ``model(last, seed=seed)``.
        """
        if arguments.check_whole("steps", steps) < 2:
            raise InputError(f"steps is {steps}, expected 2 or more (both ends count)")
        start, end = self.embed(arguments.check_captions([first, last]))
        share = torch.linspace(0, 1, steps, device=self.device)[:, None]
        embedding = torch.lerp(start.expand(steps, -1), end.expand(steps, -1), share)
        arguments.check_memory(steps, self.architecture.image_px)
        arguments.check_seed(0 if seed is None else seed)
        truncation = 0.0 if seed is None else self.truncation
        chance = self.chance([seed or 0] * steps, truncation)
        drawn = self.render(embedding, chance, self._stage(None))
        middle = [f"{first} -> {last} ({i}/{steps - 1})" for i in range(1, steps - 1)]
        return self._result(drawn, [first, *middle, last], [seed or 0] * steps, truncation)

    def embed(self, captions: Sequence[str]) -> Embedding:
        """Embed captions [B, E] on the model's device; a caption given twice is encoded once.

        Each by itself: a matrix product's last bits depend on the number of its rows, and through
        bfloat16 they can become whole levels, so that a picture would know its neighbours.
        """
        rows = {caption: self.encoder.encode([caption]) for caption in dict.fromkeys(captions)}
        return torch.cat([rows[caption] for caption in captions]).float().to(self.device)

    def truncated(self, truncation: float | None) -> float:
        """The truncation asked for, checked; None is the model's own."""
        truncation = self.truncation if truncation is None else truncation
        if not 0 <= truncation < math.inf:
            raise InputError(f"truncation is {truncation}, expected 0 or more")
        return float(truncation)

    def chance(self, seeds: Sequence[int], truncation: float = 1.0) -> Chance:
        """Noise and both eps of each seed: its own CPU stream, so that no picture knows another."""
        rows = []
        for seed in seeds:
            random = torch.Generator().manual_seed(seed)
            arch = self.architecture
            rows.append(
                (
                    torch.randn(arch.noise_dim, generator=random),
                    torch.randn(arch.condition_dim, generator=random),
                    torch.randn(arch.condition_dim, generator=random),
                )
            )
        parts = (torch.stack(part).to(self.device) for part in zip(*rows, strict=True))
        return Chance(*(truncation * part for part in parts))

    def render(
        self,
        embedding: Embedding,
        chance: Chance,
        stage: int,
        batch: int | None = None,
        progress: Progress | None = None,
    ) -> Drawn:
        """Embeddings and chance to pixels of both stages, ``batch`` images at a time on a GPU."""
        sketches, pictures = [], []
        total = len(embedding)
        for part in self._passes(total, batch or (BATCH_1 if stage == 1 else BATCH_2)):
            images = self._stage1(embedding[part], chance.noise[part], chance.eps1[part])
            sketches.append(to_pixels(images).cpu())
            if stage == 2:
                pictures.append(self._stage2(images, embedding[part], chance.eps2[part]))
            if progress is not None:
                progress(min(part.stop, total), total)
        return Drawn(torch.cat(sketches), torch.cat(pictures) if pictures else None)

    def mean_sketches(self, captions: Sequence[str]) -> Pixels:
        """The sketch of each caption with all chance at zero, uint8 [N, 3, 64, 64]."""
        embedding = self.embed(arguments.check_captions(captions))
        return self.render(embedding, self.chance([0] * len(embedding), 0.0), 1).sketches

    def remarks(
        self,
        captions: str | Sequence[str],
        num_images: int = 1,
        truncation: float | None = None,
        best_of: int = 1,
    ) -> list[str]:
        """What a person should hear before a call with these arguments, a sentence a matter.

        What changes nothing in the picture, unknown words, negations, cut captions, pictures that
        will be one and the same: :mod:`stackgan.remarks`. None where all is as it seems.
        """
        from stackgan.remarks import remarks

        truncation = self.truncated(truncation)
        return remarks(self, arguments.check_captions(captions), num_images * best_of, truncation)

    @cached_property
    def joint(self) -> JointEmbedding:
        """What tells how well a picture and a caption fit: the text encoder and its image side."""
        from stackgan.best_of import ranking

        return ranking(self.encoder)

    def _passes(self, total: int, batch: int) -> list[slice]:
        """Which images go together.

        On a CPU 8, 4, 2 or 1: with other numbers a transposed convolution sums in another order;
        with these and :func:`ask_alone` a picture has the same bytes whatever is drawn with it.
        """
        passes, start = [], 0
        while start < total:
            size = min(batch, total - start)
            if self.device.type == "cpu":
                size = 1 << min(size, 8).bit_length() - 1
            passes.append(slice(start, start + size))
            start += size
        return passes

    def _stage1(self, embedding: Embedding, noise: Noise, eps: Condition) -> Images:
        # Copies: a part of a larger tensor lies at another alignment, which MKL's sums notice.
        with self._sampling(torch.float32):
            images: Tensor = self.stage1(embedding.clone(), noise.clone(), eps.clone()).images
        return images.float()

    def _stage2(self, sketches: Images, embedding: Embedding, eps: Condition) -> PixelRows:
        if self.stage2 is None:
            raise InputError(f"model {self.name!r} has no Stage-II")
        sketches = sketches.to(self.device).contiguous(memory_format=torch.channels_last)
        with self._sampling(self.dtype):
            images = self.stage2(sketches, embedding.clone(), eps.clone()).images
        return to_pixels(images).cpu()

    def _sampling(self, dtype: torch.dtype) -> ExitStack:
        """No gradients, a stage's precision, no chance."""
        stack = ExitStack()
        stack.enter_context(torch.inference_mode())
        lower = dtype != torch.float32
        stack.enter_context(torch.autocast(self.device.type, dtype, enabled=lower))
        if self.device.type == "cuda":
            exact = {"enabled": True, "benchmark": False, "deterministic": True}
            stack.enter_context(torch.backends.cudnn.flags(**exact, allow_tf32=False))
        return stack

    def _ready(self, network: nn.Module, dtype: torch.dtype) -> nn.Module:
        for module in network.modules():
            if isinstance(module, Arranged):
                module.literal = False  # the same function within a picture's last bits
        network = lower_precision(fold_batchnorm(network), dtype).to(self.device)
        network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        return ask_alone(pack(network)) if self.device.type == "cpu" else network

    def _stage(self, stage: int | None) -> int:
        return arguments.check_stage(stage, 1 if self.stage2 is None else 2, self.name)

    def _result(
        self,
        drawn: Drawn,
        captions: Sequence[str],
        seeds: Sequence[int],
        truncation: float,
        best_of: int = 1,
    ) -> Result:
        sketches = as_pil(drawn.sketches)
        pictures = None if drawn.pictures is None else as_pil(drawn.pictures)
        asked = (list(captions), list(seeds), self.name, __version__, truncation, best_of)
        return Result(pictures or sketches, sketches, *asked)
