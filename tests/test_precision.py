"""Precision is chosen by measuring, once for each machine."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from stackgan import machine, precision
from stackgan.precision import faster_precision, probe


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("STACKGAN_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "measured.json"


@pytest.mark.parametrize(
    ("fp32", "bf16", "chosen"),
    [(2.0, 1.0, "bf16"), (1.0, 2.0, "fp32"), (1.0, 0.95, "fp32"), (1.0, 0.85, "bf16")],
)
def test_the_faster_is_chosen_and_a_draw_is_float32(
    fp32: float, bf16: float, chosen: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(precision, "SIDE", 2)
    assert probe(_Turns(fp32, bf16)) == chosen


class _Turns:
    """A clock that moves by what the convolution in turn takes; the first pair is warm-up."""

    def __init__(self, fp32: float, bf16: float) -> None:
        now, self.moments = 0.0, [0.0, 0.0]  # in warm-up it is read before, not after
        for _ in range(3):
            for seconds in (fp32, bf16):
                self.moments += [now, now + seconds]
                now += seconds

    def __call__(self) -> float:
        return self.moments.pop(0)


@pytest.fixture
def announced(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A processor that announces bfloat16; the list holds what its probes answered."""
    asked: list[str] = []
    monkeypatch.setattr(precision, "announces_bf16", lambda: True)

    def measured() -> str:
        asked.append("fp32")
        return "fp32"

    monkeypatch.setattr(precision, "probe", measured)
    return asked


def test_what_a_processor_announces_decides_nothing(announced: list[str]) -> None:
    assert faster_precision("cpu") == "fp32" and announced == ["fp32"]


def test_it_is_measured_once_for_a_machine(announced: list[str], cache: Path) -> None:
    for _ in range(3):
        faster_precision("cpu")
    assert announced == ["fp32"]
    assert json.loads(cache.read_text()) == {machine.here(): {"precision": "fp32"}}


def test_another_machine_torch_or_number_of_threads_is_measured_anew(
    announced: list[str], monkeypatch: pytest.MonkeyPatch, cache: Path
) -> None:
    faster_precision("cpu")
    monkeypatch.setattr(torch, "get_num_threads", lambda: 64)
    faster_precision("cpu")
    monkeypatch.setattr(machine, "processor", lambda: "another")
    faster_precision("cpu")
    monkeypatch.setattr(torch, "__version__", "9.0")
    faster_precision("cpu")
    assert len(announced) == len(json.loads(cache.read_text())) == 4


@pytest.mark.parametrize("text", ["", "[]", "{", '{"x": 1}', "null", "[" * 5000])
def test_a_damaged_cache_is_measured_anew_and_mended(
    text: str, announced: list[str], cache: Path
) -> None:
    cache.parent.mkdir()
    cache.write_text(text)
    assert faster_precision("cpu") == "fp32" == faster_precision("cpu")
    assert announced == ["fp32"]
    cache.write_text(json.dumps({machine.here(): {"precision": "fast"}}))
    faster_precision("cpu")
    cache.write_text(json.dumps({machine.here(): 7}))
    faster_precision("cpu")
    assert len(announced) == 3


def test_a_cache_that_cannot_be_written_is_done_without(
    announced: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("STACKGAN_CACHE", str(tmp_path / "file"))
    assert faster_precision("cpu") == "fp32" == faster_precision("cpu")
    assert len(announced) == 2


def test_a_processor_that_does_not_announce_it_is_not_asked(
    announced: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(precision, "announces_bf16", lambda: False)
    assert faster_precision("cpu") == "fp32" and faster_precision("mps") == "fp32"
    assert announced == []


def test_the_probe_leaves_no_trace_in_the_random_numbers() -> None:
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    probe()
    assert torch.equal(torch.rand(2), expected)


def test_a_leftover_of_a_write_stays_away(cache: Path) -> None:
    machine.keep("a", 1)
    machine.keep("b", [2])
    assert machine.kept("a") == 1 and machine.kept("b") == [2] and machine.kept("c") is None
    assert [path.name for path in cache.parent.iterdir()] == ["measured.json"]


def test_the_processor_has_a_name() -> None:
    assert torch.backends.cpu.get_cpu_capability() in machine.processor()
