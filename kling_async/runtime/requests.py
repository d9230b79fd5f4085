"""The requests of one provider account: each is sent behind a shield, and its result is reported to the engine."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from typing import Final, TypeVar

import anyio
from attrs import evolve, frozen

from ..scheduling.engine import Engine
from ..scheduling.lookups import is_in_window
from ..scheduling.notifications import Delivery
from ..scheduling.polling.durations import WorkKind
from ..scheduling.ticket import Ticket
from ..system.clock import Clock, elapsed_seconds
from ..types.client_id import ClientId
from ..types.errors import KlingError, NotSent
from ..types.jobs import Job
from ..types.prediction import Prediction
from ..types.status import JobStatus
from ..types.webhooks import WebhookAction, WebhookEvent
from .journaled import (
    log_cut_off,
    look_up_journaled,
    poll_journaled,
    poll_shared_journaled,
    record_end,
    submit_journaled,
)
from .provider_api import ProviderAPI
from .uploads import Uploads

__all__ = ["Requests"]

T = TypeVar("T")

_FORGOTTEN: Final = "It is not repeated, since the provider may have forgotten its idempotency key"


@frozen
class _Lookup:
    """A submission that is looked up, and the elapsed seconds at which it was sent."""

    client_id: ClientId
    sent_at: float


class Requests:
    """Sends the requests of one account. No request in flight is ever cancelled, except by `cut_off`.

    Args:
        engine: decides what follows from the results.
        api: reaches the provider.
        clock: tells the time.
        publish: delivers the events that follow.
        uploads: put the addresses of media in their place.
        slot_seconds: returns for how long a lost submission of a kind may be running.
    """

    def __init__(
        self,
        *,
        engine: Engine,
        api: ProviderAPI,
        clock: Clock,
        publish: Callable[[Iterable[Delivery]], None],
        uploads: Uploads,
        slot_seconds: Callable[[WorkKind], float],
    ) -> None:
        self._slot_seconds = slot_seconds
        self._uploads = uploads
        self._engine = engine
        self._api = api
        self._clock = clock
        self._publish = publish
        self._lookups: dict[Ticket, _Lookup] = {}
        """The few submissions that are looked up."""
        self._in_flight: set[anyio.CancelScope] = set()

    def add_lookup(self, ticket: Ticket, client_id: ClientId, *, age: float) -> None:
        """Look a job up by its client id when it is polled next; it was sent `age` seconds ago."""
        self._lookups[ticket] = _Lookup(client_id, elapsed_seconds() - age)

    def cut_off(self) -> None:
        """End the requests in flight at once."""
        for scope in list(self._in_flight):
            scope.cancel()

    async def submit(self, ticket: Ticket, job: Job) -> None:
        """Submit a job."""
        sent_at, client_id, began = self._clock.now(), self._api.new_client_id(job.input), elapsed_seconds()
        ticket.webhook = self._api.sends_callback(job.input)
        submit = partial(
            submit_journaled,
            client_id=client_id,
            on_send=partial(self._on_send, ticket),
            slot_seconds=partial(self._slot_seconds, ticket.work_kind),
        )
        # The media come first: the intent is written only for a submission that is complete.
        ready = await self._on_the_wire(job)
        try:
            result = (
                ready
                if isinstance(ready, KlingError)
                else await self._shielded(lambda: submit(self._api, ticket, ready))
            )
        except BaseException:
            # Cancellation by asyncio itself, as at the end of `asyncio.run`, passes a shield.
            log_cut_off(self._engine.provider, ticket)
            raise
        result = log_cut_off(self._engine.provider, ticket) if result is None else result
        now, lookup = self._clock.now(), client_id is not None
        self._publish(self._engine.submitted(ticket, result, sent_at=sent_at, now=now, lookup=lookup))
        if client_id is not None and ticket.status is JobStatus.RESOLVING:
            self.add_lookup(ticket, client_id, age=elapsed_seconds() - began)

    def _on_send(self, ticket: Ticket) -> None:
        self._publish(self._engine.sending(ticket, self._clock.now()))

    async def poll(self, ticket: Ticket) -> bool:
        """Poll a job, perhaps together with others, or look it up; return whether any of them is closed now."""
        lookup, known, asked_at = self._lookups.get(ticket), ticket.prediction, self._clock.now()
        if lookup is not None and ticket.job is not None:
            await self._look_up(ticket, ticket.job, lookup)
        elif others := self._engine.take_others(ticket, asked_at):
            return await self._poll_shared([ticket, *others], asked_at=asked_at)
        elif known is not None:
            result = await self._shielded(lambda: poll_journaled(self._api, ticket, known))
            if result is not None:
                self._publish(self._engine.polled(ticket, result, asked_at=asked_at, now=self._clock.now()))
        return ticket.closed

    async def _poll_shared(self, tickets: list[Ticket], *, asked_at: float) -> bool:
        results = await self._shielded(lambda: poll_shared_journaled(self._api, tickets))
        for ticket, result in zip(tickets, results, strict=True) if isinstance(results, list) else ():
            now = self._clock.now()
            self._publish(self._engine.polled(ticket, result, asked_at=asked_at, now=now, shared=True))
        return any(ticket.closed for ticket in tickets)

    async def _look_up(self, ticket: Ticket, job: Job, lookup: _Lookup) -> None:
        is_last = self._engine.is_last_lookup(ticket, self._clock.now())
        check = partial(self._check_window, ticket, lookup)
        look_up = partial(look_up_journaled, client_id=lookup.client_id, is_last=is_last, check=check)
        ready = await self._on_the_wire(job) if self._api.repeats(job.input) else job
        # What cannot be repeated as it was is looked up no further than its time allows.
        sent = job if isinstance(ready, KlingError) else ready
        result = await self._shielded(lambda: look_up(self._api, ticket, sent))
        if result is not None:
            if isinstance(result, Prediction) or is_last:
                del self._lookups[ticket]
            self._publish(self._engine.looked_up(ticket, result, is_last=is_last, now=self._clock.now()))

    def _check_window(self, ticket: Ticket, lookup: _Lookup) -> None:
        """Raise NotSent for a repetition that would leave when its idempotency key may be forgotten."""
        window = self._api.provider.capabilities.replay_seconds.value
        if not is_in_window(elapsed_seconds() - lookup.sent_at, window):
            provider = self._api.provider.name
            raise NotSent(_FORGOTTEN, reason="late", provider=provider, key=ticket.key)

    async def take_webhook(self, event: WebhookEvent) -> WebhookAction:
        """Do what follows from a webhook: take it as the result of a poll if it proves one, else poll at once."""
        if not event.ended:
            return WebhookAction.NOTED
        actions = set[WebhookAction]()
        for ticket, known in self._engine.webhooks.announced(event.id):
            result = self._api.read_webhook(event, known)
            if result is not None and result.status.is_terminal:
                # Under the same shield as a poll, so that no caller that goes away leaves half of it.
                if await self._shielded(partial(record_end, ticket, result)) is result:
                    self._publish(self._engine.webhooks.told(ticket, result, self._clock.now()))
                    actions.add(WebhookAction.FINISHED)
            else:
                soon = self._engine.webhooks.poll_soon(ticket, self._clock.now())
                actions.add(WebhookAction.POLLING if soon else WebhookAction.NOTED)
        order = (WebhookAction.FINISHED, WebhookAction.POLLING, WebhookAction.NOTED)
        return next((one for one in order if one in actions), WebhookAction.UNKNOWN)

    async def _on_the_wire(self, job: Job) -> Job | KlingError:
        """Return a job as it is sent, with addresses or base64 in the place of its media."""
        try:
            input = await self._uploads.on_the_wire(job.input)
        except KlingError as error:
            return error
        return job if input is job.input else evolve(job, input=input)

    async def _shielded(self, request: Callable[[], Awaitable[T]]) -> T | KlingError | None:
        """Send a request behind a shield, and return its result; None if it was cut off."""
        scope = anyio.CancelScope(shield=True)
        self._in_flight.add(scope)
        try:
            with scope:
                return await request()
        except KlingError as error:
            return error
        finally:
            self._in_flight.discard(scope)
        return None
