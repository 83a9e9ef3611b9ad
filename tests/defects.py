"""Planted defects: each is applied to a copy of the project, and the tests named must notice.

Run by hand, not collected by pytest::

    python tests/defects.py             # all; exit 1 if one goes unnoticed
    python tests/defects.py hub         # those whose file or claim contains "hub"
    python tests/defects.py --list

The tests are first seen green on an untouched copy; a defect's old text occurs exactly once. Every
bug fixed adds its defect to :data:`DEFECTS`.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TIME_LIMIT_S = 900


@dataclass(frozen=True)
class Defect:
    """One wrong line that the tests must notice."""

    file: str
    old: str
    new: str
    claim: str
    """What the tests hold, in words."""
    tests: tuple[str, ...]
    """Paths for pytest."""


def _of(file: str, *tests: str) -> Callable[[str, str, str], Defect]:
    """``old, new, claim`` of one file and its tests."""
    return lambda old, new, claim: Defect(f"src/stackgan/{file}", old, new, claim, tests)


_tensors = _of("tensors.py", "tests/test_tensors.py")
_fold = _of("models/fold.py", "tests/models/test_fold.py")
_pipeline = _of("pipeline.py", "tests/test_pipeline.py")
_result = _of("result.py", "tests/test_pipeline.py", "tests/cli/test_generate.py")
_hub = _of("hub.py", "tests/test_hub.py")
_main = _of("cli/main.py", "tests/cli/test_main.py")
_options = _of("cli/options.py", "tests/cli/test_generate.py")

DEFECTS = [
    _tensors(".round_()", ".trunc_()", "levels are rounded, not truncated"),
    _tensors(".clamp_(0, 255)", ".remainder_(256)", "what lies outside is clipped, not wrapped"),
    _tensors(".mul_(127.5).round_()", ".mul_(128).round_()", "every level survives"),
    _tensors(".div_(127.5).sub_(1.0)", ".div_(128).sub_(1.0)", "white is exactly 1"),
    _fold("norm.running_var + norm.eps", "norm.running_var", "folding keeps eps"),
    _fold("torch.rsqrt(norm.running_var + norm.eps)", "1 / (norm.running_var + norm.eps)", "BN divides by sigma, not sigma squared"),
    _fold("shift = -norm.running_mean * gain", "shift = -norm.running_mean", "the folded mean is scaled"),
    _fold("shift = shift + layer.bias * gain", "shift = shift + layer.bias", "a layer's own bias is scaled"),
    _fold("and id(layer) not in kept", "", "conditioning stays float32"),
    _pipeline("manual_seed(seed)", "manual_seed(0)", "the seed matters"),
    _pipeline("for i in range(num_images)]\n        drawn", "for _ in range(num_images)]\n        drawn".replace("seed + i", "seed"), "picture i has seed + i"),
]


def read_defects(chosen: str) -> list[Defect]:
    """The listed defects whose file or claim contains ``chosen``."""
    entries = json.loads(LIST.read_text(encoding="utf-8"))
    defects = [Defect(**{**entry, "tests": tuple(entry["tests"])}) for entry in entries]
    return [defect for defect in defects if chosen in f"{defect.file} {defect.claim}"]


def copy_project(folder: Path) -> Path:
    """A copy without what tools leave behind."""
    copy = folder / "project"
    ignored = shutil.ignore_patterns(
        ".git", ".venv", "runs", "__pycache__", ".*_cache", ".hypothesis", ".stackgan", "shipped"
    )
    shutil.copytree(ROOT, copy, ignore=ignored)
    return copy


def green(project: Path, tests: tuple[str, ...]) -> tuple[bool, str]:
    """Whether the tests pass in ``project``, and the end of what pytest said."""
    flags = ["-x", "-q", "-p", "no:cacheprovider", "-p", "no:randomly"]
    environment = {**os.environ, "PYTHONPATH": "src", "PYTHONDONTWRITEBYTECODE": "1"}
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
        return False, "ran out of time"
    if done.returncode not in (0, 1, 2):  # 3: pytest broke, 4: wrong use, 5: no test was found
        raise SystemExit(f"pytest could not run {' '.join(tests)}:\n{done.stdout}{done.stderr}")
    return done.returncode == 0, done.stdout[-2000:]


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
    missing = [test for test in defect.tests if not (ROOT / test.split("::")[0]).exists()]
    return f"its tests are gone: {', '.join(missing)}" if missing else ""


def noticed(defect: Defect) -> bool:
    """Apply ``defect`` to a fresh copy and see whether its tests turn red."""
    with tempfile.TemporaryDirectory(prefix="defect-") as folder:
        project = copy_project(Path(folder))
        path = project / defect.file
        text = path.read_text(encoding="utf-8")
        path.write_text(text.replace(defect.old, defect.new), encoding="utf-8")
        return not green(project, defect.tests)[0]


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
    tests = tuple(sorted({test for defect in defects for test in defect.tests}))
    with tempfile.TemporaryDirectory(prefix="green-") as folder:
        passed, said = green(copy_project(Path(folder)), tests)
    if not passed:
        print(f"the tests are not green without any defect:\n{said}")
        return 1
    unnoticed = 0
    with ThreadPoolExecutor(options.n) as pool:
        for defect, seen in zip(defects, pool.map(noticed, defects), strict=True):
            unnoticed += not seen
            print(f"{'noticed ' if seen else 'UNNOTICED'} {defect.file}: {defect.claim}", flush=True)
    print(f"{len(defects) - unnoticed} of {len(defects)} noticed")
    return 1 if unnoticed else 0


if __name__ == "__main__":
    sys.exit(main())
