"""The refusals of content in a batch: another input is asked for while its other jobs go on."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

import anyio

from ..scheduling.budget import Budget
from ..types.errors import BudgetExceeded, ContentRejected, JournalError
from ..types.events import Event
from .admission import Admission
from .outcome_queue import OutcomeQueue
from .refusals import Answer, Replacer, Unreplaced, caused_by, ended_event

__all__ = ["BatchRefusals"]


class BatchRefusals:
    """Asks for other inputs, and reserves their prices.

    Args:
        replacer: asks and admits; None where nothing is asked.
        budget: in which the price of an input is reserved.
        outcomes: says when a job has freed budget.
        now: returns the time.
    """

    def __init__(
        self, replacer: Replacer | None, *, budget: Budget, outcomes: OutcomeQueue, now: Callable[[], float]
    ) -> None:
        self._replacer = replacer
        self._budget = budget
        self._outcomes = outcomes
        self._now = now
        self._asking: set[anyio.CancelScope] = set()

    def begin(self, admission: Admission, event: Event) -> ContentRejected | None:
        """Return the refusal with which a job has ended, if `replace` is to be called for it."""
        refusal = None if self._replacer is None else self._replacer.refusal_of(admission, event)
        if refusal is not None and self._replacer is not None and admission.shared:
            self._replacer.handled.begin(admission.job.key)
        return refusal

    def stop(self) -> None:
        """Ask no more: jobs whose answer is awaited end with their refusals."""
        for scope in list(self._asking):
            scope.cancel()

    async def replace(
        self,
        refused: Admission,
        event: Event,
        refusal: ContentRejected,
        *,
        deadline: float,
        start: Callable[[Admission], None],
    ) -> Event | None:
        """Ask for another input after a refusal, and start it.

        Args:
            refused: the admission of the job.
            event: its last event.
            refusal: its refusal, which `begin` has returned.
            deadline: the time at which the batch stops waiting for the job.
            start: starts the other input, whose price is reserved.

        Returns:
            the last event of the job if nothing was started, else None.
        """
        if self._replacer is None:
            return event
        answer, scope = Unreplaced(), anyio.CancelScope()
        self._asking.add(scope)
        try:
            with scope:
                async with self._replacer.replacing(refused, event, refusal, deadline=deadline) as given:
                    other = await self._reserved(given, refusal, deadline=deadline)
                    if isinstance(other, Admission):
                        start(other)
                        return None
                    answer = other
        except JournalError as error:
            answer = Unreplaced(error=caused_by(refusal, error))
        finally:
            self._asking.discard(scope)
            if refused.shared:
                self._replacer.handled.end(refused.job.key)
        return ended_event(event, answer)

    async def _reserved(self, answer: Answer, refusal: ContentRejected, *, deadline: float) -> Answer:
        """Return an admission once its price is reserved; it waits while open jobs can free money."""
        if isinstance(answer, Unreplaced) or not answer.is_billable:
            return answer
        try:
            while not self._budget.reserve(answer.price):
                if not self._budget.reserved:
                    raise self._budget.exceeded(answer.job.key, answer.price)
                await self._outcomes.capacity()
        except BudgetExceeded as error:
            return Unreplaced(error=caused_by(refusal, error))
        if self._now() < deadline:
            return answer
        self._budget.settle(answer.price, spent=Decimal(0))
        return Unreplaced()
