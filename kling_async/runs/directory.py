"""The directory of a run: its jobs, its journal, its outputs, its results and its report.

Theory of operation. Resuming needs only two files: the expanded jobs and the journal. All others are derived from these
two and can be written again at any time. Every file is replaced atomically, so a reader sees the old or the new one,
never a part. Only one process at a time writes to the directory.
"""

from __future__ import annotations

import csv
import json
import platform
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from types import MappingProxyType
from typing import Final, TextIO, cast

from attrs import evolve

from ..journal.lock import FileLock, lock_holder
from ..journal.reader import JournalSnapshot, read_journal
from ..journal.submission import Submission
from ..system.files import atomic_write
from ..transport.object_urls import is_store_url
from ..transport.partial_file import ensure_writable
from ..types.errors import InputError, JournalError, KlingError
from ..types.jobs import Job, fingerprint
from ..types.prediction import Json
from ..types.status import JobStatus
from .jobfile import Row, dump_job, json_line, read_jobfile
from .report import ReportRow
from .report.page import render
from .report.totals import Totals, count_totals
from .results import REFUSED, row_from_job, to_dict

__all__ = ["RunDirectory", "in_use_error"]

_FAILED: Final = JobStatus.FAILED, JobStatus.CANCELLED, JobStatus.EXPIRED
"""Statuses of jobs that can be retried, as they are or edited."""
_ADVICE: Final = {
    JobStatus.UNCONFIRMED: (
        "Look for it in the provider's own history. Then: kling-async unconfirmed {directory} attach {key} ID, "
        "or resubmit {key}, or abandon {key}."
    ),
    JobStatus.RESOLVING: "It is looked up at the provider when it is resumed: kling-async resume {directory}",
    JobStatus.ACCEPTED: "It is running at the provider. Resume with: kling-async resume {directory}",
    JobStatus.PLANNED: "It was not submitted. Resume with: kling-async resume {directory}",
    **dict.fromkeys(_FAILED, "Retry it (billed again) with: kling-async resume {directory} --retry-failed"),
}
"""Advice for jobs with these statuses, as commands to type."""
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""Characters that begin a formula in spreadsheets, in both widths (OWASP, CSV injection)."""


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
        self.failed = path / "failed.jsonl"
        self.timings = path / "timings.json"
        self._jobs = path / "jobs.jsonl"
        self._metadata = path / "run.json"

    @property
    def holds_run(self) -> bool:
        """Whether the directory has a run."""
        return self._jobs.is_file() and self._metadata.is_file() and self.journal.is_file()

    def read(self, *, accept_lost_log: bool = False) -> JournalSnapshot:
        """Read the journal.

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

    def written_files(self) -> list[Path]:
        """Return the files of the run that it has written, without outputs, locks and logs."""
        names = ("results.jsonl", "results.csv")
        every = (
            self._metadata,
            self._jobs,
            self.journal,
            self.report,
            self.failed,
            *(self.path / one for one in names),
        )
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

    def written_jobs(self) -> dict[str, Job]:
        """Return the stored jobs by key, in their order; empty if the directory has no run."""
        return {job.key or "": job for job in self.jobs()} if self._jobs.is_file() else {}

    def write_jobs(self, jobs: Iterable[Job]) -> None:
        """Store the jobs, in their order. An error while iterating, or a crash, leaves the previous ones."""
        with atomic_write(self._jobs, private=True) as file:
            file.writelines(f"{dump_job(job)}\n" for job in jobs)

    def read_jobfile(self) -> Iterator[Row]:
        """Yield the stored jobs as rows of a job file."""
        with self._jobs.open("rb") as lines:
            yield from read_jobfile(lines, name=str(self._jobs))

    def jobs(self) -> Iterator[Job]:
        """Yield the stored jobs. Raises InputError where jobs.jsonl was damaged."""
        for row in self.read_jobfile():
            if row.faults:
                raise InputError(str(row.faults[0]))
            yield from row.jobs

    def rows(self, journal: JournalSnapshot, errors: Mapping[str, KlingError] | None = None) -> list[ReportRow]:
        """Return a row for every job: the stored jobs in their order, then those that only the journal has.

        Args:
            journal: a snapshot of the journal.
            errors: the latest errors by key, which the journal may not have.
        """
        attempts: dict[str, list[Submission]] = {}
        for one in journal.submissions:
            attempts.setdefault(one.key, []).append(one)
        latest, rows, store = errors or {}, list[ReportRow](), self.save_to
        for job in self.jobs():
            key = job.key or ""
            rows.append(self._row(job, attempts.pop(key, []), len(rows), latest.get(key), store))
        for key, unlisted in attempts.items():
            rows.append(self._row(unlisted[-1].job(), unlisted, len(rows), latest.get(key), store))
        return rows

    def _row(
        self, job: Job, attempts: list[Submission], position: int, error: KlingError | None, store: str | None
    ) -> ReportRow:
        row = row_from_job(job, attempts, position=position, folder=f"{self.media.name}/", store=store, error=error)
        if (
            attempts
            and attempts[-1].status is JobStatus.FAILED
            and attempts[-1].is_unpaid
            and attempts[-1].fingerprint != fingerprint(job.input)
        ):
            # It was edited since, and the new input was not submitted yet.
            row = evolve(row, status=JobStatus.PLANNED, failure=None, cause=None)
        if row.status not in _ADVICE or row.failure == REFUSED:
            return row
        return evolve(row, advice=_ADVICE[row.status].format(directory=self.path, key=row.key))

    def write(
        self,
        rows: list[ReportRow],
        *,
        title: str,
        settings: Mapping[str, str],
        made_at: datetime,
        links: Mapping[str, str] = MappingProxyType({}),
        thumbnails: Mapping[str, str] = MappingProxyType({}),
    ) -> Totals:
        """Write the results, the failed jobs and the report; return the totals of the run.

        Args:
            links: the URLs that the report has in place of those of objects; no other file has them.
            thumbnails: the images that the report shows in place of files, by the path of the file.
        """
        names = dict[str, None]()
        with atomic_write(self.path / "results.jsonl") as file:
            for row in rows:
                record = to_dict(row)
                names.update(dict.fromkeys(record))
                file.write(f"{json_line(record)}\n")
        with atomic_write(self.path / "results.csv", encoding="utf-8-sig") as file:
            _write_csv(file, list(names), map(to_dict, rows))
        failed = {row.key for row in rows if row.status in _FAILED}
        with atomic_write(self.failed, private=True) as file:
            file.writelines(f"{dump_job(job)}\n" for job in self.jobs() if job.key in failed)

        def as_shown(row: ReportRow) -> ReportRow:
            return evolve(row, objects=tuple(links.get(url, url) for url in row.objects), thumbnails=thumbnails)

        page = render(
            rows,
            title=title,
            made_at=made_at,
            version=version("kling-async"),
            settings=settings,
            as_shown=as_shown,
        )
        with atomic_write(self.report) as file:
            file.write(page)
        return count_totals(rows)


def in_use_error(path: Path, owner: str) -> JournalError:
    """Return the error for a directory that another process is using."""
    advice = "Nothing was sent. Watch it with `kling-async status`, or use another directory."
    return JournalError(f"A run is already using {path}: {owner}", advice=advice)


def _write_csv(file: TextIO, names: Sequence[str], records: Iterable[Mapping[str, object]]) -> None:
    # csv quotes a text for its line ends only if they are part of the table's own line end (RFC 4180, 2.6).
    table = csv.DictWriter(file, names, lineterminator="\r\n")
    table.writeheader()
    table.writerows({name: _cell(value) for name, value in record.items()} for record in records)


def _cell(value: object) -> object:
    text = "|".join(map(str, cast("list[object]", value))) if isinstance(value, list) else value
    if not isinstance(text, str):
        return text
    # No text may become a formula in a spreadsheet: prompts and job files may come from others.
    return ("'" + text if text.startswith(_FORMULA) else text).encode("utf-8", "replace").decode()
