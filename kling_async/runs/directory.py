"""The directory of a run: its jobs, its journal, its metadata, and the paths of what is written into it.

Theory of operation. Resuming needs only two files: the expanded jobs and the journal. All others are derived from these
two and can be written again at any time. Every file is replaced atomically, so a reader sees the old or the new one,
never a part. Only one process at a time writes to the directory.
"""

from __future__ import annotations

import json
import platform
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from importlib.metadata import version
from pathlib import Path
from typing import cast

from ..journal.lock import FileLock, lock_holder
from ..journal.reader import JournalReader, read_journal
from ..system.files import atomic_write
from ..transport.object_urls import is_store_url
from ..transport.partial_file import ensure_writable
from ..types.errors import InputError, JournalError
from ..types.jobs import Job
from ..types.prediction import Json
from .job_lines import JobLines, jobs_in, stored_lines
from .jobfile import Row, dump_job, read_jobfile

__all__ = ["RunDirectory", "in_use_error"]


class RunDirectory:
    """The directory of a run.

    Args:
        path: its path; it need not exist yet.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.journal = path / "journal.db"
        self.media = path / "media"
        self.report = path / "report.html"
        self.results = path / "results.jsonl"
        self.table = path / "results.csv"
        self.failed = path / "failed.jsonl"
        self.timings = path / "timings.json"
        self._jobs = path / "jobs.jsonl"
        self._metadata = path / "run.json"

    @property
    def holds_run(self) -> bool:
        """Whether the directory has a run."""
        return self._jobs.is_file() and self._metadata.is_file() and self.journal.is_file()

    @property
    def owner(self) -> str | None:
        """The process that runs jobs in the directory, for messages; None without one."""
        return lock_holder(self._metadata)

    def read(self, *, accept_lost_log: bool = False) -> AbstractContextManager[JournalReader]:
        """Open the journal for reading.

        Args:
            accept_lost_log: read it also if its newest entries are lost with its log.

        Raises:
            JournalError: it cannot be read.
        """
        return read_journal(self.journal, accept_lost_log=accept_lost_log)

    def read_metadata(self) -> dict[str, object]:
        """Return the content of run.json. Raises InputError if the directory has no run."""
        try:
            found: object = json.loads(self._metadata.read_bytes())
            if isinstance(found, dict) and self._jobs.is_file():
                return cast("dict[str, object]", found)
            problem = "run.json is damaged" if self._jobs.is_file() else "jobs.jsonl is missing"
        except FileNotFoundError:
            problem = "run.json is missing"
        except OSError as error:
            problem = f"run.json cannot be read: {error.strerror}"
        except ValueError:
            problem = "run.json is damaged"
        raise InputError(f'No run found in "{self.path}" ({problem})')

    @property
    def save_to(self) -> str | None:
        """The URL of the object store that has the run's outputs; None where they are in its own directory."""
        try:
            settings = self.read_metadata().get("settings")
        except InputError:
            return None
        url = cast("Mapping[str, object]", settings).get("save_to") if isinstance(settings, Mapping) else None
        return url if is_store_url(url) else None

    @property
    def sources(self) -> tuple[Path, Path]:
        """The files that say what the run is, beside its journal: its jobs, and its metadata."""
        return self._jobs, self._metadata

    def written_files(self) -> list[Path]:
        """Return the files of the run that it has written, without outputs, locks and logs."""
        own = (self._metadata, self._jobs, self.journal)
        every = (*own, self.report, self.failed, self.results, self.table)
        return [path for path in every if path.is_file()]

    def write_metadata(self, metadata: Mapping[str, object]) -> None:
        """Write run.json: the metadata of the run, and the versions in use."""
        versions = {"kling_async": version("kling-async"), "python": platform.python_version()}
        with atomic_write(self._metadata) as file:
            file.write(json.dumps({**metadata, **versions}, indent=2, ensure_ascii=True, default=str) + "\n")

    def read_timings(self) -> Json:
        """Return what the run has learned, as `Client.export_timings` returned it; None without a readable record.

        Raises:
            InputError: it is damaged.
        """
        try:
            return cast("Json", json.loads(self.timings.read_bytes()))
        except OSError:  # a run of an earlier version has none
            return None
        except ValueError as error:
            raise InputError(f'"{self.timings}" is damaged') from error

    def write_timings(self, timings: Json) -> None:
        """Write what the run has learned. A record that says the same is left as it is.

        Raises:
            OSError: it cannot be written.
        """
        text = json.dumps(timings) + "\n"
        with suppress(OSError, ValueError):
            if self.timings.read_text(encoding="utf-8") == text:
                return
        with atomic_write(self.timings, private=True) as file:
            file.write(text)

    @contextmanager
    def owned(self) -> Generator[None]:
        """Lock the directory against other runs. It is created if missing, and removed again if it stays empty.

        Raises:
            InputError: it cannot be written.
            JournalError: another run is using it.
        """
        ensure_writable(self.path)
        lock = FileLock(self._metadata)
        try:
            lock.acquire()
        except JournalError as error:
            raise in_use_error(self.path, lock_holder(self._metadata) or "another process") from error
        try:
            yield
        finally:
            lock.release()
            with suppress(OSError):
                self.path.rmdir()

    def stored_jobs(self) -> AbstractContextManager[JobLines]:
        """Open the stored jobs, to find them by their keys; there are none if the directory has no run.

        Raises:
            InputError: jobs.jsonl was damaged.
        """
        return stored_lines(self._jobs)

    def write_jobs(self, jobs: Iterable[Job]) -> None:
        """Store the jobs, in their order. An error while iterating, or a crash, leaves the previous ones."""
        self._write_lines(f"{dump_job(job)}\n" for job in jobs)

    def merge_jobs(self, given: JobLines, left_out: Sequence[str]) -> tuple[int, list[str]]:
        """Store further jobs, in place of those with the same keys. An error, or a crash, leaves the previous ones.

        Args:
            given: the further jobs.
            left_out: keys of jobs that were left out of the run so far.

        Returns:
            The number of stored jobs, and the keys that are still left out.
        """
        count, wanted = 0, set(left_out)
        found = {key for key in wanted if given.number_of(key) is not None}

        def stored() -> Iterator[Job]:
            for job in self.jobs() if self._jobs.is_file() else ():
                if job.key in wanted:
                    found.add(job.key)
                yield job

        def lines() -> Iterator[str]:
            nonlocal count
            for line in given.merged_into(stored()):
                count += 1
                yield line

        self._write_lines(lines())
        return count, [key for key in left_out if key not in found]

    def _write_lines(self, lines: Iterable[str]) -> None:
        with atomic_write(self._jobs, private=True) as file:
            file.writelines(lines)

    def read_jobfile(self) -> Iterator[Row]:
        """Yield the stored jobs as rows of a job file."""
        with self._jobs.open("rb") as lines:
            yield from read_jobfile(lines, name=str(self._jobs))

    def jobs(self) -> Iterator[Job]:
        """Yield the stored jobs. Raises InputError where jobs.jsonl was damaged."""
        return jobs_in(self.read_jobfile())


def in_use_error(path: Path, owner: str) -> JournalError:
    """Return the error for a directory that another process is using."""
    advice = "Nothing was sent. Watch it with `kling-async status`, or use another directory."
    return JournalError(f"A run is already using {path}: {owner}", advice=advice)
