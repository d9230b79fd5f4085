"""Who owns a file: one process at a time, and the lock goes with the process, however that ends."""

from __future__ import annotations

import os
import socket
import sys
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, Final

from attrs import frozen

from ...errors import JournalError

__all__ = ["Left", "Ownership", "left_by_owner", "owner_of"]

_COUNT_AT: Final = 256
"""Bytes that the owner's name may take; the count of its commits stands behind them."""

if sys.platform == "win32":  # pragma: no cover
    import msvcrt

    _FAR = 1 << 30
    """Windows keeps others from reading what is locked, so a byte is locked that nobody reads."""

    def _lock(file: BinaryIO) -> None:
        file.seek(_FAR)
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
else:
    import fcntl

    def _lock(file: BinaryIO) -> None:
        # Unlike lockf, it holds between two clients of one process, too.
        fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)


class Ownership:
    """The right to write a file, kept in a file beside it that names the owner and counts its commits.

    The count outlives a process that is killed, though not a power loss: it is never flushed. It says how much of the
    log must be there when the next owner comes.

    Attributes:
        left_by: what an owner that never let go has left, once this one has taken over; None if it was let go.
    """

    def __init__(self, path: Path) -> None:
        self._owned = path
        self._path = _beside(path)
        self._file: BinaryIO | None = None
        self.left_by: Left | None = None

    @property
    def held(self) -> bool:
        """Whether this is the owner."""
        return self._file is not None

    def take(self) -> None:
        """Become the owner. Raises JournalError, naming the owner, if there is one."""
        flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
        while True:
            file = os.fdopen(os.open(self._path, flags, 0o666), "r+b", buffering=0)
            try:
                _lock(file)
            except OSError as error:
                raise self._refusal(file) from error
            # An earlier owner may just have removed what was opened: that lock would keep nobody out.
            if self._path.exists() and os.path.samestat(os.fstat(file.fileno()), self._path.stat()):
                break
            file.close()
        self._file = file
        self.left_by = _left_in(file)
        since = datetime.now(UTC).isoformat(sep=" ", timespec="seconds")
        name = f"process {os.getpid()} on {socket.gethostname()}, since {since}\n".encode()
        self._put(name[: _COUNT_AT - 1].ljust(_COUNT_AT), at=0)
        if self.left_by is None:
            self.count(0)

    def count(self, commits: int) -> None:
        """Note the number of the newest commit."""
        self._put(b"%020d\n" % commits, at=_COUNT_AT)

    def _put(self, text: bytes, *, at: int) -> None:
        if self._file is not None:
            self._file.seek(at)
            self._file.write(text)

    def _refusal(self, file: BinaryIO) -> JournalError:
        with file:
            owner = _named(file)
        advice = "Wait until it ends, or give this run another journal."
        return JournalError(f"The journal {self._owned} is in use by {owner}", advice=advice)

    def release(self, *, keep: bool = False) -> None:
        """Let others have it; `keep` leaves the file, and so the count, for the next owner."""
        file, self._file = self._file, None
        if file is None:
            return
        if not keep:
            with suppress(OSError):
                self._path.unlink()
        file.close()


@frozen
class Left:
    """What an owner has left that never let go.

    Attributes:
        commits: the number of its newest commit; None if it did not count, as version 0.1 does not.
    """

    commits: int | None


def _left_in(file: BinaryIO) -> Left | None:
    file.seek(0)
    text = file.read(_COUNT_AT + 21)
    if not text.strip():
        return None  # it is new, or its owner was killed before it opened anything
    count = text[_COUNT_AT : _COUNT_AT + 20]
    return Left(int(count) if len(count) == 20 and count.isdigit() else None)


def owner_of(path: Path) -> str | None:
    """Return the process that owns a file, in words; None if there is none, also if it died."""
    found = _owner_or_left(path)
    return found if isinstance(found, str) else None


def left_by_owner(path: Path) -> Left | None:
    """Return what an owner of a file has left that died; None if there is nothing, or an owner."""
    found = _owner_or_left(path)
    return None if isinstance(found, str) else found


def _owner_or_left(path: Path) -> str | Left | None:
    try:
        with _beside(path).open("r+b") as file:
            try:
                _lock(file)
            except OSError:
                return _named(file)
            return _left_in(file)
    except OSError:
        return None


def _beside(path: Path) -> Path:
    return path.with_name(f"{path.name}.owner")


def _named(file: BinaryIO) -> str:
    file.seek(0)
    return file.read(200).decode("utf-8", "replace").strip() or "another process"
