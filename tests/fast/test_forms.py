"""Which form computes a convolution: a table's, else the layer's rule; all are one function."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn
from torch.testing import assert_close

from stackgan.fast import forms, tuning
from stackgan.fast.forms import TORCH, Case, met_cases, torch_alone, use_forms
from stackgan.fast.small_maps import NINE, ROWS
from stackgan.fast.tuning import fastest, forms_of, measure, tune
from stackgan.fast.winograd import TILES
from stackgan.networks.layers import Conv2d, Conv3x3, UpConv

CASES = [
    Case("conv3x3", "float32", 5, 6, 2, 8, 4),
    Case("up3x3", "float32", 5, 6, 2, 4, 6),
    Case("conv4s2p1", "float32", 5, 6, 2, 8, 12),
    Case("conv4s2p1", "float32", 5, 6, 2, 10, 10),
    Case("conv1s1p0", "float32", 5, 6, 2, 3, 3),
    Case("conv3s1p1", "float32", 5, 6, 2, 4, 5),
]
FORMS = [{TORCH, TILES}, {TORCH, NINE, ROWS}, {TORCH, NINE, ROWS}, *[{TORCH, ROWS}] * 3]
LAYERS: dict[str, nn.Module] = {
    "conv3x3": Conv3x3(4, 4),
    "up3x3": UpConv(4, 4),
    "conv4s2p1": Conv2d(4, 4, 4, 2, 1),
}
BY = {
    "_WinogradBackward": TILES, "_DoublingBackward": NINE, "_HalvingBackward": NINE,
    "AddmmBackward0": ROWS, "MmBackward0": ROWS, "_OverlaidBackward": ROWS,
    "ConvolutionBackward0": TORCH,
}  # fmt: skip


@pytest.fixture(autouse=True)
def by_the_rules() -> Iterator[None]:
    yield
    use_forms({})


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize(
    ("case", "names"), list(zip(CASES, FORMS, strict=True)), ids=[case.name for case in CASES]
)
def test_every_form_is_the_same_function_with_the_same_gradient(
    case: Case, names: set[str]
) -> None:
    x = draw(case.batch, case.maps_in, case.height, case.width)
    x = x.contiguous(memory_format=torch.channels_last).requires_grad_(True)
    side = int(case.function[4 if case.function.startswith("conv") else 2])
    weight = draw(case.maps_out, case.maps_in, side, side, seed=1).requires_grad_(True)
    results = {}
    for name, form in forms_of(case).items():
        found = form(x, weight)
        slope = draw(*found.shape, seed=2)
        results[name] = [found.detach(), *torch.autograd.grad(found, (x, weight), slope)]
    assert set(results) == names
    for found in results.values():
        for mine, torchs in zip(found, results[TORCH], strict=True):
            assert_close(mine, torchs)


def form_of(layer: nn.Module, x: Tensor) -> str:
    """Which form computed ``layer(x)``, read off the graph."""
    ahead, names = [layer(x).grad_fn], set()
    while ahead:
        node = ahead.pop()
        if node is not None:
            names.add(type(node).__name__)
            ahead += [before for before, _ in node.next_functions]
    found = {BY[name] for name in names if name in BY}
    return next(iter(found - {TORCH}), TORCH)


@pytest.mark.parametrize(
    ("function", "form"),
    [(f, form) for f in LAYERS for form in forms_of(Case(f, "float32", 4, 4, 2, 32, 32))],
)
def test_the_table_chooses(function: str, form: str) -> None:
    layer, x = LAYERS[function], draw(2, 4, 32, 32).float()
    assert form_of(layer, x) == TORCH  # the rule for few maps
    case = Case(function, "float32", 4, 4, 2, 32, 32)
    use_forms({case.name: form})
    assert forms.forms_in_use() == {f"{function} float32 4>4 2x32x32": form}
    assert form_of(layer, x) == form
    assert form_of(layer, x[:1]) == TORCH  # another batch is another case
    with torch.autocast("cpu", torch.bfloat16):
        assert form_of(layer, x) == TORCH  # and so is another precision
    with torch_alone():
        assert form_of(layer, x) == TORCH
    assert form_of(layer, x) == form


def test_a_rule_stands_where_the_table_is_silent_or_says_the_impossible() -> None:
    small, odd = draw(2, 4, 8, 8).float(), draw(2, 4, 9, 9).float()
    assert form_of(LAYERS["conv4s2p1"], small) == ROWS  # the rule: small maps are one product
    use_forms({Case("conv4s2p1", "float32", 4, 4, 2, 8, 8).name: TORCH})
    assert form_of(LAYERS["conv4s2p1"], small) == TORCH
    use_forms({Case("conv3x3", "float32", 4, 4, 2, 9, 9).name: TILES})
    assert form_of(LAYERS["conv3x3"], odd) == TORCH
    ten = draw(2, 4, 10, 10).float()
    use_forms({Case("conv4s2p1", "float32", 4, 4, 2, 10, 10).name: NINE})
    assert form_of(LAYERS["conv4s2p1"], ten) == TORCH
    use_forms({Case("conv3x3", "float32", 4, 4, 2, 16, 16).name: "of another version"})
    assert form_of(LAYERS["conv3x3"], draw(2, 4, 16, 16).float()) == TORCH


def test_a_literal_layer_asks_no_table() -> None:
    layer = Conv3x3(4, 4)
    layer.literal = True
    use_forms({Case("conv3x3", "float32", 4, 4, 2, 16, 16).name: TILES})
    with met_cases() as met:
        assert form_of(layer, draw(2, 4, 16, 16).float()) == TORCH
    assert not met


def test_what_is_computed_is_met_once_each() -> None:
    x = draw(2, 4, 16, 16).float()
    with met_cases() as met:
        for layer in (*LAYERS.values(), LAYERS["up3x3"]):
            layer(x)
        with torch.autocast("cpu", torch.bfloat16):
            LAYERS["conv3x3"](x)
    assert [case.name for case in met] == [
        "conv3x3 float32 4>4 2x16x16", "up3x3 float32 4>4 2x16x16",
        "conv4s2p1 float32 4>4 2x16x16", "conv3x3 bfloat16 4>4 2x16x16",
    ]  # fmt: skip
    LAYERS["conv3x3"](x[:1])
    assert len(met) == 4


def test_torch_s_own_form_yields_to_a_clear_gain_alone() -> None:
    assert fastest({TORCH: 1.0, TILES: 0.9}) == TILES
    assert fastest({TORCH: 1.0, TILES: 0.95}) == TORCH
    assert fastest({TORCH: 1.0, NINE: 0.9, ROWS: 0.7}) == ROWS


class Turns:
    """A clock that moves by the next of ``seconds`` while a form computes."""

    def __init__(self, *seconds: float) -> None:
        self.now, self.calls, self.seconds = 0.0, 0, list(seconds)

    def __call__(self) -> float:
        self.calls += 1
        ends = self.calls > 2 and self.calls % 2 == 0  # in warm-up it is read at the start alone
        self.now += self.seconds.pop(0) if ends else 0.0
        return self.now


def test_a_form_s_time_is_its_least_after_warm_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tuning.time, "perf_counter", Turns(3.0, 2.0, 1.0, 4.0, 2.0, 5.0))
    assert measure(CASES[0]) == {TORCH: 1.0, TILES: 2.0}


def test_tuning_answers_for_every_case_and_counts_them() -> None:
    seen: list[tuple[int, int]] = []
    table = tune(CASES, lambda done, total: seen.append((done, total)))
    assert list(table) == [case.name for case in CASES]
    assert all(table[case.name] in forms_of(case) for case in CASES)
    assert seen == [(k, len(CASES)) for k in range(1, len(CASES) + 1)]


def test_an_unknown_function_is_no_case() -> None:
    with pytest.raises(ValueError, match="no function is called 'conv5'"):
        forms_of(Case("conv5", "float32", 1, 1, 1, 1, 1))
