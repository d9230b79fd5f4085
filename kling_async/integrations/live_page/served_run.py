"""A run whose page is served, wherever it is: what the page reads of it, and how it acts on it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from ...journal.base import Journal
from ...runs.report import ReportRow
from ...types.errors import JournalError

__all__ = ["ServedRun"]


class ServedRun(Protocol):
    """A run. Its methods may block, and one thread at a time calls them."""

    @property
    def folders(self) -> Mapping[str, Path]:
        """The folders of files that the page shows, by the names that its links have for them."""
        ...

    @property
    def owner(self) -> str | None:
        """The process or the workers that do the run, for messages; None without any. It does not block."""
        ...

    @property
    def notice(self) -> str:
        """What the user should know beside that, or "". It does not block."""
        ...

    @property
    def environment(self) -> Mapping[str, str]:
        """What commands about the run need in their environment."""
        ...

    @property
    def working_directory(self) -> Path | None:
        """Where commands about the run are started; None is where the page was."""
        ...

    def in_use(self) -> JournalError | None:
        """Return why nothing can be done with the run at present; None if it can. It does not block."""
        ...

    def sign(self) -> object:
        """Return a value that is another one after each change. Raises JournalError if the run cannot be read."""
        ...

    def rows(self) -> Iterator[ReportRow]:
        """Yield a row for each job. Raises KlingError if the run cannot be read."""
        ...

    def journal(self) -> Journal:
        """Return the journal of the run, for a decision."""
        ...

    def retry(self, key: str, prompt: str) -> Sequence[str]:
        """Return the words of the command that submits a failed job again, with a prompt. Raises InputError."""
        ...

    def resume(self) -> Sequence[str]:
        """Return the words of the command that goes on with the run."""
        ...
