"""What a run reads, as digests: kept in its folder at the start, compared when it goes on."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from stackgan.data import Example
from stackgan.errors import DataError, InputError, ModelError
from stackgan.files import whole_file
from stackgan.model_folder import find_model, read_config
from stackgan.text import TextEncoder
from stackgan.training.plan import Plan

FILE = "inputs.json"
FORMAT = "stackgan-inputs/1"


class Read(NamedTuple):
    """One training example: its photograph's name below the root, and digests of the rest."""

    name: str
    size_bytes: int
    about: str
    """Of class, box and readable name; of key points where they are read."""
    captions: str


@dataclass(frozen=True)
class Inputs:
    """What a run reads: its examples in their order, the models it names, the sheets' captions."""

    examples: tuple[Read, ...]
    models: Mapping[str, str | None]
    """sha256 of ``encoder``, ``stage1`` and ``init_from``; None where the run names none."""
    sheet: tuple[str, ...] = field(default=(), compare=False)
    """Captions of the sheets: of the test split, and the same to the run's end."""


def read_inputs(
    plan: Plan,
    examples: Sequence[Example],
    encoder: TextEncoder | None,
    sheet: Sequence[str] = (),
    conditions: Sequence[str] = (),
) -> Inputs:
    """The digests of what ``plan`` reads as it is now; DataError where a photograph is gone.

    Key points count where ``conditions`` names them.
    """
    models = {
        "encoder": None if encoder is None else encoder.sha256,
        "stage1": _model_digest(plan.stage1),
        "init_from": _model_digest(plan.init_from),
    }
    root = Path(plan.root)
    points = "points" in conditions
    read = tuple(_read(root, example, points) for example in examples)
    return Inputs(read, models, tuple(sheet))


def _read(root: Path, example: Example, with_points: bool) -> Read:
    try:
        size = example.image.stat().st_size
    except OSError as error:
        raise DataError(f"{example.image} cannot be read: {error.strerror}") from None
    inside = Path(os.path.abspath(example.image)), Path(os.path.abspath(root))
    below = inside[0].is_relative_to(inside[1])
    name = (inside[0].relative_to(inside[1]) if below else inside[0]).as_posix()
    about: list[Any] = [example.class_name, example.box, example.subject]
    if with_points:
        about.append(None if example.points is None else asdict(example.points))
    return Read(name, size, _digest(about), _digest(example.captions))


def _digest(content: Any) -> str:
    text = json.dumps(content)  # ASCII, so that half a surrogate pair is no trouble
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _model_digest(name: str | None) -> str | None:
    """The digest of a model's files, as its ``config.json`` lists them."""
    if name is None:
        return None
    files = read_config(find_model(name))["files"]
    return hashlib.sha256(json.dumps(files, sort_keys=True).encode()).hexdigest()


def write_inputs(run: Path, inputs: Inputs) -> None:
    """Keep the digests in the run's folder."""
    rows = {"examples": [list(each) for each in inputs.examples]}
    with whole_file(run / FILE) as file:
        file.write_text(json.dumps({"format": FORMAT} | asdict(inputs) | rows), encoding="utf-8")


def kept_inputs(run: Path) -> Inputs | None:
    """What the run read at its start; None where it was begun before that was kept.

    Raises:
        ModelError: the file is damaged.
    """
    path = run / FILE
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        if found["format"] != FORMAT:
            raise ValueError(f"format {found['format']!r}")
        examples = tuple(
            Read(str(name), int(size), str(about), str(captions))
            for name, size, about, captions in found["examples"]
        )
        models = {name: found["models"][name] for name in ("encoder", "stage1", "init_from")}
        return Inputs(examples, models, tuple(map(str, found["sheet"])))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(f"{path} cannot be read as what the run began with ({error})") from None


def require_same(run: Path, plan: Plan, now: Inputs, say: Callable[[str], None]) -> Inputs:
    """What the run began with; its own file is written where an older version kept none.

    Raises:
        InputError: the run would read something else now; the sentence names what.
    """
    before = kept_inputs(run)
    if before is None:
        say(
            f"{run} was begun by a version that kept no digest of its data: what it reads now is "
            "taken for what it began with"
        )
        write_inputs(run, now)
        return now
    found = difference(before, now, plan)
    if found is not None:
        raise InputError(
            f"{run} cannot go on as if it had never stopped: {found}; put back what it began with, "
            "or begin a new run in another folder"
        )
    return before


def difference(before: Inputs, now: Inputs, plan: Plan) -> str | None:
    """What a run reads now and did not at its start, as a phrase; None where all is as it was."""
    titles = {"encoder": "text encoder", "stage1": "Stage-I of", "init_from": "model"}
    for name, titled in titles.items():
        if before.models[name] != now.models[name]:
            where = getattr(plan, name) or plan.init_from or plan.stage1
            told = " and ".join(
                f"{when} sha256 {str(value)[:12]}"
                for when, value in (("then", before.models[name]), ("now", now.models[name]))
            )
            return f"the {titled} {where} is another one than at its start ({told})"
    return None if before.examples == now.examples else _other_examples(before, now, plan.root)


def _other_examples(before: Inputs, now: Inputs, root: str) -> str:
    then = {each.name: each for each in before.examples}
    today = {each.name: each for each in now.examples}
    found = []
    if new := [name for name in today if name not in then]:
        found.append(f"{_count(new)} more {_such(new)}")
    if gone := [name for name in then if name not in today]:
        found.append(f"{_count(gone)} fewer {_such(gone)}")
    both = [name for name in then if name in today]
    for words, fact in (
        ("the captions of {} differ", "captions"),
        ("the files of {} differ in size", "size_bytes"),
        ("class, box or key points of {} differ", "about"),
    ):
        if changed := [
            name for name in both if getattr(then[name], fact) != getattr(today[name], fact)
        ]:
            found.append(words.format(f"{_count(changed)} {_such(changed)}"))
    return f"since its start the training split of {root} has changed: " + (
        ", ".join(found) or "its photographs come in another order"
    )


def _count(names: Sequence[str]) -> str:
    return f"{len(names):,} photograph{'' if len(names) == 1 else 's'}"


def _such(names: Iterable[str]) -> str:
    listed = list(names)
    return f"({listed[0]})" if len(listed) == 1 else f"(such as {listed[0]})"
