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
from collections.abc import Callable
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
    _tensors(".clamp_(0, 255)", "", "what lies outside is clipped, not wrapped"),
    _tensors(".mul_(127.5).round_()", ".mul_(128).round_()", "every level survives"),
    _tensors(".div_(127.5).sub_(1.0)", ".div_(128).sub_(1.0)", "white is exactly 1"),
    _tensors("images.to(torch.float32).add(1.0)", "images.add_(1.0)", "the input is left alone"),
    _fold("norm.running_var + norm.eps", "norm.running_var + 0.1", "folding keeps eps"),
    _fold("torch.rsqrt(", "torch.reciprocal(", "BN divides by sigma, not by sigma squared"),
    _fold("shift = -norm.running_mean * gain", "shift = -norm.running_mean", "the mean is scaled"),
    _fold("+ layer.bias * gain", "+ layer.bias", "a layer's own bias is scaled"),
    _fold("and id(layer) not in kept", "", "conditioning stays float32"),
    _fold("module.eval()", "module", "a folded network is in evaluation mode"),
    _pipeline("manual_seed(seed)", "manual_seed(0)", "the seed matters"),
    _pipeline(
        "seeds = [seed + i for _ in captions for i in range(num_images)]",
        "seeds = [seed + i for i in range(num_images * len(captions))]",
        "every caption starts at the seed",
    ),
    _pipeline(
        "random = torch.Generator().manual_seed(seed)",
        "random = torch.default_generator.manual_seed(seed)",
        "nothing seeds globally",
    ),
    _pipeline(
        "images = self._stage1(embedding[part], chance.noise[part], chance.eps1[part])",
        "images = self._stage1(embedding[part], 0 * chance.noise[part], chance.eps1[part])",
        "the noise is used",
    ),
    _pipeline(
        "chance.noise[part], chance.eps1[part]", "chance.noise[part], chance.eps2[part]", "eps1"
    ),
    _pipeline("embedding[part], chance.eps2[part]", "embedding[part], chance.eps1[part]", "eps2"),
    _pipeline("truncation * part for", "part for", "truncation narrows"),
    _pipeline(
        "for caption in captions]]", "for caption in sorted(captions)]]", "captions in order"
    ),
    _pipeline("[[rows[caption]", "[[0 * rows[caption]", "the caption matters"),
    _pipeline("torch.linspace(0, 1, steps", "torch.linspace(0, 0.9, steps", "both ends are drawn"),
    _pipeline(
        "        if seed is None:\n            chance",
        "        if seed:\n            chance",
        "zero",
    ),
    _pipeline(
        "eps2 = self.chance(seeds).eps2",
        "eps2 = self.chance(seeds).eps1",
        "refine's eps is the call's",
    ),
    _pipeline("array in arrays]", "array in arrays[:, :, ::-1].copy()]", "nothing is mirrored"),
    _pipeline('"RGB"))).permute(2, 0, 1)', '"RGB"))).permute(2, 1, 0)', "rows are not columns"),
    _pipeline(
        "if image.size != (SKETCH_PX, SKETCH_PX)", "if False", "the size of each image is read"
    ),
    _result(
        '"seed": str(self.seeds[index])', '"seed": str(self.seeds[0])', "each PNG has its seed"
    ),
    _result('"caption": self.captions[index]', '"caption": self.captions[0]', "its own caption"),
    _result("part.write_bytes(buffer.getvalue())", "path.write_bytes(buffer.getvalue())", "atomic"),
    _result("name not in taken", "name", "no file is written twice"),
    _result(
        "pair.paste(sketch.resize((side, side)", "pair.paste(picture.resize((side, side)", "sketch"
    ),
    _result("y = top + len(text) * LINE_PX", "y = top", "labels lie over no picture"),
    _hub("if found != expected", "if False", "a damaged file is named"),
    _hub("if sha256 != wanted", "if False and sha256 != wanted", "another encoder is refused"),
    _hub("strict=True, assign=True", "strict=False, assign=True", "weights are loaded strictly"),
    _hub("dtype if value.dim() > 1 else torch.float32", "dtype", "statistics stay float32"),
    _hub(
        'f"stage2.{key}": value for key, value in stage2',
        'f"stage2.{key}": value for key, value in stage1',
        "Stage-II travels",
    ),
    _hub("network.eval().requires_grad_(False)", "network.eval()", "a loaded model is frozen"),
    _hub("if found != FORMAT", "if False", "another format is refused"),
    _hub(
        "    if folder.exists():\n        os.replace(folder, old)",
        "    if folder.exists():\n        shutil.rmtree(folder)",
        "a kill between the renames",
    ),
    _hub('**config.get("scores", {}), **scores', "**scores", "scores are merged"),
    _main("return _say(str(error), error.exit_code)", "return _say(str(error), 1)", "exit 2"),
    _main("if code == INTERRUPTED:", "if False:", "an interruption is told in a sentence"),
    _main('reason = "no space is left on the disk"', 'reason = "failed"', "a full disk is named"),
    _options('decode("utf-8-sig")', 'decode("utf-8")', "a byte-order mark is no caption"),
    _options("if line.strip()]", "]", "empty lines are no captions"),
    _options("if out.suffix.lower() in PICTURES", "if False", "a .jpg is refused"),
]


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
            print(
                f"{'noticed ' if seen else 'UNNOTICED'} {defect.file}: {defect.claim}", flush=True
            )
    print(f"{len(defects) - unnoticed} of {len(defects)} noticed")
    return 1 if unnoticed else 0


if __name__ == "__main__":
    sys.exit(main())
