"""The engine in thousands of small simulations: batches, limits, throttling, lost answers, refusals, and late failures.

Everything runs in virtual time, in one loop without tasks. The simulation keeps a log of its own of all requests, and
checks the engine's promises against it. Engines that break one promise each prove that the log would show it.
"""

from __future__ import annotations

import heapq
import math
import random
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from itertools import count, islice

import pytest
from attrs import evolve, frozen
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from kling_async.errors import (
    AnswerLost,
    AuthenticationError,
    BadRequest,
    BudgetExceeded,
    ContentRejected,
    KlingError,
    NotSent,
    ProviderUnavailable,
    RateLimited,
    UnexpectedReply,
    WaitTimeout,
)
from kling_async.scheduling.engine import _GRACE, Engine
from kling_async.scheduling.hints import Hints
from kling_async.scheduling.listeners import Listeners
from kling_async.scheduling.notifications import Delivery
from kling_async.scheduling.poll_tokens import poll_burst
from kling_async.scheduling.polling.durations import DurationModel
from kling_async.scheduling.polling.policy import PollPolicy
from kling_async.scheduling.polls import Polls, PollSharing
from kling_async.scheduling.rate_limit import RateLimiter
from kling_async.scheduling.slots import Slots
from kling_async.scheduling.submissions import Submissions
from kling_async.scheduling.submit_queue import SubmitQueue
from kling_async.scheduling.ticket import Subscription, Ticket
from kling_async.scheduling.transitions import Trigger, transition
from kling_async.scheduling.webhook_results import WebhookResults
from kling_async.types.events import Event, EventKind, Listener
from kling_async.types.inputs import ImageInput
from kling_async.types.jobs import Job
from kling_async.types.limits import Limits
from kling_async.types.prediction import Prediction, Status
from kling_async.types.status import JobStatus

from .conftest import IMAGE, VIDEO, classified, prediction

EPSILON = 1e-6
MAX_POLLING = 64
LONGEST = 6 * 3600.0
"""Virtual seconds in which every simulation must have come to rest."""


@frozen(kw_only=True)
class Scenario:
    """The conditions of a batch, as numbers; all random choices follow from the seed."""

    seed: int = 0
    jobs: int = 12
    limits: Limits = Limits(submit_per_second=2.0, submit_burst=3, poll_per_second=5.0, max_open=6)
    allowed: float | None = None
    """Submissions per second that the provider takes; more are answered 429."""
    open_at_once: int | None = None
    """Predictions that the provider runs at once; more are answered 429."""
    lost: float = 0.0
    refused: float = 0.0
    unreached: float = 0.0
    unauthorized: float = 0.0
    poll_fails: float = 0.0
    poll_429: float = 0.0
    fails: float = 0.0
    leaves: float = 0.0
    impatient: float = 0.0
    joins: int = 0
    """Further listeners of a job at most; at random, each pays for it, does not, or does if it must."""
    takes: float = 20.0
    """Seconds, in the median, that a prediction takes."""
    spread: float = 0.4
    round_trip: float = 0.1
    heaviest: int = 1
    shared: int = 1
    """Predictions that one poll can ask for."""
    share_refused: float = 0.0
    """Shared polls that are refused as a whole."""
    arrives_for: float = 0.0
    hooks: float = 0.0
    """Jobs whose provider sends a webhook."""
    hooks_prove: bool = True
    """Whether a webhook is taken as a result, or as a hint."""
    hooks_lost: float = 0.0
    hooks_late: float = 0.0
    hooks_doubled: float = 0.0
    hooks_forged: float = 0.0
    """Jobs of which somebody else says, at some time, that they are finished."""
    hooks_take: float = 0.5
    """Seconds that a webhook takes, in the mean."""


AFTER_ACCEPTANCE = {JobStatus.ACCEPTED, JobStatus.SUCCEEDED, JobStatus.FAILED}


class BrokenPromise(AssertionError):
    """A promise was broken."""


def claim(holds: bool, promise: str) -> None:
    """Hold the engine to a promise."""
    if not holds:
        raise BrokenPromise(promise)


class RecordingListener:
    """One listener of one job, which joins, waits until its deadline, and may leave."""

    def __init__(self, log: ServerLog, key: str, *, deadline: float, only_submit: bool = False) -> None:
        self.key, self.deadline, self.only_submit = key, deadline, only_submit
        self.left = False
        self.received: list[EventKind] = []
        self.last: Event | None = None
        self._log = log

    def __call__(self, event: Event) -> None:
        claim(not self.left and self.last is None, "nothing is received after the end")
        claim(self.key == event.key, "each hears of its own job")
        self.received.append(event.kind)
        if event.kind is not EventKind.FINISHED:
            return
        self.last = event
        self._log.ends[event.key or ""] += 1
        late = self._log.trip + _GRACE + EPSILON
        claim(event.at <= self.deadline + late, "each is notified by its own deadline")
        gave_up = isinstance(event.error, WaitTimeout) or (
            isinstance(event.error, NotSent) and event.error.message.startswith("Timed out in the local queue")
        )
        claim(not gave_up or event.at >= self.deadline - EPSILON, "none is given up before its own deadline")

    def subscription(self, pay: Callable[[], bool] | None) -> Subscription:
        return Subscription(self, self.deadline, only_submit=self.only_submit, pay=pay)


class ServerLog:
    """The requests and events of a simulation."""

    def __init__(self, scenario: Scenario) -> None:
        self._limits = scenario.limits
        self._takes = scenario.takes * math.exp(scenario.spread)
        # With webhooks polls may be seven times as rare.
        self._rarer = 7.0 if scenario.hooks else 1.0
        self.in_flight: Counter[str] = Counter()
        self.trip = 2.0 * scenario.round_trip
        self.listeners: list[RecordingListener] = []
        self.answers: dict[str, list[str]] = {}
        self.ends: Counter[str] = Counter()
        self.seen: dict[str, float] = {}
        self.open: dict[str, int] = {}
        self.posts: list[float] = []
        self.polls: list[float] = []
        self.closed: dict[str, JobStatus] = {}
        """The status that each closed ticket had when it was first seen closed."""

    def post(self, ticket: Ticket, now: float) -> None:
        key = ticket.key or ""
        claim(not self.answers.get(key) or self.answers[key][-1] == "not started", "posted at most once")
        claim(key not in self.closed, "a closed ticket is never submitted again")
        claim(ticket.listener is not None, "no job is submitted without a listener")
        self.answers.setdefault(key, []).append("on its way")
        self.posts.append(now)
        self.open[key] = ticket.slots
        most = self._limits.max_open
        claim(most is None or len(self.open) == 1 or sum(self.open.values()) <= most, "slots are never exceeded")

    def answer(self, ticket: Ticket, what: str, now: float) -> None:
        key = ticket.key or ""
        self.answers[key][-1] = what
        self.seen[key] = now
        if what != "accepted":
            del self.open[key]

    def poll(self, tickets: list[Ticket], now: float) -> None:
        self.polls.append(now)
        for ticket in tickets:
            self.polled(ticket, now, len(self.open))

    def polled(self, ticket: Ticket, now: float, running: int) -> None:
        claim(not ticket.closed, "a closed ticket is not polled")
        key = ticket.key or ""
        rate = self._limits.poll_per_second
        gap, age = now - self.seen[key], now - ticket.accepted_at
        # What takes ten minutes without fail is rightly not polled before; a full budget is shared by all.
        patience = 200.0 + self._rarer * max(0.5 * age, 2.0 * self._takes) + 10.0 * running / (rate or math.inf)
        self.in_flight[key] += 1
        claim(self.in_flight[key] <= 2, "a prediction has one planned poll in flight, and one that a webhook asks for")
        claim(gap <= patience + (100.0 if ticket.last_error is not None else 0.0), "no prediction starves")
        self.seen[key] = now

    def check_closed(self, tickets: Iterable[Ticket]) -> None:
        """Check that a closed ticket stays closed, with the status that it has."""
        for ticket in tickets:
            key = ticket.key or ""
            if ticket.closed:
                claim(ticket.status is self.closed.setdefault(key, ticket.status), "a closed ticket keeps its status")
            else:
                claim(key not in self.closed, "a closed ticket stays closed")

    def close(self, tickets: Iterable[Ticket], in_use: int) -> None:
        """Check the promises that can be checked at the end only."""
        tickets = list(tickets)
        claim(all(ticket.closed for ticket in tickets), "every job comes to an end")
        for listener in self.listeners:
            claim(listener.left is (listener.last is None), "every listener hears the end exactly once")
        errors = [
            listener.last.error
            for listener in self.listeners
            if listener.last is not None and listener.last.error is not None
        ]
        claim(len(errors) == len({id(error) for error in errors}), "each has an error of its own")
        for ticket in tickets:
            key = ticket.key or ""
            answer = self.answers.get(key, [None])[-1]
            lost = answer == "lost"
            claim(lost is (ticket.status is JobStatus.UNCONFIRMED), "a lost answer is unconfirmed, and nothing else is")
            planned = answer in (None, "not started", "account refused")
            claim(
                planned is (ticket.status is JobStatus.PLANNED), "a job that never started stays planned, no other does"
            )
            claim(answer != "refused" or ticket.status is JobStatus.FAILED, "a refused job has failed")
            claim(answer != "accepted" or ticket.status in AFTER_ACCEPTANCE, "an accepted job stays so until it ends")
        claim(not self.open and not in_use, "a finished job gives its slots back")
        paced(self.posts, self._limits.submit_per_second, self._limits.submit_burst, "G13 of submissions")
        paced(self.polls, self._limits.poll_per_second, poll_burst(self._limits.poll_per_second), "G13 of polls")


def paced(times: list[float], rate: float | None, burst: int, promise: str) -> None:
    """Hold against all windows at once: a leaking bucket overflows just when some window holds too many."""
    level = last = 0.0
    for now in times if rate else ():
        level = max(0.0, level - (now - last) * (rate or 0.0)) + 1.0
        last = now
        claim(level <= burst + EPSILON, promise)


def simulate(scenario: Scenario, engine_of: type[Engine] = Engine) -> ServerLog:
    """Run one scenario until nothing can happen any more."""
    return Simulation(scenario, engine_of).run()


class Simulation:
    def __init__(self, scenario: Scenario, engine_of: type[Engine]) -> None:
        self.scenario = scenario
        self.random = random.Random(scenario.seed)
        self.log = ServerLog(scenario)
        draw = self.random.random
        polling = PollPolicy(DurationModel(), random=draw)
        sharing = PollSharing(max_predictions=scenario.shared, admits=lambda one: one.key != "job 1")
        self.engine = engine_of(provider="p", limits=scenario.limits, polling=polling, random=draw, sharing=sharing)
        self.now = 0.0
        self.future: list[tuple[float, int, Callable[[], None]]] = []
        self.sequence = count()
        self.sending = self.polling = 0
        self.done_at: dict[str, float] = {}
        self.full_at = -math.inf
        self.tickets = [self.ticket(number) for number in range(scenario.jobs)]
        if scenario.hooks:
            self.engine.webhooks.expect(0.0)
        self.by_key = {ticket.key: ticket for ticket in self.tickets}

    def ticket(self, number: int) -> Ticket:
        key = f"job {number}"
        arrives = self.random.random() * self.scenario.arrives_for
        listener = self.listener(key, since=arrives)
        ticket = Ticket(
            key=key,
            job=Job(ImageInput(key), key=key),
            work_kind=IMAGE if number % 2 else VIDEO,
            slots=self.random.randint(1, self.scenario.heaviest),
            listener=listener,
            deadline=listener.deadline,
        )
        self.at(arrives, lambda: self.engine.add(ticket))
        self.may_leave(ticket, listener, since=arrives)
        for _ in range(self.random.randint(0, self.scenario.joins)):
            self.at(arrives + self.random.random() * 2.0 * self.scenario.takes, lambda: self.join(ticket))
        return ticket

    def listener(self, key: str, *, since: float, only_submit: bool = False) -> RecordingListener:
        impatient = self.random.random() < self.scenario.impatient
        deadline = since + self.random.uniform(5, 100) if impatient else math.inf
        listener = RecordingListener(self.log, key, deadline=deadline, only_submit=only_submit)
        self.log.listeners.append(listener)
        return listener

    def join(self, ticket: Ticket) -> None:
        """Attach one more listener to a job that is not closed."""
        if ticket.closed:
            return
        listener = self.listener(ticket.key or "", since=self.now, only_submit=self.random.random() < 0.2)
        afford = self.random.random() < 0.5
        pay = self.random.choice([None, lambda: afford])
        self.deliver(self.engine.join(ticket, listener.subscription(pay), now=self.now))
        self.may_leave(ticket, listener, since=self.now)

    def may_leave(self, ticket: Ticket, listener: RecordingListener, *, since: float) -> None:
        if self.random.random() < self.scenario.leaves:
            leave = self.engine.withdraw if self.random.random() < 0.3 else self.engine.detach
            self.at(since + self.random.random() * 60.0, lambda: self.leave(ticket, listener, leave))

    def leave(self, ticket: Ticket, listener: RecordingListener, leave: Callable[..., Iterator[Delivery]]) -> None:
        if listener.last is None and not listener.left:
            listener.left = leave == self.engine.detach
            self.deliver(leave(ticket, listener, now=self.now))

    def at(self, time: float, do: Callable[[], None]) -> None:
        heapq.heappush(self.future, (time, next(self.sequence), do))

    def deliver(self, deliveries: Iterator[Delivery]) -> None:
        for event, listener in deliveries:
            if isinstance(event.error, BudgetExceeded):
                dropped = self.by_key[event.key or ""].closed and event.status is JobStatus.PLANNED
                claim(dropped, "a job that is not paid for is not submitted")
            if listener is not None:
                listener(event)

    def run(self) -> ServerLog:
        idle = 0
        while True:
            before = self.now, len(self.future), len(self.log.posts) + len(self.log.polls)
            self.act()
            upcoming = self.next_at()
            if upcoming == math.inf:
                break
            claim(upcoming <= LONGEST, "it terminates")
            self.now = max(self.now, upcoming)
            while self.future and self.future[0][0] <= self.now:
                heapq.heappop(self.future)[2]()
            self.log.check_closed(self.tickets)
            after = self.now, len(self.future), len(self.log.posts) + len(self.log.polls)
            idle = idle + 1 if before == after else 0
            claim(idle < 50, "it never spins")
        self.log.close(self.tickets, self.engine.slots.in_use)
        return self.log

    def act(self) -> None:
        if self.engine.deadline_at() <= self.now:
            self.deliver(self.engine.expire(self.now))
            for ticket in self.tickets:
                if ticket.closed:  # dropped as lost by its provider
                    self.log.open.pop(ticket.key or "", None)
        self.deliver(self.engine.reject_queued(self.now))
        while self.sending < self.scenario.limits.max_submitting and (ticket := self.engine.take_submit(self.now)):
            self.post(ticket)
        while self.polling < MAX_POLLING and (ticket := self.engine.take_poll(self.now)):
            self.poll(ticket)

    def next_at(self) -> float:
        upcoming = [self.engine.deadline_at()]
        if self.future:
            upcoming.append(self.future[0][0])
        if self.sending < self.scenario.limits.max_submitting:
            upcoming.append(self.engine.submit_at(self.now))
        if self.polling < MAX_POLLING:
            upcoming.append(self.engine.poll_at(self.now))
        return min(upcoming)

    # The provider.

    def trip(self) -> float:
        return self.random.uniform(0.2, 2.0) * self.scenario.round_trip

    def post(self, ticket: Ticket) -> None:
        self.log.post(ticket, self.now)
        self.sending += 1
        sent_at = self.now
        self.deliver(self.engine.sending(ticket, sent_at))
        result, what = self.submission(ticket.key or "")
        hooked = what == "accepted" and self.random.random() < self.scenario.hooks
        if hooked:
            self.call_back(ticket.key or "")

        def arrives() -> None:
            self.sending -= 1
            self.log.answer(ticket, what, self.now)
            ticket.webhook = hooked
            self.deliver(self.engine.submitted(ticket, result, sent_at=sent_at, now=self.now))
            if ticket.closed:  # its listeners wanted it accepted, and no more
                self.log.open.pop(ticket.key or "", None)

        self.at(sent_at + self.trip(), arrives)

    def call_back(self, key: str) -> None:
        """Send the webhook about the end of a prediction, or what becomes of it on the way."""
        draw, scenario = self.random.random, self.scenario
        at = self.done_at[key] + self.random.expovariate(1.0 / scenario.hooks_take)
        forged = draw() < scenario.hooks_forged and not scenario.hooks_prove
        for _ in range(self.random.randint(1, 8) if forged else 0):
            self.at(self.now + draw() * 2.0 * scenario.takes, lambda: self.hear(key))
        if draw() < scenario.hooks_lost:
            return
        at += 300.0 * draw() if draw() < scenario.hooks_late else 0.0
        for _ in range(2 if draw() < scenario.hooks_doubled else 1):
            self.at(at, lambda: self.hear(key))

    def hear(self, key: str) -> None:
        for ticket, known in self.engine.webhooks.announced(f"id-{key}"):
            claim(known.id == f"id-{key}", "a webhook is about its own prediction")
            result = self.answer(key, shared=False)
            if self.scenario.hooks_prove and isinstance(result, Prediction):
                self.deliver(self.engine.webhooks.told(ticket, result, self.now))
            else:
                self.engine.webhooks.poll_soon(ticket, self.now)
            self.check_end(ticket)

    def check_end(self, ticket: Ticket) -> None:
        if ticket.closed:
            self.log.open.pop(ticket.key or "", None)
            ended = ticket.status in (JobStatus.SUCCEEDED, JobStatus.FAILED)
            claim(not ended or self.now >= self.done_at[ticket.key or ""], "nothing ends before its end")

    def submission(self, key: str) -> tuple[Prediction | KlingError, str]:
        draw, scenario = self.random.random, self.scenario
        if draw() < scenario.unreached:
            return NotSent("x", reason=self.random.choice(["refused", "dns", "timeout"])), "not started"
        running = sum(done > self.now for done in self.done_at.values())
        full = scenario.open_at_once is not None and running >= scenario.open_at_once
        if full or not self.allows():
            asked = self.random.choice([None, 0.0, 1.0, 30.0])
            return RateLimited("x", http_status=429, retry_after=asked), "not started"
        if draw() < scenario.unauthorized:
            return AuthenticationError("x", http_status=401), "account refused"
        if draw() < scenario.refused:
            return ContentRejected("x", http_status=400), "refused"
        done_at = self.now + scenario.takes * math.exp(self.random.gauss(0.0, scenario.spread))
        if draw() < scenario.lost:
            self.done_at[f"lost {key}"] = done_at
            return classified(self.random.choice([AnswerLost("x"), UnexpectedReply("x")])), "lost"
        self.done_at[key] = done_at
        return prediction(key), "accepted"

    def allows(self) -> bool:
        if self.scenario.allowed is None:
            return True
        if self.now < self.full_at - 2.0 / self.scenario.allowed:
            return False
        self.full_at = max(self.now, self.full_at) + 1.0 / self.scenario.allowed
        return True

    def poll(self, ticket: Ticket) -> None:
        others = self.engine.take_others(ticket, self.now)
        tickets, shared, asked_at = [ticket, *others], bool(others), self.now
        claim(len(tickets) <= self.scenario.shared, "no poll asks for more than the provider takes")
        claim(not shared or "job 1" not in [one.key for one in tickets], "only what may be shared is shared")
        self.log.poll(tickets, self.now)
        self.polling += 1
        fault = self.poll_fault(shared=shared)
        results = [fault or self.answer(one.key or "", shared=shared) for one in tickets]

        def arrives() -> None:
            self.polling -= 1
            for one, result in zip(tickets, results, strict=True):
                was_closed = one.closed
                self.log.in_flight[one.key or ""] -= 1
                self.deliver(self.engine.polled(one, result, asked_at=asked_at, now=self.now, shared=shared))
                failed = shared and isinstance(result, KlingError) and not was_closed
                claim(not (failed and one.closed), "an error of a shared poll ends no job")
                self.check_end(one)

        self.at(asked_at + self.trip(), arrives)

    def poll_fault(self, *, shared: bool) -> KlingError | None:
        draw, scenario = self.random.random, self.scenario
        if draw() < scenario.poll_429:
            return RateLimited("x", http_status=429, retry_after=self.random.choice([None, 5.0]))
        if shared and draw() < scenario.share_refused:
            return BadRequest("x", http_status=400)
        if draw() < scenario.poll_fails:
            kinds = [ProviderUnavailable("x", http_status=502), ProviderUnavailable("x"), UnexpectedReply("x")]
            return self.random.choice([*kinds, BadRequest("x", http_status=408)])
        return None

    def answer(self, key: str, *, shared: bool) -> Prediction | KlingError:
        if shared and self.random.random() < self.scenario.poll_fails:
            return UnexpectedReply("x")
        if self.now < self.done_at[key]:
            return prediction(key)
        failed = random.Random(f"{self.scenario.seed} {key}").random() < self.scenario.fails
        return prediction(key, Status.FAILED if failed else Status.SUCCEEDED)


some = st.sampled_from([0.0, 0.0, 0.1, 0.5])
scenarios = st.builds(
    Scenario,
    seed=st.integers(0, 2**32),
    jobs=st.integers(1, 14),
    limits=st.builds(
        Limits,
        submit_per_second=st.sampled_from([None, 0.2, 2.0, 50.0]),
        submit_burst=st.integers(1, 8),
        poll_per_second=st.sampled_from([None, 0.2, 1.0, 20.0]),
        max_open=st.sampled_from([None, 1, 3, 10]),
        max_submitting=st.integers(1, 8),
    ),
    allowed=st.sampled_from([None, 0.1, 1.0]),
    open_at_once=st.sampled_from([None, 1, 4]),
    lost=some,
    refused=some,
    unreached=some,
    unauthorized=st.sampled_from([0.0, 0.0, 0.0, 0.2]),
    poll_fails=some,
    poll_429=some,
    fails=some,
    leaves=some,
    impatient=some,
    joins=st.sampled_from([0, 0, 1, 4]),
    takes=st.sampled_from([1.0, 10.0, 120.0, 600.0]),
    spread=st.sampled_from([0.0, 0.3, 1.0]),
    round_trip=st.sampled_from([0.01, 0.2, 5.0]),
    heaviest=st.sampled_from([1, 3, 9]),
    shared=st.sampled_from([1, 1, 3, 20]),
    share_refused=some,
    arrives_for=st.sampled_from([0.0, 10.0, 300.0]),
    hooks=st.sampled_from([0.0, 0.0, 0.5, 1.0]),
    hooks_prove=st.booleans(),
    hooks_lost=some,
    hooks_late=some,
    hooks_doubled=some,
    hooks_forged=some,
    hooks_take=st.sampled_from([0.1, 1.0, 30.0]),
)


@settings(
    max_examples=250,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],  # a seed does not shrink to anything smaller
)
@given(scenarios)
def test_every_promise_holds_in_every_scenario(scenario: Scenario) -> None:
    """Posted at most once, never once closed, G13 in every window, slots kept, one end each, none starves, it ends."""
    simulate(scenario)


QUIET = Scenario(jobs=14)


def test_nothing_goes_wrong_where_nothing_is_wrong() -> None:
    """In a scenario without faults every job is posted once and succeeds, and the log shows it."""
    log = simulate(QUIET)
    assert (14, 14) == (len(log.posts), log.ends.total())
    assert len(log.polls) >= 14
    assert [["accepted"]] * 14 == list(log.answers.values())


HOOKED = {"hooks": 1.0, "hooks_doubled": 0.3, "hooks_lost": 0.2, "hooks_late": 0.3, "hooks_forged": 0.5}


@pytest.mark.parametrize("proved", [True, False])
@pytest.mark.parametrize("seed", range(5))
def test_webhooks_change_nothing_but_time(seed: int, proved: bool) -> None:
    """Lost, late, doubled, forged and early webhooks leave each job with the end that it has without any of them."""
    plain = Scenario(seed=seed, jobs=60, fails=0.3, takes=30.0, limits=Limits(max_open=10, poll_per_second=20.0))
    with_webhooks = simulate(evolve(plain, hooks_prove=proved, **HOOKED))
    assert simulate(plain).closed == with_webhooks.closed
    assert 60 == len(with_webhooks.posts) == with_webhooks.ends.total()


def test_webhooks_save_polls() -> None:
    """Where webhooks arrive, a small part of the polls is left; where all of them are lost, no poll is missing."""
    plain = Scenario(jobs=200, takes=60.0, limits=Limits(max_open=20))
    without, hooked, lost = (
        len(simulate(one).polls) for one in (plain, evolve(plain, hooks=1.0), evolve(plain, hooks=1.0, hooks_lost=1.0))
    )
    assert hooked < 0.3 * without
    assert without * 0.9 < lost < without * 1.1


def test_a_larger_batch() -> None:
    """Two hundred jobs under every kind of trouble at once keep the promises, too."""
    trouble = {"lost": 0.1, "refused": 0.1, "unreached": 0.1, "poll_fails": 0.2, "poll_429": 0.02, "fails": 0.1}
    limits = Limits(submit_per_second=5.0, submit_burst=4, poll_per_second=10.0, max_open=40)
    log = simulate(Scenario(jobs=200, limits=limits, allowed=3.0, open_at_once=30, heaviest=3, **trouble))
    assert 200 == log.ends.total()
    assert "not started" not in {answers[-1] for answers in log.answers.values()}


# Engines that break one promise each.


class SendsLostAnswersAgain(Engine):
    """Takes silence for a connection that never was."""

    def submitted(
        self, ticket: Ticket, result: Prediction | KlingError, *, sent_at: float, now: float
    ) -> Iterator[Delivery]:
        result = NotSent("x") if isinstance(result, AnswerLost) else result
        return super().submitted(ticket, result, sent_at=sent_at, now=now)


class CallsLostAnswersRefused(Engine):
    """Reports a refusal where the result is unknown."""

    def submitted(
        self, ticket: Ticket, result: Prediction | KlingError, *, sent_at: float, now: float
    ) -> Iterator[Delivery]:
        result = ContentRejected("x") if isinstance(result, AnswerLost) else result
        return super().submitted(ticket, result, sent_at=sent_at, now=now)


class _LosesA429(Submissions):
    def _requeue(self, ticket: Ticket, error: KlingError, retry_at: float, **times: float) -> Iterator[Delivery]:
        self.slots.release(ticket.slots)
        return iter(())


class LosesA429(Engine):
    """Forgets to requeue a throttled job."""

    def __init__(self, **settings: object) -> None:
        super().__init__(**settings)  # type: ignore[arg-type]
        self.submissions.__class__ = _LosesA429


class UnlimitedSlots(Slots):
    def fits(self, slots: int) -> bool:
        return True


class IgnoresSlots(Engine):
    """Submits every job at once."""

    def __init__(self, **settings: object) -> None:
        super().__init__(**settings)  # type: ignore[arg-type]
        self.slots = self.submissions.slots = self.submissions.queue.slots = UnlimitedSlots(None)


class _EndsWithSlots(Polls):
    def end(self, ticket: Ticket, prediction: Prediction, now: float) -> Iterator[Delivery]:
        self._submissions.slots.acquire(ticket.slots)
        return super().end(ticket, prediction, now)


class KeepsSlots(Engine):
    """Never gives a slot back, so that the rest is never sent."""

    def __init__(self, **settings: object) -> None:
        super().__init__(**settings)  # type: ignore[arg-type]
        self._polls.__class__ = _EndsWithSlots


class FreesSlotsEarly(Engine):
    """Gives the slot back at the acceptance."""

    def submitted(
        self, ticket: Ticket, result: Prediction | KlingError, *, sent_at: float, now: float
    ) -> Iterator[Delivery]:
        if isinstance(result, Prediction):
            self.slots.release(ticket.slots)
        return super().submitted(ticket, result, sent_at=sent_at, now=now)


class DropsPollErrors(Engine):
    """Looks no more after a poll that failed."""

    def polled(
        self, ticket: Ticket, result: Prediction | KlingError, *, asked_at: float, now: float, shared: bool = False
    ) -> Iterator[Delivery]:
        if isinstance(result, KlingError):
            return iter(())
        return super().polled(ticket, result, asked_at=asked_at, now=now, shared=shared)


class TrustsSharedErrors(Engine):
    """Takes the error of a shared poll for that of each prediction in it."""

    def polled(
        self, ticket: Ticket, result: Prediction | KlingError, *, asked_at: float, now: float, shared: bool = False
    ) -> Iterator[Delivery]:
        return super().polled(ticket, result, asked_at=asked_at, now=now)


class SharesTooMuch(Engine):
    """Fills up a poll with one prediction more than the provider takes."""

    def take_others(self, ticket: Ticket, now: float) -> list[Ticket]:
        self._polls._max_shared = 4
        return super().take_others(ticket, now)


class SharesAllPolls(Engine):
    """Puts predictions into a shared poll that may not share one."""

    def take_others(self, ticket: Ticket, now: float) -> list[Ticket]:
        self._polls._may_share = lambda ticket: not ticket.closed
        return super().take_others(ticket, now)


class PollsTheClosed(Engine):
    """Puts jobs into a shared poll that were dropped."""

    def take_others(self, ticket: Ticket, now: float) -> list[Ticket]:
        self._polls._may_share = lambda ticket: ticket.prediction is not None and ticket.key != "job 1"
        return super().take_others(ticket, now)


class PollsWithoutPacing(Engine):
    """Looks whenever it would like to."""

    def take_poll(self, now: float) -> Ticket | None:
        return self._polls._policy.take(now)


class SubmitsWithoutPacing(Engine):
    """Sends as fast as it can."""

    def __init__(self, *, limits: Limits, **settings: object) -> None:
        super().__init__(limits=limits, **settings)  # type: ignore[arg-type]
        self.submissions.queue = SubmitQueue(evolve(limits, submit_per_second=None))
        self.slots = self.submissions.slots = self.submissions.queue.slots


class AllowsABurstTooMany(Engine):
    """Is off by one."""

    def __init__(self, **settings: object) -> None:
        super().__init__(**settings)  # type: ignore[arg-type]
        self.submissions.queue._limiter = RateLimiter(per_second=2.0, burst=4)


class EndsTwice(Engine):
    """Tells a finish once more."""

    def polled(
        self, ticket: Ticket, result: Prediction | KlingError, *, asked_at: float, now: float, shared: bool = False
    ) -> Iterator[Delivery]:
        for event, listener in super().polled(ticket, result, asked_at=asked_at, now=now, shared=shared):
            yield event, listener
            if event.kind is EventKind.FINISHED:
                yield event, listener


class EndsSilently(Engine):
    """Keeps a refusal to itself."""

    def submitted(
        self, ticket: Ticket, result: Prediction | KlingError, *, sent_at: float, now: float
    ) -> Iterator[Delivery]:
        return (
            (event, listener)
            for event, listener in super().submitted(ticket, result, sent_at=sent_at, now=now)
            if not isinstance(event.error, ContentRejected)
        )


class StarvesOne(Engine):
    """Always prefers another prediction to one of them."""

    def take_poll(self, now: float) -> Ticket | None:
        ticket = super().take_poll(now)
        if ticket is not None and ticket.key == "job 0" and now < 3000.0:
            ticket.poll_at = now + 2000.0
            self._polls._policy.requeue(ticket)
            return None
        return ticket


class NeverRests(Engine):
    """Asks to be woken at once, always."""

    def poll_at(self, now: float) -> float:
        return min(super().poll_at(now), now)


class WaitsForEver(Engine):
    """Polls a lost prediction without end."""

    def detach(self, ticket: Ticket, listener: Listener, *, now: float) -> Iterator[Delivery]:
        yield from super().detach(ticket, listener, now=now)
        if not ticket.closed:
            self._deadlines.add(ticket, math.inf)

    def polled(
        self, ticket: Ticket, result: Prediction | KlingError, *, asked_at: float, now: float, shared: bool = False
    ) -> Iterator[Delivery]:
        if isinstance(result, Prediction) and not ticket.subscriptions:
            result = ProviderUnavailable("x")
        return super().polled(ticket, result, asked_at=asked_at, now=now, shared=shared)


class _EndsForTheFirst(Polls):
    def end(self, ticket: Ticket, prediction: Prediction, now: float) -> Iterator[Delivery]:
        return islice(super().end(ticket, prediction, now), 1)


class TellsTheFirstOnly(Engine):
    """Takes the first listener for all."""

    def __init__(self, **settings: object) -> None:
        super().__init__(**settings)  # type: ignore[arg-type]
        self._polls.__class__ = _EndsForTheFirst


class GoesOnTelling(Engine):
    """Keeps listeners that have left."""

    def detach(self, ticket: Ticket, listener: Listener, *, now: float) -> Iterator[Delivery]:
        return iter(())


class _OneDeadline(Listeners):
    def _combine(self, ticket: Ticket) -> None:
        super()._combine(ticket)
        self._deadlines.add(ticket, ticket.subscriptions[0].deadline)


class HasOneDeadline(Engine):
    """Waits as long as the first listener does."""

    def __init__(self, **settings: object) -> None:
        super().__init__(**settings)  # type: ignore[arg-type]
        self._listeners.__class__ = _OneDeadline


class _AllExpire(Listeners):
    def release_expired(self, ticket: Ticket, now: float) -> Iterator[Delivery]:
        for subscription in ticket.subscriptions:
            yield from self._release(ticket, subscription, now, error=self._notifier.timeout_error(ticket, now))


class EndsForAll(Engine):
    """Gives a job up for all listeners at the deadline of the first."""

    def __init__(self, **settings: object) -> None:
        super().__init__(**settings)  # type: ignore[arg-type]
        self._listeners.__class__ = _AllExpire


class SharesErrors(Engine):
    """Raises one error in several tasks."""

    def submitted(
        self, ticket: Ticket, result: Prediction | KlingError, *, sent_at: float, now: float
    ) -> Iterator[Delivery]:
        for event, listener in super().submitted(ticket, result, sent_at=sent_at, now=now):
            yield evolve(event, error=result if event.error and isinstance(result, KlingError) else None), listener


class SubmitsDroppedJobs(Engine):
    """Takes a job that keeps the status PLANNED for one that is still queued."""

    def __init__(self, **settings: object) -> None:
        super().__init__(**settings)  # type: ignore[arg-type]
        self._added: list[Ticket] = []

    def add(self, ticket: Ticket) -> None:
        super().add(ticket)
        self._added.append(ticket)

    def take_submit(self, now: float) -> Ticket | None:
        for ticket in self._added:
            if ticket.closed and ticket.status is JobStatus.PLANNED:
                ticket.closed = False
                transition(ticket, Trigger.TAKEN)
                return ticket
        return super().take_submit(now)


class SubmitsWithoutListeners(Engine):
    """Leaves a job in the queue when its last listener has left."""

    def detach(self, ticket: Ticket, listener: Listener, *, now: float) -> Iterator[Delivery]:
        yield from super().detach(ticket, listener, now=now)
        if ticket.status is JobStatus.PLANNED:
            ticket.closed = False


class CallsDroppedJobsFailed(Engine):
    """Gives a dropped job a status that says it was submitted."""

    def detach(self, ticket: Ticket, listener: Listener, *, now: float) -> Iterator[Delivery]:
        yield from super().detach(ticket, listener, now=now)
        if ticket.closed and ticket.status is JobStatus.PLANNED:
            ticket.status = JobStatus.FAILED


class ChangesItsMind(Engine):
    """Takes the result of a late poll for a job that is closed."""

    def polled(
        self, ticket: Ticket, result: Prediction | KlingError, *, asked_at: float, now: float, shared: bool = False
    ) -> Iterator[Delivery]:
        yield from super().polled(ticket, result, asked_at=asked_at, now=now, shared=shared)
        if ticket.closed and isinstance(result, Prediction):
            ticket.status = JobStatus.CANCELLED


class ForgetsForAll(Engine):
    """Lets all listeners go with the first that leaves."""

    def detach(self, ticket: Ticket, listener: Listener, *, now: float) -> Iterator[Delivery]:
        for one in ticket.subscriptions:
            yield from super().detach(ticket, one.listener, now=now)


class _Believes(WebhookResults):
    def poll_soon(self, ticket: Ticket, now: float) -> bool:
        return bool(list(self.told(ticket, prediction(ticket.key, Status.SUCCEEDED), now)))


class BelievesHints(Engine):
    """Takes whatever says so for the end."""

    def __init__(self, **settings: object) -> None:
        super().__init__(**settings)  # type: ignore[arg-type]
        self.webhooks.__class__ = _Believes


class _TakesNoneForExtra(Hints):
    def settle(self, ticket: Ticket) -> bool:
        super().settle(ticket)
        return False

    def announce(self, ticket: Ticket, now: float) -> bool:
        self._polls[ticket] = 0
        return super().announce(ticket, now)


class QueuesTwice(Engine):
    """Puts a prediction back after an extra poll as well."""

    def __init__(self, **settings: object) -> None:
        super().__init__(**settings)  # type: ignore[arg-type]
        self._polls.hints.__class__ = _TakesNoneForExtra


class TrustsWebhooks(Engine):
    """Polls no more where webhooks have arrived."""

    def take_poll(self, now: float) -> Ticket | None:
        ticket = super().take_poll(now)
        if ticket is not None and ticket.webhook and self.webhooks._arrivals.weight < 1.0:
            return None
        return ticket


SLOW = evolve(QUIET.limits, submit_per_second=0.2, submit_burst=1)
SLOW_WORK = evolve(QUIET, takes=5000.0, limits=evolve(QUIET.limits, max_open=None))
CONTROLS: list[tuple[type[Engine], str, Scenario]] = [
    (SendsLostAnswersAgain, "posted at most once", evolve(QUIET, lost=0.3)),
    (CallsLostAnswersRefused, "a lost answer is unconfirmed", evolve(QUIET, lost=0.3)),
    (LosesA429, "every job comes to an end", evolve(QUIET, allowed=0.5)),
    (IgnoresSlots, "slots are never exceeded", QUIET),
    (KeepsSlots, "every job comes to an end", evolve(QUIET, limits=evolve(QUIET.limits, max_open=3))),
    (FreesSlotsEarly, "slots are never exceeded", QUIET),
    (TrustsSharedErrors, "an error of a shared poll ends no job", evolve(QUIET, shared=20, share_refused=0.5)),
    (SharesTooMuch, "no poll asks for more than the provider takes", evolve(QUIET, shared=3)),
    (SharesAllPolls, "only what may be shared is shared", evolve(QUIET, shared=20)),
    (PollsTheClosed, "a closed ticket is not polled", evolve(SLOW_WORK, shared=20, leaves=0.5)),
    (DropsPollErrors, "every job comes to an end", evolve(QUIET, poll_fails=0.3)),
    (
        PollsWithoutPacing,
        "G13 of polls",
        evolve(QUIET, limits=evolve(QUIET.limits, poll_per_second=0.5, max_open=None)),
    ),
    (SubmitsWithoutPacing, "G13 of submissions", QUIET),
    (AllowsABurstTooMany, "G13 of submissions", QUIET),
    (EndsTwice, "nothing is received after the end", QUIET),
    (EndsSilently, "every listener hears the end exactly once", evolve(QUIET, refused=0.3)),
    (TellsTheFirstOnly, "every listener hears the end exactly once", evolve(QUIET, joins=4)),
    (GoesOnTelling, "nothing is received after the end", evolve(QUIET, joins=4, leaves=0.9)),
    (HasOneDeadline, "each is notified by its own deadline", evolve(QUIET, joins=4, impatient=0.5)),
    (EndsForAll, "none is given up before its own deadline", evolve(QUIET, joins=4, impatient=0.9, takes=100.0)),
    (SharesErrors, "each has an error of its own", evolve(QUIET, joins=4, lost=0.5, limits=SLOW)),
    (ForgetsForAll, "every listener hears the end exactly once", evolve(QUIET, joins=4, leaves=0.9)),
    (SubmitsDroppedJobs, "a closed ticket is never submitted again", evolve(QUIET, leaves=0.9, limits=SLOW)),
    (SubmitsWithoutListeners, "no job is submitted without a listener", evolve(QUIET, leaves=0.9, limits=SLOW)),
    (CallsDroppedJobsFailed, "a job that never started stays planned", evolve(QUIET, leaves=0.9, limits=SLOW)),
    (ChangesItsMind, "an accepted job stays so until it ends", QUIET),
    (StarvesOne, "no prediction starves", QUIET),
    (NeverRests, "it never spins", QUIET),
    (WaitsForEver, "it terminates", evolve(QUIET, leaves=0.9, takes=100.0)),
    (
        BelievesHints,
        "nothing ends before its end",
        evolve(QUIET, jobs=40, hooks=1.0, hooks_forged=1.0, hooks_prove=False, takes=60.0),
    ),
    (
        QueuesTwice,
        "one planned poll in flight",
        evolve(
            QUIET,
            jobs=40,
            hooks=1.0,
            hooks_forged=1.0,
            hooks_prove=False,
            takes=60.0,
            round_trip=20.0,
            limits=evolve(QUIET.limits, poll_per_second=None),
        ),
    ),
    (TrustsWebhooks, "every job comes to an end", evolve(QUIET, jobs=60, hooks=1.0, hooks_lost=0.1)),
]


@pytest.mark.parametrize(
    ("engine_of", "promise", "scenario"), CONTROLS, ids=[control[0].__name__ for control in CONTROLS]
)
def test_a_broken_engine_is_found_out(engine_of: type[Engine], promise: str, scenario: Scenario) -> None:
    """The search would see it: an engine that breaks a promise is caught by name, in the scenario where ours is not."""
    for seed in range(5):
        simulate(evolve(scenario, seed=seed))
    with pytest.raises(BrokenPromise, match=promise):
        for seed in range(5):
            simulate(evolve(scenario, seed=seed), engine_of)
