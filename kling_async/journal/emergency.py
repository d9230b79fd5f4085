"""The emergency file: a preallocated file for ids that the journal cannot write.

Disks fill up. The worst moment is between a submission and its acceptance, since the id of a paid job would be lost. So
a file of full length is allocated beside the journal. Lines overwrite its content, which needs no space, and are
flushed.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
import zlib
from contextlib import suppress
from pathlib import Path
from typing import Final

from ..types.errors import JournalError

__all__ = ["EmergencyFile", "checked_line", "text_of"]

_SIZE: Final = 64 * 1024
"""Preallocated bytes: some dozens of lines, and after the first one nothing more is submitted."""


class EmergencyFile:
    """The file beside a journal and, if that fails as well, one among the temporary files."""

    def __init__(self, journal: Path) -> None:
        self.path = journal.with_name(f"{journal.name}.emergency")
        digest = hashlib.sha256(str(journal.absolute()).encode("utf-8", "surrogateescape")).hexdigest()[:16]
        self._fallback = Path(tempfile.gettempdir()) / f"kling-async-{digest}.emergency"
        self._used = 0

    def read(self) -> list[str]:
        """Return the lines that an earlier process wrote. Raises OSError if they cannot be read."""
        lines: list[str] = []
        for path in (self.path, self._fallback):
            with suppress(FileNotFoundError):
                text = path.read_bytes().decode("ascii", "replace")
                # A line without its end was being written when the machine stopped.
                lines += [text_of(line) for line in text.split("\n")[:-1] if line.strip()]
        return lines

    def reset(self) -> None:
        """Drop the lines, and preallocate the file. Raises OSError if the disk is full."""
        spare = self.path.with_name(f"{self.path.name}.new")
        with spare.open("wb") as file:
            file.write(b"\n" * _SIZE)
            file.flush()
            os.fsync(file.fileno())
        spare.replace(self.path)
        with suppress(FileNotFoundError):
            self._fallback.unlink()
        self._used = 0

    def append(self, line: str) -> str:
        """Write a line durably, and return the file. Raises JournalError if neither file can be written."""
        failures: list[str] = []
        checked = checked_line(line)
        for path, offset in ((self.path, self._used), (self._fallback, None)):
            try:
                _write(path, checked, offset)
            except OSError as error:
                failures.append(f"{path}: {error.strerror}")
            else:
                self._used += len(checked) + 1 if path == self.path else 0
                return str(path)
        raise JournalError(f"No emergency file can be written: {'; '.join(failures)}")

    def close(self) -> None:
        """Delete the file if unused."""
        if not self._used:
            with suppress(OSError):
                self.path.unlink()


def checked_line(text: str) -> str:
    """Return a line with its checksum, without its end."""
    return f"{zlib.crc32(text.encode()):08x} {text}"


def text_of(line: str) -> str:
    """Return the content of a line, or an empty text if its checksum is wrong. Lines of version 0.1 have none."""
    if line.startswith("{"):
        return line
    checksum, _, text = line.partition(" ")
    return text if checksum == f"{zlib.crc32(text.encode()):08x}" else ""


def _write(path: Path, line: str, offset: int | None) -> None:
    flags = os.O_WRONLY | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOFOLLOW", 0)
    descriptor = os.open(path, flags | (os.O_CREAT | os.O_APPEND if offset is None else 0), 0o600)
    try:
        if offset is not None:
            os.lseek(descriptor, offset, os.SEEK_SET)
        rest = memoryview(f"{line}\n".encode("ascii"))
        while rest:
            rest = rest[os.write(descriptor, rest) :]
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
