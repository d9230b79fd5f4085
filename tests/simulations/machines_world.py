"""Many workers at one gate in virtual time: the real arithmetic of the gate and the real submit queue of each worker.

    python tests/simulations/machines_world.py --workers 100 --jobs 1000000 --rate 50

There is no clock, no database and no provider. A worker has one transaction at a time, which writes whatever has come
since the last one, as the journal does. Transactions with claims hold the lock of the account from their first
statement to their commit, so they follow each other; those without do not. What it costs is an assumption: `LOCKED`
and `COMMIT` are what PostgreSQL takes for them on one ordinary machine.
"""

from __future__ import annotations

import argparse
import heapq
import math
from collections.abc import Callable
from decimal import Decimal
from itertools import count
from random import Random

from attrs import define, evolve, field, frozen

from kling_async import ImageInput, Job, Limits
from kling_async.journal.gate import AccountState, Claim, Held, answer_of_account, answer_of_money
from kling_async.journal.submission import new_submission
from kling_async.scheduling.submit_queue import SubmitQueue
from kling_async.scheduling.ticket import Ticket
from kling_async.types.errors import KlingError
from kling_async.types.gate import SharedAccount

__all__ = ["PRICE", "Setting", "World"]

LOCKED, COMMIT = 0.0015, 0.0015
"""Seconds that a transaction holds the lock of an account, and that one without claims takes."""
ROUND_TRIP = 0.1
TIMER = 0.002
"""Seconds that a timer may be late."""
PRICE = Decimal("0.03")
_AHEAD, _MAX_SUBMITTING = 100, 8
"""Jobs that a worker has in its queue, and submissions that it has in flight."""


@frozen(kw_only=True)
class Setting:
    """What is simulated.

    Attributes:
        workers: the number of workers.
        jobs: the number of jobs.
        rate: submissions per second, over all workers.
        burst: submissions that may leave at once.
        slots: of all workers; None is no limit.
        seconds: that a job takes, in the mean.
        max_cost: US dollars; None is no limit.
        locked: seconds that a transaction holds the lock of the account.
    """

    workers: int
    jobs: int
    rate: float
    burst: int = 8
    slots: int | None = None
    seconds: float = 30.0
    max_cost: Decimal | None = None
    locked: float = LOCKED


@define(eq=False)
class Worker:
    """A worker.

    Attributes:
        queue: its submit queue.
        has: jobs in its queue, or being submitted.
        submitting: jobs that have left the queue and are not accepted.
        claims: those that the next transaction makes.
        writes: other rows that it writes.
        is_writing: whether a transaction is under way.
        submitted: its submissions.
        wake_at: the time of its next look at the queue.
    """

    queue: SubmitQueue
    has: int = 0
    submitting: int = 0
    claims: list[Ticket] = field(factory=list)
    writes: list[Callable[[], None]] = field(factory=list)
    is_writing: bool = False
    submitted: int = 0
    wake_at: float = math.inf


@define
class World:
    """Workers at a gate, and what came of it.

    Attributes:
        setting: what is simulated.
        leaves: the times at which submissions were granted, by the clock of the gate.
        gate_transactions: transactions with claims.
        transactions: all of them.
        most_open: slots in use, at most.
        spent: US dollars that are paid or reserved.
        lock_held: seconds for which the lock of the account was held.
        lock_waited: seconds that transactions waited for the lock, together.
        now: seconds.
    """

    setting: Setting
    leaves: list[float] = field(factory=list)
    gate_transactions: int = 0
    transactions: int = 0
    most_open: int = 0
    spent: Decimal = Decimal(0)
    lock_held: float = 0.0
    lock_waited: float = 0.0
    now: float = 0.0
    workers: list[Worker] = field(init=False)
    _state: AccountState = field(init=False)
    _claim: Claim = field(init=False)
    _left: int = field(init=False)
    _lock_free_at: float = 0.0
    _agenda: list[tuple[float, int, Callable[[], None]]] = field(factory=list)
    _serial: count[int] = field(factory=count)
    _random: Random = field(factory=lambda: Random(14))

    def __attrs_post_init__(self) -> None:
        given = self.setting
        limits = Limits(submit_per_second=given.rate, submit_burst=given.burst, max_open=given.slots)
        self.workers = [Worker(SubmitQueue(limits)) for _ in range(given.workers)]
        self._state = AccountState(
            per_second=given.rate, burst=given.burst, max_open=given.slots, arrival=-math.inf, in_use=0
        )
        job = Job(ImageInput("a cat"), key="cat")
        self._claim = Claim(
            submission=new_submission(job, provider="gptproto", price=PRICE, at=0.0),
            account=SharedAccount(provider="gptproto", origin="", key_hash=""),
            slots=1,
            slot_seconds=600.0,
            max_cost=given.max_cost,
        )
        self._left = given.jobs

    def run(self) -> World:
        """Run until nothing more happens, and return it."""
        for worker in self.workers:
            self._wake_at(worker, self._random.random())
        while self._agenda:
            self.now, _, act = heapq.heappop(self._agenda)
            act()
        return self

    def _at(self, at: float, act: Callable[[], None]) -> None:
        heapq.heappush(self._agenda, (at, next(self._serial), act))

    def _wake_at(self, worker: Worker, at: float) -> None:
        at += self._random.uniform(0.0, TIMER)
        if at < worker.wake_at:
            worker.wake_at = at
            self._at(at, lambda: self._look(worker, at))

    def _look(self, worker: Worker, at: float) -> None:
        if worker.wake_at == at:
            worker.wake_at = math.inf
            self._take(worker)

    def _take(self, worker: Worker) -> None:
        """Take what may leave the queue, and let a transaction claim it."""
        while self._left and worker.has < _AHEAD:
            worker.queue.add(Ticket(key=None, job=None, work_kind=()))
            worker.has += 1
            self._left -= 1
        while worker.submitting < _MAX_SUBMITTING:
            ticket = worker.queue.take(self.now)
            if ticket is None:
                at = worker.queue.ready_at(self.now)
                if at < math.inf:
                    self._wake_at(worker, at)
                break
            worker.submitting += 1
            worker.claims.append(ticket)
        self._write(worker)

    # Transactions.

    def _write(self, worker: Worker) -> None:
        """Begin a transaction if there is something to write, and none is under way."""
        if worker.is_writing or not (worker.claims or worker.writes):
            return
        worker.is_writing = True
        self.transactions += 1
        claims, worker.claims = worker.claims, []
        writes, worker.writes = worker.writes, []
        if not claims:
            self._at(self.now + COMMIT, lambda: self._end(worker, [], writes))
            return
        self.gate_transactions += 1
        begins = max(self.now, self._lock_free_at)
        self.lock_waited += begins - self.now
        takes = self._random.uniform(0.5, 1.5) * self.setting.locked
        self._lock_free_at = begins + takes
        self.lock_held += takes
        self._at(begins, lambda: self._decide(worker, claims, writes, takes))

    def _decide(self, worker: Worker, claims: list[Ticket], writes: list[Callable[[], None]], takes: float) -> None:
        """Answer the claims of a transaction, as `postgres_gate.Admissions` does."""
        answers: list[tuple[Ticket, KlingError | None]] = []
        blocked: Held | None = None
        for ticket in claims:
            error = self._answer_of_money() or blocked or self._answer_of_account()
            blocked = error if isinstance(error, Held) else blocked
            if error is None:
                self._grant(worker)
            answers.append((ticket, error))
        self._at(self.now + takes, lambda: self._end(worker, answers, writes))

    def _answer_of_money(self) -> KlingError | None:
        return answer_of_money(self._claim, spent=self.spent, reserved=Decimal(0), run="spring")

    def _answer_of_account(self) -> KlingError | None:
        hold = answer_of_account(self._state, self._claim, now=self.now)
        return None if hold is None else Held(hold, claim=self._claim)

    def _grant(self, worker: Worker) -> None:
        self._state = self._state.taken(1, now=self.now)
        self.leaves.append(self.now)
        self.most_open = max(self.most_open, self._state.in_use)
        self.spent += PRICE
        worker.submitted += 1

    def _end(
        self, worker: Worker, answers: list[tuple[Ticket, KlingError | None]], writes: list[Callable[[], None]]
    ) -> None:
        worker.is_writing = False
        for ticket, error in answers:
            if error is None:
                self._at(self.now + ROUND_TRIP, lambda ticket=ticket: self._accepted(worker, ticket))
                continue
            worker.submitting -= 1
            if isinstance(error, Held):
                worker.queue.hold(ticket, error.hold, self.now)
            else:  # the budget is spent
                worker.has -= 1
        for written in writes:
            written()
        self._take(worker)

    def _accepted(self, worker: Worker, ticket: Ticket) -> None:
        worker.submitting -= 1
        worker.has -= 1
        worker.writes.append(lambda: None)
        seconds = self._random.uniform(0.5, 1.5) * self.setting.seconds
        self._at(self.now + seconds, lambda: self._finished(worker, ticket))
        self._take(worker)

    def _finished(self, worker: Worker, ticket: Ticket) -> None:
        def freed() -> None:
            self._state = evolve(self._state, in_use=self._state.in_use - ticket.slots)

        worker.writes.append(freed)
        worker.queue.slots.release(ticket.slots)
        self._take(worker)

    # What came of it.

    @property
    def rate_used(self) -> float:
        """The share of the rate that was used, of what was allowed from the first submission to the last."""
        allowed = self.setting.burst + self.setting.rate * (self.leaves[-1] - self.leaves[0])
        return len(self.leaves) / allowed

    @property
    def unfairness(self) -> float:
        """The most submissions of a worker over the least."""
        submitted = [worker.submitted for worker in self.workers]
        return max(submitted) / max(1, min(submitted))

    @property
    def gate_per_job(self) -> float:
        """Transactions with claims, per job."""
        return self.gate_transactions / len(self.leaves)

    @property
    def lock_used(self) -> float:
        """The share of the time in which the lock of the account was held."""
        return self.lock_held / (self.leaves[-1] - self.leaves[0])


def main() -> None:
    """Print what comes of one setting."""
    parser = argparse.ArgumentParser(description="Many workers at one gate.")
    parser.add_argument("--workers", type=int, default=100)
    parser.add_argument("--jobs", type=int, default=20_000)
    parser.add_argument("--rate", type=float, default=20.0)
    parser.add_argument("--burst", type=int, default=8)
    parser.add_argument("--slots", type=int)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--locked", type=float, default=LOCKED)
    world = World(Setting(**vars(parser.parse_args()))).run()
    print(  # noqa: T201 - that is what it is for
        f"{len(world.leaves):,} submissions in {world.now:,.0f} s; rate used {world.rate_used:.4f}; most / least of a "
        f"worker {world.unfairness:.3f}; transactions per job {world.transactions / len(world.leaves):.2f}, of the "
        f"gate {world.gate_per_job:.2f}; lock held {world.lock_used:.1%} of the time, waited for "
        f"{1000 * world.lock_waited / world.gate_transactions:.2f} ms; most open {world.most_open}"
    )


if __name__ == "__main__":
    main()
