"""Clients that share a journal keep one rate, one number of slots and one budget, without an error in between."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Callable
from decimal import Decimal
from pathlib import Path

import anyio
import pytest
from attrs import evolve

from kling_async import (
    BudgetExceeded,
    Client,
    Event,
    EventKind,
    ImageInput,
    Job,
    JobStatus,
    Limits,
    NotSent,
    PostgresJournal,
    SqliteJournal,
)
from kling_async.journal.gate import Claim
from kling_async.testing import Fixed, Sandbox, SandboxServer
from kling_async.types.gate import SendCheck

from ..conftest import NO_LIMITS, OpenClient
from ..postgres import PostgresServer

pytestmark = pytest.mark.anyio

PRICE = {"kling-image-o1": Decimal("0.03")}


def jobs(count: int) -> list[Job]:
    """Make jobs, each with a key of its own."""
    return [Job(ImageInput(f"cat {number}"), key=f"cat-{number}") for number in range(count)]


class Shared:
    """A sandbox that takes a moment for an image, and clients of one run and one account."""

    def __init__(self, postgres: PostgresServer, sandbox: Sandbox, server: SandboxServer) -> None:
        self.sandbox = sandbox
        self._postgres = postgres
        self._server = server
        self._run = f"run-{secrets.token_hex(4)}"

    def journal(self) -> PostgresJournal:
        """Make the journal of a client."""
        return PostgresJournal(self._postgres.url(), run=self._run)

    def client(self, limits: Limits | None, *, journal: PostgresJournal | None = None) -> Client:
        """Make a client, as on another machine."""
        key, url = self.sandbox.key, self._server.url
        return Client("gptproto", api_key=key, base_url=url, limits=limits, journal=journal)


def most_at_once(sandbox: Sandbox) -> int:
    """Return how many tasks of a sandbox ran at the same time at most."""
    tasks = list(sandbox.tasks.values())
    return max(sum(other.at <= task.at < other.done_at for other in tasks) for task in tasks)


async def test_two_batches_share_a_rate(postgres: PostgresServer) -> None:
    """A sandbox that refuses what passes the rate refuses nothing, though each batch alone would use all of it."""
    sandbox = Sandbox(image_latency=Fixed(0.05), submit_per_second=12.0, submit_burst=2)
    events: list[Event] = []
    with SandboxServer(sandbox) as server:
        shared, outcomes = Shared(postgres, sandbox, server), list[bool]()

        async def run(number: int) -> None:
            limits = evolve(NO_LIMITS, submit_per_second=10.0, submit_burst=1)
            async with shared.client(limits) as client:
                client.add_listener(events.append)
                given = [Job(ImageInput(f"{number} {at}"), key=f"{number}-{at}") for at in range(10)]
                async with client.batch(given, journal=shared.journal()) as batch:
                    outcomes.extend([outcome.ok async for outcome in batch])

        async with anyio.create_task_group() as group:
            group.start_soon(run, 1)
            group.start_soon(run, 2)
    assert [True] * 20 == outcomes
    assert 20 == sandbox.submits == sandbox.billed()
    assert EventKind.HELD in {event.kind for event in events}
    assert [] == [event for event in events if event.error is not None]


async def test_two_batches_share_the_slots(postgres: PostgresServer) -> None:
    """Never more run at the provider than there are slots, and all jobs get through."""
    sandbox = Sandbox(image_latency=Fixed(0.2))
    with SandboxServer(sandbox) as server:
        shared, outcomes = Shared(postgres, sandbox, server), list[bool]()

        async def run(number: int) -> None:
            async with shared.client(evolve(NO_LIMITS, max_open=3)) as client:
                given = [Job(ImageInput(f"{number} {at}"), key=f"{number}-{at}") for at in range(6)]
                async with client.batch(given, journal=shared.journal()) as batch:
                    outcomes.extend([outcome.ok async for outcome in batch])

        async with anyio.create_task_group() as group:
            group.start_soon(run, 1)
            group.start_soon(run, 2)
    assert [True] * 12 == outcomes
    assert most_at_once(sandbox) <= 3


async def test_two_batches_share_a_budget(postgres: PostgresServer) -> None:
    """Together they submit what max_cost allows; the rest is told so, and a later run with more money submits it."""
    sandbox = Sandbox(image_latency=Fixed(0.1))
    with SandboxServer(sandbox) as server:
        shared, outcomes, ended = Shared(postgres, sandbox, server), list[type[Exception] | None](), list[str]()

        async def run(given: list[Job], max_cost: str) -> None:
            async with shared.client(NO_LIMITS) as client:
                try:
                    async with client.batch(
                        given, journal=shared.journal(), max_cost=Decimal(max_cost), prices=PRICE
                    ) as batch:
                        async for outcome in batch:
                            outcomes.append(None if outcome.error is None else type(outcome.error))
                except BudgetExceeded as error:
                    ended.append(str(error))

        async with anyio.create_task_group() as group:
            group.start_soon(run, jobs(10)[:5], "0.20")
            group.start_soon(run, jobs(10)[5:], "0.20")
        assert sandbox.submits == sandbox.billed() <= 6
        assert sandbox.submits == outcomes.count(None) >= 5
        assert ended
        assert "max_cost" in ended[0]
        outcomes.clear()
        await run(jobs(10), "1")
    assert [None] * 10 == outcomes
    assert 10 == sandbox.submits == sandbox.billed()


async def test_a_batch_that_is_stopped_sends_nothing_that_is_held(postgres: PostgresServer) -> None:
    """What waits for a shared limit is withdrawn when the batch is stopped; each that was pulled has an outcome."""
    pulled: list[str | None] = []

    async def source() -> AsyncIterator[Job]:
        for job in jobs(4):
            pulled.append(job.key)
            yield job

    sandbox = Sandbox(image_latency=Fixed(0.05))
    with SandboxServer(sandbox) as server:
        shared = Shared(postgres, sandbox, server)
        async with shared.client(evolve(NO_LIMITS, submit_per_second=0.01, submit_burst=1)) as other:
            async with other.batch(jobs(1), journal=shared.journal()) as batch:
                assert [True] == [outcome.ok async for outcome in batch]
            async with (
                shared.client(None) as client,
                client.batch(source(), journal=shared.journal()) as batch,
            ):
                batch.add_listener(lambda event: batch.stop() if event.kind is EventKind.HELD else None)
                outcomes = {outcome.job.key: outcome.error async for outcome in batch}
    assert 1 == sandbox.submits
    assert set(pulled) == set(outcomes)
    assert outcomes.pop("cat-0") is None
    assert outcomes
    assert all(isinstance(error, NotSent) and error.reason == "stopped" for error in outcomes.values())


async def test_what_a_client_leaves_is_polled_by_another(postgres: PostgresServer) -> None:
    """An accepted job whose client has gone is taken over by one that is open, without a call that asks for it."""
    sandbox = Sandbox(image_latency=Fixed(0.3))
    with SandboxServer(sandbox) as server:
        shared = Shared(postgres, sandbox, server)
        staying = shared.journal()
        async with shared.client(NO_LIMITS, journal=staying):
            async with shared.client(NO_LIMITS, journal=shared.journal()) as leaving:
                await leaving.submit(ImageInput("a cat"), key="cat")
            assert staying._thread is not None
            staying._beat(staying._thread.post)
            with anyio.fail_after(20):
                while (known := await staying.find("cat")) is None or known.status is not JobStatus.SUCCEEDED:
                    await anyio.sleep(0.05)
    assert 1 == sandbox.submits == sandbox.billed()


class _Late(PostgresJournal):
    """Finds one of its checks to be too late."""

    fails_at = 1
    checks = 0

    async def claim(self, claim: Claim) -> SendCheck:
        check = await super().claim(claim)

        def checked() -> None:
            self.checks += 1
            if self.checks == self.fails_at:
                raise NotSent("too late", reason="late", provider=claim.account.provider, key=claim.key)
            check()

        return checked


@pytest.mark.parametrize("fails_at", [1, 2], ids=["before it is connected", "before the first byte"])
async def test_a_submission_that_is_too_late_is_made_again(postgres: PostgresServer, fails_at: int) -> None:
    """One whose check fails sends no byte, is planned again, costs nothing, and leaves with its next claim."""
    sandbox = Sandbox(image_latency=Fixed(0.05))
    journal = _Late(postgres.url(), run=f"run-{secrets.token_hex(4)}")
    journal.fails_at = fails_at
    seen: list[tuple[EventKind, JobStatus]] = []
    with SandboxServer(sandbox) as server:
        shared = Shared(postgres, sandbox, server)
        async with shared.client(NO_LIMITS, journal=journal) as client:
            client.add_listener(lambda event: seen.append((event.kind, event.status)))
            prediction = await client.generate(ImageInput("a cat"), key="cat")
        assert 1 == sandbox.submits == sandbox.billed()
    assert prediction.succeeded
    assert 1 == seen.count((EventKind.NOT_SENT, JobStatus.PLANNED))
    assert fails_at + 2 == journal.checks


async def test_the_check_is_made_before_the_first_byte(open_client: OpenClient, tmp_path: Path) -> None:
    """Also a transport of the user's, which reports nothing, gets no request whose check fails."""

    class Refusing(SqliteJournal):
        """A journal with a gate that lets nothing out."""

        def use_account(self, account: object, *, limits: object, on_workers: Callable[[int], None]) -> None:
            on_workers(1)

        async def claim(self, claim: Claim) -> SendCheck:
            await self.write(claim.submission)

            def check() -> None:
                raise NotSent("too late", reason="closed", provider=claim.account.provider, key=claim.key)

            return check

        def lookup_check(self, submission: object) -> SendCheck:
            return lambda: None

        def watch_left(self, on_left: object) -> None:
            """Nobody else leaves anything."""

        async def take_left(self) -> list[object]:
            return []

        async def lease_of(self, key: str) -> None:
            return None

    journal = Refusing(tmp_path / "journal.db")
    async with open_client(journal=journal) as at:
        with pytest.raises(NotSent, match="too late"):
            await at.client.generate(ImageInput("a cat"), key="cat")
        assert 0 == at.sandbox.submits
        known = await journal.find("cat")
        assert known is not None
        assert JobStatus.PLANNED is known.status
