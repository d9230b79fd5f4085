"""A run in a database whose page is served. Its workers go on meanwhile, and a page may act at any time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from ...journal.hidden_url import HiddenUrl
from ...journal.postgres import PostgresJournal
from ...journal.queued_runs import QueuedRuns
from ...runs.queued_rows import QueuedRows
from ...runs.queued_run import RunSettings, job_of
from ...runs.report import ReportRow
from ...runs.report.text import clean
from ...transport.object_urls import is_store_url
from ...types.errors import InputError, InputFault

__all__ = ["DatabaseRun"]

_MEDIA: Final = "media"
_MAX_PROMPT: Final = 100_000
"""Bytes of a prompt that fit into one word of a command line."""


class DatabaseRun:
    """A run in a database.

    Attributes:
        owner: the living workers, while something is left for them.
        notice: that no worker is living, while something is left for one.
        environment: has the URL of the database, which is not to be seen in a command line.
        working_directory: an empty one, since commands prefer a run directory of the same name to the database.
        folders: the directory of the outputs, if they are in one, and that of thumbnails.

    Args:
        url: the database.
        runs: the runs of it, open.
        name: the name of the run.
        scratch: a directory for the thumbnails, to which nothing else is written.

    Raises:
        InputError: there is no such run.
    """

    def __init__(self, url: HiddenUrl, runs: QueuedRuns, name: str, *, scratch: Path) -> None:
        self.owner: str | None = None
        self.notice = ""
        self.environment: Mapping[str, str] = {"KLING_DATABASE": url.reveal()}
        self.working_directory = scratch / "commands"
        self.working_directory.mkdir()
        self._url, self._runs, self._name = url, runs, name
        self._settings = RunSettings.from_json(runs.get(name).settings)
        folders, place = {"thumbnails": scratch / "thumbnails"}, self._settings.save_to
        if place is not None and not is_store_url(place):
            folders[_MEDIA] = Path(place)
            with suppress(OSError):  # without a link there are no thumbnails, and the page shows the images themselves
                (scratch / _MEDIA).symlink_to(Path(place).absolute(), target_is_directory=True)
        self.folders: Mapping[str, Path] = folders

    def in_use(self) -> None:
        """Return None: a database takes decisions and retries also while workers do the run."""

    def sign(self) -> object:
        """Return what tells of changes of the run's rows, and of the workers that are living."""
        workers = [one.name for one in self._runs.machines() if one.is_living]
        is_open = self._runs.chunks(self._name).is_open
        self.owner = f"workers: {', '.join(workers)}" if is_open and workers else None
        waits = is_open and not workers
        self.notice = "No worker is living. Start one with: kling-async worker --name NAME" if waits else ""
        return self._runs.changes(self._name), self.owner, waits

    def rows(self) -> Iterator[ReportRow]:
        """Yield the rows of its jobs."""
        return iter(QueuedRows(self._runs, self._name, self._settings, f"{_MEDIA}/"))

    def journal(self) -> PostgresJournal:
        """Return the journal of the run."""
        return PostgresJournal(self._url, run=self._name)

    def retry(self, key: str, prompt: str) -> Sequence[str]:
        """Name the job to `retry`, which hands it to the workers."""
        _check_word(prompt)
        stored = self._runs.job(self._name, key)
        # A browser sends line ends and characters of its own; an unchanged prompt stays what it was.
        is_same = stored is not None and clean(prompt) == clean(job_of(stored.body).input.prompt)
        return "retry", *(() if is_same else (f"--set=prompt={prompt}",)), "--", self._name, key

    def resume(self) -> Sequence[str]:
        """Name the run to `resume`."""
        return "resume", "--", self._name


def _check_word(prompt: str) -> None:
    """Raise InputError if a prompt cannot be a word of a command line."""
    try:
        is_word = "\0" not in prompt and len(prompt.encode()) <= _MAX_PROMPT
    except UnicodeEncodeError:
        is_word = False
    if not is_word:
        problem = f"must have at most {_MAX_PROMPT:,} bytes, and neither NUL nor half characters"
        raise InputError.of("Nothing was sent", [InputFault("prompt", None, problem)])
