"""The engine in thousands of small worlds: batches, limits, throttling, lost answers, refusals, and late failures.

Everything runs in virtual time, in one loop without tasks. The world keeps its own books of what was sent when, and
holds the engine to its promises. Engines that break one promise each prove that the books would show it.
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
from kling_async.inputs import ImageInput, Job
from kling_async.planning.durations import Learner
from kling_async.planning.engine import _GRACE, _POLL_BURST, Engine
from kling_async.planning.events import Delivery
from kling_async.planning.line import Line
from kling_async.planning.lookout import Lookout
from kling_async.planning.moves import Event, EventKind, Listener, State, Subscription, Ticket
from kling_async.planning.pacing import Pacer
from kling_async.planning.slots import Slots
from kling_async.prediction import Prediction, Status
from kling_async.providers.spec import Limits

from .conftest import PATH, VIDEO, prediction

EPSILON = 1e-6
LOOKERS = 64
LONGEST = 6 * 3600.0
"""Virtual seconds in which every world must have come to rest."""


@frozen(kw_only=True)
class World:
    """What a batch meets, as numbers; all chance comes from the seed."""

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
    hurried: float = 0.0
    joins: int = 0
    """Listeners more that a job has at most; each pays for it, does not, or does if it must, as chance has it."""
    takes: float = 20.0
    spread: float = 0.4
    round_trip: float = 0.1
    heaviest: int = 1
    arrives_for: float = 0.0


class Broken(AssertionError):
    """A promise was broken."""


def claim(holds: bool, promise: str) -> None:
    """Hold the engine to a promise."""
    if not holds:
        raise Broken(promise)


class Ear:
    """One listener of one job, which joins, waits as long as it likes, and may leave."""

    def __init__(self, books: Books, key: str, *, until: float, only_submit: bool = False) -> None:
        self.key, self.until, self.only_submit = key, until, only_submit
        self.left = False
        self.heard: list[EventKind] = []
        self.last: Event | None = None
        self._books = books

    def __call__(self, event: Event) -> None:
        claim(not self.left and self.last is None, "nothing is heard after the end")
        claim(self.key == event.key, "each hears of its own job")
        self.heard.append(event.kind)
        if event.kind is not EventKind.FINISHED:
            return
        self.last = event
        self._books.ends[event.key or ""] += 1
        late = self._books.trip + _GRACE + EPSILON
        claim(event.at <= self.until + late, "each is told by its own deadline")
        gave_up = isinstance(event.error, WaitTimeout) or (
            isinstance(event.error, NotSent) and event.error.message.startswith("It waited")
        )
        claim(not gave_up or event.at >= self.until - EPSILON, "none is given up before its own deadline")

    def subscription(self, pay: Callable[[], bool] | None) -> Subscription:
        return Subscription(self, self.until, only_submit=self.only_submit, pay=pay)


class Books:
    """What happened, as the world saw it."""

    def __init__(self, world: World) -> None:
        self._limits = world.limits
        self._takes = world.takes * math.exp(world.spread)
        self.trip = 2.0 * world.round_trip
        self.ears: list[Ear] = []
        self.answers: dict[str, list[str]] = {}
        self.ends: Counter[str] = Counter()
        self.seen: dict[str, float] = {}
        self.open: dict[str, int] = {}
        self.posts: list[float] = []
        self.polls: list[float] = []
        self.running: Counter[str] = Counter()

    def post(self, ticket: Ticket, now: float) -> None:
        key = ticket.key or ""
        claim(not self.answers.get(key) or self.answers[key][-1] == "not started", "posted at most once")
        self.answers.setdefault(key, []).append("on its way")
        self.posts.append(now)
        self.open[key] = ticket.weight
        most = self._limits.max_open
        claim(most is None or len(self.open) == 1 or sum(self.open.values()) <= most, "slots are never exceeded")

    def answer(self, ticket: Ticket, what: str, now: float) -> None:
        key = ticket.key or ""
        self.answers[key][-1] = what
        self.seen[key] = now
        if what != "accepted":
            del self.open[key]

    def poll(self, ticket: Ticket, now: float, running: int) -> None:
        key = ticket.key or ""
        rate = self._limits.poll_per_second
        gap, age = now - self.seen[key], now - ticket.accepted_at
        # What takes ten minutes without fail is rightly not looked at before; a full budget is shared by all.
        patience = 200.0 + max(0.5 * age, 2.0 * self._takes) + 10.0 * running / (rate or math.inf)
        claim(gap <= patience + (100.0 if ticket.trouble is not None else 0.0), "nobody starves")
        self.seen[key] = now
        self.polls.append(now)

    def close(self, tickets: Iterable[Ticket], taken: int) -> None:
        """Hold the engine to what can be judged at the end only."""
        tickets = list(tickets)
        claim(all(ticket.state.over for ticket in tickets), "every job comes to an end")
        for ear in self.ears:
            claim(ear.left is (ear.last is None), "every listener hears the end exactly once")
        errors = [ear.last.error for ear in self.ears if ear.last is not None and ear.last.error is not None]
        claim(len(errors) == len({id(error) for error in errors}), "each has an error of its own")
        for ticket in tickets:
            key = ticket.key or ""
            lost = self.answers.get(key, [""])[-1] == "lost"
            claim(lost is (ticket.state is State.UNCONFIRMED), "a lost answer is unconfirmed, and nothing else is")
        claim(not self.open and not taken, "what ended gives its slots back")
        paced(self.posts, self._limits.submit_per_second, self._limits.submit_burst, "G13 of submissions")
        paced(self.polls, self._limits.poll_per_second, _POLL_BURST, "G13 of polls")


def paced(times: list[float], rate: float | None, burst: int, promise: str) -> None:
    """Hold against all windows at once: a leaking bucket overflows just when some window holds too many."""
    level = last = 0.0
    for now in times if rate else ():
        level = max(0.0, level - (now - last) * (rate or 0.0)) + 1.0
        last = now
        claim(level <= burst + EPSILON, promise)


def simulate(world: World, engine_of: type[Engine] = Engine) -> Books:
    """Run one world until nothing can happen any more."""
    return _Run(world, engine_of).run()


class _Run:
    def __init__(self, world: World, engine_of: type[Engine]) -> None:
        self.world = world
        self.chance = random.Random(world.seed)
        self.books = Books(world)
        lookout = Lookout(Learner(), dice=self.chance.random)
        self.engine = engine_of(provider="p", limits=world.limits, lookout=lookout, dice=self.chance.random)
        self.now = 0.0
        self.future: list[tuple[float, int, Callable[[], None]]] = []
        self.numbers = count()
        self.sending = self.looking = 0
        self.done_at: dict[str, float] = {}
        self.full_at = -math.inf
        self.tickets = [self.ticket(number) for number in range(world.jobs)]

    def ticket(self, number: int) -> Ticket:
        key = f"job {number}"
        arrives = self.chance.random() * self.world.arrives_for
        ear = self.ear(key, since=arrives)
        ticket = Ticket(
            key=key,
            job=Job(ImageInput(key), key=key),
            path=PATH if number % 2 else VIDEO,
            weight=self.chance.randint(1, self.world.heaviest),
            listener=ear,
            until=ear.until,
        )
        self.at(arrives, lambda: self.engine.add(ticket))
        self.may_leave(ticket, ear, since=arrives)
        for _ in range(self.chance.randint(0, self.world.joins)):
            self.at(arrives + self.chance.random() * 2.0 * self.world.takes, lambda: self.join(ticket))
        return ticket

    def ear(self, key: str, *, since: float, only_submit: bool = False) -> Ear:
        hurried = self.chance.random() < self.world.hurried
        until = since + self.chance.uniform(5, 100) if hurried else math.inf
        ear = Ear(self.books, key, until=until, only_submit=only_submit)
        self.books.ears.append(ear)
        return ear

    def join(self, ticket: Ticket) -> None:
        """Let a listener more hear of a job, if it is not over."""
        if ticket.state.over:
            return
        ear = self.ear(ticket.key or "", since=self.now, only_submit=self.chance.random() < 0.2)
        afford = self.chance.random() < 0.5
        pay = self.chance.choice([None, lambda: afford])
        self.hear(self.engine.join(ticket, ear.subscription(pay), now=self.now))
        self.may_leave(ticket, ear, since=self.now)

    def may_leave(self, ticket: Ticket, ear: Ear, *, since: float) -> None:
        if self.chance.random() < self.world.leaves:
            leave = self.engine.recall if self.chance.random() < 0.3 else self.engine.forget
            self.at(since + self.chance.random() * 60.0, lambda: self.leave(ticket, ear, leave))

    def leave(self, ticket: Ticket, ear: Ear, leave: Callable[..., Iterator[Delivery]]) -> None:
        if ear.last is None and not ear.left:
            ear.left = leave == self.engine.forget
            self.hear(leave(ticket, ear, now=self.now))

    def at(self, time: float, do: Callable[[], None]) -> None:
        heapq.heappush(self.future, (time, next(self.numbers), do))

    def hear(self, deliveries: Iterator[Delivery]) -> None:
        for event, listener in deliveries:
            if isinstance(event.error, BudgetExceeded):
                claim(event.ticket.state is State.FAILED, "what is not paid for is not sent")
            if listener is not None:
                listener(event)

    def run(self) -> Books:
        idle = 0
        while True:
            before = self.now, len(self.future), len(self.books.posts) + len(self.books.polls)
            self.act()
            upcoming = self.next_at()
            if upcoming == math.inf:
                break
            claim(upcoming <= LONGEST, "it terminates")
            self.now = max(self.now, upcoming)
            while self.future and self.future[0][0] <= self.now:
                heapq.heappop(self.future)[2]()
            after = self.now, len(self.future), len(self.books.posts) + len(self.books.polls)
            idle = idle + 1 if before == after else 0
            claim(idle < 50, "it never spins")
        self.books.close(self.tickets, self.engine.slots.taken)
        return self.books

    def act(self) -> None:
        if self.engine.deadline_at() <= self.now:
            self.hear(self.engine.overdue(self.now))
            for ticket in self.tickets:
                if ticket.state.over:  # given up for lost
                    self.books.open.pop(ticket.key or "", None)
        self.hear(self.engine.refuse_planned(self.now))
        while self.sending < self.world.limits.max_submitting and (ticket := self.engine.take_submit(self.now)):
            self.post(ticket)
        while self.looking < LOOKERS and (ticket := self.engine.take_poll(self.now)):
            self.poll(ticket)

    def next_at(self) -> float:
        upcoming = [self.engine.deadline_at()]
        if self.future:
            upcoming.append(self.future[0][0])
        if self.sending < self.world.limits.max_submitting:
            upcoming.append(self.engine.submit_at(self.now))
        if self.looking < LOOKERS:
            upcoming.append(self.engine.poll_at(self.now))
        return min(upcoming)

    # The provider.

    def trip(self) -> float:
        return self.chance.uniform(0.2, 2.0) * self.world.round_trip

    def post(self, ticket: Ticket) -> None:
        self.books.post(ticket, self.now)
        self.sending += 1
        sent_at = self.now
        self.hear(self.engine.sending(ticket, sent_at))
        came, what = self.submission(ticket.key or "")

        def arrives() -> None:
            self.sending -= 1
            self.books.answer(ticket, what, self.now)
            self.hear(self.engine.submitted(ticket, came, sent_at=sent_at, now=self.now))
            if ticket.state.over:  # its listeners wanted it accepted, and no more
                self.books.open.pop(ticket.key or "", None)

        self.at(sent_at + self.trip(), arrives)

    def submission(self, key: str) -> tuple[Prediction | KlingError, str]:
        dice, world = self.chance.random, self.world
        if dice() < world.unreached:
            return NotSent("x", reason=self.chance.choice(["refused", "dns", "timeout"])), "not started"
        running = sum(done > self.now for done in self.done_at.values())
        full = world.open_at_once is not None and running >= world.open_at_once
        if full or not self.allows():
            asked = self.chance.choice([None, 0.0, 1.0, 30.0])
            return RateLimited("x", http_status=429, retry_after=asked), "not started"
        if dice() < world.unauthorized:
            return AuthenticationError("x", http_status=401), "refused"
        if dice() < world.refused:
            return ContentRejected("x", http_status=400), "refused"
        done_at = self.now + world.takes * math.exp(self.chance.gauss(0.0, world.spread))
        if dice() < world.lost:
            self.done_at[f"lost {key}"] = done_at
            return self.chance.choice([AnswerLost("x"), UnexpectedReply("x")]), "lost"
        self.done_at[key] = done_at
        return prediction(key), "accepted"

    def allows(self) -> bool:
        if self.world.allowed is None:
            return True
        if self.now < self.full_at - 2.0 / self.world.allowed:
            return False
        self.full_at = max(self.now, self.full_at) + 1.0 / self.world.allowed
        return True

    def poll(self, ticket: Ticket) -> None:
        self.books.poll(ticket, self.now, len(self.books.open))
        self.looking += 1
        asked_at = self.now
        came = self.look(ticket.key or "")

        def arrives() -> None:
            self.looking -= 1
            self.hear(self.engine.polled(ticket, came, asked_at=asked_at, now=self.now))
            if ticket.state.over:
                self.books.open.pop(ticket.key or "", None)

        self.at(asked_at + self.trip(), arrives)

    def look(self, key: str) -> Prediction | KlingError:
        dice, world = self.chance.random, self.world
        if dice() < world.poll_429:
            return RateLimited("x", http_status=429, retry_after=self.chance.choice([None, 5.0]))
        if dice() < world.poll_fails:
            kinds = [ProviderUnavailable("x", http_status=502), ProviderUnavailable("x"), UnexpectedReply("x")]
            return self.chance.choice([*kinds, BadRequest("x", http_status=408)])
        if self.now < self.done_at[key]:
            return prediction(key)
        failed = random.Random(f"{world.seed} {key}").random() < world.fails
        return prediction(key, Status.FAILED if failed else Status.SUCCEEDED)


some = st.sampled_from([0.0, 0.0, 0.1, 0.5])
worlds = st.builds(
    World,
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
    hurried=some,
    joins=st.sampled_from([0, 0, 1, 4]),
    takes=st.sampled_from([1.0, 10.0, 120.0, 600.0]),
    spread=st.sampled_from([0.0, 0.3, 1.0]),
    round_trip=st.sampled_from([0.01, 0.2, 5.0]),
    heaviest=st.sampled_from([1, 3, 9]),
    arrives_for=st.sampled_from([0.0, 10.0, 300.0]),
)


@settings(
    max_examples=250,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],  # a seed does not shrink to anything smaller
)
@given(worlds)
def test_every_promise_holds_in_every_world(world: World) -> None:
    """Posted at most once, G13 in every window, slots kept, one end for each job, nobody starves, and it terminates."""
    simulate(world)


QUIET = World(jobs=14)


def test_nothing_goes_wrong_where_nothing_is_wrong() -> None:
    """In a world without faults every job is posted once and succeeds; the books see all of it."""
    books = simulate(QUIET)
    assert (14, 14) == (len(books.posts), books.ends.total())
    assert len(books.polls) >= 14
    assert [["accepted"]] * 14 == list(books.answers.values())


def test_a_larger_batch() -> None:
    """Two hundred jobs under every kind of trouble at once keep the promises, too."""
    trouble = {"lost": 0.1, "refused": 0.1, "unreached": 0.1, "poll_fails": 0.2, "poll_429": 0.02, "fails": 0.1}
    limits = Limits(submit_per_second=5.0, submit_burst=4, poll_per_second=10.0, max_open=40)
    books = simulate(World(jobs=200, limits=limits, allowed=3.0, open_at_once=30, heaviest=3, **trouble))
    assert 200 == books.ends.total()
    assert "not started" not in {answers[-1] for answers in books.answers.values()}


# Engines that break one promise each.


class SendsLostAnswersAgain(Engine):
    """Takes silence for a connection that never was."""

    def submitted(
        self, ticket: Ticket, came: Prediction | KlingError, *, sent_at: float, now: float
    ) -> Iterator[Delivery]:
        came = NotSent("x") if isinstance(came, AnswerLost) else came
        return super().submitted(ticket, came, sent_at=sent_at, now=now)


class CallsLostAnswersRefused(Engine):
    """Says no where nobody knows."""

    def submitted(
        self, ticket: Ticket, came: Prediction | KlingError, *, sent_at: float, now: float
    ) -> Iterator[Delivery]:
        came = ContentRejected("x") if isinstance(came, AnswerLost) else came
        return super().submitted(ticket, came, sent_at=sent_at, now=now)


class LosesA429(Engine):
    """Forgets to put a throttled job back in line."""

    def _put_back(self, ticket: Ticket, error: KlingError, again: float, **times: float) -> Iterator[Delivery]:
        self.slots.give(ticket.weight)
        return iter(())


class RoomForAll(Slots):
    def fit(self, weight: int) -> bool:
        return True


class IgnoresSlots(Engine):
    """Sends whatever is there."""

    def __init__(self, **settings: object) -> None:
        super().__init__(**settings)  # type: ignore[arg-type]
        self.slots = self._line.slots = RoomForAll(None)


class KeepsSlots(Engine):
    """Never gives a slot back, so that the rest is never sent."""

    def _end(self, ticket: Ticket, prediction: Prediction, now: float) -> Iterator[Delivery]:
        self.slots.take(ticket.weight)
        return super()._end(ticket, prediction, now)


class FreesSlotsEarly(Engine):
    """Gives the slot back at the acceptance."""

    def submitted(
        self, ticket: Ticket, came: Prediction | KlingError, *, sent_at: float, now: float
    ) -> Iterator[Delivery]:
        if isinstance(came, Prediction):
            self.slots.give(ticket.weight)
        return super().submitted(ticket, came, sent_at=sent_at, now=now)


class DropsPollErrors(Engine):
    """Looks no more after a look that failed."""

    def _not_told(self, ticket: Ticket, error: KlingError, *, sent_at: float, now: float) -> Iterator[Delivery]:
        return iter(())


class PollsWithoutPacing(Engine):
    """Looks whenever it would like to."""

    def take_poll(self, now: float) -> Ticket | None:
        return self._lookout.take(now)


class SubmitsWithoutPacing(Engine):
    """Sends as fast as it can."""

    def __init__(self, *, limits: Limits, **settings: object) -> None:
        super().__init__(limits=limits, **settings)  # type: ignore[arg-type]
        self._line = Line(evolve(limits, submit_per_second=None))
        self.slots = self._line.slots


class AllowsABurstTooMany(Engine):
    """Is off by one."""

    def __init__(self, **settings: object) -> None:
        super().__init__(**settings)  # type: ignore[arg-type]
        self._line._pacer = Pacer(per_second=2.0, burst=4)


class EndsTwice(Engine):
    """Tells a finish once more."""

    def polled(
        self, ticket: Ticket, came: Prediction | KlingError, *, asked_at: float, now: float
    ) -> Iterator[Delivery]:
        for event, listener in super().polled(ticket, came, asked_at=asked_at, now=now):
            yield event, listener
            if event.kind is EventKind.FINISHED:
                yield event, listener


class EndsSilently(Engine):
    """Keeps a refusal to itself."""

    def _not_accepted(self, ticket: Ticket, error: KlingError, *, sent_at: float, now: float) -> Iterator[Delivery]:
        return (
            (event, listener)
            for event, listener in super()._not_accepted(ticket, error, sent_at=sent_at, now=now)
            if not isinstance(event.error, ContentRejected)
        )


class StarvesOne(Engine):
    """Always finds somebody better to look at, while there is anybody."""

    def take_poll(self, now: float) -> Ticket | None:
        ticket = super().take_poll(now)
        if ticket is not None and ticket.key == "job 0" and now < 3000.0:
            ticket.look_at = now + 2000.0
            self._lookout.again(ticket)
            return None
        return ticket


class NeverRests(Engine):
    """Asks to be woken at once, always."""

    def poll_at(self, now: float) -> float:
        return min(super().poll_at(now), now)


class WaitsForEver(Engine):
    """Lets a lost prediction be looked at without end."""

    def forget(self, ticket: Ticket, listener: Listener, *, now: float) -> Iterator[Delivery]:
        yield from super().forget(ticket, listener, now=now)
        if not ticket.state.over:
            self._deadlines.add(ticket, math.inf)

    def polled(
        self, ticket: Ticket, came: Prediction | KlingError, *, asked_at: float, now: float
    ) -> Iterator[Delivery]:
        if isinstance(came, Prediction) and not ticket.subscriptions:
            came = ProviderUnavailable("x")
        return super().polled(ticket, came, asked_at=asked_at, now=now)


class TellsTheFirstOnly(Engine):
    """Takes the first listener for all."""

    def _end(self, ticket: Ticket, prediction: Prediction, now: float) -> Iterator[Delivery]:
        return islice(super()._end(ticket, prediction, now), 1)


class GoesOnTelling(Engine):
    """Keeps those who have left."""

    def forget(self, ticket: Ticket, listener: Listener, *, now: float) -> Iterator[Delivery]:
        return iter(())


class HasOneDeadline(Engine):
    """Waits as long as the first listener does."""

    def _attune(self, ticket: Ticket) -> None:
        super()._attune(ticket)
        self._deadlines.add(ticket, ticket.subscriptions[0].until)


class EndsForAll(Engine):
    """Gives a job up for all when the first has waited long enough."""

    def _dismiss_late(self, ticket: Ticket, now: float) -> Iterator[Delivery]:
        for one in ticket.subscriptions:
            yield from self._dismiss(ticket, one, now, error=self._events.too_late(ticket, now))


class SharesErrors(Engine):
    """Raises one error in several tasks."""

    def _not_accepted(self, ticket: Ticket, error: KlingError, *, sent_at: float, now: float) -> Iterator[Delivery]:
        for event, listener in super()._not_accepted(ticket, error, sent_at=sent_at, now=now):
            yield evolve(event, error=event.error and error), listener


class ForgetsForAll(Engine):
    """Lets all listeners go with the first that leaves."""

    def forget(self, ticket: Ticket, listener: Listener, *, now: float) -> Iterator[Delivery]:
        for one in ticket.subscriptions:
            yield from super().forget(ticket, one.hear, now=now)


SLOW = evolve(QUIET.limits, submit_per_second=0.2, submit_burst=1)
CONTROLS: list[tuple[type[Engine], str, World]] = [
    (SendsLostAnswersAgain, "posted at most once", evolve(QUIET, lost=0.3)),
    (CallsLostAnswersRefused, "a lost answer is unconfirmed", evolve(QUIET, lost=0.3)),
    (LosesA429, "every job comes to an end", evolve(QUIET, allowed=0.5)),
    (IgnoresSlots, "slots are never exceeded", QUIET),
    (KeepsSlots, "every job comes to an end", evolve(QUIET, limits=evolve(QUIET.limits, max_open=3))),
    (FreesSlotsEarly, "slots are never exceeded", QUIET),
    (DropsPollErrors, "every job comes to an end", evolve(QUIET, poll_fails=0.3)),
    (
        PollsWithoutPacing,
        "G13 of polls",
        evolve(QUIET, limits=evolve(QUIET.limits, poll_per_second=0.5, max_open=None)),
    ),
    (SubmitsWithoutPacing, "G13 of submissions", QUIET),
    (AllowsABurstTooMany, "G13 of submissions", QUIET),
    (EndsTwice, "nothing is heard after the end", QUIET),
    (EndsSilently, "every listener hears the end exactly once", evolve(QUIET, refused=0.3)),
    (TellsTheFirstOnly, "every listener hears the end exactly once", evolve(QUIET, joins=4)),
    (GoesOnTelling, "nothing is heard after the end", evolve(QUIET, joins=4, leaves=0.9)),
    (HasOneDeadline, "each is told by its own deadline", evolve(QUIET, joins=4, hurried=0.5)),
    (EndsForAll, "none is given up before its own deadline", evolve(QUIET, joins=4, hurried=0.9, takes=100.0)),
    (SharesErrors, "each has an error of its own", evolve(QUIET, joins=4, lost=0.5, limits=SLOW)),
    (ForgetsForAll, "every listener hears the end exactly once", evolve(QUIET, joins=4, leaves=0.9)),
    (StarvesOne, "nobody starves", QUIET),
    (NeverRests, "it never spins", QUIET),
    (WaitsForEver, "it terminates", evolve(QUIET, leaves=0.9, takes=100.0)),
]


@pytest.mark.parametrize(("engine_of", "promise", "world"), CONTROLS, ids=[control[0].__name__ for control in CONTROLS])
def test_a_broken_engine_is_found_out(engine_of: type[Engine], promise: str, world: World) -> None:
    """The search would see it: an engine that breaks a promise is caught by name, in the world where ours is not."""
    for seed in range(5):
        simulate(evolve(world, seed=seed))
    with pytest.raises(Broken, match=promise):
        for seed in range(5):
            simulate(evolve(world, seed=seed), engine_of)
