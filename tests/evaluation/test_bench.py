"""`stackgan bench`: how figures are taken, told and kept."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from stackgan.errors import InputError, RunFailed
from stackgan.evaluation.bench import figures, report, resources, setup
from stackgan.evaluation.bench.figures import Figure, growth, ratio
from stackgan.evaluation.bench.report import FIGURES, BenchReport, check_figures, plot_cost
from stackgan.evaluation.bench.setup import Bench
from stackgan.evaluation.bench.sides import Child, both_sides
from stackgan.evaluation.bench.timing import SPREAD, Timing, interleaved
from stackgan.hub import load_model
from stackgan.networks.layers import Conv3x3

BENCH = Bench(torch.device("cpu"), quick=True, repeats=1, rounds=1)


class Clock:
    """A clock that the work itself moves."""

    def __init__(self) -> None:
        self.now = 0.0
        self.done: list[str] = []

    def __call__(self) -> float:
        return self.now

    def work(self, name: str, *seconds: float) -> Callable[[], None]:
        left = list(seconds)

        def do() -> None:
            self.now += left.pop(0) if len(left) > 1 else left[0]
            self.done.append(name)

        return do


def test_works_take_turns_after_one_of_each() -> None:
    clock = Clock()
    works = {"plain": clock.work("plain", 99.0, 3.0), "fast": clock.work("fast", 99.0, 1.0)}
    taken = interleaved(works, repeats=3, clock=clock)
    assert clock.done == ["plain", "fast"] * 4
    assert taken == {"plain": Timing((3.0,) * 3), "fast": Timing((1.0,) * 3)}
    assert ratio("step", taken).value == 3.0


def test_what_lies_too_far_apart_is_measured_again() -> None:
    clock = Clock()
    unsteady = (0.0, 1.0, 1.0, 2.0, 1.0, 1.1, 1.2)  # warm-up, a round of spread 1, one of 0.18
    taken = interleaved({"fast": clock.work("fast", *unsteady)}, 3, 5, clock)
    assert taken["fast"].seconds == pytest.approx((1.0, 1.1, 1.2))
    assert taken["fast"].spread < SPREAD and len(clock.done) == 7


def test_the_steadiest_round_counts_where_none_is_steady() -> None:
    clock = Clock()
    seconds = (0.0, 1.0, 2.0, 1.0, 1.5, 1.0, 3.0)
    taken = interleaved({"fast": clock.work("fast", *seconds)}, 2, 3, clock)
    assert taken["fast"].seconds == pytest.approx((1.0, 1.5))


@given(st.lists(st.floats(0.01, 100), min_size=1, max_size=9), st.floats(0.1, 10))
def test_the_spread_does_not_know_the_unit(seconds: list[float], unit: float) -> None:
    one, two = Timing(tuple(seconds)), Timing(tuple(unit * s for s in seconds))
    assert two.spread == pytest.approx(one.spread)
    assert two.median == pytest.approx(unit * one.median)


@given(st.floats(0.3, 2.5), st.floats(0.01, 10))
def test_growth_is_the_power_of_the_cost(power: float, factor: float) -> None:
    assert growth([(x, factor * x**power) for x in (1.0, 2.0, 5.0, 20.0)]) == pytest.approx(power)


def test_a_figure_is_met_from_its_own_side() -> None:
    assert Figure("ratio", 5.0, "x", 5.0).met and not Figure("ratio", 4.9, "x", 5.0).met
    share = Figure("share", 0.6, "share", 0.6, lower_is_better=True)
    assert share.met and not Figure("share", 0.61, "share", 0.6, lower_is_better=True).met
    assert Figure("rate", 1.0, "GFLOP/s").met is None


def test_figures_are_found_by_name_in_their_order() -> None:
    assert check_figures([]) == list(FIGURES)
    assert check_figures(["cold", "stage1"]) == ["stage1", "cold"]
    with pytest.raises(InputError, match="stage1"):
        check_figures(["stage"])


def test_the_table_tells_what_is_met() -> None:
    found = (
        Figure("one", 5.5, "x", 5.0, 7.0, spread=0.07),
        Figure("two", 0.9, "share", 0.6, 0.5, lower_is_better=True),
    )
    told = BenchReport({"cores": 2}, found)
    head, one, two, _, about = told.as_text().split("\n")
    assert head.split() == ["figure", "value", "required", "aim", "spread"]
    assert one.split() == ["one", "5.5", "x", ">=", "5", ">=", "7", "7", "%", "met"]
    assert two.split() == ["two", "0.9", "share", "<=", "0.6", "<=", "0.5", "missed"]
    assert about == "cores 2"
    kept = json.loads(json.dumps(told.as_json()))
    assert kept["format"] == "stackgan-bench/1" and kept["machine"] == {"cores": 2}
    assert [figure["met"] for figure in kept["figures"]] == [True, False]


def test_the_cost_s_plot_puts_the_largest_in_the_corner(tmp_path: Path) -> None:
    points = [
        {"what": "batch", "gflop": 10.0, "seconds": 1.0},
        {"what": "width", "gflop": 20.0, "seconds": 2.0},
    ]
    plot_cost(points, tmp_path / "cost.png")
    image = Image.open(tmp_path / "cost.png").convert("RGB")
    assert image.getpixel((480 - 48, 48)) == (0xD6, 0x27, 0x28)
    assert image.getpixel((240, 240)) == (0x1F, 0x77, 0xB4)
    assert [path.name for path in tmp_path.iterdir()] == ["cost.png"]


def test_sampling_and_steps_are_measured() -> None:
    for measure, names in (
        (figures.stage1, ["Stage-I step, batch 3"]),
        (figures.sampling, [f"sampling, both stages, batch {n}" for n in (3, 1)]),
    ):
        found = measure(BENCH)
        assert [figure.name for figure in found] == names
        assert all(figure.value > 0 and figure.unit == "x" for figure in found)


def test_arithmetic_is_counted_by_the_network() -> None:
    best, _, one, direct, two, _ = figures.convolution(BENCH)
    assert best.unit == "GFLOP/s" and best.value > 0
    a = setup.published_architecture(BENCH)
    assert a.stage2_generator_width == 8
    # The last up block alone: 4 taps of 4 maps to 2 at 256x256, once forward and twice backward.
    assert two.details["gflop"] > 3 * 2 * 4 * 4 * 2 * 256**2 * 3 / 1e9
    assert one.details["gflop"] < two.details["gflop"]
    assert one.required == 0.6 and direct.required is None
    # tiny networks have no maps enough for fewer products
    assert direct.details["gflop"] == one.details["gflop"]


def test_a_model_trained_on_crops_is_timed_on_whole_pictures(
    modern_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = load_model(modern_model)
    assert model.architecture.crop_px == 128
    monkeypatch.setattr(setup, "shipped", lambda: model)
    for side in ("fast", "plain"):
        setup.stepping(BENCH, side, 2, 2, "shipped")()


def test_batches_from_the_cache_are_measured_against_pillow() -> None:
    found = resources.data(BENCH)
    assert [figure.unit for figure in found] == ["x", "share"] * 2
    details = found[0].details
    assert details["images_per_s"] / details["plain_images_per_s"] == pytest.approx(found[0].value)


def test_a_step_s_memory_is_taken_in_a_process_of_its_own() -> None:
    (figure,) = resources.memory(BENCH)
    assert figure.value == figure.details["fast_mib"] / figure.details["plain_mib"]
    assert 10 < figure.details["plain_mib"] < 2000


def test_two_processes_begin_at_the_same_moment() -> None:
    assert resources._together(BENCH, 2) > 0


def test_both_sides_work_in_processes_of_their_own_and_end() -> None:
    with both_sides(BENCH) as sides:
        ids = {name: side.process.pid for name, side in sides.items()}
        works = sides.prepare(kind="sample", batch=1, networks=setup.PUBLISHED)
        assert all(work()["seconds"] > 0 for work in works.values())
        assert all(side.ask(peak=True)["bytes"] > 2**20 for side in sides.values())
    assert list(ids) == ["plain", "fast"] and len({*ids.values(), os.getpid()}) == 3
    assert all(side.process.returncode is not None for side in sides.values())


def test_a_process_that_fails_is_told_in_a_sentence() -> None:
    with Child(BENCH, "fast") as child, pytest.raises(RunFailed, match=r"fast .* failed: KeyError"):
        child.ask(prepare={"kind": "step"})
    with pytest.raises(RunFailed, match=r"failed while it was timed: .*no such command"):
        resources._run([sys.executable, "-c", "import sys; sys.exit('no such command')"])


def test_peak_memory_counts_what_was_given_back() -> None:
    held = (
        "from stackgan.evaluation.bench.child import peak_bytes\n"
        "before = peak_bytes()\nx = bytearray(300 << 20)\ndel x\n"
        "print((peak_bytes() - before) >> 20)"
    )
    done = subprocess.run([sys.executable, "-c", held], capture_output=True, text=True, check=True)
    assert 290 <= int(done.stdout) <= 320


def test_the_verb_measures_and_keeps(command_line: Callable[..., object], tmp_path: Path) -> None:
    out = tmp_path / "figures.json"
    words = ("bench", "--quick", "--figures", "cost,stage1", "--device", "cpu", "--out", out)
    done = command_line(*words, "--json")
    assert done.code == 0, done.err  # type: ignore[attr-defined]
    told = json.loads(done.out)  # type: ignore[attr-defined]
    assert told == json.loads(out.read_text("utf-8"))
    assert [figure["unit"] for figure in told["figures"]] == ["x", "power"]
    assert all(figure["met"] is None for figure in told["figures"])  # quick says nothing of speed
    assert sorted(p.name for p in tmp_path.iterdir()) == ["figures-cost.png", "figures.json"]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--figures", "stage3"), "there is no figure 'stage3'"),
        (("--out", "nowhere/figures.json"), "cannot be written"),
        (("--device", "abacus"), "expected auto, cpu, cuda or mps"),
    ],
)
def test_wrong_use_is_a_sentence(
    words: tuple[str, ...], sentence: str, command_line: Callable[..., object]
) -> None:
    done = command_line("bench", "--quick", *words)
    assert done.code == 2 and sentence in done.err  # type: ignore[attr-defined]


def test_every_figure_is_in_the_help() -> None:
    from stackgan.cli import bench

    words = Path(bench.__file__).read_text("utf-8")
    assert all(name in words for name in report.FIGURES)


def test_fewer_products_are_counted_as_done_and_as_direct_convolutions():
    layer = Conv3x3(256, 256)
    x = torch.ones(1, 256, 4, 4)

    def convolve() -> torch.Tensor:
        with torch.autocast("cpu", torch.bfloat16):
            return layer(x)

    products = 2 * 256 * 256 * 16
    kernel = 2 * 256 * 256 * 16 * 9  # from 9 taps to 16 places
    assert figures.operations_of(convolve) == 4 * products + kernel
    assert figures.operations_of(lambda: layer(x)) == 9 * products
