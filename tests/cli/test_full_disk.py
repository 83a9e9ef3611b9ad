"""A disk that is full or read-only: each verb that writes says so and leaves nothing half-written.

The disk is a small tmpfs of a process of its own; where the machine does not let us mount one, a
limit on the size of any file stands for it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "src"
DISK_BYTES = 160 << 20

SCRIPT = """
import contextlib, io, json, os, resource, shutil, signal, subprocess, sys
from pathlib import Path

asked = json.load(sys.stdin)
disk = Path(asked["disk"])

def mount(*more):
    words = ["mount", "-t", "tmpfs", *more, "none", str(disk)]
    return subprocess.run(words, capture_output=True).returncode == 0

mounted = mount("-o", f"size={asked['bytes']}")
if mounted:
    os.chdir(disk)
from stackgan.cli.main import run

def call(words):
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = run(words)
        except BaseException as error:
            code = repr(error)
    return {"code": code, "err": err.getvalue()}

def there():
    found = {}
    for path in sorted(disk.rglob("*")):
        if path.is_file() and path.name != "filler":
            found[str(path.relative_to(disk))] = path.stat().st_size
    return found

def fill(room):
    if not mounted:
        resource.setrlimit(resource.RLIMIT_FSIZE, (room, resource.RLIM_INFINITY))
        return
    with open(disk / "filler", "wb", buffering=0) as file:
        with contextlib.suppress(OSError):
            while True:
                file.write(bytes(1 << 20))
        with contextlib.suppress(OSError):
            while True:
                file.write(bytes(512))
    size = (disk / "filler").stat().st_size
    os.truncate(disk / "filler", max(0, size - room) // 4096 * 4096)

def empty():
    if not mounted:
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
    (disk / "filler").unlink(missing_ok=True)

results = []
for case in asked["cases"]:
    empty()
    for path in list(disk.iterdir()):
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    os.chdir(disk)
    for words in case["before"]:
        done = call(words)
        if done["code"] != 0:
            sys.exit(f"{words}: {done}")
    before = there()
    if case["room"] is None:
        if not mounted or not mount("-o", "remount,ro"):
            results.append(None)
            continue
    else:
        fill(case["room"])
    done = call(case["words"])
    if case["room"] is None:
        mount("-o", "remount,rw")
    after = there()
    empty()
    again = call(case["words"])
    if again["code"] and case["resume"]:
        again = call(case["resume"])
    results.append({**done, "before": before, "after": after, "again": again, "mounted": mounted})
json.dump(results, sys.stdout)
"""

TINY = [
    "architecture.stage1_generator_width=4",
    "architecture.stage1_discriminator_width=4",
    "stage1.steps=2",
    "stage1.batch_size=8",
    "encoder.steps=2",
    "encoder.image_network=small",
    "encoder.conv1=8",
    "encoder.conv2=8",
    "encoder.hidden=8",
    "encoder.dim=12",
    "precision=fp32",
]
TOY = ["data", "toy", "--root", "toy", "--count", "35"]
TRAIN = ["train", "--data", "toy", "--root", "toy", "--stage", "1", "--run", "run"]
TRAIN += [word for setting in TINY for word in ("--set", setting)]
ENCODER = ["encoder", "train", "--data", "toy", "--root", "toy", "--out", "encoder"]
ENCODER += ["--steps", "1", "--image-network", "small"]
CAPTION = ["encoder", "caption", "--encoder", "encoder", "--from", "toy", "--from-root", "toy"]
EMBED = ["encoder", "embed", "--encoder", "MODEL"]
EVALUATE = ["evaluate", "MODEL", "--data", "toy", "--root", "toy", "--split", "all", "-n", "4"]

CASES = {
    "a picture": ([], ["generate", "a flower", "--model", "MODEL", "--out", "a.png"]),
    "pictures": ([], ["generate", "a flower", "-n", "3", "--model", "MODEL", "--out", "many"]),
    "a row": ([], ["interpolate", "a", "b", "--steps", "2", "--model", "MODEL", "--out", "a.png"]),
    "a toy set": ([], TOY),
    "a cache": ([TOY], ["data", "prepare", "toy", "--root", "toy", "--size", "128"]),
    "a training": ([TOY], TRAIN),
    "an encoder": ([TOY], ENCODER),
    "embeddings": (
        [TOY],
        [*EMBED, "--captions", "toy/metadata.jsonl", "--out", "e.npz"],
    ),
    "captions": ([TOY, ENCODER], [*CAPTION, "--root", "toy/images", "--out", "m.jsonl"]),
    "a report": (
        [TOY],
        [*EVALUATE, "--metrics", "swd", "--out", "report.json"],
    ),
}
ROOMS = {"full": 0, "nearly full": 12_288, "read-only": None}
GOES_ON = {"a toy set", "a training", "embeddings"}
"""These leave what the same command, or --resume, goes on with."""


@pytest.fixture(scope="module")
def ended(tmp_path_factory, tiny_model):
    """How each verb ended on each disk, all seen in one process."""
    disk = tmp_path_factory.mktemp("disk")
    cases = []
    for before, words in CASES.values():
        named = [str(tiny_model) if word == "MODEL" else word for word in words]
        for room in ROOMS.values():
            resume = ["train", "--run", "run", "--resume"] if words is TRAIN else None
            cases.append({"before": before, "words": named, "resume": resume, "room": room})
    asked = json.dumps({"disk": str(disk), "bytes": DISK_BYTES, "cases": cases})
    script = [sys.executable, "-W", "ignore", "-c", SCRIPT]
    own = ["unshare", "--user", "--map-root-user", "--mount"]
    probe = [*own, "mount", "-t", "tmpfs", "none", str(disk)]
    try:
        can_mount = subprocess.run(probe, capture_output=True).returncode == 0
    except OSError:
        can_mount = False
    done = subprocess.run(
        [*own, *script] if can_mount else script,
        input=asked,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(SOURCE)},
        cwd=disk,
    )
    assert done.returncode == 0, done.stderr
    results = iter(json.loads(done.stdout))
    return {(name, room): next(results) for name in CASES for room in ROOMS}


@pytest.mark.timeout(300)
@pytest.mark.skipif(sys.platform == "win32", reason="no tmpfs and no limit on a file's size")
@pytest.mark.parametrize("room", ROOMS)
@pytest.mark.parametrize("name", CASES)
def test_a_disk_that_takes_no_more_is_one_sentence_and_nothing_is_half_written(ended, name, room):
    seen = ended[name, room]
    if seen is None:
        pytest.skip("this machine lets us mount nothing")
    if seen["code"] == 0:
        assert room == "nearly full", "it was written somewhere else"
        return
    assert seen["code"] in ((1, 2) if room == "read-only" else (1,)), seen
    lines = [line for line in seen["err"].splitlines() if "warning: " not in line]
    said = [line for line in lines if line.startswith("stackgan: ")]
    assert said and said == lines, seen["err"]
    if seen["mounted"] and room != "read-only":
        assert "no space" in said[-1].lower() and "Errno" not in said[-1], said
    if room == "read-only":
        assert "read-only" in said[-1].lower() or "not writable" in said[-1], said
    if name in GOES_ON:
        ends = (
            (".partial", ".building")
            if name == "embeddings"
            else (".partial", ".part", ".building")
        )
        assert not [path for path in seen["after"] if path.endswith(ends)]
    else:
        assert seen["after"] == seen["before"]


@pytest.mark.timeout(300)
@pytest.mark.skipif(sys.platform == "win32", reason="no tmpfs and no limit on a file's size")
@pytest.mark.parametrize("name", CASES)
def test_with_room_again_the_same_command_goes_through(ended, name):
    for room in ROOMS:
        seen = ended[name, room]
        if seen is not None:
            assert seen["again"]["code"] == 0, seen["again"]
