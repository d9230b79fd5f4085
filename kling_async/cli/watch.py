"""`kling-async watch` and `wait`: follow a run that another process does, without asking a provider."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Final

from cyclopts import Parameter

from ..runs.directory import RunDirectory
from ..runs.display import Display, mode_for
from ..runs.display.live import LiveDisplay
from ..runs.display.progress_display import LogDisplay
from ..types.errors import InputError, InputFault
from .console import ExitCode, echo, escape, run, stderr
from .database import Database, database_of, hint_of, open_runs
from .runner import print_totals
from .watched_run import RunView, view_of_counts, view_of_directory

__all__ = ["wait", "watch"]

_SECONDS: Final = 0.5
"""Seconds between two readings."""
_START_SECONDS: Final = 10.0
"""A script starts a run in the background and waits for it at once: for so long it may not be there yet."""
_SHARE: Final = 10
"""So many times as long as a reading took is waited after it, so that a large run is not slowed down."""

Reader = Callable[[], RunView]


def wait(
    directory: Path,
    /,
    *,
    database: Database = None,
    timeout: Annotated[float | None, Parameter(show_default=False)] = None,
) -> int:
    """Wait until a run that another process does has ended, and exit with its code.

    A run that was started a moment ago may still be planning its jobs: it is waited for, up to 10 seconds.

    Args:
        directory: Run directory, or the name of a run in the database.
        database: URL of the database that has the run.
        timeout: Maximum seconds to wait; after them the code is 4, and the run goes on. [default: no limit]
    """

    def command() -> ExitCode:
        if timeout is not None and not timeout >= 0:
            raise InputError.of("Wrong setting", [InputFault("timeout", timeout, "must be a number of seconds")])
        until = None if timeout is None else time.monotonic() + timeout
        if database_of(directory, database) is None:
            _await_start(RunDirectory(directory), until=until)
        with _reader(directory, database) as read:
            last = _follow(read, until=until)
        return _finish(last, directory, database, with_code=True)

    return run(command)


def watch(
    directory: Path,
    /,
    *,
    database: Database = None,
    exit_status: Annotated[bool, Parameter(negative="", show_default=False)] = False,
) -> int:
    """Show the progress of a run that another process does, until it has ended. Ctrl-C ends the display alone.

    Args:
        directory: Run directory, or the name of a run in the database.
        database: URL of the database that has the run.
        exit_status: Exit with the code of the run, as `kling-async wait` does. [default: 0]
    """

    def command() -> ExitCode:
        display = _display()
        with _reader(directory, database) as read:
            try:
                last = _follow(read, lambda view: display.show(view.snapshot, last=view.owner is None))
            finally:
                display.close()
        return _finish(last, directory, database, with_code=exit_status)

    return run(command)


def _await_start(here: RunDirectory, *, until: float | None) -> None:
    """Wait a moment for a directory to have a run, or as long as a process is about to begin one there."""
    ends = time.monotonic() + _START_SECONDS
    while not here.holds_run:
        now = time.monotonic()
        if (until is not None and now >= until) or (now >= ends and here.owner is None):
            return
        time.sleep(0.05)


@contextmanager
def _reader(directory: Path, database: str | None) -> Generator[Reader]:
    """Open what tells of a run."""
    url = database_of(directory, database)
    if url is None:
        here = RunDirectory(directory)
        yield lambda: view_of_directory(here, now=time.time())
        return
    with open_runs(url) as runs:
        name = runs.get(str(directory)).name
        began_at = dict(runs.names())[name]
        yield lambda: view_of_counts(runs.counts(name), began_at=began_at, now=time.time())


def _follow(read: Reader, show: Callable[[RunView], None] = lambda _: None, *, until: float | None = None) -> RunView:
    """Read a run again and again, and return it as it is when it has ended, or when the time is up.

    Args:
        read: reads it.
        show: is called with each reading.
        until: the time by the monotonic clock; None is no limit.
    """
    while True:
        began = time.monotonic()
        view = read()
        show(view)
        now = time.monotonic()
        if view.owner is None or (until is not None and now >= until):
            return view
        pause = max(_SECONDS, (now - began) * _SHARE)
        time.sleep(pause if until is None else min(pause, max(0.0, until - now)))


def _display() -> Display:
    live = mode_for(sys.stderr, os.environ) == "live"
    return LiveDisplay(stderr) if live else LogDisplay(sys.stderr)


def _finish(view: RunView, directory: Path, database: str | None, *, with_code: bool) -> ExitCode:
    """Tell how a run has ended, and return the exit code."""
    print_totals(view.totals)
    if view.owner is not None:
        echo(f"--timeout is over; the run goes on ({escape(view.owner)}).")
        return ExitCode.LIMITED
    if view.snapshot.share < 1:
        echo(f"Not running. Resume with: [bold]kling-async resume {escape(str(directory))}{hint_of(database)}[/]")
    return view.code if with_code else ExitCode.DONE
