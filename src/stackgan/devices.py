"""Where to compute, and what in: devices by name, the precision of drawing."""

from __future__ import annotations

import re
from typing import Literal, get_args

import torch

from stackgan.errors import InputError
from stackgan.precision import faster_precision, has_bf16_convolutions

SamplingPrecision = Literal["auto", "fp32", "bf16"]


def choose_device(name: str) -> torch.device:
    """``auto`` is cuda, else mps, else cpu; InputError where the one named is not there."""
    there = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    if name == "auto":
        return torch.device(next(kind for kind, found in there.items() if found))
    kind, colon, number = name.partition(":")
    if kind not in there or (colon and not (kind == "cuda" and re.fullmatch("[0-9]{1,3}", number))):
        raise InputError(
            f"device is {name!r}, expected auto, cpu, cuda or mps (or cuda:0, cuda:1, ...)"
        )
    if not there[kind]:
        raise InputError(f"this machine has no {kind} device; use --device auto or --device cpu")
    if number and int(number) >= (count := torch.cuda.device_count()):
        last = f"cuda:0 to cuda:{count - 1}" if count > 1 else "cuda:0"
        raise InputError(f"this machine has no device {name}; there is {last}")
    return torch.device(name)


def sampling_dtype(device: torch.device, precision: SamplingPrecision = "auto") -> torch.dtype:
    """What Stage-II draws in; ``auto``: on a CPU the faster, as measured, float32 elsewhere.

    Raises:
        InputError: another precision, or bf16 on a processor that cannot.
    """
    if precision not in get_args(SamplingPrecision):
        raise InputError(f"precision is {precision!r}, expected auto, fp32 or bf16")
    if precision == "auto":
        precision = faster_precision("cpu") if device.type == "cpu" else "fp32"
    if precision == "bf16" and device.type == "cpu" and not has_bf16_convolutions():
        raise InputError("this processor has no bfloat16 convolutions; use --precision fp32")
    return torch.bfloat16 if precision == "bf16" else torch.float32
