"""The emergency file of a journal in a database: ids that could not be written there, on the disk of this machine.

Several processes may append to it, and any of them reads it when it opens the journal. A process that has appended
looks whether the file is still there, and appends again if another one has read and removed it meanwhile.
"""

from __future__ import annotations

import errno
import hashlib
import os
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Final

from ..types.errors import JournalError
from .emergency import checked_line, text_of

__all__ = ["SharedEmergencyFile"]

_TRIES: Final = 5


class SharedEmergencyFile:
    """The file, in the user's directory for state and, if that fails, among the temporary files.

    Args:
        journal: the journal's name, without a password.
    """

    def __init__(self, journal: str) -> None:
        name = f"{hashlib.sha256(journal.encode('utf-8', 'surrogateescape')).hexdigest()[:16]}.emergency"
        state = os.environ.get("XDG_STATE_HOME")
        folder = Path(state) if state else Path("~/.local/state").expanduser()
        self._paths = (folder / "kling-async" / name, Path(tempfile.gettempdir()) / f"kling-async-{name}")
        self._read: dict[Path, int] = {}

    def read(self) -> list[str]:
        """Return the lines. Raises OSError if they cannot be read."""
        lines: list[str] = []
        for path in self._paths:
            with suppress(FileNotFoundError, NotADirectoryError):
                content = path.read_bytes()
                self._read[path] = len(content)
                lines += map(text_of, content.decode("ascii", "replace").split("\n")[:-1])
        return [line for line in lines if line]

    def remove(self) -> None:
        """Remove what was read, unless more was appended meanwhile."""
        for path, size in self._read.items():
            with suppress(OSError):
                if path.stat().st_size == size:
                    path.unlink()
        self._read.clear()

    def append(self, line: str) -> str:
        """Append a line durably, and return the file. Raises JournalError if none can be written."""
        failures: list[str] = []
        for path in self._paths:
            try:
                path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                # A line that a full disk has cut off does not spoil the next one, which begins on a line of its own.
                if any(_append(path, f"\n{checked_line(line)}\n".encode("ascii")) for _ in range(_TRIES)):
                    return str(path)
            except OSError as error:
                failures.append(f"{path}: {error.strerror}")
        raise JournalError(f"No emergency file can be written: {'; '.join(failures)}")


def _append(path: Path, line: bytes) -> bool:
    """Append a line, and return whether the file is still there."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOFOLLOW", 0)
    descriptor = os.open(path, flags, 0o600)
    try:
        if os.write(descriptor, line) < len(line):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        os.fsync(descriptor)
        return path.exists() and os.path.samestat(os.fstat(descriptor), path.stat())
    finally:
        os.close(descriptor)
