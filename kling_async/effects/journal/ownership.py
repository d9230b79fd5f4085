"""Who owns a file: one process at a time, and the lock goes with the process, however that ends."""

from __future__ import annotations

import os
import socket
import sys
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from ...errors import JournalError

__all__ = ["Ownership", "owner_of"]

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
    """The right to write a file, kept in a file beside it that names the owner."""

    def __init__(self, path: Path) -> None:
        self._owned = path
        self._path = _beside(path)
        self._file: BinaryIO | None = None

    def take(self) -> None:
        """Become the owner. Raises JournalError, naming the owner, if there is one."""
        while True:
            file = self._path.open("a+b")
            try:
                _lock(file)
            except OSError as error:
                raise self._refusal(file) from error
            # An earlier owner may just have removed what was opened: that lock would keep nobody out.
            if self._path.exists() and os.path.samestat(os.fstat(file.fileno()), self._path.stat()):
                break
            file.close()
        file.truncate(0)
        since = datetime.now(UTC).isoformat(sep=" ", timespec="seconds")
        file.write(f"process {os.getpid()} on {socket.gethostname()}, since {since}\n".encode())
        file.flush()
        self._file = file

    def _refusal(self, file: BinaryIO) -> JournalError:
        with file:
            owner = _named(file)
        advice = "Wait until it ends, or give this run another journal."
        return JournalError(f"The journal {self._owned} is in use by {owner}", advice=advice)

    def release(self) -> None:
        """Let others have it."""
        file, self._file = self._file, None
        if file is not None:
            with suppress(OSError):
                self._path.unlink()
            file.close()


def owner_of(path: Path) -> str | None:
    """Return who owns a file, in words; None if nobody does, also if its owner died."""
    try:
        with _beside(path).open("r+b") as file:
            try:
                _lock(file)
            except OSError:
                return _named(file)
    except OSError:
        pass
    return None


def _beside(path: Path) -> Path:
    return path.with_name(f"{path.name}.owner")


def _named(file: BinaryIO) -> str:
    file.seek(0)
    return file.read(200).decode("utf-8", "replace").strip() or "another process"
