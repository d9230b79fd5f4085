"""What tests of the engine share: tickets, predictions, and an engine with its ears open."""

from __future__ import annotations

import math
from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from attrs import define, evolve, field

from kling_async.errors import KlingError
from kling_async.inputs import ImageInput, Job
from kling_async.planning.durations import Learner
from kling_async.planning.engine import Engine
from kling_async.planning.events import Delivery
from kling_async.planning.lookout import Lookout
from kling_async.planning.moves import Event, EventKind, Subscription, Ticket
from kling_async.prediction import Output, OutputKind, Prediction, Status
from kling_async.providers.spec import Limits

PATH = ("image", "gptproto", "kling-image-o1", "text-to-image", "1k x 1")
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
class Desk:
    """An engine, and everything that it told."""

    engine: Engine
    events: list[Event] = field(factory=list[Event])
    heard: list[Event] = field(factory=list[Event])

    def hear(self, deliveries: Iterable[Delivery]) -> list[Event]:
        """Take events in, and have those who listen hear them, as an account does."""
        new = list[Event]()
        for event, listener in deliveries:  # one by one: what follows an event may depend on who heard it
            if not new or event is not new[-1]:
                new.append(event)
                self.events.append(event)
            if listener is not None:
                listener(event)
        return new

    def add(self, key: str = "a", **settings: object) -> Ticket:
        """Put a job in line."""
        ticket = Ticket(key=key, job=Job(ImageInput(key), key=key), path=PATH, listener=self.heard.append)
        for name, value in settings.items():
            setattr(ticket, name, value)
        self.engine.add(ticket)
        return ticket

    def join(self, ticket: Ticket, heard: list[Event], **settings: Any) -> None:
        """Let a listener more hear of a job."""
        now = settings.pop("now", 0.0)
        self.hear(self.engine.join(ticket, Subscription(heard.append, **settings), now=now))

    def forget(self, ticket: Ticket, heard: list[Event] | None = None, *, now: float) -> None:
        """Let a listener leave."""
        self.hear(self.engine.forget(ticket, (self.heard if heard is None else heard).append, now=now))

    def send(self, now: float) -> Ticket:
        """Take the next submission, which must be there."""
        ticket = self.engine.take_submit(now)
        assert ticket is not None
        self.hear(self.engine.sending(ticket, now))
        return ticket

    def answer(
        self, ticket: Ticket, came: Prediction | KlingError, *, now: float, sent_at: float | None = None
    ) -> None:
        """Tell what came of a submission."""
        self.hear(self.engine.submitted(ticket, came, sent_at=now if sent_at is None else sent_at, now=now))

    def accepted(self, key: str = "a", now: float = 0.0, **settings: object) -> Ticket:
        """Bring a job as far as being accepted."""
        self.add(key, **settings)
        ticket = self.send(now)
        assert key == ticket.key
        self.answer(ticket, prediction(key), now=now)
        return ticket

    def look(self, now: float, *, until: float = math.inf) -> tuple[Ticket, float]:
        """Take the next look, whenever it is due."""
        while now <= until:
            ticket = self.engine.take_poll(now)
            if ticket is not None:
                return ticket, now
            now = max(self.engine.poll_at(now), math.nextafter(now, math.inf))
        raise AssertionError("nobody is to be looked at")

    def told(self, ticket: Ticket, came: Prediction | KlingError, *, now: float, asked_at: float | None = None) -> None:
        """Tell what came of a look."""
        self.hear(self.engine.polled(ticket, came, asked_at=now if asked_at is None else asked_at, now=now))

    def kinds(self, key: str | None = None) -> list[EventKind]:
        """Return what happened, to one job or to all."""
        return [event.kind for event in self.events if key in (None, event.key)]


def desk(limits: Limits = FREE, *, dice: float = 0.5, learner: Learner | None = None, **changes: object) -> Desk:
    """Open an engine on its own."""
    lookout = Lookout(learner or Learner(), dice=lambda: dice)
    limits = evolve(limits, **changes)  # type: ignore[arg-type]
    return Desk(Engine(provider="gptproto", limits=limits, lookout=lookout, dice=lambda: dice))
