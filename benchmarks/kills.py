"""Fifty kills at random moments, each resumed: the run must end as if it had never been stopped.

    python benchmarks/kills.py --work /tmp/kills --kills 50

trains a tiny run of both stages once without a stop, then again and again, each process killed with
SIGKILL after a random time (during starts, steps, saves and sheets alike), until ``--kills`` kills
have fallen. Every run that reaches its end is compared with the uninterrupted one: every tensor of
every checkpoint (weights, averages, optimizers) bit for bit, every line of the logs but their clock
fields, every byte of the model's weights. Exit 1 at the first difference.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import torch

from stackgan.cli.main import run as stackgan
from stackgan.training.checkpoint import read_checkpoint

SETTINGS = """
[architecture]
condition_dim = 6
noise_dim = 5
text_dim = 7
image_px = 128
stage1_generator_width = 8
stage1_discriminator_width = 4
stage2_generator_width = 8
stage2_discriminator_width = 4

[encoder]
steps = 3
image_network = "small"
conv1 = 8
conv2 = 8
hidden = 8
dim = 12

[stage1]
steps = 60
batch_size = 8

[stage2]
steps = 30
batch_size = 4
pixel_steps = 5
pair_steps = 10
"""
OFTEN = ["log_every=5", "checkpoint_every=7", "sheet_every=20"]


def differences(one: Any, two: Any, where: str = "") -> list[str]:
    """Where two checkpoints differ, through dictionaries and lists."""
    if isinstance(one, torch.Tensor):
        same = isinstance(two, torch.Tensor) and torch.equal(one, two)
        return [] if same else [where]
    if isinstance(one, dict):
        if one.keys() != two.keys():
            return [where]
        return [d for key in one for d in differences(one[key], two[key], f"{where}.{key}")]
    if isinstance(one, list | tuple):
        if len(one) != len(two):
            return [where]
        pairs = enumerate(zip(one, two, strict=True))
        return [d for place, (a, b) in pairs for d in differences(a, b, f"{where}[{place}]")]
    return [] if one == two else [where]


def log_of(folder: Path) -> list[dict[str, Any]]:
    """A log without its clock fields."""
    lines = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    return [{k: v for k, v in line.items() if k not in ("seconds", "time")} for line in lines]


def compare(whole: Path, other: Path) -> list[str]:
    """What differs between two finished runs."""
    found = []
    for stage in ("stage1", "stage2"):
        pair = [read_checkpoint(run / stage / "checkpoint.pt") for run in (whole, other)]
        found += differences(*pair, where=stage)
        if log_of(whole / stage) != log_of(other / stage):
            found.append(f"{stage}/log.jsonl")
    for name in ("generator.safetensors", "discriminator.safetensors"):
        if (whole / "model" / name).read_bytes() != (other / "model" / name).read_bytes():
            found.append(name)
    return found


def start(run: Path, root: Path, settings: Path) -> list[str]:
    """The command that begins the run, or goes on with it."""
    base = [sys.executable, "-m", "stackgan", "train", "--run", str(run)]
    if (run / "settings.json").exists():
        return [*base, "--resume"]
    often = [word for one in OFTEN for word in ("--set", one)]
    return [*base, "--data", "toy", "--root", str(root), "--config", str(settings), *often]


def main() -> int:
    """Kill, resume and compare until enough kills have fallen."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--work", type=Path, required=True, help="an empty folder to work in")
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    root, settings = options.work / "data", options.work / "settings.toml"
    draws = random.Random(options.seed)
    if stackgan(["data", "toy", "--root", str(root), "--count", "60"]):
        return 1
    settings.write_text(SETTINGS)
    whole = options.work / "whole"
    started = time.monotonic()
    subprocess.run(start(whole, root, settings), check=True, stdout=subprocess.DEVNULL)
    lasts = time.monotonic() - started
    kills = finished = 0
    while kills < options.kills:
        run = options.work / f"run{finished}"
        while True:
            process = subprocess.Popen(
                start(run, root, settings), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )
            try:
                code = process.wait(timeout=draws.uniform(0.3, 1.0) * lasts)
            except subprocess.TimeoutExpired:
                os.kill(process.pid, signal.SIGKILL)
                process.wait()
                kills += 1
                print(f"kill {kills}", file=sys.stderr)
                continue
            if code:
                print(f"resuming failed with exit code {code} after {kills} kills in {run}")
                return 1
            break
        found = compare(whole, run)
        if found:
            print(f"{run} differs from {whole} in {', '.join(found[:5])}")
            return 1
        shutil.rmtree(run)
        finished += 1
    print(
        f"{kills} kills in {finished} runs of {lasts:.0f} s: every run ended bit for bit the same"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
