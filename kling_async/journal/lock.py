"""A single-writer lock: one process at a time, released by the operating system however the process ends."""

from __future__ import annotations

import os
import socket
import sys
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, Final

from attrs import frozen

from ..types.errors import JournalError

__all__ = ["FileLock", "LockRecord", "left_by_owner", "lock_holder"]

_COUNT_AT: Final = 256
"""Bytes reserved for the owner's name; the count of its commits follows them."""

if sys.platform == "win32":  # pragma: no cover
    import msvcrt

    _FAR = 1 << 30
    """Windows keeps others from reading a locked byte, so one beyond the content is locked."""

    def _lock(file: BinaryIO) -> None:
        file.seek(_FAR)
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
else:
    import fcntl

    def _lock(file: BinaryIO) -> None:
        # Unlike lockf, it also excludes two clients of one process.
        fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)


class FileLock:
    """The right to write a file, held in a file beside it that names the owner and counts its commits.

    The count survives a killed process, but not a power loss: it is never flushed. It says how much of the log the next
    owner must find.

    Attributes:
        left_by: the record of an earlier owner that never released the lock, once acquired; None if there is none.
    """

    def __init__(self, path: Path) -> None:
        self._owned = path
        self._path = _lock_path(path)
        self._file: BinaryIO | None = None
        self.left_by: LockRecord | None = None

    @property
    def is_held(self) -> bool:
        """Whether this object holds the lock."""
        return self._file is not None

    def acquire(self) -> None:
        """Acquire the lock. Raises JournalError, naming the owner, if another process or client holds it."""
        flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
        while True:
            file = os.fdopen(os.open(self._path, flags, 0o666), "r+b", buffering=0)
            try:
                _lock(file)
            except OSError as error:
                raise self._in_use(file) from error
            # An earlier owner may just have removed the opened file: a lock on it would exclude no other process.
            if self._path.exists() and os.path.samestat(os.fstat(file.fileno()), self._path.stat()):
                break
            file.close()
        self._file = file
        self.left_by = _record_in(file)
        since = datetime.now(UTC).isoformat(sep=" ", timespec="seconds")
        name = f"process {os.getpid()} on {socket.gethostname()}, since {since}\n".encode()
        self._write(name[: _COUNT_AT - 1].ljust(_COUNT_AT), at=0)
        if self.left_by is None:
            self.count(0)

    def count(self, commits: int) -> None:
        """Write the number of the newest commit."""
        self._write(b"%020d\n" % commits, at=_COUNT_AT)

    def _write(self, text: bytes, *, at: int) -> None:
        if self._file is not None:
            self._file.seek(at)
            self._file.write(text)

    def _in_use(self, file: BinaryIO) -> JournalError:
        with file:
            owner = _owner_named_in(file)
        advice = "Wait until it ends, or give this run another journal."
        return JournalError(f"The journal {self._owned} is in use by {owner}", advice=advice)

    def release(self, *, keep: bool = False) -> None:
        """Release the lock; `keep` leaves the file, and so the count, for the next owner."""
        file, self._file = self._file, None
        if file is None:
            return
        if not keep:
            with suppress(OSError):
                self._path.unlink()
        file.close()


@frozen
class LockRecord:
    """The record of an owner that never released its lock.

    Attributes:
        commits: the number of its newest commit; None if it kept no count, like version 0.1.
    """

    commits: int | None


def _record_in(file: BinaryIO) -> LockRecord | None:
    file.seek(0)
    text = file.read(_COUNT_AT + 21)
    if not text.strip():
        return None  # it is new, or its owner was killed before it opened the journal
    count = text[_COUNT_AT : _COUNT_AT + 20]
    return LockRecord(int(count) if len(count) == 20 and count.isdigit() else None)


def lock_holder(path: Path) -> str | None:
    """Return the process that holds the lock of a file, for messages; None without one, also if it died."""
    found = _owner_or_record(path)
    return found if isinstance(found, str) else None


def left_by_owner(path: Path) -> LockRecord | None:
    """Return the record of an owner that died; None without one, or if the file has an owner."""
    found = _owner_or_record(path)
    return None if isinstance(found, str) else found


def _owner_or_record(path: Path) -> str | LockRecord | None:
    try:
        with _lock_path(path).open("r+b") as file:
            try:
                _lock(file)
            except OSError:
                return _owner_named_in(file)
            return _record_in(file)
    except OSError:
        return None


def _lock_path(path: Path) -> Path:
    return path.with_name(f"{path.name}.owner")


def _owner_named_in(file: BinaryIO) -> str:
    file.seek(0)
    return file.read(200).decode("utf-8", "replace").strip() or "another process"
