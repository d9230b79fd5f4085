"""Lines of jobs in a file, each found by its job's key.

Theory of operation. Of each line, a hash of the key and the place in the file are kept: some 30 bytes. Whether a line
is the one that was looked for is read from the line itself, so that equal hashes confuse no two jobs.
"""

from __future__ import annotations

import os
from array import array
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO

from ..types.errors import InputError
from ..types.hash_table import IntTable, hash_of
from ..types.jobs import Job
from .jobfile import Row, dump_job, json_line, read_jobfile

__all__ = ["JobLines", "jobs_in", "stored_lines", "temporary_lines"]


def jobs_in(rows: Iterable[Row]) -> Iterator[Job]:
    """Yield the jobs of rows. Raises InputError at a row with a fault."""
    for row in rows:
        if row.faults:
            raise InputError(str(row.faults[0]))
        yield from row.jobs


class JobLines:
    """Lines of jobs in a file, in their order, each found by its job's key. Keys are unique.

    Args:
        file: the open file; without one, there are no lines, until some are written.
        name: its name in faults.
    """

    def __init__(self, file: IO[bytes] | None = None, name: str = "jobs.jsonl") -> None:
        self._file: IO[bytes] = BytesIO() if file is None else file
        self._name = name
        self._starts = array("Q")
        self._lines = IntTable()

    def __len__(self) -> int:
        """The number of jobs."""
        return len(self._lines)

    def __iter__(self) -> Iterator[Job]:
        """Yield the jobs; meanwhile nothing else may be read. Raises InputError at a damaged line."""
        self._file.seek(0)
        return jobs_in(read_jobfile(self._file, name=self._name))

    def extend(self, jobs: Iterable[Job]) -> None:
        """Write jobs at the end."""
        end = self._file.seek(0, os.SEEK_END)
        for job in jobs:
            self._lines.setdefault(hash_of(job.key or ""), len(self._starts))
            self._starts.append(end)
            end += self._file.write(f"{dump_job(job)}\n".encode())

    def scan(self) -> Iterator[Job]:
        """Find the lines of a file that was written before, and yield its jobs."""
        for row in read_jobfile(self._noted(), name=self._name):
            for job in jobs_in([row]):
                self._lines.setdefault(hash_of(job.key or ""), row.line - 1)
                yield job

    def _noted(self) -> Iterator[bytes]:
        at = 0
        for line in self._file:
            self._starts.append(at)
            at += len(line)
            yield line

    def number_of(self, key: str) -> int | None:
        """Return the number of the line of a job, from 0; None if no line has its key."""
        number = self._lines.get(hash_of(key))
        return None if number is None or not self._has(self.text(number), key) else number

    def find(self, key: str) -> Job | None:
        """Return the job with a key, or None."""
        number = self._lines.get(hash_of(key))
        return None if number is None else self._job_in(self.text(number), key)

    def text(self, number: int) -> str:
        """Return the text of a line, with its end."""
        self._file.seek(self._starts[number])
        return self._file.readline().decode()

    def merged_into(self, jobs: Iterable[Job]) -> Iterator[str]:
        """Yield the lines of other jobs, each replaced by the line with the same key, then the lines that are left."""
        placed = bytearray(len(self._starts))
        for job in jobs:
            number = self.number_of(job.key or "")
            if number is not None:
                placed[number] = True
            yield f"{dump_job(job)}\n" if number is None else self.text(number)
        yield from (self.text(number) for number, done in enumerate(placed) if not done)

    def _has(self, line: str, key: str) -> bool:
        # A line that `dump_job` wrote begins so; any other is parsed, which takes five times as long.
        return line.startswith(f"{json_line({'key': key})[:-1]},") or self._job_in(line, key) is not None

    def _job_in(self, line: str, key: str) -> Job | None:
        jobs = jobs_in(read_jobfile([line], name=self._name))
        return next((job for job in jobs if (job.key or "") == key), None)


@contextmanager
def temporary_lines(directory: Path) -> Generator[JobLines]:
    """Make a file without a name for lines of jobs, which is gone in the end.

    Args:
        directory: is on the disk that has room for the run; the system's own one is in memory on some machines.
    """
    with TemporaryFile(dir=directory) as file:
        yield JobLines(file)


@contextmanager
def stored_lines(path: Path) -> Generator[JobLines]:
    """Open a file of jobs, and find its lines; a missing one has none. Raises InputError if a line is damaged."""
    if not path.is_file():
        yield JobLines()
        return
    with path.open("rb") as file:
        lines = JobLines(file, str(path))
        for _ in lines.scan():
            pass
        yield lines
