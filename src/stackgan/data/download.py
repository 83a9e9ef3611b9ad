"""Public addresses -> a folder that the readers read: fetched, verified, unpacked, once.

What is there is not fetched again. An archive whose checksum nobody has published is compared with
its sha256 of the first download, which stays in ``ROOT/.stackgan/checksums.json``.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from pathlib import Path
from typing import NamedTuple

from stackgan.data.addresses import Part, parts_of
from stackgan.data.examples import Progress
from stackgan.data.fetch import Patience, digest, fetch
from stackgan.data.unpack import unpack
from stackgan.errors import DataError, RunFailed
from stackgan.files import whole_file

Show = Callable[[str], AbstractContextManager[Progress | None]]
"""Opens a progress bar of that name: megabytes done, megabytes in all."""


class Download(NamedTuple):
    """What a call did: paths below the root that are new, and those that were there."""

    fetched: list[str]
    present: list[str]


def download(
    name: str,
    root: Path,
    year: int | None = None,
    show: Show | None = None,
    patience: Patience | None = None,
) -> Download:
    """Make ``root`` a folder of data set ``name``; see :func:`parts_of` for ``year``.

    An archive of the right name that lies in ``root`` is used in place of its address, and kept.
    Raises :class:`InputError` for another name, :class:`RunFailed` where a file cannot be fetched,
    is not the expected one, or must be fetched with a browser: then all others are there.
    """
    parts = parts_of(name, year)
    if root.exists() and not root.is_dir():
        raise DataError(f"{root} is a file; --root names the folder to fetch into")
    result = Download([], [])
    by_hand: list[Part] = []
    with _workplace(root) as workplace:
        for part in parts:
            missing = [place for place in part.gives if not _is_there(root, place, part)]
            result.present.extend(place for place in part.gives if place not in missing)
            if not missing:
                continue
            if part.by_hand and not (root / part.file).is_file():
                by_hand.append(part)
                continue
            _get(part, missing, root, workplace, show or _silent, patience)
            result.fetched.extend(missing)
    if by_hand:
        raise RunFailed(_ask(name, root, by_hand, result))
    return result


def _get(
    part: Part,
    missing: list[str],
    root: Path,
    workplace: Path,
    show: Show,
    patience: Patience | None,
) -> None:
    """Fetch ``part`` unless it lies in the root, verify it, put what is missing to its place."""
    given = root / part.file
    own = not (part.takes and given.is_file())
    archive = workplace / part.file if own else given
    if own and not archive.is_file():  # one that is there found no room to be unpacked
        with show(f"{part.file}, MB") as progress:
            fetch(
                part.url,
                archive,
                checksum=part.checksum,
                size_bytes=part.size_bytes,
                progress=progress,
                patience=patience,
            )
    elif not own and part.checksum:
        found = digest(given, part.checksum.partition(":")[0])
        if found != part.checksum:
            raise DataError(f"{given} has {found}, expected {part.checksum}; delete it")
    records = _Records(root)
    known = part.checksum or ""
    sha256 = known if known.startswith("sha256:") else digest(archive)
    try:
        if not known:
            records.compare(part, archive, sha256)
        if part.takes:
            takes = {inside: place for inside, place in part.takes.items() if place in missing}
            with show(f"unpacking {part.file}, MB") as progress:
                unpack(archive, takes, root, workplace, progress)
    except (DataError, RunFailed) as error:
        if not own:
            raise
        archive.unlink(missing_ok=True)  # else it would be taken for a good one for ever
        raise RunFailed(f"{error} (from {part.url}; it was deleted)") from None
    records.add(part, sha256, archive.stat().st_size)
    if not part.takes:
        os.replace(archive, given)
    elif own:
        archive.unlink()


class _Records:
    """``ROOT/.stackgan/checksums.json``: what each file was when it was first fetched."""

    def __init__(self, root: Path) -> None:
        self.path = root / ".stackgan" / "checksums.json"
        self.known: dict[str, dict[str, object]] = {}
        if not self.path.exists():
            return
        try:
            self.known = json.loads(self.path.read_text("utf-8"))
            good = all(isinstance(entry["sha256"], str) for entry in self.known.values())
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            good = False
        if not good:
            raise DataError(f"{self.path} is damaged; delete it, and it is written anew")

    def compare(self, part: Part, archive: Path, sha256: str) -> None:
        """Raise :class:`RunFailed` where ``part`` was another file the first time."""
        first = self.known.get(part.file, {}).get("sha256", sha256)
        if first != sha256:
            raise RunFailed(
                f"{part.url} gave {archive.name} with {sha256}, at the first download it was "
                f"{first}; if that is as it should be, delete its entry in {self.path}"
            )

    def add(self, part: Part, sha256: str, size_bytes: int) -> None:
        """Keep what ``part`` is, in a file that is whole at every moment."""
        self.known[part.file] = {"url": part.url, "sha256": sha256, "bytes": size_bytes}
        with whole_file(self.path) as unfinished:
            unfinished.write_text(json.dumps(self.known, indent=2) + "\n", "utf-8")


@contextmanager
def _workplace(root: Path) -> Iterator[Path]:
    """Give ROOT/.stackgan/download; of the folders made for it, the empty ones are gone after."""
    folders = [root, root / ".stackgan", root / ".stackgan" / "download"]
    made = [folder for folder in [*reversed(root.parents), *folders] if not folder.exists()]
    folders[-1].mkdir(parents=True, exist_ok=True)
    try:
        yield folders[-1]
    finally:
        for folder in [*reversed(made), *reversed(folders[1:])]:
            with suppress(OSError):
                folder.rmdir()


def _is_there(root: Path, place: str, part: Part) -> bool:
    """Whether a file, or a folder that holds something, is where readers look for ``place``."""
    found = [root / name for name in (place, *part.elsewhere.get(place, ()))]
    return any(any(path.iterdir()) if path.is_dir() else path.exists() for path in found)


def _silent(_label: str) -> AbstractContextManager[None]:
    return nullcontext()


def _ask(name: str, root: Path, by_hand: list[Part], result: Download) -> str:
    """Return the sentence that asks for what only a browser can fetch."""
    asked = " and ".join(f"{part.url} as {root / part.file}" for part in by_hand)
    lacking = ", ".join(place for part in by_hand for place in part.gives)
    there = ", ".join([*result.present, *result.fetched])
    return (
        f"{name} in {root} still lacks {lacking} ({there or 'nothing'} is there): save {asked} "
        "with a browser, and the same command unpacks it"
    )
