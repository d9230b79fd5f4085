"""Runs a batch with a journal in a process that can be killed, as often as the tests ask for it.

    python runner.py

It reads one command a line, as JSON, and answers each with one line. The package is imported once, and every run is a
fork, so that a run begins in a blink. What a run hears of, it writes at once to a file that outlives it, as a user's
program would tell a user.
"""

from __future__ import annotations

import json
import os
import random
import resource
import signal
import sys
import threading
import time
import traceback
from collections import Counter
from pathlib import Path
from typing import Any

import anyio

from kling_async import (
    Client,
    ContentRejected,
    Event,
    EventKind,
    ImageInput,
    Job,
    KlingError,
    Limits,
    SqliteJournal,
)
from kling_async.system.clock import SystemClock
from kling_async.types.inputs import Input

KEY = "sk-canary-b7d1e95c04f2"
LIVES_FOR = 500
"""Seconds after which a run is ended in any case."""


class PacedClock(SystemClock):
    """Real time, a hundred times faster: sockets are real, so it may not leap."""

    def now(self) -> float:
        return time.monotonic() * 100

    async def sleep(self, seconds: float) -> None:
        await anyio.sleep(max(0.0, seconds) / 100)

    def dice(self) -> float:
        return random.random()


class CrashPoint:
    """Kills this process at its n-th step in the world: before or after a call that touches disk or network."""

    TOUCHING = frozenset(
        {
            *("execute", "executemany", "executescript", "fsync", "link", "unlink", "rename", "replace", "open"),
            *("write", "truncate", "ftruncate", "flock", "close", "send", "recv", "recv_into", "connect", "mkdir"),
        }
    )
    ROOMS = frozenset({"posix", "_io", "_socket", "sqlite3", "fcntl", "io", "select", None})

    def __init__(self, at: int) -> None:
        self._at = at
        self.count = 0

    def watch(self) -> None:
        threading.setprofile(self)
        sys.setprofile(self)

    def __call__(self, _: object, event: str, what: Any) -> None:
        if event not in ("c_call", "c_return") or getattr(what, "__name__", "") not in self.TOUCHING:
            return
        owner = getattr(what, "__self__", None)
        room = getattr(what, "__module__", None) or type(owner).__module__
        if room in self.ROOMS:
            self.count += 1
            if self.count == self._at:
                os.kill(os.getpid(), signal.SIGKILL)


async def run(order: dict[str, Any]) -> None:
    """Run the jobs of an order to the end, or until somebody ends it."""
    folder = Path(order["folder"])
    told = os.open(folder / "told.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def tell(*words: object) -> None:
        os.write(told, (" ".join(str(word) for word in words) + "\n").encode())

    full_at, full_after = order.get("full_at", ("", 0))
    interrupt_at, interrupt_after = order.get("interrupt_at", ("", 0))
    leave_at, leave_after = order.get("leave_at", ("", 0))
    leaving = anyio.CancelScope()
    heard_of: Counter[str] = Counter()

    def heard(event: Event) -> None:
        heard_of[event.kind] += 1
        if event.kind == full_at and heard_of[event.kind] == full_after:
            fill_up(folder)
        if event.kind == interrupt_at and heard_of[event.kind] == interrupt_after:
            signal.raise_signal(signal.SIGINT)
        if event.kind == leave_at and heard_of[event.kind] == leave_after:
            leaving.cancel()
        if event.kind in (EventKind.ACCEPTED, EventKind.RESUMED) and event.prediction is not None:
            tell("id", event.key, event.prediction.id)

    async def mild(input: Input, _: ContentRejected) -> Input:
        tell("asked", input.prompt)
        await anyio.sleep(0.001)
        return ImageInput(f"mild {input.prompt}")

    limits = Limits(
        submit_per_second=None, poll_per_second=None, max_open=20, max_submitting=order.get("max_submitting", 8)
    )
    jobs = [Job(ImageInput(f"cat {number}"), key=f"cat-{number}") for number in range(order["jobs"])]
    journal = SqliteJournal(folder / "journal.db", durability=order.get("durability", "normal"))
    of_client = order.get("journal_of") == "client"
    provider = order.get("provider", "gptproto")
    client = Client(
        provider=provider,
        api_keys={provider: KEY},
        journal=journal if of_client else None,
        base_urls={provider: order["origin"]},
        limits={provider: limits},
        request_timeout=order.get("request_timeout", 5.0),
        clock=PacedClock(),
    )
    place = order.get("save_to", folder / "out")
    settings: dict[str, Any] = {"save_to": place, "stop_on_signals": order.get("stop_on_signals", False)}
    settings |= {"provenance": order["provenance"]} if "provenance" in order else {}
    settings |= {"on_refused": mild} if order.get("replaces") else {}
    with leaving:
        async with client, client.batch(jobs, journal=None if of_client else journal, **settings) as batch:
            batch.add_listener(heard)
            tell("began")
            async for outcome in batch:
                id = outcome.prediction.id if outcome.prediction is not None else ""
                error = type(outcome.error).__name__ if outcome.error is not None else "ok"
                tell("outcome", outcome.job.key, id, error, *outcome.files)
    tell("ended")


def fill_up(folder: Path) -> None:
    """Let no file grow from now on: to SQLite that is a full disk."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    size = (folder / "journal.db-wal").stat().st_size
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


def live(order: dict[str, Any]) -> None:
    """Be the process of a run, and end with it, or by an alarm."""
    signal.alarm(LIVES_FOR)
    folder = Path(order["folder"])
    log = os.open(folder / "log.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for stream in (0, 1, 2):
        os.dup2(log, stream)
    point = CrashPoint(order.get("crash_at", 0))
    if "crash_at" in order:
        point.watch()
    code = 0
    os.environ.update(order.get("environ", {}))
    if "files" in order:
        resource.setrlimit(resource.RLIMIT_NOFILE, (order["files"], order["files"]))
    try:
        anyio.run(run, order, backend=order.get("backend", "asyncio"))
    except KlingError as error:
        os.write(2, f"{type(error).__name__} [id {error.id}]: {error}\n".encode())
        code = 1
    except BaseException as error:  # noqa: BLE001 - whatever it is, it is told, and this process ends
        os.write(2, "".join(traceback.format_exception(error)).encode())
        code = 130 if isinstance(error, KeyboardInterrupt) else 2
    finally:
        sys.setprofile(None)
        (folder / "steps.txt").write_text(str(point.count), encoding="ascii")
        os._exit(code)


def reap(pid: int, within: float) -> int | None:
    """Wait for a run to end by itself, and return how it did."""
    until = time.monotonic() + within
    while True:
        found, status = os.waitpid(pid, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() >= until:
            return None
        time.sleep(0.001)


def main() -> None:
    """Obey until nobody asks any more."""
    for backend in ("asyncio", "trio"):
        anyio.run(anyio.sleep, 0, backend=backend)  # what is imported on first use is imported once, not by every run
    for line in sys.stdin:
        command = json.loads(line)
        answer: dict[str, Any] = {}
        if "start" in command:
            pid = os.fork()
            if not pid:
                live(command["start"])
            answer = {"pid": pid}
        elif "reap" in command:
            answer = {"code": reap(command["reap"], command["within"])}
        print(json.dumps(answer), flush=True)  # noqa: T201 - that is how it answers


main()
