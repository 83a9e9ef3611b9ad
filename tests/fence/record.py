"""Record the fence anew, after a change that is meant to change what it holds; takes minutes.

::

    python tests/fence/record.py                 # all of it
    python tests/fence/record.py pictures        # after other weights are shipped
    python tests/fence/record.py states keys

Look at ``git diff tests/recorded/fence`` before it is committed. Digests of other machines stay
where what they are digests of is still the same.
"""

from __future__ import annotations

import argparse
import os
import pickle
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import torch
from fence import keys, likeness, pictures, states
from fence.machines import kind, read, write

PARTS = ("pictures", "states", "keys")
OLDER = (
    {"ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2"},
    {
        "ATEN_CPU_CAPABILITY": "default",
        "ONEDNN_MAX_CPU_ISA": "SSE41",
        "MKL_ENABLE_INSTRUCTIONS": "SSE4_2",
    },
)
"""How this processor computes as older ones do."""
NUDGES = 4


def record_states(runs: dict[str, Path]) -> str:
    """Keep the digests of the presets' states, and the figures of those presets that changed."""
    found = {f"{p}/{s}": states.state_of(run, s) for p, run in runs.items() for s in states.STAGES}
    digests = {name: states.digests(state) for name, state in found.items()}
    before = read(states.RECORD)
    mine = before.get(kind(), {})
    changed = {
        name.split("/")[0]
        for name, state in found.items()
        if mine.get(name, digests[name]) != digests[name] or likeness.faults(name, state)
    }
    if changed:
        others = [elsewhere(environment, None, changed) for environment in OLDER]
        others += [elsewhere({}, nudge, changed) for nudge in range(1, NUDGES + 1)]
        anew = {name: s for name, s in found.items() if name.split("/")[0] in changed}
        likeness.record({name: likeness.figures(state) for name, state in anew.items()}, others)
    kept = {
        machine: {name: told for name, told in names.items() if name.split("/")[0] not in changed}
        for machine, names in before.items()
    }
    write(states.RECORD, kept | {kind(): digests})
    if not changed:
        return "states: this machine's digests beside the others'"
    return f"states: {', '.join(sorted(changed))} anew, without other machines' digests"


def elsewhere(
    environment: dict[str, str], nudge: int | None, presets: set[str]
) -> dict[str, likeness.Figures]:
    """The figures of the same trainings in a process of another environment."""
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "figures"
        words = [sys.executable, __file__, "--figures", str(target), *sorted(presets)]
        words += [] if nudge is None else ["--nudge", str(nudge)]
        subprocess.run(words, check=True, env=os.environ | environment)
        return dict(pickle.loads(target.read_bytes()))


def record_keys(runs: dict[str, Path]) -> str:
    """Keep the lists of names of each preset's run and of the shipped model."""
    for preset, run in runs.items():
        keys.write(preset, keys.of_run(run))
    keys.write(pictures.MODEL, keys.of_model(pictures.SHIPPED, measured=False))
    return "keys: of every preset's run and of the shipped model"


def main() -> None:
    """Record the parts that are named, or all."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("parts", nargs="*", help=f"of {', '.join(PARTS)}; all where none is named")
    parser.add_argument("--figures", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--nudge", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    known = PARTS if options.figures is None else states.PRESETS
    if unknown := set(options.parts) - set(known):
        parser.error(f"there is no part {sorted(unknown)[0]!r}: {', '.join(known)}")
    torch.set_num_threads(1)
    parts: Sequence[str] = options.parts or PARTS
    with tempfile.TemporaryDirectory() as folder:
        if options.figures is not None:
            figures = likeness.all_figures(Path(folder), options.parts, options.nudge)
            options.figures.write_bytes(pickle.dumps(figures))
            return
        if "pictures" in parts:
            print(pictures.record())
        if {"states", "keys"} & {*parts}:
            runs = {each: states.train_small(Path(folder), each) for each in states.PRESETS}
            if "states" in parts:
                print(record_states(runs))
            if "keys" in parts:
                print(record_keys(runs))


if __name__ == "__main__":
    main()
