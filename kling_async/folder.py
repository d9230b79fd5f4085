"""The folder of a run: its jobs, its journal, its files, and what is written down about them.

Theory of operation. Only two things in it are needed to go on: the jobs as they were expanded, and the journal. What
else lies there is made of the two, at any time and as often as one likes. Each file is written beside its place, and
takes it once it is whole; so what somebody reads is old or new, never half. One process at a time changes them.
"""

from __future__ import annotations

import csv
import json
import platform
from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Final, TextIO, cast

from attrs import evolve

from .effects.disk import whole_file
from .effects.journal.ownership import Ownership, owner_of
from .effects.journal.reading import Reading, read_journal
from .effects.parts import check_directory
from .errors import InputError, InputFault, JournalError, KlingError
from .inputs import Job
from .naming import fingerprint
from .planning.moves import State
from .planning.submissions import Submission
from .report import ReportRow
from .report.page import render
from .report.totals import Totals, count_totals
from .results import flat, row_of_job
from .sheets import Row, json_line, line_of, read_sheet

__all__ = ["RunFolder", "under_way"]

_FAILED: Final = "failed", "refused", "cancelled", "expired"
"""Statuses of jobs that are worth another try as they are, or changed."""
_ADVICE: Final = {
    "unconfirmed": "Look for it in the provider's own history. Then: kling-async unconfirmed {folder} attach {key} ID, "
    "or resubmit {key}, or abandon {key}.",
    "running": "It goes on at the provider: kling-async resume {folder}",
    "planned": "It was not sent: kling-async resume {folder}",
    **dict.fromkeys(("failed", "cancelled", "expired"), "To pay once more: kling-async resume {folder} --retry-failed"),
}
"""What can be done on the command line about jobs with these statuses."""
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""What spreadsheets take for the beginning of a formula, in both widths (OWASP, CSV injection)."""


class RunFolder:
    """The folder of a run.

    Args:
        path: where it is, or shall be.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.journal = path / "journal.db"
        self.media = path / "media"
        self.report = path / "report.html"
        self.failed = path / "failed.jsonl"
        self._jobs = path / "jobs.jsonl"
        self._about = path / "run.json"

    @property
    def holds_run(self) -> bool:
        """Whether a run was begun there."""
        return self._jobs.is_file() and self._about.is_file() and self.journal.is_file()

    def read(self, *, accept_lost_log: bool = False) -> Reading:
        """Read the journal, even if it lacks its newest entries where that is accepted. Raises JournalError."""
        return read_journal(self.journal, accept_lost_log=accept_lost_log)

    def about(self) -> dict[str, object]:
        """Return what is known of the run. Raises InputError if the folder holds none."""
        try:
            found: object = json.loads(self._about.read_bytes())
            if isinstance(found, dict) and self._jobs.is_file():
                return cast("dict[str, object]", found)
            problem = "holds no run"
        except OSError as error:
            problem = f"holds no run: run.json cannot be read ({error.strerror})"
        except ValueError:
            problem = "holds a run.json that is damaged"
        raise InputError.of("Nothing to go on with", [InputFault("folder", str(self.path), problem)])

    def describe(self, about: Mapping[str, object]) -> None:
        """Write down what is known of the run, beside the versions that are at work."""
        versions = {"kling_async": version("kling-async"), "python": platform.python_version()}
        with whole_file(self._about) as file:
            file.write(json.dumps({**about, **versions}, indent=2, ensure_ascii=True, default=str) + "\n")

    @contextmanager
    def owned(self) -> Generator[None]:
        """Keep other runs out of the folder, which is made if missing, and goes again if nothing is written into it.

        Raises:
            InputError: it cannot be written.
            JournalError: a run is under way there.
        """
        check_directory(self.path)
        ownership = Ownership(self._about)
        try:
            ownership.take()
        except JournalError as error:
            raise under_way(self.path, owner_of(self._about) or "another process") from error
        try:
            yield
        finally:
            ownership.release()
            with suppress(OSError):
                self.path.rmdir()

    def kept(self) -> dict[str, Job]:
        """Return the jobs that were kept, by key and in their order; none if the folder holds no run."""
        return {job.key or "": job for job in self.jobs()} if self._jobs.is_file() else {}

    def keep_jobs(self, jobs: Iterable[Job]) -> None:
        """Keep the jobs, in their order; what raises while they come leaves those of before, and so does a crash."""
        with whole_file(self._jobs, private=True) as file:
            file.writelines(f"{line_of(job)}\n" for job in jobs)

    def sheet(self) -> Iterator[Row]:
        """Yield the jobs that were kept, as rows of a sheet."""
        with self._jobs.open("rb") as lines:
            yield from read_sheet(lines, name=str(self._jobs))

    def jobs(self) -> Iterator[Job]:
        """Yield the jobs that were kept. Raises InputError where somebody has spoiled them."""
        for row in self.sheet():
            if row.faults:
                raise InputError(str(row.faults[0]))
            yield from row.jobs

    def rows(self, reading: Reading, errors: Mapping[str, KlingError] | None = None) -> list[ReportRow]:
        """Return how every job stands: in the order of the jobs, and then what only the journal knows.

        Args:
            reading: the journal.
            errors: by key, what went wrong lately, which the journal may not know.
        """
        attempts: dict[str, list[Submission]] = {}
        for one in reading.submissions:
            attempts.setdefault(one.key, []).append(one)
        known, made = errors or {}, list[ReportRow]()
        for job in self.jobs():
            key = job.key or ""
            made.append(self._row(job, attempts.pop(key, []), len(made), known.get(key)))
        for key, left in attempts.items():
            made.append(self._row(left[-1].job(), left, len(made), known.get(key)))
        return made

    def _row(self, job: Job, attempts: list[Submission], position: int, error: KlingError | None) -> ReportRow:
        row = row_of_job(job, attempts, position=position, folder=f"{self.media.name}/", error=error)
        if attempts and attempts[-1].state is State.FAILED and attempts[-1].fingerprint != fingerprint(job.input):
            row = evolve(row, status="planned", cause=None)  # it was mended since, and that was not sent yet
        if row.status not in _ADVICE:
            return row
        return evolve(row, advice=_ADVICE[row.status].format(folder=self.path, key=row.key))

    def write(self, rows: list[ReportRow], *, title: str, settings: Mapping[str, str], made_at: datetime) -> Totals:
        """Write the results, what failed, and the report; return what the run came to."""
        with whole_file(self.path / "results.jsonl") as file:
            file.writelines(f"{json_line(flat(row))}\n" for row in rows)
        with whole_file(self.path / "results.csv", encoding="utf-8-sig") as file:
            _write_csv(file, rows)
        failed = {row.key for row in rows if row.status in _FAILED}
        with whole_file(self.failed, private=True) as file:
            file.writelines(f"{line_of(job)}\n" for job in self.jobs() if job.key in failed)
        page = render(
            rows,
            title=title,
            made_at=made_at,
            version=version("kling-async"),
            settings=settings,
        )
        with whole_file(self.report) as file:
            file.write(page)
        return count_totals(rows)


def under_way(path: Path, owner: str) -> JournalError:
    """Return the error for a folder in which another process is at work."""
    advice = "Nothing was sent. Look at it with `kling-async status`, or take another folder."
    return JournalError(f"In {path} a run is under way: {owner}", advice=advice)


def _write_csv(file: TextIO, rows: Iterable[ReportRow]) -> None:
    made = [flat(row) for row in rows]
    names = list(dict.fromkeys(name for row in made for name in row))
    # A text is quoted for the ends of lines that it holds only if they are in the table's own (RFC 4180, 2.6).
    table = csv.DictWriter(file, names, lineterminator="\r\n")
    table.writeheader()
    table.writerows({name: _cell(value) for name, value in row.items()} for row in made)


def _cell(value: object) -> object:
    text = "|".join(map(str, cast("list[object]", value))) if isinstance(value, list) else value
    if not isinstance(text, str):
        return text
    # No text may become a formula in whatever opens the table: others write prompts and sheets, too.
    return ("'" + text if text.startswith(_FORMULA) else text).encode("utf-8", "replace").decode()
