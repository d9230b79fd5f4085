"""Where an id goes when the journal cannot be written: a small file, made while there still was room.

Disks fill up. Between a submission and its acceptance is the worst moment for that, since then the id of something that
was paid for would be lost. So a file of full length lies ready beside the journal. Lines are written over what it
holds, which takes no room, and flushed.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
import zlib
from contextlib import suppress
from pathlib import Path
from typing import Final

from ...errors import JournalError

__all__ = ["Lifeboat"]

_ROOM: Final = 64 * 1024
"""Bytes that are set aside: some dozens of lines, and after the first one nothing more is submitted."""


class Lifeboat:
    """The file beside a journal, and, should even that fail, one among the temporary files."""

    def __init__(self, journal: Path) -> None:
        self.path = journal.with_name(f"{journal.name}.emergency")
        mark = hashlib.sha256(str(journal.absolute()).encode("utf-8", "surrogateescape")).hexdigest()[:16]
        self._other = Path(tempfile.gettempdir()) / f"kling-async-{mark}.emergency"
        self._used = 0

    def launch(self) -> list[str]:
        """Return the lines that an earlier process has left. Raises OSError if they cannot be read."""
        lines: list[str] = []
        for path in (self.path, self._other):
            with suppress(FileNotFoundError):
                text = path.read_bytes().decode("ascii", "replace")
                # A line without its end was being written when the machine stopped.
                lines += [_text_of(line) for line in text.split("\n")[:-1] if line.strip()]
        return lines

    def empty(self) -> None:
        """Forget the lines, and set the room aside. Raises OSError if there is none."""
        spare = self.path.with_name(f"{self.path.name}.new")
        with spare.open("wb") as file:
            file.write(b"\n" * _ROOM)
            file.flush()
            os.fsync(file.fileno())
        spare.replace(self.path)
        with suppress(FileNotFoundError):
            self._other.unlink()
        self._used = 0

    def board(self, line: str) -> str:
        """Write a line so that it outlives the machine's power, and return where it is."""
        failures: list[str] = []
        checked = f"{zlib.crc32(line.encode()):08x} {line}"
        for path, at in ((self.path, self._used), (self._other, None)):
            try:
                _write(path, checked, at)
            except OSError as error:
                failures.append(f"{path}: {error.strerror}")
            else:
                self._used += len(checked) + 1 if path == self.path else 0
                return str(path)
        raise JournalError(f"The line could be written nowhere: {'; '.join(failures)}")

    def stow(self) -> None:
        """Put the file away unless somebody is in it."""
        if not self._used:
            with suppress(OSError):
                self.path.unlink()


def _text_of(line: str) -> str:
    """Return what a line says, or nothing where its checksum says otherwise. Lines of version 0.1 have none."""
    if line.startswith("{"):
        return line
    checksum, _, text = line.partition(" ")
    return text if checksum == f"{zlib.crc32(text.encode()):08x}" else ""


def _write(path: Path, line: str, at: int | None) -> None:
    flags = os.O_WRONLY | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOFOLLOW", 0)
    descriptor = os.open(path, flags | (os.O_CREAT | os.O_APPEND if at is None else 0), 0o600)
    try:
        if at is not None:
            os.lseek(descriptor, at, os.SEEK_SET)
        rest = memoryview(f"{line}\n".encode("ascii"))
        while rest:
            rest = rest[os.write(descriptor, rest) :]
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
