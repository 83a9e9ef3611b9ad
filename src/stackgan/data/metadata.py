"""``metadata.jsonl`` and ``metadata.csv``: what each line says of its image, or why it cannot."""

from __future__ import annotations

import ast
import csv
import io
import json
import math
import os
import re
import tokenize
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path, PureWindowsPath
from typing import NamedTuple

from stackgan.data.examples import Fault, plain, read_text

_Row = dict[str, object]
_USUAL = {
    "image_column": ("file_name", "image", "filename", "image_path", "image_file", "path", "file"),
    "caption_column": ("text", "caption", "captions", "prompt", "description", "sentence"),
}
"""What others call the two columns: named in an error, never taken unasked."""


class Columns(NamedTuple):
    """The columns that hold an image's name and its captions."""

    image: str = "file_name"
    caption: str = "text"

    def without(self, column: str, present: Sequence[str]) -> str:
        """Say which of the columns that are there may be meant, as the end of a sentence."""
        option = "image_column" if column == self.image else "caption_column"
        near = next((name for name in _USUAL[option] if name in present and name not in self), None)
        return f"; `--option {option}={near}` reads {near}" if near else ""


@dataclass(frozen=True)
class Entry:
    """An image as its captions' file describes it.

    ``file_name`` is relative to the data set's folder, with forward slashes; ``captions`` may be
    empty; ``where`` is "train/metadata.jsonl, line 3" for messages.
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


def read_metadata(
    root: Path, tables: Sequence[str], columns: Columns
) -> tuple[list[Entry], list[Fault]]:
    """Return an entry for each image that ``tables`` name, and a fault for each line of no use.

    A table lies in ``root`` or below it and names images relative to its own folder. Lines that
    name one image are joined: its captions add up, class and split must agree. Raises
    :class:`DataError` when a file cannot be opened.
    """
    entries: dict[str, Entry] = {}
    found: list[Fault] = []
    for table in tables:
        path = root / table
        place = _Place(root, os.path.dirname(table))
        here, rows = columns, _json_rows
        if path.suffix.lower() != ".jsonl":
            here = Columns(*(column.lower() for column in columns))  # spreadsheets write capitals
            rows = _csv_rows
        for line, row in rows(read_text(path), here):
            try:
                if isinstance(row, _Unusable):
                    raise row
                entry = _entry(row, here, place, f"{table}, line {line}")
                known = entries.get(entry.file_name)
                entries[entry.file_name] = entry if known is None else _joined(known, entry)
            except _Unusable as problem:
                about = problem.about
                if about != "":
                    named = about if isinstance(row, _Unusable) else row.get(here.image)
                    about = _name_or_none(named, place)
                found.append(Fault(path, f"line {line} {problem}", about))
    return list(entries.values()), found


class _Place(NamedTuple):
    """Where a table lies: the data set's folder, and the table's own relative to it."""

    root: Path
    folder: str

    def relative(self, name: str) -> str:
        """The name relative to ``root``; an absolute one that is not inside it stays as it is."""
        if not os.path.isabs(name) and PureWindowsPath(name).drive:
            return name
        if not os.path.isabs(name):
            return os.path.normpath(f"{self.folder or '.'}/{name}").replace("\\", "/")
        name = re.sub("^//+", "/", os.path.normpath(name))
        behind_links = os.path.join(os.path.realpath(os.path.dirname(name)), os.path.basename(name))
        for top in (os.path.abspath(self.root), os.path.realpath(self.root)):
            for written in (name, behind_links):
                if written.startswith(top.rstrip(os.sep) + os.sep):
                    return os.path.relpath(written, top).replace("\\", "/")
        return name


def _json_rows(text: str, columns: Columns) -> Iterator[tuple[int, _Row | _Unusable]]:
    if text.lstrip().startswith("[") and isinstance(_json_or_none(text), list):
        yield 1, _Unusable("begins one JSON list; expected an object a line, without brackets", "")
        return
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            name = re.search(rf'"{re.escape(columns.image)}"\s*:\s*"([^"]+)"', line)
            yield number, _Unusable(f"is not JSON: {error}", name and name[1])
            continue
        if isinstance(row, dict):
            yield number, row
        else:
            expected = f"expected an object with {columns.image} and {columns.caption}"
            yield number, _Unusable(f"is {_said(row)}; {expected}")


def _json_or_none(text: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _csv_rows(text: str, columns: Columns) -> Iterator[tuple[int, _Row | _Unusable]]:
    header = text.split("\n", 1)[0]
    delimiter = max(",;\t", key=header.count)  # spreadsheets of many countries write semicolons
    reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        reader.fieldnames = [name.strip().lower() for name in reader.fieldnames or ()]
        if (problem := _header_problem(reader.fieldnames, columns)) is not None:
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
                        row.get(columns.image),
                    ),
                )
            else:
                yield reader.line_num, dict(row)
    except csv.Error as error:
        hint = "; is a double quote never closed?" if text.count('"') % 2 else ""
        problem = f"is not CSV, nor read any further: {error}{hint}"
        yield reader.reader.line_num, _Unusable(problem, "")


def _header_problem(present: Sequence[str], columns: Columns) -> str | None:
    """Return why no row below these columns can be used, once for the whole file."""
    for column in columns:
        if column not in present:
            return (
                f"names no column {column}; it has {_short(', '.join(present)) or 'nothing'}; "
                f"expected {columns.image} and {columns.caption}{columns.without(column, present)}"
            )
        if present.count(column) > 1:
            return (
                f"names the column {column} {present.count(column)} times; several captions of an "
                "image are several rows"
            )
    return None


def _entry(row: _Row, columns: Columns, place: _Place, where: str) -> Entry:
    for column in columns:
        if column not in row:
            hint = columns.without(column, list(row))
            raise _Unusable(f"has no {column}; it has {_short(', '.join(row)) or 'nothing'}{hint}")
    return Entry(
        _file_name(row[columns.image], place, columns.image),
        _captions(row[columns.caption], columns.caption),
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


def _file_name(found: object, place: _Place, column: str) -> str:
    """Return the name with forward slashes and without "." and ".."; it stays in the folder."""
    if not isinstance(found, str) or not found.strip() or "\0" in found:
        raise _Unusable(f"has the {column} {_said(found)}; expected the name of an image")
    if re.match(r"[a-zA-Z][\w+.-]+://", found.strip()):
        raise _Unusable(f"has the {column} {_said(found)}, an address; fetch the image and name it")
    name = place.relative(found.strip().replace("\\", "/"))
    if max(map(len, name.split("/"))) > 255:
        raise _Unusable(f"has the {column} {_said(found)}; expected the name of an image")
    if name.startswith(("/", "../")) or name in (".", "..") or PureWindowsPath(name).drive:
        raise _Unusable(f"names {_said(found)}, which is not inside the folder {place.root}")
    return name


def _name_or_none(found: object, place: _Place) -> str | None:
    try:
        return _file_name(found, place, "")
    except _Unusable:
        return None


def _captions(found: object, column: str) -> tuple[str, ...]:
    """Return the sentences of a caption field, stripped, without the empty ones."""
    if isinstance(found, str):
        listed = _listed(found.strip())
        found = [found] if listed is None else listed
    sentences = [] if _is_nothing(found) else found
    if not isinstance(sentences, list) or not all(isinstance(each, str) for each in sentences):
        said = f"has the {column} {_said(found)}"
        raise _Unusable(f"{said}; expected a sentence or a list of sentences")
    lines = (" ".join(plain(sentence).split()) for sentence in sentences)
    return tuple(dict.fromkeys(line for line in lines if line))


def _listed(text: str) -> list[object] | None:
    """Return the list that ``text`` is, in JSON or as Python or numpy print one; else None.

    A caption may begin with a bracket: "[sic] a bird" is None. What begins and ends as a list of
    strings and cannot be read is no caption either.
    """
    if not re.match(r"\[.*\]\Z|\(\s*['\"].*\)\Z", text, re.DOTALL):
        return None
    found = _json_or_none(text)
    if found is None:
        found = _python_or_none(text)
    if isinstance(found, tuple):
        found = list(found)
    if isinstance(found, list):
        return found
    if re.match(r"\[\s*['\"]", text):
        raise _Unusable(f"has the list {_short(text)}, which cannot be read; expected a JSON list")
    return None


def _python_or_none(text: str) -> object:
    """Evaluate a literal; numpy prints its strings side by side, which Python would join to one."""
    try:
        tokens = [
            token
            for token in tokenize.generate_tokens(io.StringIO(text).readline)
            if token.type not in (tokenize.NL, tokenize.NEWLINE)
        ]
        lines = text.split("\n")
        for one, other in reversed(list(pairwise(tokens))):
            if one.type == other.type == tokenize.STRING:
                row, column = one.end
                lines[row - 1] = f"{lines[row - 1][:column]},{lines[row - 1][column:]}"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of escapes that are none
            return ast.literal_eval("\n".join(lines))
    except (ValueError, SyntaxError, RecursionError, MemoryError, tokenize.TokenError):
        return None


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
