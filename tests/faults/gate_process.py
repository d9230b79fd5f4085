"""A worker of a shared journal, in a process that can be stopped, killed, and broken in one way.

    python gate_process.py URL RUN ORIGIN SETTINGS

The settings are JSON: the names of the jobs, `rate`, `burst`, `slots`, `max_cost`, `lease` in seconds, what is left out
(`without`), and when the process stops itself (`stop`): once its first claim is "granted", or its submission is "sent".
With "rejoined" it goes on from the first of these only as a new worker; with "behind" it does not stop, and reads
before the others write. Each outcome is told on a line, and the end of the batch.
"""

from __future__ import annotations

import asyncio
import json
import math
import os
import signal
import sys
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import anyio
from attrs import evolve

from kling_async import Client, ImageInput, Job, KlingError, Limits, PostgresJournal
from kling_async.journal.claims import is_owned
from kling_async.journal.commits import Refusals
from kling_async.journal.gate import Claim
from kling_async.journal.permits import Permits
from kling_async.journal.postgres_rows import put_submissions
from kling_async.journal.postgres_store import PostgresStore
from kling_async.journal.submission import Submission
from kling_async.transport import api, asyncio_exchanges
from kling_async.transport.exchange_connection import ExchangeConnection
from kling_async.transport.exchanges import SendTrace
from kling_async.transport.http_parser import ParsedResponse
from kling_async.types.gate import SendCheck


def tell(*words: object) -> None:
    """Write a line, at once."""
    print(*words, flush=True)  # noqa: T201


def stop() -> None:
    """Stand still, until somebody continues the process."""
    os.kill(os.getpid(), signal.SIGSTOP)


class Stopping(PostgresJournal):
    """Stands still once its first claim is granted, before it is used."""

    has_stopped = rejoins = False

    async def claim(self, claim: Claim) -> SendCheck:
        check = await super().claim(claim)
        if not self.has_stopped:
            self.has_stopped = True
            permits, before = self._postgres.permits, self._postgres.permits.worker
            tell("stopping", claim.key)
            stop()
            while self.rejoins and permits.worker == before:
                await anyio.sleep(0.01)
            await anyio.sleep(0.3 * self.rejoins)  # until that is committed
        return check


class Rejoining(Stopping):
    """Goes on only when it has a new lease, as another worker."""

    rejoins = True


class Behind(PostgresJournal):
    """Finds nothing of a job when it is first asked for it: another worker begins a moment later."""

    def __init__(self, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self._asked = set[str]()

    async def find(self, key: str) -> Submission | None:
        found = await super().find(key)
        is_first = key not in self._asked
        self._asked.add(key)
        return None if is_first else found


has_left: list[bool] = []


def stop_as_it_has_left() -> None:
    """Stand still once the first submission has left, before its answer is read."""
    if not has_left:
        has_left.append(True)
        tell("stopping", "sent")
        stop()


class StoppingTrace(SendTrace):
    """Stands still once httpcore has written a submission."""

    async def __call__(self, event: str, info: object) -> None:
        await super().__call__(event, info)
        if event.endswith(".send_request_body.complete"):
            stop_as_it_has_left()


class StoppingConnection(ExchangeConnection):
    """Stands still once a submission is written over asyncio's protocol."""

    def send(self, request: bytes, loop: asyncio.AbstractEventLoop) -> asyncio.Future[ParsedResponse]:
        future = super().send(request, loop)
        if request.startswith(b"POST"):
            stop_as_it_has_left()
        return future


class Ungated(PostgresStore):
    """Grants what is asked for."""

    def _held(self, write: object, attempts: object, admissions: Any) -> None:
        if isinstance(write, Claim):
            self.permits.grant(write, at=admissions.read_at)


class Unclaimed(PostgresStore):
    """Writes what any worker likes."""

    def _write(self, connection: Any, writes: Sequence[Submission | Claim]) -> Refusals:
        for write in writes:
            if isinstance(write, Claim):
                self.permits.grant(write, at=1e12)
        rows = [one.submission if isinstance(one, Claim) else one for one in writes]
        put_submissions(connection, [(one, self._worker if is_owned(one) else None) for one in rows], run=self._run)
        return {}


class Unchecked(Permits):
    """Lets everything leave, however late."""

    def _why_late(self, permit: object) -> None:
        return None


class Unfenced(Permits):
    """Lets leave what was claimed as another worker, while the lease is fresh."""

    def _why_late(self, permit: Any) -> str | None:
        return super()._why_late(evolve(permit, worker=self.worker, until=math.inf))


def leave_out(guard: str, journal: PostgresJournal) -> None:
    """Break a journal."""
    store = journal._postgres
    if guard == "gate":
        store.__class__ = Ungated
    elif guard == "claim":
        store.__class__ = Unclaimed
    elif guard == "check":
        store.permits.__class__ = Unchecked
    elif guard == "fence":
        store.permits.__class__ = Unfenced


async def work(url: str, run: str, origin: str, text: str) -> None:
    """Run a batch to its end."""
    settings = json.loads(text)
    limits = Limits(
        submit_per_second=settings.get("rate"),
        submit_burst=settings.get("burst", 1),
        max_open=settings.get("slots"),
        poll_per_second=None,
    )
    kinds = {"granted": Stopping, "rejoined": Rejoining, "behind": Behind}
    kind = kinds.get(settings.get("stop"), PostgresJournal)
    journal = kind(url, run=run, lease_seconds=settings.get("lease", 30.0))
    leave_out(settings.get("without", ""), journal)
    client = Client("gptproto", api_key="sk-sandbox", base_url=origin, limits=limits)
    if settings.get("stop") == "sent":
        api.SendTrace = StoppingTrace  # type: ignore[misc,attr-defined]
        asyncio_exchanges.ExchangeConnection = StoppingConnection  # type: ignore[misc,attr-defined]
    jobs = [Job(ImageInput(name), key=name) for name in settings["jobs"]]
    max_cost = None if settings.get("max_cost") is None else Decimal(settings["max_cost"])
    prices = {"kling-image-o1": Decimal("0.03")}
    try:
        async with client, client.batch(jobs, journal=journal, max_cost=max_cost, prices=prices) as batch:
            async for outcome in batch:
                error = "ok" if outcome.error is None else type(outcome.error).__name__
                tell(outcome.job.key, error, outcome.prediction.id if outcome.prediction else "")
    except KlingError as error:
        tell("ended", type(error).__name__)


if __name__ == "__main__":
    anyio.run(work, *sys.argv[1:])
