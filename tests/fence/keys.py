"""What a run and a model folder are made of: names, kinds and shapes, as text to read in a diff."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fence.machines import RECORDED
from fence.states import STAGES
from safetensors import safe_open
from torch import Tensor

from stackgan.training.checkpoint import read_checkpoint


def path_of(name: str) -> Path:
    """Where the list ``name`` is recorded."""
    return RECORDED / "keys" / f"{name}.txt"


def of_run(run: Path) -> str:
    """The files of a run; of its model folder and its checkpoints what is in them."""
    parts = [_section("run folder", _files(run, but="model")), of_model(run / "model")]
    for name in ("settings.json", "inputs.json", "arithmetic.json"):
        parts.append(_section(name, _json(run / name)))
    for stage in STAGES:
        state = read_checkpoint(run / stage / "checkpoint.pt")
        parts.append(_section(f"{stage}/checkpoint.pt", folded(leaves(state))))
    return "\n".join(parts)


def of_model(folder: Path, measured: bool = True) -> str:
    """The files of a model folder and what is in them; without ``measured`` not its scores."""
    parts = [_section("model folder", _files(folder))]
    rows = _json(folder / "config.json")
    parts.append(_section("config.json", [r for r in rows if measured or r[:7] != "scores."]))
    for path in sorted(folder.glob("*.safetensors")):
        parts.append(_section(path.name, _tensors(path)))
    return "\n".join(parts)


def _section(title: str, rows: list[str]) -> str:
    return f"== {title}\n" + "".join(f"{row}\n" for row in rows)


def _files(folder: Path, but: str = "") -> list[str]:
    """The files of a folder by their paths within it; digests and what counts time as ``*``."""
    names = (path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    kept = {re.sub(r"[0-9a-f]{16}|(?<=tfevents\.).*", "*", n) for n in names}
    return sorted(name for name in kept if not but or not name.startswith(f"{but}/"))


def _json(path: Path) -> list[str]:
    found = leaves(json.loads(path.read_text("utf-8")))
    return [re.sub(r"[0-9a-f]{16,}", "*", row) for row in found]


def _tensors(path: Path) -> list[str]:
    """Of a safetensors file: what it says of itself, then each tensor."""
    with safe_open(path, framework="pt") as file:
        said = [f"({key})" for key in sorted(file.metadata() or {})]
        return said + [f"{key}: {_kind(file.get_tensor(key))}" for key in sorted(file.keys())]


def leaves(value: Any, name: str = "") -> list[str]:
    return sorted(_rows(value, name))


def _rows(value: Any, name: str) -> Iterator[str]:
    """A row for each leaf; of a list what its entries are, not how many; None of None."""
    if isinstance(value, dict) and value:
        for key in value:
            yield from _rows(value[key], f"{name}.{key}" if name else str(key))
    elif isinstance(value, list | tuple) and any(isinstance(each, dict) for each in value):
        for place, each in enumerate(value):
            yield from _rows(each, f"{name}.{place}")
    else:
        yield f"{name}: {_kind(value)}"


def _kind(value: Any) -> str:
    if isinstance(value, Tensor):
        return f"{str(value.dtype).removeprefix('torch.')} {list(value.shape)}"
    if isinstance(value, list | tuple):
        return " or ".join(sorted({f"list of {_kind(each)}" for each in value})) or "empty list"
    if value is None:
        return "nothing"
    return "empty" if value == {} else type(value).__name__


def folded(rows: list[str]) -> list[str]:
    """Neighbouring numbers of an optimizer's state on one row where they hold the same names.

    Their shapes are those of the weights, which are listed with their networks.
    """
    kept, states = [], dict[tuple[str, int], list[str]]()
    for row in rows:
        found = re.fullmatch(r"(\w+_optimizer\.state)\.(\d+)\.(\w+): (\w+)( \[.*\])?", row)
        if found is None:
            kept.append(row)
        else:
            what = f"{found[3]} {found[4]}"
            states.setdefault((found[1], int(found[2])), []).append(what)
    groups: list[tuple[str, int, int, str]] = []
    for (where, number), names in sorted(states.items()):
        told = ", ".join(names)
        if groups and groups[-1][0] == where and groups[-1][2:] == (number - 1, told):
            groups[-1] = (where, groups[-1][1], number, told)
        else:
            groups.append((where, number, number, told))
    return sorted([*kept, *(f"{w}.{a} to {b}: {told}" for w, a, b, told in groups)])


def write(name: str, text: str) -> None:
    """Replace the list ``name``."""
    path_of(name).parent.mkdir(parents=True, exist_ok=True)
    path_of(name).write_text(text, "utf-8")


def difference(name: str, now: str) -> str:
    """A short unified diff from the recorded list to ``now``; empty where they are the same."""
    import difflib

    path = path_of(name)
    before = path.read_text("utf-8") if path.is_file() else ""
    rows = difflib.unified_diff(
        before.splitlines(), now.splitlines(), "recorded", "now", n=0, lineterm=""
    )
    return "\n".join(list(rows)[:40])
