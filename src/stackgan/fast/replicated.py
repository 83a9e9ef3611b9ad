"""A code joined to a feature map as if it stood at every place of it, without the map of it."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from stackgan.precision import in_own_precision
from stackgan.tensors import FeatureMap


def replicate(code: Tensor, size: torch.Size) -> Tensor:
    """Repeat [B, N] at every place of a map: [B, N, H, W], a view. Paper: section 3.4."""
    return code[:, :, None, None].expand(-1, -1, *size)


def convolve_replicated(code: Tensor, weight: Tensor, size: torch.Size) -> FeatureMap:
    """Convolve a replicated code with ``weight`` (stride 1, "same" padding): channels-last float32.

    Equals ``F.conv2d(replicate(code, size), weight, padding=k // 2)``. Over a constant map a tap
    gives one number for each image and output map, the same wherever it lies inside the map: one
    matrix product over the codes, then one over the taps, which leaves out those beyond the border.

    Args:
        code: [B, N].
        weight: [O, N, k, k], k odd.
        size: (H, W) of the map.

    Returns:
        [B, O, H, W].
    """
    with in_own_precision(code.device.type):
        return spread_taps(F.linear(code.float(), tap_matrix(weight)), weight.shape[2], size)


def tap_matrix(weight: Tensor) -> Tensor:
    """The weight [O, N, k, k] as a float32 matrix [O * k * k, N] from a code to every tap."""
    return weight.float().permute(0, 2, 3, 1).reshape(-1, weight.shape[1])


def spread_taps(taps: Tensor, kernel: int, size: torch.Size) -> FeatureMap:
    """Add, at each place of a map, the taps [B, O * k * k] that read inside it: [B, O, H, W]."""
    height, width = size
    per_tap = taps.view(len(taps), -1, kernel * kernel)
    inside = _inside(kernel, height, width, taps.device)
    joined = inside @ per_tap.transpose(1, 2)  # [H * W, k * k] @ [B, k * k, O]
    return joined.view(len(taps), height, width, -1).permute(0, 3, 1, 2)


def _inside(kernel: int, height: int, width: int, device: torch.device) -> Tensor:
    """Which taps read inside the map at each place: 0 or 1, [H * W, k * k]."""
    rows, columns = (_inside_line(kernel, length, device) for length in (height, width))
    both = rows[:, None, :, None] * columns[None, :, None, :]
    return both.reshape(height * width, kernel * kernel)


def _inside_line(kernel: int, length: int, device: torch.device) -> Tensor:
    """The same along one axis: [length, k]."""
    taps = torch.arange(kernel, device=device) - kernel // 2
    read = torch.arange(length, device=device)[:, None] + taps
    return ((read >= 0) & (read < length)).float()
