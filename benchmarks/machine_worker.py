"""A worker that tells what it cost when it stops: `python benchmarks/machine_worker.py worker --name NAME ...`.

It has no slots of its own, so that each worker has as many jobs in flight as its chunks have. The file that
KLING_BENCH_COSTS names gets JSON: CPU seconds of the event loop, of our threads, and of the queue's, and its
transactions, without those that only look for chunks.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from attrs import evolve

from kling_async import Client, Limits
from kling_async.cli import main
from kling_async.integrations import chunk_runner
from kling_async.integrations.dbos_queue import DbosQueue
from kling_async.journal.postgres_session import Session
from kling_async.journal.queue_values import Chunk
from kling_async.journal.queued_chunks import QueuedChunks

T = TypeVar("T")
TICKS = os.sysconf("SC_CLK_TCK")
LIMITS = Limits(submit_per_second=None, poll_per_second=100.0, max_open=None)

transactions = looks = 0
run, stop, look = Session.run, DbosQueue.stop, QueuedChunks.waiting


def counted(session: Session, work: Callable[[Any], T], *, patience: float | None = None) -> T:
    """Run a transaction, and count it."""
    global transactions  # noqa: PLW0603 - of all threads of the process
    transactions += 1
    return run(session, work, patience=patience)


def looking(chunks: QueuedChunks, *, ahead: int) -> list[Chunk]:
    """Look for chunks, and count that apart: it happens twice a second, whatever the jobs."""
    global looks  # noqa: PLW0603 - as above
    looks += 1
    return look(chunks, ahead=ahead)


def client(provider: str, *, limits: Mapping[str, Limits], storage: str | None) -> Client:
    """Make a client without slots."""
    limited = {name: evolve(one, max_open=None) for name, one in limits.items()} or {provider: LIMITS}
    return Client(provider, limits=limited, storage=storage)


def cpu_of_threads() -> Counter[str]:
    """Return the CPU seconds of the threads by what they are for."""
    names = {thread.native_id: thread.name for thread in threading.enumerate()}
    found = Counter[str]()
    for task in Path("/proc/self/task").iterdir():
        with suppress(OSError):  # it has just ended
            values = (task / "stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
            found[what_of(names.get(int(task.name), ""))] += (int(values[11]) + int(values[12])) / TICKS
    return found


def what_of(name: str) -> str:
    """Return what a thread is for."""
    return "loop" if name == "MainThread" else "ours" if name.startswith("kling-async") else "queue"


def stopping(queue: DbosQueue, *, patience: int) -> None:
    """Tell what the worker has cost, and stop the queue."""
    costs = {**cpu_of_threads(), "cpu": time.process_time(), "transactions": transactions - looks, "looks": looks}
    Path(os.environ["KLING_BENCH_COSTS"]).write_text(json.dumps(costs), encoding="ascii")
    stop(queue, patience=patience)


if __name__ == "__main__":
    Session.run = counted  # type: ignore[method-assign,assignment]
    QueuedChunks.waiting = looking  # type: ignore[method-assign]
    DbosQueue.stop = stopping  # type: ignore[method-assign]
    chunk_runner.Client = client  # type: ignore[assignment,misc]
    main()
