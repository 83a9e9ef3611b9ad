"""Measure which form of a convolution is fastest here: what fills the table of ``fast.forms``."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable

import torch
from torch import Tensor

from stackgan.fast import doubling, halving, winograd
from stackgan.fast.forms import TORCH, Case
from stackgan.fast.small_maps import NINE, ROWS, convolve_small, transpose_small
from stackgan.fast.up_kernels import as_stored, transposed_kernel
from stackgan.fast.winograd import TILES
from stackgan.precision import computing_in

Form = Callable[[Tensor, Tensor], Tensor]

GAIN = 0.93
"""Another form must take at most so much of torch's time: a form is not chosen by noise."""
ROUNDS = 3
"""Times that each form is run; the least counts."""


def forms_of(case: Case) -> dict[str, Form]:
    """The forms that can compute ``case``, as functions of its input and its weight."""
    if case.function == "conv3x3":
        return _forms_of_3x3()
    if case.function == "up3x3":
        return _forms_of_up()
    kernel, stride, padding = _parsed(case.function)
    forms: dict[str, Form] = {
        TORCH: lambda x, w: torch.nn.functional.conv2d(x, w, None, stride, padding),
        ROWS: lambda x, w: convolve_small(x, w, None, stride, padding),
    }
    if (kernel, stride, padding) == (4, 2, 1) and case.height % 4 == case.width % 4 == 0:
        forms[NINE] = halving.convolve_halving
    return forms


def _forms_of_3x3() -> dict[str, Form]:
    return {
        TORCH: lambda x, w: torch.nn.functional.conv2d(x, w, padding=1),
        TILES: winograd.convolve,
    }


def _forms_of_up() -> dict[str, Form]:
    def transposed(x: Tensor, w: Tensor) -> Tensor:
        kernel = transposed_kernel(w)
        return torch.nn.functional.conv_transpose2d(x, kernel, None, stride=2, padding=1)

    return {
        TORCH: transposed,
        NINE: doubling.convolve_doubling,
        ROWS: lambda x, w: transpose_small(x, transposed_kernel(w)),
    }


def tune(
    cases: Iterable[Case], progress: Callable[[int, int], None] = lambda done, total: None
) -> dict[str, str]:
    """The fastest form of each case, forward and backward, measured one after another.

    Takes about eight times what the cases themselves take. Torch's own form keeps its place unless
    another takes at most ``GAIN`` of its time.
    """
    cases, table = list(cases), dict[str, str]()
    for done, case in enumerate(cases):
        table[case.name] = fastest(measure(case))
        progress(done + 1, len(cases))
    return table


def fastest(seconds: dict[str, float]) -> str:
    """The form that takes least; torch's own unless another takes at most ``GAIN`` of it."""
    best = min(seconds, key=lambda form: seconds[form])
    return best if seconds[best] <= GAIN * seconds[TORCH] else TORCH


def measure(case: Case) -> dict[str, float]:
    """Seconds of each form of ``case``, forward and backward; the forms take turns."""
    random = torch.Generator().manual_seed(0)
    shape = (case.batch, case.maps_in, case.height, case.width)
    x = torch.randn(shape, generator=random).contiguous(memory_format=torch.channels_last)
    weight = _weight(case, random)
    lower = case.dtype != "float32"
    inputs = x.to(getattr(torch, case.dtype)).requires_grad_(True)
    forms = forms_of(case)
    seconds = dict.fromkeys(forms, float("inf"))
    with computing_in("cpu", "bf16" if lower else "fp32"):
        for turn in range(ROUNDS + 1):
            for name, form in forms.items():
                started = time.perf_counter()
                result = form(inputs, weight)
                torch.autograd.grad(result, (inputs, weight), torch.ones_like(result))
                if turn:  # the first is warm-up
                    seconds[name] = min(seconds[name], time.perf_counter() - started)
    return seconds


def _weight(case: Case, random: torch.Generator) -> Tensor:
    """A weight as the layers store theirs."""
    side = 3 if case.function.endswith("3x3") else _parsed(case.function)[0]
    weight = torch.randn(case.maps_out, case.maps_in, side, side, generator=random)
    if case.function == "up3x3":
        weight = as_stored(weight)
    else:
        weight = weight.contiguous(memory_format=torch.channels_last)
    return weight.requires_grad_(True)


def _parsed(function: str) -> tuple[int, int, int]:
    """Kernel, stride and padding of "conv4s2p1"."""
    found = re.fullmatch(r"conv(\d+)s(\d+)p(\d+)", function)
    if found is None:
        raise ValueError(f"no function is called {function!r}")
    kernel, stride, padding = (int(each) for each in found.groups())
    return kernel, stride, padding
