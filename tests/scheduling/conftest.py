"""Fixtures of the engine's tests: tickets, predictions, and an engine whose events are recorded."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from attrs import define, evolve, field

from kling_async.errors import AnswerLost, KlingError
from kling_async.scheduling.engine import Engine
from kling_async.scheduling.learning import AccountLimits
from kling_async.scheduling.notifications import Delivery
from kling_async.scheduling.polling.durations import DurationModel
from kling_async.scheduling.polling.policy import PollPolicy
from kling_async.scheduling.retry import may_have_started
from kling_async.scheduling.ticket import Subscription, Ticket
from kling_async.types.events import Event, EventKind
from kling_async.types.inputs import ImageInput
from kling_async.types.jobs import Job
from kling_async.types.limits import LimitKind, Limits
from kling_async.types.prediction import Output, OutputKind, Prediction, Status
from kling_async.types.sources import Source

IMAGE = ("image", "gptproto", "kling-image-o1", "text-to-image", "1k x 1")
VIDEO = ("video", "gptproto", "kling-video-o1-std", "text-to-video", "5 s")
FREE = Limits(submit_per_second=None, poll_per_second=None, max_open=None)


def prediction(key: str | None, status: Status = Status.RUNNING, word: str = "processing") -> Prediction:
    """Make a provider's record of a job."""
    return Prediction(
        provider="gptproto",
        model="kling-image-o1",
        id=f"id-{key}",
        key=key,
        status=status,
        native_status=word if status is Status.RUNNING else status.value,
        outputs=(Output(url="https://x/y.png", kind=OutputKind.IMAGE),) if status is Status.SUCCEEDED else (),
        cost=Decimal("0.01"),
        raw={"much": "text"},
    )


@define
class EngineHarness:
    """An engine with a listener, and all its events."""

    engine: Engine
    events: list[Event] = field(factory=list[Event])
    received: list[Event] = field(factory=list[Event])

    def deliver(self, deliveries: Iterable[Delivery]) -> list[Event]:
        """Deliver events to their listeners, as an account does, and return them."""
        new = list[Event]()
        for event, listener in deliveries:  # one by one: a listener's reaction may decide whether the next follows
            if not new or event is not new[-1]:
                new.append(event)
                self.events.append(event)
            if listener is not None:
                listener(event)
        return new

    def add(self, key: str = "a", **settings: object) -> Ticket:
        """Queue a job."""
        ticket = Ticket(key=key, job=Job(ImageInput(key), key=key), work_kind=IMAGE, listener=self.received.append)
        for name, value in settings.items():
            assert hasattr(ticket, name), name
            setattr(ticket, name, value)
        self.engine.add(ticket)
        return ticket

    def join(self, ticket: Ticket, received: list[Event], **settings: Any) -> None:
        """Attach one more listener to a job."""
        now = settings.pop("now", 0.0)
        self.deliver(self.engine.join(ticket, Subscription(received.append, **settings), now=now))

    def detach(self, ticket: Ticket, received: list[Event] | None = None, *, now: float) -> None:
        """Detach a listener."""
        listener = (self.received if received is None else received).append
        self.deliver(self.engine.detach(ticket, listener, now=now))

    def submit(self, now: float) -> Ticket:
        """Take the next submission, which must be ready, and report it as sent."""
        ticket = self.engine.take_submit(now)
        assert ticket is not None
        self.deliver(self.engine.sending(ticket, now))
        return ticket

    def answer_submit(
        self,
        ticket: Ticket,
        result: Prediction | KlingError,
        *,
        now: float,
        sent_at: float | None = None,
        lookup: bool = False,
    ) -> None:
        """Report the result of a submission, classified as the provider API does."""
        result = classified(result) if isinstance(result, KlingError) else result
        sent_at = now if sent_at is None else sent_at
        self.deliver(self.engine.submitted(ticket, result, sent_at=sent_at, now=now, lookup=lookup))

    def accepted(self, key: str = "a", now: float = 0.0, **settings: object) -> Ticket:
        """Bring a job as far as being accepted."""
        self.add(key, **settings)
        ticket = self.submit(now)
        assert key == ticket.key
        self.answer_submit(ticket, prediction(key), now=now)
        return ticket

    def poll(self, now: float, *, until: float = math.inf) -> tuple[Ticket, float]:
        """Take the next poll, whenever it is due."""
        while now <= until:
            ticket = self.engine.take_poll(now)
            if ticket is not None:
                return ticket, now
            now = max(self.engine.poll_at(now), math.nextafter(now, math.inf))
        raise AssertionError("no prediction is to be polled")

    def answer_poll(
        self, ticket: Ticket, result: Prediction | KlingError, *, now: float, asked_at: float | None = None
    ) -> None:
        """Report the result of a poll."""
        self.deliver(self.engine.polled(ticket, result, asked_at=now if asked_at is None else asked_at, now=now))

    def kinds(self, key: str | None = None) -> list[EventKind]:
        """Return the kinds of events, of one job or of all."""
        return [event.kind for event in self.events if key in (None, event.key)]


def classified(error: KlingError) -> KlingError:
    """Return an error of a submission as the provider API hands it to an engine."""
    if isinstance(error, AnswerLost) or not may_have_started(error):
        return error
    lost = AnswerLost(error.message, http_status=error.http_status)
    lost.__cause__ = error
    return lost


def harness(
    limits: Limits = FREE,
    *,
    random: float = 0.5,
    durations: DurationModel | None = None,
    known: AccountLimits | None = None,
    sources: Mapping[LimitKind, Source] | None = None,
    **changes: object,
) -> EngineHarness:
    """Make an engine on its own, whose random numbers are all the same."""
    polling = PollPolicy(durations or DurationModel(), random=lambda: random)
    limits = evolve(limits, **changes)  # type: ignore[arg-type]
    engine = Engine(
        provider="gptproto",
        limits=limits,
        polling=polling,
        random=lambda: random,
        known=known,
        limit_sources=sources or {},
    )
    return EngineHarness(engine)
