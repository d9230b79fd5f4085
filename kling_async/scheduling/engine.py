"""The engine of one provider account: which job to submit or poll next, and what follows from each result.

Theory of operation. A job is a `Ticket` whose status changes by the table `TRANSITIONS` and in no other way. Idle
workers ask for one action at a time (`take_submit`, `take_poll`) and report its result (`submitted`, `polled`), which
yields events. All are plain functions of the tickets, the present time and a random number, with no task, clock or
lock. `Submissions` holds the queued jobs and `Polls` the accepted ones; each has a rate limiter of its own, so that
neither starves the other. `Listeners` has the rules for jobs with several listeners.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Final

from ..types.errors import AnswerLost, KlingError
from ..types.events import EventKind, Listener, UploadProgress
from ..types.gate import Hold
from ..types.limits import LimitKind, Limits, SpeedLimit
from ..types.prediction import Prediction
from ..types.sources import Source
from ..types.status import JobStatus
from .deadlines import Deadlines
from .learning import AccountLimits
from .listeners import Listeners
from .lookups import end_of_lookups, is_last_lookup, lookup_delay, needs_lookup
from .notifications import Delivery, Notifier
from .polling.policy import PollPolicy
from .polls import NOT_SHARED, Polls, PollSharing, without_raw
from .priority import DETACHED_SECONDS
from .speed_limits import LimitOrigins
from .submissions import Submissions
from .ticket import Subscription, Ticket
from .transitions import Trigger, transition
from .webhook_results import WebhookResults

__all__ = ["Engine"]

_NO_SOURCES: Final[Mapping[LimitKind, Source]] = {}
_GRACE: Final = 0.5
"""Seconds after which the deadline of a job that is being submitted is checked again."""


class Engine:
    """Decides for the jobs of one provider account.

    Args:
        provider: the name of the account's provider.
        limits: how fast requests may leave, and how much may be open.
        polling: says when to poll which prediction.
        random: returns numbers drawn evenly from 0 up to 1.
        sharing: which polls may share a request.
        known: what was learned of the account's own limits before, to learn more; None keeps to `limits`.
        limit_sources: where limits that the provider documents were read.
    """

    def __init__(
        self,
        *,
        provider: str,
        limits: Limits,
        polling: PollPolicy,
        random: Callable[[], float],
        sharing: PollSharing = NOT_SHARED,
        known: AccountLimits | None = None,
        limit_sources: Mapping[LimitKind, Source] = _NO_SOURCES,
    ) -> None:
        self.provider = provider
        self._origins = LimitOrigins(provider=provider, set_by_user=known is None, sources=limit_sources)
        self._deadlines = Deadlines()
        self._notifier = Notifier(provider)
        self._listeners = Listeners(
            provider=provider, notifier=self._notifier, deadlines=self._deadlines, polling=polling
        )
        self.submissions = Submissions(
            limits=limits, notifier=self._notifier, listeners=self._listeners, random=random, known=known
        )
        self._polls = Polls(
            limits=limits,
            policy=polling,
            sharing=sharing,
            notifier=self._notifier,
            submissions=self.submissions,
            random=random,
        )
        self.slots = self.submissions.slots
        self.webhooks = WebhookResults(polls=self._polls, deadlines=self._deadlines, arrivals=polling.arrivals)

    @property
    def load(self) -> float:
        """The slots in use and the jobs queued, as a share of the slots where these are limited."""
        return (self.slots.in_use + len(self.submissions)) / (self.slots.limit or 1000)

    @property
    def learned(self) -> AccountLimits:
        """The limits of submissions that refusals have shown."""
        return self.submissions.learned

    def speed_limit(self, now: float) -> SpeedLimit | None:
        """Return the limit that holds the next job, or the results, back now; None if nothing does."""
        held = self.submissions.speed_limit(now, self._origins)
        late = self._polls.speed_limit(self._origins) if held is None or held.kind is LimitKind.SLOTS else None
        return late or held  # slots are freed late where results are found late

    # New jobs and their listeners.

    def add(self, ticket: Ticket) -> None:
        """Queue a job to be submitted."""
        self.submissions.add(ticket)
        self._deadlines.add(ticket, ticket.deadline)

    def hold(self, ticket: Ticket) -> None:
        """Keep a job that cannot be queued yet, since its media are not at the provider; `add` queues it then."""
        self._deadlines.add(ticket, ticket.deadline)

    def uploading(self, ticket: Ticket, progress: UploadProgress, now: float) -> Iterator[Delivery]:
        """Report how far the upload of a job's media is."""
        yield from self._notifier.to_all(EventKind.UPLOADING, ticket, now, upload=progress)

    def not_uploaded(self, ticket: Ticket, error: KlingError, *, now: float) -> Iterator[Delivery]:
        """Close a job that is kept, since its media cannot be brought to the provider, or move it on to another one."""
        return self.submissions.not_uploaded(ticket, error, now=now)

    def restore(self, ticket: Ticket, prediction: Prediction, *, now: float, age: float = 0.0) -> None:
        """Add a prediction that was accepted before, `age` seconds ago as far as is known."""
        ticket.status = JobStatus.ACCEPTED
        ticket.prediction = without_raw(prediction)
        ticket.accepted_at = now - age
        self.slots.acquire(ticket.slots)
        self._deadlines.add(ticket, now + DETACHED_SECONDS if ticket.listener is None else ticket.deadline)
        if ticket.single_poll:
            self._polls.add_at(ticket, now)
        else:
            self._polls.add(ticket, now)

    def join(self, ticket: Ticket, subscription: Subscription, *, now: float) -> Iterator[Delivery]:
        """Attach one more listener to a job that is not closed, and notify it at once of the job's progress."""
        return self._listeners.join(ticket, subscription, now=now)

    def detach(self, ticket: Ticket, listener: Listener, *, now: float) -> Iterator[Delivery]:
        """Detach a listener; it receives nothing more."""
        return self._listeners.detach(ticket, listener, now=now)

    def withdraw(self, ticket: Ticket, listener: Listener, *, now: float) -> Iterator[Delivery]:
        """Detach a listener from a job that is still queued, with a final event."""
        return self._listeners.withdraw(ticket, listener, now=now)

    def take_moved(self) -> Ticket | None:
        """Return a job that is to be added to the engine of another provider, or None."""
        if not self.submissions.moved:
            return None
        ticket = self.submissions.moved.pop(0)
        self._deadlines.discard(ticket)
        return ticket

    def is_available(self, now: float) -> bool:
        """Return whether a new job would probably be submitted soon: no refusal, outage or 429 is in its way."""
        return self.submissions.is_available(now)

    def reject_queued(self, now: float) -> Iterator[Delivery]:
        """Drop the queued jobs while the account is blocked, each with the provider's refusal."""
        return self.submissions.reject_queued(now)

    def share_polls(self, workers: int, now: float) -> None:
        """Divide the rate of polls by the clients that poll at this account."""
        self.submissions.queue.sharers = workers
        self._polls.share(workers, now)

    # The next action.

    def take_submit(self, now: float) -> Ticket | None:
        """Return a job to submit now, or None."""
        return self.submissions.take(now)

    def take_poll(self, now: float) -> Ticket | None:
        """Return a job to poll now, or None."""
        return self._polls.take(now)

    def take_others(self, ticket: Ticket, now: float) -> list[Ticket]:
        """Return the jobs that are polled by the same request as one that was just taken."""
        return self._polls.take_others(ticket, now)

    def submit_at(self, now: float) -> float:
        """Return the time at which to ask `take_submit` again; infinity if only a result or a new job changes that."""
        return self.submissions.ready_at(now)

    def poll_at(self, now: float) -> float:
        """Return the time at which to ask `take_poll` again; infinity if only a result or a new job changes that."""
        return self._polls.ready_at(now)

    def deadline_at(self) -> float:
        """Return the time at which to call `expire`."""
        return self._deadlines.next_at()

    # Results of submissions.

    def sending(self, ticket: Ticket, now: float) -> Iterator[Delivery]:
        """Report that a submission is on its way."""
        ticket.previous = JobStatus.SUBMITTING
        yield from self._notifier.to_all(EventKind.SUBMITTED, ticket, now)

    def submitted(
        self,
        ticket: Ticket,
        result: Prediction | KlingError | Hold,
        *,
        sent_at: float,
        now: float,
        lookup: bool = False,
    ) -> Iterator[Delivery]:
        """Report the result of a submission, and whether it can be looked up if the answer is an `AnswerLost`."""
        if isinstance(result, Hold):
            yield from self.submissions.held(ticket, result, now=now)
        elif needs_lookup(result, has_client_id=lookup):
            self.submissions.looked_up(ticket, result, sent_at=sent_at, now=now)
            self._look_up(ticket, result, now=now)
            yield from self._notifier.to_all(EventKind.RESOLVING, ticket, now, error=result)
        elif isinstance(result, KlingError):
            yield from self.submissions.failed(ticket, result, sent_at=sent_at, now=now)
        else:
            self.submissions.accepted(ticket, sent_at=sent_at, now=now)
            ticket.accepted_at = now
            yield from self._accepted(ticket, result, now)

    def _accepted(self, ticket: Ticket, result: Prediction, now: float) -> Iterator[Delivery]:
        ticket.failures, ticket.last_error = 0, None
        ticket.prediction = without_raw(result)
        yield from self._notifier.to_all(EventKind.ACCEPTED, ticket, now)
        if result.status.is_terminal or ticket.only_submit:
            yield from self._polls.end(ticket, result, now)
            return
        self._polls.add(ticket, now)
        yield from self._listeners.release_accepted(ticket, now)

    # Results of look-ups, which are polls of a submission by its client id.

    def restore_lost(self, ticket: Ticket, error: AnswerLost, *, now: float) -> None:
        """Add a submission whose answer was lost in an earlier run, to be looked up."""
        ticket.status, ticket.previous = JobStatus.RESOLVING, JobStatus.SUBMITTING
        self.slots.acquire(ticket.slots)
        self._deadlines.add(ticket, now + DETACHED_SECONDS if ticket.listener is None else ticket.deadline)
        self._look_up(ticket, error, now=now)

    def _look_up(self, ticket: Ticket, error: AnswerLost, *, now: float) -> None:
        ticket.accepted_at, ticket.failures, ticket.last_error = now, 0, error
        self._polls.add_at(ticket, now + lookup_delay(0, age=0.0))

    def is_last_lookup(self, ticket: Ticket, now: float) -> bool:
        """Return whether a look-up now is the last one."""
        return is_last_lookup(now - ticket.accepted_at)

    def looked_up(
        self, ticket: Ticket, result: Prediction | KlingError, *, is_last: bool, now: float
    ) -> Iterator[Delivery]:
        """Report the result of a look-up.

        A `Refused` says that the submission was never accepted, and any other error that nothing was found.
        """
        if ticket.closed:
            return  # it was dropped meanwhile
        ticket.poll_at = None
        if isinstance(result, Prediction):
            self.submissions.found(ticket)
            yield from self._accepted(ticket, result, now)
        elif (trigger := end_of_lookups(result, is_last=is_last)) is not None:
            transition(ticket, trigger)
            self.slots.release(ticket.slots)
            error = ticket.last_error if trigger is Trigger.ANSWER_LOST else result
            yield from self._notifier.finish(ticket, now, error=error)
        else:
            ticket.failures += 1
            self._polls.add_at(ticket, now + lookup_delay(ticket.failures, age=now - ticket.accepted_at))

    # Results of polls.

    def polled(
        self, ticket: Ticket, result: Prediction | KlingError, *, asked_at: float, now: float, shared: bool = False
    ) -> Iterator[Delivery]:
        """Report the result of a poll, and whether it shared its request with others."""
        return self._polls.polled(ticket, result, asked_at=asked_at, now=now, shared=shared)

    # The end of a wait.

    def expire(self, now: float) -> Iterator[Delivery]:
        """Detach the listeners whose deadline has passed; an accepted job is polled for the others, and for a while."""
        while (ticket := self._deadlines.take(now)) is not None:
            if ticket.status is JobStatus.SUBMITTING:
                # A submission in flight is not given up: its listeners learn first whether it was accepted.
                self._deadlines.add(ticket, now + _GRACE)
            elif ticket.listener is None:
                self._polls.drop(ticket)
            else:
                yield from self._listeners.release_expired(ticket, now)

    def close(self, now: float) -> Iterator[Delivery]:
        """Detach all listeners, since the client is closed; accepted jobs continue at the provider."""
        for ticket in self._deadlines.pending():
            if ticket.listener is not None:
                if ticket.queued:
                    transition(ticket, Trigger.DROPPED)
                yield from self._notifier.finish(ticket, now, error=self._notifier.closed_error(ticket, now))
