"""The gate of a journal in PostgreSQL: key, slots, rate and money are claimed together, for all clients."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from decimal import Decimal
from random import Random
from typing import Any

import anyio
import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from kling_async import AnswerLost, BadRequest, BudgetExceeded, InputError, JournalError, Limits
from kling_async.journal.claims import NotOwner
from kling_async.journal.commits import Refusals
from kling_async.journal.gate import AccountState, Claim, Held, answer_of_account, answer_of_money
from kling_async.journal.intents import Needs
from kling_async.journal.postgres import PostgresJournal
from kling_async.journal.postgres_store import PostgresStore
from kling_async.journal.submission import Decision, Submission
from kling_async.journal.writer import JournalWriter
from kling_async.system.clock import SystemClock
from kling_async.testing.journal_samples import accepted_sample, done_prediction, sample
from kling_async.types.gate import SharedAccount
from kling_async.types.limits import LimitKind

from ..postgres import PostgresServer

pytestmark = pytest.mark.anyio

UNLIMITED = Limits(submit_per_second=None, max_open=None)
SLOW = Limits(submit_per_second=0.01, submit_burst=3, max_open=None)


class Gates:
    """Clients of one run, and of one account that no other test has."""

    def __init__(self, server: PostgresServer) -> None:
        self.server = server
        self.run = f"run-{secrets.token_hex(4)}"
        self.account = SharedAccount(provider="example", origin="https://api.example", key_hash=secrets.token_hex(8))

    @asynccontextmanager
    async def client(
        self, limits: Limits | None = UNLIMITED, *, run: str = "", worker: str | None = None
    ) -> AsyncIterator[PostgresJournal]:
        """Open a client's journal, which takes part in the account."""
        journal = PostgresJournal(self.server.url(), run=run or self.run, worker=worker)
        await journal.open()
        journal.use_account(self.account, limits=limits, on_workers=lambda _: None)
        try:
            yield journal
        finally:
            await journal.aclose()

    def claim(
        self, key: str = "cat", *, attempt: int = 1, slots: int = 1, max_cost: str | None = None, at: float = 2.0
    ) -> Claim:
        """Make a claim, whose price is 0.03 dollars."""
        cost = None if max_cost is None else Decimal(max_cost)
        submission = sample(key, attempt=attempt).sent(at)
        return Claim(submission=submission, account=self.account, slots=slots, slot_seconds=600.0, max_cost=cost)

    def expire(self, journal: PostgresJournal) -> None:
        """Let the lease of a client end."""
        self.server.execute(
            "UPDATE kling_async.workers SET expires_at = 'epoch' WHERE id = %s", journal._postgres._worker
        )

    def slots(self) -> dict[str, float]:
        """Return the seconds for which each job keeps its slots."""
        rows = self.server.execute(
            "SELECT key, extract(epoch FROM expires_at - clock_timestamp())::float8 FROM kling_async.slots "
            "WHERE run = %s",
            self.run,
        )
        return dict(rows)

    def arrival(self) -> float:
        """Return up to when the rate is spent."""
        [[arrival]] = self.server.execute(
            "SELECT arrival FROM kling_async.accounts WHERE key_hash = %s", self.account.key_hash
        )
        found: float = arrival
        return found

    def paid(self) -> tuple[Decimal, Decimal]:
        """Return what the gate has summed up, and the sum itself."""
        [[kept]] = self.server.execute("SELECT paid FROM kling_async.run_costs WHERE run = %s", self.run)
        [[summed]] = self.server.execute(
            "SELECT coalesce(sum(paid), 0) FROM kling_async.submissions WHERE run = %s", self.run
        )
        return kept, summed


@pytest.fixture
def gates(postgres: PostgresServer) -> Gates:
    """Make a run and an account."""
    return Gates(postgres)


async def ask(journal: PostgresJournal, claim: Claim) -> LimitKind | str | None:
    """Claim, and return what holds it back: a kind of limit, "money", or None where it is granted."""
    try:
        check = await journal.claim(claim)
    except Held as held:
        return "money" if held.hold.limit is None else held.hold.limit.kind
    check()
    return None


async def ask_all(clients: Sequence[PostgresJournal], claims: Sequence[Claim]) -> list[LimitKind | str | None]:
    """Let each client make its share of claims at once, and return what holds each back."""
    answers: list[LimitKind | str | None] = []

    async def one(number: int, claim: Claim) -> None:
        answers.append(await ask(clients[number % len(clients)], claim))

    async with anyio.create_task_group() as group:
        for number, claim in enumerate(claims):
            group.start_soon(one, number, claim)
    return answers


# Rate, slots and money.


async def test_a_rate_is_that_of_all_clients(gates: Gates) -> None:
    """Of claims by two clients at once exactly the burst is granted, and the others are told when to ask again."""
    async with gates.client(SLOW) as one, gates.client(SLOW) as other:
        answers = await ask_all([one, other], [gates.claim(f"cat-{number}") for number in range(12)])
        with pytest.raises(Held) as caught:
            await one.claim(gates.claim("late"))
    assert [3, 9] == [answers.count(None), answers.count(LimitKind.RATE)]
    assert 90.0 < caught.value.hold.seconds <= 100.0
    assert not caught.value.may_be_billed
    assert "the limit 0.6/min: shared by all clients" in str(caught.value)
    assert 3 == len(gates.slots())


async def test_slots_are_those_of_all_clients_and_weighted(gates: Gates) -> None:
    """Jobs of two slots fit into five twice; the end of one lets the next one in, whichever client it is of."""
    limits = Limits(submit_per_second=None, max_open=5)
    async with gates.client(limits) as one, gates.client(limits) as other:
        answers = await ask_all([one, other], [gates.claim(f"cat-{number}", slots=2) for number in range(6)])
        assert [2, 4] == [answers.count(None), answers.count(LimitKind.SLOTS)]
        taken = next(iter(gates.slots()))
        assert LimitKind.SLOTS is await ask(other, gates.claim("next", slots=2))
        for form in (accepted_sample(taken), accepted_sample(taken).finished(done_prediction(taken), 4.0)):
            assert LimitKind.SLOTS is await ask(other, gates.claim("next", slots=2))
            await one.write(form)
        assert await ask(other, gates.claim("next", slots=2)) is None


async def test_a_large_job_is_not_overtaken(gates: Gates) -> None:
    """A job that does not fit holds back those asked for with it after it, which would keep its slots taken."""
    limits = Limits(submit_per_second=None, max_open=3)
    async with gates.client(limits) as one:
        assert await ask(one, gates.claim("first")) is None
        refused = one._locked(lambda: one._postgres.write([gates.claim("large", slots=3), gates.claim("small")]))
    assert [Held] * 2 == [type(error) for error in refused.values()]


async def test_money_is_that_of_the_run(gates: Gates) -> None:
    """Two clients together stay within max_cost; what is reserved may come back, and what is spent does not."""
    async with gates.client() as one, gates.client() as other:
        answers = await ask_all([one, other], [gates.claim(f"cat-{n}", max_cost="0.10") for n in range(8)])
        assert [3, 5] == [answers.count(None), answers.count("money")]
        first, second, third = gates.slots()
        owner = (one, other)[int(first[-1]) % 2]
        await owner.write(sample(first).sent(2.0).failed(BadRequest("no"), at=3.0))
        assert await ask(other, gates.claim("more", max_cost="0.10")) is None
        for key in (second, third, "more"):
            await one.write(accepted_sample(key).finished(evolve(done_prediction(key), cost=Decimal("0.03")), 4.0))
        with pytest.raises(BudgetExceeded) as caught:
            await one.claim(gates.claim("last", max_cost="0.10"))
        assert await ask(one, gates.claim("without")) is None
    assert f"max_cost of run {gates.run}" in str(caught.value)
    assert "max_cost=0.12" in str(caught.value)
    assert ("last", "example", False) == (caught.value.key, caught.value.provider, caught.value.may_be_billed)
    assert (Decimal("0.12"),) * 2 == gates.paid()


async def test_a_job_without_a_price_is_refused_by_a_budget(gates: Gates) -> None:
    """An unknown price can be held to no max_cost, so nothing is sent."""
    claim = gates.claim(max_cost="1")
    async with gates.client() as one:
        with pytest.raises(BudgetExceeded, match="without a published price"):
            await one.claim(evolve(claim, submission=evolve(claim.submission, price=None)))


async def test_what_is_not_granted_writes_nothing(gates: Gates) -> None:
    """A claim that is held back by one of the four takes none of the others."""
    limits = Limits(submit_per_second=0.01, submit_burst=4, max_open=2)
    async with gates.client(limits) as one:
        assert await ask(one, gates.claim("a", max_cost="0.05")) is None
        before = (gates.arrival(), gates.slots().keys(), gates.paid())
        for claim in (gates.claim("b", max_cost="0.05"), gates.claim("c", slots=2), gates.claim("a", at=3.0)):
            with pytest.raises(JournalError):
                await one.claim(claim)
            assert await one.find("b") is await one.find("c") is None
            assert before == (gates.arrival(), gates.slots().keys(), gates.paid())


async def test_a_claim_that_is_given_back_frees_all_but_its_token(gates: Gates) -> None:
    """A submission that did not leave gives back key, slots and money; its token is not used by another."""
    async with gates.client(evolve(SLOW, max_open=1)) as one, gates.client(None) as other:
        assert await ask(one, gates.claim(max_cost="0.03")) is None
        spent = gates.arrival()
        await one.write(sample().sent(2.0).failed(JournalError("late"), at=3.0))
        assert ({}, (Decimal(0),) * 2, spent) == (gates.slots(), gates.paid(), gates.arrival())
        assert await ask(other, gates.claim(at=4.0, max_cost="0.03")) is None


async def test_accounts_are_apart(gates: Gates) -> None:
    """Another key, or another origin, has a rate of its own; another run of the same account has not."""
    async with gates.client(SLOW) as one, gates.client(None, run=f"{gates.run}-2") as other:
        answers = await ask_all([one], [gates.claim(f"cat-{number}") for number in range(3)])
        assert [None] * 3 == answers
        assert LimitKind.RATE is await ask(other, gates.claim("cat"))
        elsewhere = evolve(gates.account, origin="https://other.example")
        one.use_account(elsewhere, limits=SLOW, on_workers=lambda _: None)
        assert await ask(one, evolve(gates.claim("dog"), account=elsewhere)) is None


# Who sets the limits.


async def test_the_last_limits_hold_and_are_logged(gates: Gates, caplog: pytest.LogCaptureFixture) -> None:
    """A client that sets other limits sets them for all; one that sets none leaves them, and so does one that is back.

    The log names the account without its key.
    """
    async with gates.client(SLOW) as one:
        assert await ask(one, gates.claim("a")) is None
        async with gates.client(None) as other:
            assert await ask(other, gates.claim("b")) is None
        assert [] == caplog.messages
        async with gates.client(evolve(SLOW, submit_burst=1)) as other:
            assert LimitKind.RATE is await ask(other, gates.claim("c"))
        assert LimitKind.RATE is await ask(one, gates.claim("c"))
        gates.expire(one)
        async with gates.client(UNLIMITED) as other:
            assert await ask(other, gates.claim("d")) is None
            assert await ask(one, gates.claim("e")) is None
    assert 2 == len(caplog.messages)
    assert "example at https://api.example are now 0.6/min, 1 at once" in caplog.messages[0]
    assert gates.account.key_hash not in caplog.text


async def test_clients_are_counted_while_their_leases_last(gates: Gates) -> None:
    """Clients of one process count once; another process counts until its lease has ended, in any run."""
    told: list[int] = []
    async with gates.client() as one, gates.client(run=f"{gates.run}-2") as other:
        one.use_account(gates.account, limits=None, on_workers=told.append)  # it is used already
        fresh = evolve(gates.account, key_hash=secrets.token_hex(8))
        one.use_account(fresh, limits=None, on_workers=told.append)
        other.use_account(fresh, limits=None, on_workers=lambda _: None)
        await ask_all([one, other], [evolve(gates.claim("a"), account=fresh), evolve(gates.claim("b"), account=fresh)])
        one._locked(one._postgres.beat)
        [[away]] = gates.server.execute(
            "UPDATE kling_async.worker_accounts SET process = 'another' WHERE worker = %s RETURNING account",
            other._postgres._worker,
        )[-1:]
        one._locked(one._postgres.beat)
        gates.expire(other)
        one._locked(one._postgres.beat)
        await anyio.sleep(0.01)
    assert away is not None
    assert [2, 1] == told


# Clients that are gone.


async def test_slots_of_what_may_be_running_are_kept(gates: Gates) -> None:
    """An unconfirmed job keeps its slots for as long as it may run; one that is found, or taken over, keeps them on."""
    async with gates.client() as one, gates.client() as other:
        for key in ("lost", "found", "gone", "over"):
            assert await ask(one, gates.claim(key)) is None
        assert min(gates.slots().values()) > 80_000
        for key in ("lost", "found"):
            await one.write(sample(key).sent(2.0).failed(AnswerLost("lost"), at=3.0))
            assert 590 < gates.slots()[key] <= 600
        await other.write(accepted_sample("found"))
        await one.write(accepted_sample("over", id="id-2"))
        gates.expire(one)
        taken = await other.take_over()
        kept = gates.slots()
    assert ["found", "over"] == sorted({one.key for one in taken} | {"found"})
    assert 590 < kept["lost"] <= 600
    assert 590 < kept["gone"] <= 600
    assert kept["found"] > 80_000
    assert kept["over"] > 80_000


async def test_slots_are_free_when_nothing_can_be_running(gates: Gates) -> None:
    """Once the time of a lost job is over its slots are another's; what the user gives up frees them at once."""
    limits = Limits(submit_per_second=None, max_open=1)
    lost = sample().sent(2.0).failed(AnswerLost("lost"), at=3.0)
    async with gates.client(limits) as one:
        assert await ask(one, gates.claim()) is None
        await one.write(lost)
        assert LimitKind.SLOTS is await ask(one, gates.claim("next"))
        gates.server.execute("UPDATE kling_async.slots SET expires_at = 'epoch' WHERE run = %s", gates.run)
        assert await ask(one, gates.claim("next")) is None
        writer = JournalWriter(one, clock=SystemClock())
        await writer.resolve("cat", Decision.ABANDONED)
        assert ["next"] == [*gates.slots()]


async def test_a_late_answer_keeps_its_id_its_slots_and_its_money(gates: Gates) -> None:
    """A client that was cut off records the id of what it had sent, and the job counts as running and as paid."""
    async with gates.client() as one, gates.client() as other:
        assert await ask(one, gates.claim(max_cost="0.05")) is None
        gates.expire(one)
        assert [] == await other.take_over()
        assert 590 < gates.slots()["cat"] <= 600
        await one.write(accepted_sample())
        assert accepted_sample() == await other.find("cat")
    assert (Decimal("0.03"),) * 2 == gates.paid()


async def test_resubmit_waits_for_the_end_of_a_lease(gates: Gates) -> None:
    """While the client that submits a job has a lease, nobody submits it again; the error says until when."""
    async with gates.client(worker="the tall one") as one, gates.client() as other:
        assert await ask(one, gates.claim()) is None
        writer = JournalWriter(other, clock=SystemClock())
        with pytest.raises(InputError) as caught:
            await writer.resolve("cat", Decision.RESUBMITTED)
        assert "cat is being submitted by the tall one" in str(caught.value)
        assert "whose lease lasts until 2" in str(caught.value)
        assert "UTC" in str(caught.value)
        gates.expire(one)
        assert Decision.RESUBMITTED is (await writer.resolve("cat", Decision.RESUBMITTED)).decision


# Transactions.


class _Counting(PostgresStore):
    """Counts its transactions that write."""

    count = 0

    def _write(self, connection: Any, writes: Sequence[Submission | Claim]) -> Refusals:
        self.count += 1
        return super()._write(connection, writes)


async def test_claims_share_their_commits(gates: Gates) -> None:
    """A hundred claims at once take a few transactions, and each is granted by itself."""
    async with gates.client() as one:
        one._postgres.__class__ = _Counting
        answers = await ask_all([one], [gates.claim(f"cat-{number}") for number in range(100)])
        assert isinstance(one._postgres, _Counting)
        assert 1 <= one._postgres.count <= 5
    assert [None] * 100 == answers


async def test_a_claim_whose_commit_had_no_answer_is_charged_once(gates: Gates) -> None:
    """Written again, it takes no second token, slot or amount, and may be used as the first was."""
    async with gates.client(SLOW) as one:
        claim = gates.claim(max_cost="0.03")
        await one.write(claim)
        before = gates.arrival(), gates.paid()
        await one.write(claim)
        one._postgres.permits.take(claim)()
        assert before == (gates.arrival(), gates.paid())
        assert ["cat"] == [*gates.slots()]


async def test_the_sums_are_those_of_the_rows(gates: Gates) -> None:
    """Whatever is written, and by whichever client: what is paid is the sum over all submissions, and slots end."""
    random = Random(7)
    steps: tuple[Callable[[str], Submission], ...] = (
        lambda key: accepted_sample(key, id=f"id-{key}"),
        lambda key: sample(key).sent(2.0).failed(BadRequest("no"), at=3.0),
        lambda key: sample(key).sent(2.0).failed(AnswerLost("lost"), at=3.0),
        lambda key: accepted_sample(key, id=f"id-{key}").finished(done_prediction(key), 4.0),
        lambda key: accepted_sample(key).finished(evolve(done_prediction(key), cost=Decimal("0.02")), 4.0),
    )
    async with gates.client() as one, gates.client() as other:

        async def act(number: int) -> None:
            key, journal = f"cat-{random.randrange(12)}", random.choice((one, other))
            try:
                if number % 3:
                    await journal.write(random.choice(steps)(key))
                else:
                    await journal.claim(gates.claim(key, max_cost="0.20"))
            except (JournalError, BudgetExceeded):
                pass
            if number == 60:
                gates.expire(one)

        for start in range(0, 120, 10):
            async with anyio.create_task_group() as group:
                for number in range(start, start + 10):
                    group.start_soon(act, number)
            kept, summed = gates.paid()
            assert kept == summed
        open_keys = {one.key for one in await one.submissions() if not one.status.is_terminal}
        assert open_keys <= gates.slots().keys() | {f"cat-{number}" for number in range(12)}
        ended = {one.key for one in await one.submissions() if one.status.is_terminal and one.prediction is not None}
        assert not ended & gates.slots().keys()


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_client_that_stands_still_in_a_transaction_stops_no_other(gates: Gates) -> None:
    """The server ends a transaction that stands still with an account locked, and the others' claims go on."""
    async with gates.client() as one:
        assert await ask(one, gates.claim("a")) is None
        slow = PostgresJournal(gates.server.url(), run=gates.run, lease_seconds=6.0)
        standing = slow._postgres._session._url.connect()
        standing.execute("BEGIN")
        standing.execute(
            "SELECT id FROM kling_async.accounts WHERE key_hash = %s FOR UPDATE", (gates.account.key_hash,)
        )
        with anyio.fail_after(9):
            assert await ask(one, gates.claim("b")) is None
        standing.close()


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_many_jobs_without_money_do_not_ask_all_the_time(gates: Gates) -> None:
    """The more of them are held in a row, the later each asks again, up to 15 s; a claim that is granted ends that."""
    async with gates.client() as one:
        writer = JournalWriter(one, clock=SystemClock())
        writer.intents.use_account(gates.account, limits=None, on_workers=lambda _: None)

        async def held(key: str, max_cost: str) -> float:
            needs = Needs(slots=1, slot_seconds=lambda: 600.0, max_cost=Decimal(max_cost))
            try:
                await writer.intents.write(sample(key).sent(2.0), needs)
            except Held as error:
                return error.hold.seconds
            return 0.0

        assert 0.0 == await held("first", "0.05")
        waits = [await held(f"cat-{number}", "0.05") for number in range(240)]
        assert waits == sorted(waits)
        assert (0.5625, 15.0) == (waits[0], waits[-1])
        assert [0.0, waits[0]] == [await held("more", "0.06"), await held("last", "0.06")]


# What breaks a rule is found.


class _Unclaimed(PostgresStore):
    """Asks nobody."""

    def _held(self, write: object, attempts: object, admissions: object) -> None:
        if isinstance(write, Claim):
            self.permits.grant(write, at=1e12)


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.parametrize(
    "test",
    [
        test_a_rate_is_that_of_all_clients,
        test_slots_are_those_of_all_clients_and_weighted,
        test_money_is_that_of_the_run,
        test_what_is_not_granted_writes_nothing,
    ],
)
async def test_a_journal_without_a_gate_is_found(
    gates: Gates, monkeypatch: pytest.MonkeyPatch, test: Callable[[Gates], Awaitable[None]]
) -> None:
    """Each of the limits has a test that fails where claims are granted unasked."""
    monkeypatch.setattr(PostgresStore, "_held", _Unclaimed._held)
    with pytest.raises((AssertionError, pytest.fail.Exception)):
        await test(gates)


# The arithmetic.


@given(
    burst=st.integers(1, 6),
    max_open=st.none() | st.integers(1, 12),
    steps=st.lists(st.tuples(st.floats(0, 3), st.integers(1, 9)), min_size=1, max_size=60),
)
def test_no_order_of_claims_passes_a_limit(burst: int, max_open: int | None, steps: list[tuple[float, int]]) -> None:
    """Granted claims never pass burst + rate x W, nor the slots; a job larger than all slots runs alone."""
    account = SharedAccount(provider="example", origin="https://api.example", key_hash="abc")
    state = AccountState(per_second=1.0, burst=burst, max_open=max_open, arrival=0.0, in_use=0)
    now, granted = 1000.0, list[float]()
    for pause, slots in steps:
        now += pause
        if slots == 9:
            state = evolve(state, in_use=0)
            continue
        submission = sample().sent(2.0)
        claim = Claim(submission=submission, account=account, slots=slots, slot_seconds=600.0, max_cost=None)
        hold = answer_of_account(state, claim, now=now)
        if hold is None:
            assert max_open is None or state.in_use == 0 or state.in_use + slots <= max_open
            state = state.taken(slots, now=now)
            granted.append(now)
        elif hold.limit is not None and hold.limit.kind is LimitKind.RATE:
            assert answer_of_account(state, claim, now=now + hold.seconds + 1e-6) is None
    for start in granted:
        assert sum(start <= at <= start + 5.0 for at in granted) <= burst + 5.0 + 1


@given(spent=st.integers(0, 9), reserved=st.integers(0, 9), price=st.integers(0, 5), limit=st.integers(1, 12))
def test_money_is_refused_waits_or_fits(spent: int, reserved: int, price: int, limit: int) -> None:
    """It fits within the limit, waits where only what is reserved is in the way, and is refused else."""
    account = SharedAccount(provider="example", origin="https://api.example", key_hash="abc")
    submission = evolve(sample().sent(2.0), price=Decimal(price))
    claim = Claim(submission=submission, account=account, slots=1, slot_seconds=1.0, max_cost=Decimal(limit))
    answer = answer_of_money(claim, spent=Decimal(spent), reserved=Decimal(reserved), run="spring")
    if spent + reserved + price <= limit:
        assert answer is None
    else:
        assert isinstance(answer, Held if spent + price <= limit else BudgetExceeded)


def test_an_answer_names_all_that_is_needed() -> None:
    """A refusal says run, key and account, never the key of the API, and what to do."""
    account = SharedAccount(provider="example", origin="https://api.example", key_hash="secret-hash")
    assert "secret-hash" not in f"{account}{account!r}"
    assert "example at https://api.example" == str(account)
    assert issubclass(Held, JournalError)
    assert issubclass(NotOwner, JournalError)
