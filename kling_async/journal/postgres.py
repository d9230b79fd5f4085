"""A journal in a PostgreSQL database, which many clients share, on one machine or on several."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Final

from ..system.loops import call_soon
from ..types.errors import InputError, InputFault
from ..types.gate import SendCheck, SharedAccount
from ..types.limits import Limits
from .gate import Claim, Lease
from .hidden_url import HiddenUrl
from .postgres_store import PostgresStore
from .postgres_url import DatabaseUrl
from .submission import Submission
from .threaded import ThreadedJournal

__all__ = ["PostgresJournal"]

_BEATS: Final = 3
"""Renewals in one lease, so that one may be late."""


class PostgresJournal(ThreadedJournal[Submission | Claim]):
    """A journal in a PostgreSQL database. It needs the extra `postgres`.

    Any number of clients may have the same run open, on any number of machines: of those that submit a job under the
    same key, one does, and all get its result. A client that ends without closing the journal is gone once its lease
    has ended; what it was submitting then is unconfirmed, and what was accepted is resumed by the next client.

    Args:
        url: such as "postgresql://user:password@host:5432/database". The database must exist; the schema `kling_async`
            is created in it. Parameters of libpq may follow a question mark. Without a password in it, libpq looks for
            one in PGPASSWORD and in ~/.pgpass.
        run: names the journal in the database; keys are names within a run.
        lease_seconds: for so long after its last sign of life a client counts as living, 1 to 3600. A server that is
            gone is looked for during a third of that, before a write fails.
        worker: the client's name among those that share the run; None names its process.

    Raises:
        InputError: the URL is malformed, another argument is invalid, or the extra is not installed.
    """

    is_shared = True
    """Claims keep two clients from submitting one job."""
    _name = "..."
    _is_beating = False

    def __init__(
        self,
        url: str | HiddenUrl,
        *,
        run: str = "default",
        lease_seconds: float = 30.0,
        worker: str | None = None,
    ) -> None:
        url = HiddenUrl(url) if isinstance(url, str) else url  # a traceback that prints locals must not print it
        faults = list[InputFault]()
        if not 0 < len(run) <= 200 or not run.isprintable():
            faults.append(InputFault("run", run, "must be 1 to 200 printable characters"))
        if isinstance(lease_seconds, bool) or not 1.0 <= lease_seconds <= 3600.0:
            faults.append(InputFault("lease_seconds", lease_seconds, "must be 1 to 3600"))
        if faults:
            raise InputError.of("Invalid setting", faults)
        patience = lease_seconds / _BEATS
        database = DatabaseUrl(
            url, connect_timeout=max(2, min(5, int(patience))), idle_seconds=max(1.0, min(5.0, patience / 2))
        )
        self._postgres = PostgresStore(database, run=run, lease_seconds=lease_seconds, worker=worker)
        self._name, self._lease_seconds = self._postgres.name, lease_seconds
        self._heartbeat: _Heartbeat | None = None
        super().__init__(self._postgres)

    def __repr__(self) -> str:
        return f"PostgresJournal({self._name})"

    async def open(self) -> None:
        await super().open()
        if self._thread is not None:
            self._heartbeat = _Heartbeat(partial(self._beat, self._thread.post), seconds=self._lease_seconds / _BEATS)

    def use_account(self, account: SharedAccount, *, limits: Limits | None, on_workers: Callable[[int], None]) -> None:
        schedule = call_soon()

        def tell(workers: int) -> None:
            with suppress(RuntimeError):  # the event loop is closed
                schedule(partial(on_workers, workers))

        if self._postgres.use_account(account, limits=limits, on_workers=tell) and self._thread is not None:
            self._beat(self._thread.post)

    async def claim(self, claim: Claim) -> SendCheck:
        permits = self._postgres.permits
        try:
            await self.write(claim)
        except BaseException:
            permits.drop(claim)
            raise
        return permits.take(claim)

    def lookup_check(self, submission: Submission) -> SendCheck:
        return self._postgres.permits.of_lookup(submission)

    def watch_left(self, on_left: Callable[[], None]) -> None:
        schedule = call_soon()

        def tell() -> None:
            with suppress(RuntimeError):  # as above
                schedule(on_left)

        self._postgres.on_left = tell

    async def take_left(self) -> list[Submission]:
        return await self._read(self._postgres.take_left)

    async def lease_of(self, key: str) -> Lease | None:
        return await self._read(lambda: self._postgres.lease_of(key))

    def _beat(self, post: Callable[[Callable[[], None]], None]) -> None:
        self._postgres.cut_off()
        if not self._is_beating:  # what waits for a server that is gone must not pile up
            self._is_beating = True
            post(self._renew)

    def _renew(self) -> None:
        try:
            self._locked(self._postgres.beat)
        finally:
            self._is_beating = False

    async def aclose(self) -> None:
        heartbeat, self._heartbeat = self._heartbeat, None
        try:
            await super().aclose()
        finally:
            if heartbeat is not None:
                heartbeat.stop()


class _Heartbeat:
    """Calls a function again and again, in a thread: the lease of a client lasts while its event loop is busy."""

    def __init__(self, function: Callable[[], None], *, seconds: float) -> None:
        self._function = function
        self._seconds = seconds
        self._stopped = threading.Event()
        threading.Thread(target=self._run, name="kling-async lease", daemon=True).start()

    def _run(self) -> None:
        while not self._stopped.wait(self._seconds):
            self._function()

    def stop(self) -> None:
        """End it."""
        self._stopped.set()
