"""Files that are there whole or not at all, and names that outlive a power loss."""

from __future__ import annotations

import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

__all__ = ["flush_directory", "real_path", "whole_file"]


@contextmanager
def whole_file(path: Path, *, encoding: str = "utf-8", private: bool = False) -> Generator[TextIO]:
    """Open a file that takes its place once it is whole; until then, and if that fails, the old one keeps it."""
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


def flush_directory(directory: Path) -> None:
    """Make the names in a directory outlive a power loss."""
    try:
        descriptor = os.open(directory, os.O_RDONLY)
    except OSError:
        return  # Windows opens no directories, and needs no flush for a name
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def real_path(path: str | Path) -> Path:
    """Return where a path leads at this moment, links and the working directory resolved."""
    try:
        return Path(path).resolve()
    except (OSError, RuntimeError):  # a circle of links, which opening it will tell
        return Path(path).absolute()
