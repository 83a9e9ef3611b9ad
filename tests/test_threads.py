"""Threads: those that the machine has free; waiting ones sleep where it is busy."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from stackgan import threads
from stackgan.cli import options
from stackgan.threads import Look, cores, free_threads, sleep_where_busy


@pytest.mark.parametrize(
    ("others", "of", "free"),
    [(0.0, 2, 2), (0.4, 2, 2), (0.6, 2, 1), (1.9, 2, 1), (5.0, 2, 1), (3.2, 16, 13), (0.3, 1, 1)],
)
def test_the_free_cores_are_computed_with(others: float, of: int, free: int) -> None:
    assert free_threads(others, of) == free


def cpu(busy: int, idle: int, waiting: int = 0, stolen: int = 0) -> str:
    """One core's line of /proc/stat: user nice system idle iowait irq softirq steal."""
    return f"{busy} 0 0 {idle} {waiting} 0 0 {stolen} 0 0"


@pytest.fixture
def stat(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """``stat(cpu(...), cpu(...))`` writes what the kernel tells of two cores."""
    path = tmp_path / "stat"
    monkeypatch.setattr(threads, "STAT", path)
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 2}, raising=False)
    monkeypatch.setattr(os, "sysconf", lambda name: 100, raising=False)

    written: list[str] = []

    def write(first: str, second: str) -> None:
        # the sum of all and the core that is not ours are busier each time, and count nothing
        written.append(cpu(777 * len(written), 0))
        lines = (f"cpu  {written[-1]}", f"cpu0 {first}", f"cpu1 {written[-1]}", f"cpu2 {second}")
        path.write_text("\n".join(lines) + "\n")

    return write


def looked(stat: Callable[..., None], now: tuple[str, str], own_s: float = 0.0) -> float | None:
    """Busy cores over one second that began at zero."""
    stat(cpu(0, 0), cpu(0, 0))
    look = Look()
    look.at, look.own_s = time.monotonic() - 1.0, Look().own_s - own_s
    stat(*now)
    return look.others_since()


def test_other_processes_are_counted_on_the_cores_that_are_ours(
    stat: Callable[..., None],
) -> None:
    assert looked(stat, (cpu(100, 0), cpu(50, 50))) == pytest.approx(1.5, rel=0.05)
    assert looked(stat, (cpu(0, 100), cpu(0, 20, waiting=80))) == pytest.approx(0.0, abs=0.05)
    assert looked(stat, (cpu(0, 0, stolen=100), cpu(0, 100))) == pytest.approx(1.0, rel=0.05)


def test_this_process_s_own_work_is_no_one_else_s(stat: Callable[..., None]) -> None:
    busy = (cpu(100, 0), cpu(50, 50))
    assert looked(stat, busy, own_s=1.0) == pytest.approx(0.5, abs=0.05)
    assert looked(stat, busy, own_s=9.0) == 0.0  # never less than none


def test_nothing_is_said_of_a_moment_or_where_the_system_tells_nothing(
    stat: Callable[..., None], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    stat(cpu(0, 0), cpu(0, 0))
    assert Look().others_since() is None
    look = Look()
    look.at -= 1
    assert look.others_since() is not None
    for path in (tmp_path / "absent", tmp_path / "empty"):
        (tmp_path / "empty").write_text("nothing of use\n")
        monkeypatch.setattr(threads, "STAT", path)
        assert look.others_since() is None


@pytest.mark.parametrize(
    ("told", "sleeps"),
    [
        ("2.50 1.00 0.50 4/300 999", True),
        ("2.50 1.00 0.50 1/300 999", False),  # it was busy and is no more
        ("0.10 1.00 0.50 4/300 999", False),  # a moment's crowd
        ("1.00 1.00 0.50 2/300 999", True),
        ("no numbers here at all", False),
        ("", False),
    ],
)
def test_waiting_threads_sleep_where_others_want_the_cores(
    told: str, sleeps: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "loadavg"
    path.write_text(told)
    monkeypatch.setattr(threads, "LOAD", path)
    monkeypatch.setattr(threads, "cores", lambda: 2)
    monkeypatch.setattr(os, "environ", {})
    assert sleep_where_busy() is sleeps
    assert os.environ == ({"OMP_WAIT_POLICY": "PASSIVE"} if sleeps else {})


def test_the_waiting_that_was_asked_for_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "loadavg"
    path.write_text("9.0 9.0 9.0 9/300 1")
    monkeypatch.setattr(threads, "LOAD", path)
    monkeypatch.setattr(os, "environ", {"OMP_WAIT_POLICY": "ACTIVE"})
    assert sleep_where_busy() is False and os.environ["OMP_WAIT_POLICY"] == "ACTIVE"


class Busy:
    """A look that found 1.9 cores busy."""

    @staticmethod
    def others_since() -> float | None:
        return 1.9


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The numbers of threads that were set; torch has four."""
    chosen: list[int] = []
    monkeypatch.setattr(torch, "get_num_threads", lambda: chosen[-1] if chosen else 4)
    monkeypatch.setattr(torch, "set_num_threads", chosen.append)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(options, "started", Busy)
    return chosen


def test_training_leaves_busy_cores_out_and_says_so(
    counted: list[int], capsys: pytest.CaptureFixture[str]
) -> None:
    options.use_free_threads(None)
    assert counted == [2]
    said = capsys.readouterr().err
    assert "the machine is busy (1.9 of" in said and "2 threads; --threads 4 takes all" in said
    assert said.count("\n") == 1


def test_the_threads_that_were_asked_for_are_taken(
    counted: list[int], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    options.use_free_threads(3)
    options.use_threads(1)
    options.use_threads(None)
    assert counted == [3, 1]
    monkeypatch.setenv("OMP_NUM_THREADS", "4")
    options.use_free_threads(None)
    assert counted == [3, 1] and capsys.readouterr().err == ""


def test_outside_the_console_script_nothing_is_changed(
    counted: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(options, "started", None)
    options.use_free_threads(None)
    assert counted == [] and cores() >= 1
