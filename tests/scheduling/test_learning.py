"""Limits that learn: the engine in virtual time, in front of accounts whose limits it does not know."""

from __future__ import annotations

import heapq
import math
import random
from collections.abc import Callable, Iterator
from itertools import count

import pytest
from attrs import define, evolve, field, frozen

from kling_async.errors import KlingError, RateLimited
from kling_async.providers import PROVIDERS
from kling_async.scheduling.engine import Engine
from kling_async.scheduling.learning import AccountLimits, LearnedRate, LearnedSlots
from kling_async.scheduling.notifications import Delivery
from kling_async.scheduling.polling.durations import DurationModel
from kling_async.scheduling.polling.policy import PollPolicy
from kling_async.scheduling.ticket import Ticket
from kling_async.types.events import Event
from kling_async.types.inputs import VideoInput
from kling_async.types.jobs import Job
from kling_async.types.limits import Limits
from kling_async.types.prediction import Prediction, Status

from .conftest import VIDEO, prediction

ROUND_TRIP = 0.1
LOWEST = evolve(PROVIDERS["wavespeed"].limits, max_submitting=8)
"""The lowest level that a provider documents: 2 submissions a minute, and 2 slots."""
GUESS = Limits()


@frozen(kw_only=True)
class Account:
    """The limits of an account.

    Attributes:
        per_second: submissions per second.
        burst: submissions that it takes at once after an idle time.
        slots: predictions that it runs at once.
        since: the time from which these limits hold.
        takes: seconds that a prediction takes.
    """

    per_second: float
    burst: float
    slots: int
    takes: float
    since: float = 0.0

    @property
    def throughput(self) -> float:
        """The most predictions per second that it can finish."""
        return min(self.per_second, self.slots / (self.takes + 2 * ROUND_TRIP))


@define
class World:
    """An engine, an account that changes, and as many jobs as it can submit."""

    accounts: list[Account]
    engine: Engine
    draw: random.Random
    tells_when: bool = True
    now: float = 0.0
    agenda: list[tuple[float, int, Callable[[], None]]] = field(factory=list)
    numbers: Iterator[int] = field(factory=count)
    flying: int = 0
    running: int = 0
    queued: int = 0
    tokens: float = 0.0
    filled_at: float = 0.0
    accepted: list[float] = field(factory=list)
    refused: list[float] = field(factory=list)

    def at(self, time: float, do: Callable[[], None]) -> None:
        """Do something later."""
        heapq.heappush(self.agenda, (time, next(self.numbers), do))

    def run(self, until: float) -> None:
        """Let time pass; there are always jobs that wait."""
        while self.now < until:
            while self.queued < 20:
                self.queued += 1
                self.engine.add(Ticket(key="a", job=JOB, work_kind=VIDEO, listener=ignore))
            while self.flying < 8 and (ticket := self.engine.take_submit(self.now)) is not None:
                self.submit(ticket)
            upcoming = self.engine.submit_at(self.now) if self.flying < 8 else math.inf
            self.now = max(self.now, min(upcoming, self.agenda[0][0] if self.agenda else math.inf))
            while self.agenda and self.agenda[0][0] <= self.now:
                heapq.heappop(self.agenda)[2]()

    def submit(self, ticket: Ticket) -> None:
        """Send a submission."""
        self.queued, self.flying, sent_at = self.queued - 1, self.flying + 1, self.now
        deliver(self.engine.sending(ticket, sent_at))
        self.at(sent_at + ROUND_TRIP * self.draw.uniform(0.3, 0.7), lambda: self.answer(ticket, sent_at))

    def answer(self, ticket: Ticket, sent_at: float) -> None:
        """Accept a submission, or refuse it."""
        account, result = self.account(), self.refusal()
        if result is None:
            self.running += 1
            self.at(self.now + account.takes * self.draw.uniform(0.7, 1.3), lambda: self.finish(ticket))

        def arrives() -> None:
            self.flying -= 1
            (self.accepted if result is None else self.refused).append(self.now)
            self.queued += result is not None
            answer = prediction("a") if result is None else result
            deliver(self.engine.submitted(ticket, answer, sent_at=sent_at, now=self.now))

        self.at(self.now + ROUND_TRIP * self.draw.uniform(0.3, 0.7), arrives)

    def account(self) -> Account:
        """Return the account as it is now."""
        return next(one for one in reversed(self.accounts) if one.since <= self.now)

    def refusal(self) -> KlingError | None:
        """Return the refusal of a submission that arrives now; None if it is accepted."""
        account = self.account()
        self.tokens = min(account.burst, self.tokens + (self.now - self.filled_at) * account.per_second)
        self.filled_at = self.now
        if self.running >= account.slots:
            error = RateLimited("too many are running")
            error.is_about_slots = True
            return error
        if self.tokens < 1.0:
            wait = math.ceil((1.0 - self.tokens) / account.per_second) if self.tells_when else None
            return RateLimited("too fast", retry_after=wait)
        self.tokens -= 1.0
        return None

    def finish(self, ticket: Ticket) -> None:
        """End a prediction; the next poll finds that soon."""
        self.running -= 1
        done: Prediction = prediction("a", Status.SUCCEEDED)
        self.at(
            self.now + ROUND_TRIP,
            lambda: deliver(self.engine.polled(ticket, done, asked_at=self.now, now=self.now)),
        )


JOB = Job(VideoInput("a dog"), key="a")


def ignore(_: Event) -> None:
    """Listen to nothing."""


def deliver(deliveries: Iterator[Delivery]) -> None:
    """Let an engine do what follows."""
    for _ in deliveries:
        pass


def world(accounts: list[Account], start: Limits, *, seed: int = 1, learns: bool = True, tells: bool = True) -> World:
    """Make a world."""
    draw = random.Random(seed)
    engine = Engine(
        provider="p",
        limits=start,
        polling=PollPolicy(DurationModel(), random=draw.random),
        random=draw.random,
        known=AccountLimits() if learns else None,
    )
    return World(accounts, engine, draw, tells, tokens=accounts[0].burst)


SLOW = [Account(per_second=2 / 60, burst=2, slots=2, takes=20.0)]
FAST = [Account(per_second=50.0, burst=50, slots=300, takes=5.0)]
WIDE = [Account(per_second=50.0, burst=50, slots=300, takes=30.0)]
FASTER = [
    Account(per_second=10.0, burst=10, slots=100, takes=3.0),
    Account(per_second=30.0, burst=10, slots=100, takes=3.0, since=300.0),
]
SLOWER = [
    Account(per_second=30.0, burst=10, slots=100, takes=3.0),
    Account(per_second=10.0, burst=10, slots=100, takes=3.0, since=300.0),
]
FEWER = [
    Account(per_second=50.0, burst=10, slots=100, takes=10.0),
    Account(per_second=50.0, burst=10, slots=40, takes=10.0, since=300.0),
]
NO_BURST = [Account(per_second=5.0, burst=1.5, slots=100, takes=3.0)]
FEW_AT_ONCE = [Account(per_second=5.0, burst=3, slots=100, takes=3.0)]
CASES = {
    "5 a second and no burst": (NO_BURST, 400.0),
    "5 a second and 3 at once": (FEW_AT_ONCE, 400.0),
    "2 a minute and 2 slots": (SLOW, 8 * 3600.0),
    "50 a second and 300 slots": (FAST, 180.0),
    "300 slots that are full": (WIDE, 400.0),
    "a rate that rises": (FASTER, 600.0),
    "a rate that falls": (SLOWER, 600.0),
    "slots that become fewer": (FEWER, 600.0),
}


@pytest.mark.parametrize("tells", [True, False], ids=["Retry-After", "no Retry-After"])
@pytest.mark.parametrize("start", [LOWEST, GUESS], ids=["from the lowest level", "from a guess"])
@pytest.mark.parametrize(("accounts", "until"), CASES.values(), ids=list(CASES))
def test_hidden_limits_are_found(accounts: list[Account], until: float, start: Limits, *, tells: bool) -> None:
    """After a minute, or 30 submissions, nine tenths of what is possible are used, and at most 2 % are refused."""
    at = world(accounts, start, tells=tells)
    at.run(until)
    share, refused = figures(at, until)
    assert share >= 0.9, f"{share:.3f} of the throughput, {refused:.2%} refused"
    assert refused <= 0.02, f"{refused:.2%} refused, {share:.3f} of the throughput"


def figures(at: World, until: float) -> tuple[float, float]:
    """Return the share of the possible throughput that was used, and the share of refused submissions.

    The first minute of each pair of limits is left out, or its first 30 submissions if they take longer.
    """
    sent = sorted([*at.accepted, *at.refused])
    used = possible = 0.0
    for account, end in zip(at.accounts, [*(one.since for one in at.accounts[1:]), until], strict=True):
        begun = max(account.since + 60.0, [time for time in sent if time >= account.since][30])
        used += sum(begun <= time < end for time in at.accepted)
        possible += (end - begun) * account.throughput
    return used / possible, len(at.refused) / len(sent)


def test_limits_that_are_set_are_kept() -> None:
    """Without learning the account is used no faster than the user says, whatever it would allow."""
    at = world(FAST, evolve(GUESS, submit_per_second=5.0, max_open=20), learns=False)
    at.run(60.0)
    assert len(at.accepted) <= 60 * 5.0 + GUESS.submit_burst
    assert 20 == at.engine.slots.limit
    assert not at.refused


def test_nothing_is_raised_that_holds_nothing_back() -> None:
    """A rate and slots that are not used up prove nothing, and stay."""
    rate, slots = LearnedRate(2.0), LearnedSlots(4)
    for second in range(1000):
        rate.accepted(sent_at=second, held_back=False, now=second + 0.1)
        slots.accepted(1, sent_at=second, held_back=False, now=second + 0.1)
    assert (2.0, 4) == (rate.per_second, slots.slots)
    assert not rate.is_learned
    assert not slots.is_learned


def test_refusals_in_flight_count_once() -> None:
    """Submissions that left before a refusal was known bring refusals of their own, which say nothing new."""
    rate = LearnedRate(10.0)
    for number in range(20):
        rate.accepted(sent_at=number / 10.0, held_back=False, now=number / 10.0)
    rate.refused(sent_at=2.0, now=2.1)
    once = rate.per_second
    for _ in range(8):
        rate.refused(sent_at=2.05, now=2.2)
    assert once == rate.per_second < 10.0


@pytest.mark.parametrize(("accepted", "burst"), [(0, 1), (1, 1), (3, 3), (7, 7)])
def test_a_refused_burst_shows_no_rate(accepted: int, burst: int) -> None:
    """Submissions that left at once show how many the account takes at once; one that left alone shows its rate."""
    rate = LearnedRate(2.0, burst=8)
    for _ in range(8):
        rate.sent(0.0)
    for _ in range(accepted):
        rate.accepted(sent_at=0.0, held_back=False, now=0.1)
    rate.refused(sent_at=0.0, now=0.1)
    assert (2.0, burst, False) == (rate.per_second, rate.burst, rate.is_learned)
    rate.sent(5.0)
    rate.refused(sent_at=5.0, now=5.1)
    assert (1.0, min(burst, 2), True) == (rate.per_second, rate.burst, rate.is_learned)


def test_slots_do_not_rise_while_the_provider_queues() -> None:
    """Where an accepted prediction waits at the provider, more of them would only wait longer."""
    slots = LearnedSlots(4)
    slots.hold(0.0)
    slots.accepted(1, sent_at=1.0, held_back=True, now=1.0)
    assert 4 == slots.slots
    slots.accepted(1, sent_at=61.0, held_back=True, now=61.0)
    assert 5 == slots.slots


def test_a_rate_never_leaves_its_range() -> None:
    """Whatever happens, one submission in ten minutes is tried, and a thousand a second at most."""
    rate = LearnedRate(1.0)
    for number in range(200):
        rate.refused(sent_at=number * 1000.0, now=number * 1000.0)
    assert 1 / 600 == pytest.approx(rate.per_second)
    rate = LearnedRate(1.0)
    for number in range(100_000):
        rate.accepted(sent_at=float(number), held_back=True, now=float(number))
    assert 1000.0 == rate.per_second


def test_what_was_learned_is_where_to_start_from() -> None:
    """Limits that refusals have shown are known to the next engine, which does not run into them at once."""
    at = world(FASTER[:1], GUESS)
    at.run(200.0)
    learned = at.engine.learned
    assert learned.per_second == pytest.approx(10.0, rel=0.15)
    assert learned.slots is None
    draw = random.Random(2)
    again = Engine(
        provider="p",
        limits=GUESS,
        polling=PollPolicy(DurationModel(), random=draw.random),
        random=draw.random,
        known=learned,
    )
    later = World(FASTER[:1], again, draw, tokens=FASTER[0].burst)
    later.run(60.0)
    assert len(later.refused) <= 0.02 * len(later.accepted)
    assert len(later.accepted) >= 0.9 * 10.0 * 60.0
