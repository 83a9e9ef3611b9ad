"""What judges a picture: one protocol, and any network whose weights lie in a safetensors file.

:class:`ImageNetwork` is what scores ask for, whoever made the network;
``networks.features.EfficientNetLite`` is one, :func:`load_image_network` makes another of a module
that its caller built.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol, cast, runtime_checkable

import torch
from jaxtyping import Float
from PIL import Image
from safetensors import SafetensorError
from safetensors.torch import load as from_safetensors
from torch import Tensor, nn

from stackgan.errors import InputError, ModelError
from stackgan.networks.features import BATCH_SIZE, RESAMPLER, batched, resize
from stackgan.tensors import Pixels

Features = Float[Tensor, "B D"]


@runtime_checkable
class ImageNetwork(Protocol):
    """A frozen network: pixels of any size -> features, the same whatever stands beside them."""

    name: str
    """Stands in the names of its scores."""
    sha256: str
    """Of its weights' file, in hexadecimal."""
    input_px: int
    """Height and width that every picture is resized to."""
    dim: int
    """Length of a picture's features."""
    reads: str
    """How pixels become its input, in words for the protocol of a score."""

    def features(
        self, pixels: Pixels, progress: Callable[[int, int], None] | None = None
    ) -> Features:
        """Return features, float32 [B, dim] on the CPU, of uint8 [B, 3, H, W].

        A picture's features must not depend on the pictures beside it, nor on their number.
        ``progress`` is told how many of how many pictures are done.
        """
        ...


class LoadedNetwork(nn.Module):
    """An :class:`ImageNetwork` of a module and its weights: see :func:`load_image_network`."""

    def __init__(
        self,
        network: nn.Module,
        *,
        name: str,
        sha256: str,
        input_px: int,
        mean: Sequence[float],
        std: Sequence[float],
        resampler: Image.Resampling,
        batch_size: int,
    ) -> None:
        super().__init__()
        self.name, self.sha256, self.input_px = name, sha256, input_px
        self.reads = (
            f"pixels to {input_px} px by Pillow's {resampler.name.lower()}, "
            f"(pixel - {_listed(mean)}) / {_listed(std)}, then as the network pools them"
        )
        self.network = network
        cast(Any, network).to(memory_format=torch.channels_last)  # as torch's stubs lack it
        self.resampler, self.batch_size = resampler, batch_size
        self.register_buffer("mean", torch.tensor(mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(1, 3, 1, 1), persistent=False)
        self.mean: Tensor
        self.std: Tensor
        self.requires_grad_(False)
        self.eval()
        self.dim = self._answered()

    def train(self, mode: bool = True) -> LoadedNetwork:
        """Stay in eval mode whatever ``mode`` says: frozen includes the batch statistics."""
        del mode
        super().train(False)
        return self

    def forward(self, pixels: Pixels) -> Features:
        """Return the features of one batch of any size, float32, on the network's device."""
        return self._pooled(resize(pixels, self.input_px, self.resampler))

    @torch.inference_mode()
    def features(
        self, pixels: Pixels, progress: Callable[[int, int], None] | None = None
    ) -> Features:
        """Return the features of any number of pictures, float32 [B, dim] on the CPU.

        A picture's features do not depend on the pictures beside it: every pass is of
        ``batch_size`` pictures, the last one filled up.

        Raises:
            InputError: where ``pixels`` are not uint8 [B, 3, H, W].
        """
        return batched(
            self._pooled,
            pixels,
            self.input_px,
            self.dim,
            self.batch_size,
            resampler=self.resampler,
            progress=progress,
        )

    def _pooled(self, pixels: Pixels) -> Features:
        """Pixels at the network's own size -> features."""
        inputs = pixels.to(self.mean.device).to(torch.float32).sub_(self.mean).div_(self.std)
        found: Tensor = self.network(inputs.contiguous(memory_format=torch.channels_last))
        return found

    @torch.inference_mode()
    def _answered(self) -> int:
        """Return the length of a picture's features, by asking for those of a blank one."""
        size_px = (self.input_px, self.input_px)
        found: object = self.network(torch.zeros(1, 3, *size_px, device=self.mean.device))
        if not isinstance(found, Tensor) or found.ndim != 2 or len(found) != 1:
            what = tuple(found.shape) if isinstance(found, Tensor) else type(found).__name__
            raise InputError(
                f"{self.name} answers one picture with {what}; expected features [1, D]"
            )
        return found.shape[1]


def load_image_network(
    network: nn.Module,
    weights: str | Path,
    *,
    name: str,
    input_px: int,
    mean: float | Sequence[float] = 0.0,
    std: float | Sequence[float] = 1.0,
    resampler: Image.Resampling = RESAMPLER,
    batch_size: int = BATCH_SIZE,
) -> LoadedNetwork:
    """Fill a module from a safetensors file and return it as an :class:`ImageNetwork`, frozen.

    The file's tensors must be the module's own, name by name and shape by shape; those of another
    type (half) are widened to the module's. Nothing in the file is ever executed.

    Args:
        network: float [B, 3, input_px, input_px] -> features [B, D], pooled. It is taken over: put
            in eval mode, without gradients, its weights replaced. A network that wants its channels
            blue first turns them itself.
        weights: the safetensors file, whose sha256 goes into every protocol.
        name: stands in the names of its scores, as in KID(name).
        input_px: height and width that every picture is resized to.
        mean: taken from each pixel, in levels 0..255, one number or red, green, blue.
        std: what the rest is divided by, likewise, above 0.
        resampler: Pillow's, antialiased.
        batch_size: pictures a pass. Another one may move features in their last bit, because a
            convolution may sum in another order.

    Raises:
        ModelError: where the file cannot be read, or does not hold this module's weights.
        InputError: for sizes below 1, a mean or std that is not one or three numbers, a std not
            above 0, or a network whose answer is not [B, D].
    """
    if input_px < 1 or batch_size < 1:
        raise InputError(
            f"input_px is {input_px}, batch_size {batch_size}; expected 1 or more of both"
        )
    means, stds = _three(mean, "mean"), _three(std, "std")
    if min(stds) <= 0:
        raise InputError(f"std is {_listed(stds)}; expected numbers above 0")
    return LoadedNetwork(
        network,
        name=name,
        sha256=_fill(network, Path(weights), name),
        input_px=input_px,
        mean=means,
        std=stds,
        resampler=resampler,
        batch_size=batch_size,
    )


def _fill(network: nn.Module, file: Path, name: str) -> str:
    """Give ``network`` the weights of ``file``; the file's sha256."""
    try:
        data = file.read_bytes()
        tensors = from_safetensors(data)
    except (OSError, SafetensorError) as error:
        raise ModelError(f"{file} cannot be read as safetensors ({error})") from error
    try:
        network.load_state_dict(tensors, strict=True)
    except RuntimeError as error:
        reason = " ".join(str(error).split())
        raise ModelError(f"{file} does not hold the weights of {name} ({reason})") from error
    return hashlib.sha256(data).hexdigest()


def _three(given: float | Sequence[float], what: str) -> list[float]:
    """Return red's, green's and blue's number."""
    numbers = [given] * 3 if isinstance(given, int | float) else list(given)
    if len(numbers) != 3:
        raise InputError(f"{what} has {len(numbers)} numbers; expected one, or red, green, blue")
    return [float(number) for number in numbers]


def _listed(numbers: Sequence[float]) -> str:
    """Return one number where all are alike, else (red, green, blue)."""
    words = [f"{number:g}" for number in numbers]
    return words[0] if len(set(words)) == 1 else f"({', '.join(words)})"
