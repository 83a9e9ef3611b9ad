"""Planted defects: each is applied to a copy of the project, and the tests named must notice.

Run by hand, not collected by pytest::

    python tests/defects.py             # all; exit 1 if one goes unnoticed
    python tests/defects.py hub         # those whose file or claim contains "hub"
    python tests/defects.py --list

The tests are first seen green on an untouched copy; a defect's old text occurs exactly once. The
lists are in ``tests/planted/``, and every bug fixed adds its defect to one of them.
"""

from __future__ import annotations

import argparse
import importlib
import multiprocessing
import os
import re
import shutil
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from planted.defect import Defect

ROOT = Path(__file__).resolve().parents[1]
TIME_LIMIT_S = 900
# Processes start from one that has imported the slow libraries (not the package, and none that
# pytest itself wants to import first): that halves the time of most defects.
PROCESSES = multiprocessing.get_context("forkserver" if hasattr(os, "fork") else "spawn")
PARTS = sorted(p.stem for p in (ROOT / "tests/planted").glob("*.py") if p.stem != "defect")
DEFECTS: list[Defect] = [
    defect for part in PARTS for defect in importlib.import_module(f"planted.{part}").DEFECTS
]


def read_defects(chosen: str) -> list[Defect]:
    """The listed defects whose file or claim contains ``chosen``."""
    return [defect for defect in DEFECTS if chosen in f"{defect.file} {defect.claim}"]


def copy_project(folder: Path) -> Path:
    """A copy without what tools leave behind, the shipped weights linked."""
    copy = folder / "project"
    ignored = shutil.ignore_patterns(
        ".git", ".venv", "runs", "__pycache__", ".*_cache", ".hypothesis", ".stackgan", "shipped"
    )
    shutil.copytree(ROOT, copy, ignore=ignored)
    weights = Path("src/stackgan/shipped")  # too large to copy for each defect
    (copy / weights).symlink_to(ROOT / weights, target_is_directory=True)
    return copy


def run_tests(project: Path, tests: tuple[str, ...], *more: str) -> tuple[int, str]:
    """Run ``tests`` in ``project``: pytest's exit code (1 for too slow), and the end of its words.

    Raises :class:`SystemExit` where pytest itself could not run.
    """
    said = project / "said.txt"
    child = PROCESSES.Process(target=_pytest, args=(project, said, (*more, *tests)))
    child.start()
    child.join(TIME_LIMIT_S)
    if child.is_alive():
        child.kill()
        child.join()
        return 1, "ran out of time"
    words = said.read_text(encoding="utf-8", errors="replace")
    if child.exitcode not in (0, 1, 2):  # 3: pytest broke, 4: wrong use, 5: no test was found
        raise SystemExit(f"pytest could not run {' '.join(tests)}:\n{words}")
    return child.exitcode, words[-2000:]


def _pytest(project: Path, said: Path, arguments: tuple[str, ...]) -> None:
    """In a process of its own that has the libraries already: run pytest, its words into a file."""
    os.chdir(project)
    sys.path[:0] = [str(project / "src")]
    os.environ["PYTHONPATH"] = str(project / "src")  # for the processes that tests start
    sys.dont_write_bytecode = True
    with said.open("wb") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    import pytest

    flags = ["-x", "-q", "-p", "no:cacheprovider", "-p", "no:randomly"]
    code = pytest.main([*flags, *arguments])
    sys.stdout.flush()
    os._exit(code)  # a network's threads need no farewell


def faults_of(defect: Defect) -> str:
    """What is wrong with a listed defect itself; empty where nothing is."""
    path = ROOT / defect.file
    if not path.is_file():
        return "its file is gone"
    count = path.read_text(encoding="utf-8").count(defect.old)
    if count != 1:
        return f"its old text occurs {count} times"
    if defect.old == defect.new:
        return "it changes nothing"
    missing = [test for test in defect.tests if not _exists(test)]
    return f"its tests are gone: {', '.join(missing)}" if missing else ""


def _exists(test: str) -> bool:
    file, _, name = test.partition("[")[0].partition("::")
    path = ROOT / file
    return path.is_file() and (not name or f"def {name}(" in path.read_text(encoding="utf-8"))


def verdict(defect: Defect) -> str:
    """Apply ``defect`` to a fresh copy: do its tests turn red?"""
    with tempfile.TemporaryDirectory(prefix="defect-") as folder:
        project = copy_project(Path(folder))
        path = project / defect.file
        text = path.read_text(encoding="utf-8")
        path.write_text(text.replace(defect.old, defect.new), encoding="utf-8")
        code, said = run_tests(project, defect.tests)
    if "error during collection" in said or "ERROR collecting" in said:
        return "UNUSABLE"  # it breaks the file as a whole, which proves no test
    if code == 0 and not re.search(r"\d passed", said):
        return "skipped"
    return "UNNOTICED" if code == 0 else "noticed"


def main() -> int:
    """Read the list, see the tests green, plant every defect; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("chosen", nargs="?", default="", help="part of a file name or a claim")
    parser.add_argument("--list", action="store_true", help="print the claims and stop")
    parser.add_argument("-n", type=int, default=2, help="defects at a time")
    options = parser.parse_args()
    defects = read_defects(options.chosen)
    if not defects:
        print(f"no defect has {options.chosen!r} in its file or claim", file=sys.stderr)
        return 2
    if options.list:
        print("\n".join(f"{defect.file}: {defect.claim}" for defect in defects))
        return 0
    faults = [(defect, faults_of(defect)) for defect in defects]
    for defect, fault in faults:
        if fault:
            print(f"UNUSABLE  {defect.file}: {defect.claim} ({fault})")
    if any(fault for _, fault in faults):
        return 1
    started = time.monotonic()
    os.environ["OMP_NUM_THREADS"] = "1"
    PROCESSES.set_forkserver_preload(["numpy", "PIL.Image", "torch", "torch.testing", "pydantic"])
    tests = tuple(sorted({test for defect in defects for test in defect.tests}))
    with tempfile.TemporaryDirectory(prefix="green-") as folder:
        workers = ("-n", str(options.n), "--dist", "loadfile")
        code, said = run_tests(copy_project(Path(folder)), tests, *workers)
    if code:
        print(f"the tests are not green without any defect:\n{said}")
        return 1
    found: list[str] = []
    with ThreadPoolExecutor(options.n) as pool:
        for defect, seen in zip(defects, pool.map(verdict, defects), strict=True):
            found.append(seen)
            print(f"{seen:<9} {defect.file}: {defect.claim}", flush=True)
    minutes = (time.monotonic() - started) / 60
    print(f"{found.count('noticed')} of {len(found)} noticed in {minutes:.1f} minutes")
    if found.count("skipped"):
        print(f"{found.count('skipped')} skipped: their tests need a package that is not installed")
    return 1 if {"UNNOTICED", "UNUSABLE"} & set(found) else 0


if __name__ == "__main__":
    sys.exit(main())
