"""One address -> one verified file: resumed, retried, and under its name only when whole.

What arrives is kept in ``NAME.part``, with ``NAME.part.json`` beside it to tell of which version it
is a part; a later call goes on from there.
"""

from __future__ import annotations

import errno
import hashlib
import http.client
import json
import os
import re
import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlsplit

from stackgan.data.examples import Progress
from stackgan.errors import RunFailed
from stackgan.version import __version__

CHUNK_BYTES = 1 << 20
REDIRECTS = 5
LIMIT_BYTES = 1 << 36
"""A file of unknown size is no larger than this, 64 GiB."""

_MEGABYTE = 1_000_000
_PASSING = {408, 425, 429}
"""Answers that another try may better, beside all from 500 on."""


@dataclass(frozen=True)
class Patience:
    """How often and how long to try; only tries in a row that brought under 1 MiB count."""

    tries: int = 5
    timeout_s: int | float = 30.0
    pause_s: int | float = 1.0
    """Before the second try; doubled before each further one."""
    sleep: Callable[[float], None] = time.sleep


class _Broken(Exception):
    """One try failed; another may not."""


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follow at most a few redirects, and none that gives up encryption."""

    max_redirections = REDIRECTS

    def redirect_request(
        self, req: urllib.request.Request, fp: Any, code: int, msg: str, headers: Any, newurl: str
    ) -> urllib.request.Request | None:
        scheme = urlsplit(newurl).scheme
        if scheme not in ("http", "https"):
            raise RunFailed(f"{req.full_url} redirects to {newurl}; only http and https are taken")
        if req.type == "https" and scheme == "http":
            raise RunFailed(
                f"{req.full_url} redirects to {newurl}, which is not encrypted; not followed"
            )
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def fetch(
    url: str,
    target: Path,
    *,
    checksum: str | None = None,
    size_bytes: int | None = None,
    progress: Progress | None = None,
    patience: Patience | None = None,
) -> None:
    """Put what is at ``url`` at ``target``, whole and verified; ``progress`` counts megabytes.

    ``checksum`` is ``sha256:...`` or ``md5:...``. Raises :class:`RunFailed`, with the part kept for
    the next call where it is worth keeping.
    """
    patience = patience or Patience()
    part = _Part(target, url, checksum, size_bytes, progress)
    failures = mismatches = 0
    while True:
        before = part.have
        try:
            part.receive(patience.timeout_s)
            found = part.mismatch()
            if found is None:
                return part.finish()
            part.discard()
            mismatches += 1
            if mismatches == 2 or before == 0:  # what was resumed may be at fault: once from anew
                raise RunFailed(
                    f"{url} gave a file whose checksum is {found}, expected {checksum}; it was "
                    "deleted: try again later, or fetch the file elsewhere"
                )
            continue
        except _Broken as error:
            failures = 1 if part.have - before >= CHUNK_BYTES else failures + 1
            if failures >= patience.tries:
                raise RunFailed(part.given_up(str(error), failures)) from None
        patience.sleep(patience.pause_s * 2 ** (failures - 1))


def digest(path: Path, kind: str = "sha256") -> str:
    """Return the file's checksum as ``kind:hexadecimal``."""
    with path.open("rb") as file:
        found = hashlib.file_digest(file, lambda: hashlib.new(kind, usedforsecurity=False))
    return f"{kind}:{found.hexdigest()}"


class _Part:
    """The file that is being fetched, as far as it is there."""

    def __init__(
        self,
        target: Path,
        url: str,
        checksum: str | None,
        size_bytes: int | None,
        progress: Progress | None,
    ) -> None:
        self.target = target
        self.path = target.with_name(f"{target.name}.part")
        self.note = target.with_name(f"{target.name}.part.json")
        self.url = url
        self.checksum = checksum
        self.size_bytes = size_bytes
        self.progress = progress
        version = self._version()
        known = version is not None and version["url"] == url
        self.validator: str | None = version["validator"] if known and version else None
        if not known or not (self.validator or checksum):
            self.discard()
        if size_bytes is not None and self.have > size_bytes:
            self.discard()

    @property
    def have(self) -> int:
        """Bytes that are there."""
        return self.path.stat().st_size if self.path.exists() else 0

    def receive(self, timeout_s: int | float) -> None:
        """Try once to get all that is missing; raises :class:`_Broken` where some still is."""
        have = self.have
        if self.size_bytes is not None and have == self.size_bytes:
            return
        headers = {"User-Agent": f"stackgan/{__version__}", "Accept-Encoding": "identity"}
        if have:
            headers["Range"] = f"bytes={have}-"
            if self.validator:
                headers["If-Range"] = self.validator
        request = urllib.request.Request(self.url, headers=headers)
        opener = urllib.request.build_opener(_Redirects)
        try:
            response = opener.open(request, timeout=timeout_s)
        except urllib.error.HTTPError as error:
            with error:
                return self._refused(error, have)
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise _Broken(_reason(error)) from None
        with response:
            self._body(response, have)

    def _refused(self, error: urllib.error.HTTPError, have: int) -> None:
        """Take an answer of 300 and above: return where it means that nothing is missing."""
        if error.code == 416 and have:
            total = _number(r"bytes \*/(\d+)", error.headers.get("Content-Range"))
            if total == have and self.size_bytes is None:
                return
            self.discard()
            raise _Broken("the file there is another one now")
        if error.code in _PASSING or error.code >= 500:
            raise _Broken(f"the server answers {error.code} {error.reason}")
        if error.code < 400:
            circles = "infinite loop" in str(error.reason)
            where = f"more than {REDIRECTS} times" if circles else "to no address that can be taken"
            raise RunFailed(f"{self.url} redirects {where}; {self._by_hand()}")
        raise RunFailed(
            f"{self.url} cannot be fetched: the server answers {error.code} {error.reason}; "
            f"{self._by_hand()}"
        )

    def _body(self, response: Any, have: int) -> None:
        """Add the answer's bytes to the part."""
        if response.status == 206:
            if _number(r"bytes (\d+)-", response.headers.get("Content-Range")) != have:
                self.discard()
                raise _Broken("the server sends another range than it was asked for")
        elif response.status == 200:
            have = 0  # the whole file: the server knows no ranges, or the file has changed
        else:
            raise _Broken(f"the server answers {response.status} {response.reason}")
        if response.headers.get_content_type() == "text/html":
            raise RunFailed(self._web_page())
        length = _number(r"(\d+)$", response.headers.get("Content-Length"))
        announced = None if length is None else have + length
        expected = self.size_bytes if self.size_bytes is not None else announced
        self._check_room((expected or 0) - have)
        try:
            if have == 0:
                self._start(response)
            with self.path.open("ab") as file:
                self._copy(response, file, expected)
        except OSError as error:
            raise self._cannot_write(error) from None
        if expected is not None and self.have < expected:
            raise _Broken(f"it broke off after {self.have:,} of {expected:,} bytes")

    def _copy(self, response: Any, file: IO[bytes], expected: int | None) -> None:
        done = file.tell()
        while True:
            try:
                chunk = response.read1(CHUNK_BYTES)
            except (OSError, http.client.HTTPException, ValueError) as error:
                raise _Broken(_reason(error)) from None
            if not chunk:
                return
            if done == 0 and chunk.lstrip()[:15].lower().startswith((b"<!doctype html", b"<html")):
                raise RunFailed(self._web_page())
            done += len(chunk)
            if done > (self.size_bytes or LIMIT_BYTES):
                file.close()
                self.discard()
                limit = self.size_bytes or LIMIT_BYTES
                raise RunFailed(f"{self.url} sends more than the {limit:,} bytes expected")
            file.write(chunk)
            if self.progress:
                self.progress(done // _MEGABYTE, max(done, expected or 0) // _MEGABYTE)

    def _start(self, response: Any) -> None:
        """Begin an empty part, and note of which version of the file it is."""
        tag = response.headers.get("ETag")
        strong = tag if tag and not tag.startswith("W/") else None
        self.validator = strong or response.headers.get("Last-Modified")
        self.path.write_bytes(b"")
        self.note.write_text(json.dumps({"url": self.url, "validator": self.validator}), "utf-8")

    def _version(self) -> dict[str, Any] | None:
        try:
            version = json.loads(self.note.read_text("utf-8"))
        except (OSError, ValueError):
            return None
        good = isinstance(version, dict) and {"url", "validator"} <= set(version)
        good = good and isinstance(version["validator"], str | None)
        return version if good else None

    def _check_room(self, needed: int) -> None:
        free = shutil.disk_usage(self.path.parent).free
        if needed > free:
            raise RunFailed(
                f"{self.target.parent} has no space left on the disk for {self.target.name}: "
                f"{needed:,} bytes are missing, {free:,} are free"
            )

    def _cannot_write(self, error: OSError) -> RunFailed:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
        reason = "no space is left on the disk" if full else (error.strerror or str(error)).lower()
        return RunFailed(
            f"{self.path} cannot be written: {reason}; what was fetched is kept, and the same "
            "command goes on from there"
        )

    def _web_page(self) -> str:
        return f"{self.url} answers with a web page instead of the file; {self._by_hand()}"

    def _by_hand(self) -> str:
        return f"fetch it with a browser and put it at {self.target}"

    def given_up(self, reason: str, tries: int) -> str:
        """Return the sentence for the last of ``tries`` failures."""
        kept = f"; {self.have:,} bytes are kept, the same command goes on from there"
        return (
            f"{self.url} cannot be fetched: {reason} (tried {tries} times)"
            f"{kept if self.have else ''}"
        )

    def mismatch(self) -> str | None:
        """Return the checksum that was found where it is not the expected one."""
        if self.checksum is None:
            return None
        found = digest(self.path, self.checksum.partition(":")[0])
        return None if found == self.checksum else found

    def finish(self) -> None:
        """Give the whole file its name."""
        os.replace(self.path, self.target)
        self.note.unlink(missing_ok=True)

    def discard(self) -> None:
        """Forget what was fetched."""
        self.validator = None
        self.path.unlink(missing_ok=True)
        self.note.unlink(missing_ok=True)


def _number(pattern: str, header: str | None) -> int | None:
    found = re.match(pattern, header or "")
    return int(found[1]) if found else None


def _reason(error: Exception) -> str:
    """Return what went wrong on the way, as a phrase."""
    cause = error.reason if isinstance(error, urllib.error.URLError) else error
    if isinstance(cause, TimeoutError):
        return "the server does not answer in time"
    if isinstance(cause, http.client.IncompleteRead):
        return "the connection broke off"
    if isinstance(cause, OSError) and cause.strerror:
        return cause.strerror.lower()
    return str(cause).lower() or type(cause).__name__
