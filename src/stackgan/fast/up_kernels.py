"""The 3x3 kernel of an up block as the 4x4 one of the equal transposed convolution."""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor

# One axis of "repeat every entry twice, then correlate with 3 taps": the 4 taps of the equal
# stride-2 transposed convolution, as sums of the 3 taps.
_TAPS = torch.tensor([[0.0, 0.0, 1.0], [0.0, 1.0, 1.0], [1.0, 1.0, 0.0], [1.0, 0.0, 0.0]])


def transposed_kernel(weight: Tensor) -> Tensor:
    """Turn a 3x3 kernel [out, in, 3, 3] into the 4x4 one [in, out, 4, 4] of the equal up-sampling.

    Nearest x2 followed by the 3x3 convolution (padding 1) equals a transposed convolution with this
    kernel (stride 2, padding 1): 4 taps for each output pixel in place of 9 and no enlarged map in
    memory. The map is linear, one [16 x 9] matrix product; it comes channels-last, without a copy
    where the weight is stored as :func:`as_stored` lays it.
    """
    out_channels, in_channels = weight.shape[:2]
    by_input = weight.permute(1, 2, 3, 0).reshape(in_channels, 9, out_channels)
    kernel = _kernel_map(weight.device, weight.dtype) @ by_input  # [in, 16, out]
    return kernel.view(in_channels, 4, 4, out_channels).permute(0, 3, 1, 2)


def as_stored(weight: Tensor) -> Tensor:
    """The weight [out, in, 3, 3] with the same values, laid in memory as [in, 3, 3, out].

    Then the transposed kernel needs no copy of it, nor its gradient.
    """
    return weight.permute(1, 2, 3, 0).contiguous().permute(3, 0, 1, 2)


@cache
def _kernel_map(device: torch.device, dtype: torch.dtype) -> Tensor:
    """The map [16, 9] of :func:`transposed_kernel`: made once, so that no step waits for a copy."""
    with torch.inference_mode(False):
        return torch.kron(_TAPS, _TAPS).to(device, dtype)
