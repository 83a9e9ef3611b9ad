"""``metadata.jsonl`` and ``metadata.csv``: what each line says of its image, or why it cannot."""

from __future__ import annotations

import csv
import io
import json
import math
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath

from stackgan.data.examples import Fault, plain, read_text

METADATA_NAMES = ("metadata.jsonl", "metadata.csv")

_Row = dict[str, object]


@dataclass(frozen=True)
class Entry:
    """An image as its captions' file describes it.

    ``file_name`` is relative to the folder, with forward slashes; ``captions`` may be empty;
    ``where`` is "metadata.jsonl, line 3" for messages.
    """

    file_name: str
    captions: tuple[str, ...]
    class_name: str | None = None
    split: str | None = None
    where: str = ""


class _Unusable(Exception):
    """A line that cannot be used; the message is a phrase that follows "line 3".

    ``about`` is the image it speaks of, "" where that may be any.
    """

    def __init__(self, problem: str, about: str | None = None) -> None:
        super().__init__(problem)
        self.about = about


def read_metadata(path: Path) -> tuple[list[Entry], list[Fault]]:
    """Return one entry for each image ``path`` names, and a fault for each line it cannot use.

    Lines that name one image are joined: its captions add up, class and split must agree.
    Raises :class:`DataError` when the file cannot be opened.
    """
    entries: dict[str, Entry] = {}
    found: list[Fault] = []
    rows = _json_rows if path.suffix == ".jsonl" else _csv_rows
    for line, row in rows(read_text(path)):
        try:
            if isinstance(row, _Unusable):
                raise row
            entry = _entry(row, f"{path.name}, line {line}")
            known = entries.get(entry.file_name)
            entries[entry.file_name] = entry if known is None else _joined(known, entry)
        except _Unusable as problem:
            about = problem.about if isinstance(row, _Unusable) else _name_or_none(row)
            found.append(Fault(path, f"line {line} {problem}", about))
    return list(entries.values()), found


def _json_rows(text: str) -> Iterator[tuple[int, _Row | _Unusable]]:
    if text.lstrip().startswith("[") and isinstance(_json_or_none(text), list):
        yield 1, _Unusable("begins one JSON list; expected an object a line, without brackets", "")
        return
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            name = re.search(r'"file_name"\s*:\s*"([^"]*)"', line)
            yield number, _Unusable(f"is not JSON: {error}", name and name[1])
            continue
        if isinstance(row, dict):
            yield number, row
        else:
            yield number, _Unusable(f"is {_said(row)}; expected an object with file_name and text")


def _json_or_none(text: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _csv_rows(text: str) -> Iterator[tuple[int, _Row | _Unusable]]:
    header = text.split("\n", 1)[0]
    delimiter = max(",;\t", key=header.count)  # spreadsheets of many countries write semicolons
    reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        reader.fieldnames = [name.strip().lower() for name in reader.fieldnames or ()]
        if (problem := _header_problem(reader.fieldnames)) is not None:
            yield 1, _Unusable(problem, "")
            return
        for row in reader:
            if not any(row.values()):
                continue  # spreadsheets write rows of nothing but separators
            if None in row:
                yield (
                    reader.line_num,
                    _Unusable(
                        "has more fields than the header; put captions in double quotes",
                        row.get("file_name"),
                    ),
                )
            else:
                yield reader.line_num, dict(row)
    except csv.Error as error:
        hint = "; is a double quote never closed?" if text.count('"') % 2 else ""
        problem = f"is not CSV, nor read any further: {error}{hint}"
        yield reader.reader.line_num, _Unusable(problem, "")


def _header_problem(columns: Sequence[str]) -> str | None:
    """Return why no row below these columns can be used, once for the whole file."""
    for column in ("file_name", "text"):
        if column not in columns:
            names = ", ".join(columns)
            return (
                f"names no column {column}; it has {_short(names) or 'nothing'}; expected "
                "file_name and text"
            )
        if columns.count(column) > 1:
            return (
                f"names the column {column} {columns.count(column)} times; several captions of an "
                "image are several rows"
            )
    return None


def _entry(row: _Row, where: str) -> Entry:
    for column in ("file_name", "text"):
        if column not in row:
            raise _Unusable(f"has no {column}; it has {_short(', '.join(row)) or 'nothing'}")
    return Entry(
        _file_name(row["file_name"]),
        _captions(row["text"]),
        _word(row, "class") or _word(row, "label"),
        _split(row),
        where,
    )


def _joined(first: Entry, second: Entry) -> Entry:
    for what, one, other in (
        ("class", first.class_name, second.class_name),
        ("split", first.split, second.split),
    ):
        if one != other:
            raise _Unusable(f"gives {first.file_name} the {what} {other!r}; {first.where}: {one!r}")
    captions = dict.fromkeys(first.captions + second.captions)
    return Entry(first.file_name, tuple(captions), first.class_name, first.split, first.where)


def _file_name(found: object) -> str:
    """Return the name with forward slashes and without "." and ".."; it stays in the folder."""
    if not isinstance(found, str) or not found.strip() or "\0" in found:
        raise _Unusable(f"has the file_name {_said(found)}; expected the name of an image")
    name = os.path.normpath(found.strip().replace("\\", "/")).replace("\\", "/")
    if max(map(len, name.split("/"))) > 255:
        raise _Unusable(f"has the file_name {_said(found)}; expected the name of an image")
    if name.startswith(("/", "../")) or name in (".", "..") or PureWindowsPath(name).drive:
        raise _Unusable(f"names {_said(found)}, which is not inside the folder")
    return name


def _name_or_none(row: _Row) -> str | None:
    try:
        return _file_name(row.get("file_name"))
    except _Unusable:
        return None


def _captions(found: object) -> tuple[str, ...]:
    """Return the sentences of a ``text`` field, stripped, without the empty ones."""
    if isinstance(found, str) and found.lstrip().startswith("["):
        listed = _json_or_none(found)
        found = [found] if listed is None else listed  # a caption may begin with a bracket
    sentences = [found] if isinstance(found, str) else [] if _is_nothing(found) else found
    if not isinstance(sentences, list) or not all(isinstance(each, str) for each in sentences):
        raise _Unusable(f"has the text {_said(found)}; expected a sentence or a list of sentences")
    lines = (" ".join(plain(sentence).split()) for sentence in sentences)
    return tuple(dict.fromkeys(line for line in lines if line))


def _word(row: _Row, column: str) -> str | None:
    found = row.get(column)
    if _is_nothing(found):
        return None
    if not isinstance(found, str | int | float):
        raise _Unusable(f"has the {column} {_said(found)}; expected a word or a number")
    return plain(str(found)).strip() or None


def _split(row: _Row) -> str | None:
    found = _word(row, "split")
    if found is None or found.lower() in ("train", "test"):
        return found and found.lower()
    raise _Unusable(f"has the split {_said(found)}; expected train or test")


def _is_nothing(found: object) -> bool:
    """Whether a field is empty: null, or the NaN that pandas writes for it."""
    return found is None or (isinstance(found, float) and math.isnan(found))


def _said(found: object) -> str:
    return _short(repr(found))


def _short(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:57]}..."
