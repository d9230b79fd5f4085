"""Writes a journal, and closes it when no file can grow any more: `python closing_on_a_full_disk.py FILE`."""

from __future__ import annotations

import resource
import signal
import sys

import anyio

from kling_async import ImageInput, Job, SqliteJournal
from kling_async.journal.submission import new_submission


async def main(path: str) -> None:
    """Write forty submissions, and close behind them on a disk without room."""
    journal = SqliteJournal(path)
    await journal.open()
    for number in range(40):
        job = Job(ImageInput("a cat"), key=f"cat-{number}")
        await journal.write(new_submission(job, provider="gptproto", price=None, at=1.0).sent(2.0))
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, before[1]))
    await journal.aclose()
    resource.setrlimit(resource.RLIMIT_FSIZE, before)  # whatever measures this process writes files, too


anyio.run(main, sys.argv[1])
