"""float32 or bfloat16: chosen by measuring, never by what a processor announces.

Processors that announce bfloat16 differ by a factor of four in what it gains: on some a convolution
takes half the time of the float32 one, on others twice as long.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, Literal

import torch

from stackgan.machine import keep, kept

Precision = Literal["fp32", "bf16"]

GAIN = 0.9
"""bfloat16 must take at most so much of float32's time: it rounds, so a draw is float32's."""
MAPS, SIDE = 128, 32
"""The convolution that is timed: 3x3, so many maps, read and written, of so many pixels a side."""


def computing_in(kind: str, precision: Precision) -> AbstractContextManager[Any]:
    """Within, convolutions and products on a device of ``kind`` ("cpu", "cuda") are in this."""
    return torch.autocast(kind, torch.bfloat16, enabled=precision == "bf16")


def in_own_precision(kind: str) -> AbstractContextManager[Any]:
    """Within, what is computed on a device of ``kind`` is in what its tensors are in."""
    return torch.autocast(kind, enabled=False)


def announces_bf16() -> bool:
    """Whether the processor says that it multiplies bfloat16 (others only imitate it)."""
    return bool(
        getattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)()
        or getattr(torch.cpu, "_is_amx_tile_supported", lambda: False)()
    )


def has_bf16_convolutions() -> bool:
    """Whether oneDNN has packed bfloat16 convolutions for this processor, slow ones among them."""
    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def faster_precision(device: str) -> Precision:
    """What ``device`` ("cpu", "cuda", "cuda:1", "mps") computes faster in.

    On a CPU that announces bfloat16 a convolution is timed in both, the first time in under 50 ms;
    the answer is kept for this processor, torch version and number of threads. One that does not
    announce it is not asked: it imitates each product.
    """
    kind = device.split(":")[0]
    if kind == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported() else "fp32"
    if kind != "cpu" or not announces_bf16():
        return "fp32"
    found = kept("precision")
    if found not in ("fp32", "bf16"):
        found = probe()
        keep("precision", found)
    return "bf16" if found == "bf16" else "fp32"


def probe(clock: Callable[[], float] = time.perf_counter) -> Precision:
    """Time a convolution in float32 and in bfloat16, in turns; the least of three counts."""
    with torch.inference_mode(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        x = torch.randn(1, MAPS, SIDE, SIDE).contiguous(memory_format=torch.channels_last)
        weight = torch.randn(MAPS, MAPS, 3, 3).contiguous(memory_format=torch.channels_last)
        pairs = {each: (x.to(each), weight.to(each)) for each in (torch.float32, torch.bfloat16)}
        seconds = dict.fromkeys(pairs, float("inf"))
        for turn in range(4):
            for dtype, (inputs, kernel) in pairs.items():
                started = clock()
                torch.nn.functional.conv2d(inputs, kernel, padding=1)
                if turn:  # the first makes the kernels
                    seconds[dtype] = min(seconds[dtype], clock() - started)
    return "bf16" if seconds[torch.bfloat16] <= GAIN * seconds[torch.float32] else "fp32"
