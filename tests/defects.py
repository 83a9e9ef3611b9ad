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
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from planted import core, data, evaluation, text, training
from planted.defect import Defect

ROOT = Path(__file__).resolve().parents[1]
TIME_LIMIT_S = 900
DEFECTS = [defect for part in (core, text, data, training, evaluation) for defect in part.DEFECTS]


def read_defects(chosen: str) -> list[Defect]:
    """The listed defects whose file or claim contains ``chosen``."""
    return [defect for defect in DEFECTS if chosen in f"{defect.file} {defect.claim}"]


def copy_project(folder: Path) -> Path:
    """A copy without what tools leave behind."""
    copy = folder / "project"
    ignored = shutil.ignore_patterns(
        ".git", ".venv", "runs", "__pycache__", ".*_cache", ".hypothesis", ".stackgan", "shipped"
    )
    shutil.copytree(ROOT, copy, ignore=ignored)
    return copy


def run_tests(project: Path, tests: tuple[str, ...], *more: str) -> tuple[int, str]:
    """Run ``tests`` in ``project``: pytest's exit code (1 for too slow), and the end of its words.

    Raises :class:`SystemExit` where pytest itself could not run.
    """
    flags = ["-x", "-q", "-p", "no:cacheprovider", "-p", "no:randomly", *more]
    environment = {
        **os.environ,
        "PYTHONPATH": str(project / "src"),
        "PYTHONDONTWRITEBYTECODE": "1",
        "OMP_NUM_THREADS": "1",
    }
    try:
        done = subprocess.run(
            [sys.executable, "-m", "pytest", *flags, *tests],
            cwd=project,
            env=environment,
            capture_output=True,
            text=True,
            timeout=TIME_LIMIT_S,
        )
    except subprocess.TimeoutExpired:
        return 1, "ran out of time"
    if done.returncode not in (0, 1, 2):  # 3: pytest broke, 4: wrong use, 5: no test was found
        raise SystemExit(f"pytest could not run {' '.join(tests)}:\n{done.stdout}{done.stderr}")
    return done.returncode, done.stdout[-2000:]


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
    file, _, name = test.partition("::")
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
