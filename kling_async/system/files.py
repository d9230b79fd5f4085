"""Atomic writes, and directory entries that survive a power loss."""

from __future__ import annotations

import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

__all__ = ["atomic_write", "fsync_directory", "real_path"]


@contextmanager
def atomic_write(path: Path, *, encoding: str = "utf-8", private: bool = False) -> Generator[TextIO]:
    """Write a file atomically: `path` is replaced only on success.

    Args:
        private: make it readable by its owner only.

    Raises:
        OSError: it cannot be written.
    """
    fresh = path.with_name(f"{path.name}.new")
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
    try:
        fresh.unlink(missing_ok=True)
        with os.fdopen(os.open(fresh, flags, 0o600 if private else 0o666), "w", encoding=encoding, newline="") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
    except BaseException:
        fresh.unlink(missing_ok=True)
        raise


def fsync_directory(directory: Path) -> None:
    """Flush a directory, so that the names in it survive a power loss."""
    try:
        descriptor = os.open(directory, os.O_RDONLY)
    except OSError:
        return  # Windows opens no directories, and needs no flush for names
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def real_path(path: str | Path) -> Path:
    """Return the absolute path, with links resolved at this moment."""
    try:
        return Path(path).resolve()
    except (OSError, RuntimeError):  # a circle of links, which opening it will report
        return Path(path).absolute()
