"""`kling-async worker`: take jobs from a database, and do them, until it is stopped."""

from __future__ import annotations

import logging
import os
import socket
import sys
from collections.abc import Generator
from contextlib import contextmanager
from datetime import UTC, datetime

from ..integrations.worker import Worker
from ..runtime.event_log import EVENT_LOG, log_level
from ..types.printable import one_line
from .console import ExitCode, run
from .database import Database, required_database

__all__ = ["worker"]


def worker(
    *, database: Database = None, name: str | None = None, rate: float | None = None, lease: float = 30.0
) -> int:
    """Take the jobs of runs in a database, and do them, until it is stopped.

    Args:
        database: URL of the database.
        name: Name of this worker, which no other one has. Started again under it, it goes on with its jobs at once.
            [default: the name of the machine]
        rate: Maximum submissions per second with each API key, over all workers, which need the same. [default: the
            provider's limit]
        lease: Seconds without a sign of life after which the others take over its jobs, 3 to 3600; all workers need
            the same.
    """
    url = database
    del database

    async def command() -> ExitCode:
        made = Worker(required_database(url), name=name or socket.gethostname(), rate=rate, lease_seconds=lease)
        await made.run()
        return ExitCode.DONE

    with _logged():
        return run(command)


@contextmanager
def _logged() -> Generator[None]:
    """Write the package's log to stderr meanwhile: one line for each change of a job, which names its run."""
    handler, log = logging.StreamHandler(sys.stderr), logging.getLogger("kling_async")
    handler.setFormatter(_Line())
    events = logging.getLogger(EVENT_LOG)
    levels = {one: one.level for one in (log, events)}
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    if log_level(os.environ) is None:
        events.setLevel(logging.WARNING)  # a client's own lines say the same as those of the worker, without the run
    try:
        yield
    finally:
        log.removeHandler(handler)
        for one, level in levels.items():
            one.setLevel(level)


class _Line(logging.Formatter):
    """Writes each record on one line, with the time in UTC; the traceback of a mistake of ours follows."""

    def format(self, record: logging.LogRecord) -> str:
        line = f"{datetime.fromtimestamp(record.created, UTC):%Y-%m-%dT%H:%M:%SZ} {one_line(record.getMessage())}"
        return line if record.exc_info is None else f"{line}\n{self.formatException(record.exc_info)}"
