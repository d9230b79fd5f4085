"""The errors of a run's jobs, of which only the facts in its results are kept, in a temporary file."""

from __future__ import annotations

import json
import os
from array import array
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Protocol

from attrs import astuple

from ..types.errors import KlingError
from ..types.hash_table import IntTable, hash_of
from ..types.status import JobStatus
from .results import JobError

__all__ = ["ErrorsByKey", "JobErrors"]


class ErrorsByKey(Protocol):
    """The latest errors of jobs."""

    def get(self, key: str, /) -> JobError | None:
        """Return the error of a job, or None."""


class JobErrors:
    """The latest errors of jobs, by their keys: some 30 bytes of memory for each, and a line of a temporary file.

    Args:
        directory: is on the disk of the run; the file, made with the first error, has no name in it.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._file: IO[bytes] | None = None
        self._starts = array("Q")
        self._lines = IntTable()

    def add(self, key: str, error: KlingError) -> None:
        """Keep what results tell of an error, in place of an earlier one."""
        if self._file is None:
            self._file = TemporaryFile(dir=self._directory)  # noqa: SIM115 - closed by `close`
        start = self._file.seek(0, os.SEEK_END)
        self._file.write(f"{json.dumps([key, *astuple(JobError.of(error))])}\n".encode())
        number = self._lines.setdefault(hash_of(key), len(self._starts))
        self._starts[number : number + 1] = array("Q", [start])

    def get(self, key: str, /) -> JobError | None:
        """Return the error of a job, or None."""
        number = self._lines.get(hash_of(key))
        if self._file is None or number is None:
            return None
        self._file.seek(self._starts[number])
        own, status, cause, advice = json.loads(self._file.readline())
        return JobError(JobStatus(status), cause, advice) if own == key else None

    def close(self) -> None:
        """Close the file, which removes it."""
        if self._file is not None:
            self._file.close()
