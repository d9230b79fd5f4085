"""Decide whether a job is new, running or done, and submit, join, resume or replay it.

A client has one dispatcher, and each batch with a journal of its own another one. A job that is running is joined: it
is submitted once, and each caller waits as long as it likes. With a journal, a known job is resumed: an accepted one is
polled at the provider that has it, the result of a finished one is replayed, and only what was never sent is submitted.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Container, Sequence
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager

from attrs import evolve

from ..journal.resume import ResumeAction
from ..journal.steps import JournalEntry
from ..journal.submission import Decision, Submission
from ..journal.writer import JournalWriter
from ..providers import provider_named
from ..providers.selection import resolved
from ..scheduling.priority import BATCH, INTERACTIVE
from ..scheduling.ticket import Subscription
from ..system.interrupts import defer_interrupts
from ..types.errors import AnswerLost, InputError, InputFault, KlingError
from ..types.events import Event, Listener
from ..types.inputs import Input
from ..types.jobs import Job, fingerprint
from ..types.media_values import lacks_content
from ..types.prediction import Prediction
from ..types.status import JobStatus
from .account import Account, AccountTicket
from .accounts import Accounts
from .admission import Admission, AdmissionRules, billable
from .completion import Completion, prediction_of
from .failover import new_ticket
from .joined import joined_admission
from .replacement import readmission
from .replay import replayed_event
from .running_jobs import RunningJobs

__all__ = ["Dispatcher"]

_log = logging.getLogger(__name__)


class Dispatcher:
    """Starts and resumes jobs on a client's provider accounts.

    Args:
        accounts: of the client, by provider.
        journal: writes the journal; None without one.

    Attributes:
        running: the jobs that are running.
    """

    def __init__(self, *, accounts: Accounts, journal: JournalWriter | None = None) -> None:
        self.accounts = accounts
        self.journal = journal
        self.running = RunningJobs()

    @asynccontextmanager
    async def open_journal(self, journal: JournalWriter) -> AsyncGenerator[list[Submission]]:
        """Hold a journal open, with what it knows of local media; yields the submissions to resume."""
        async with journal.opened() as accepted, self.accounts.library.beside(journal.path):
            journal.intents.watch_left(lambda: self.accounts.start(self._take_left))
            yield accepted

    @defer_interrupts
    async def _take_left(self) -> None:
        """Poll what another client had been polling, which is gone."""
        try:
            for known in [] if self.journal is None else await self.journal.intents.take_left():
                if self.running.find(known.key) is None:
                    self._resume(known.job(), known, BATCH)
        except (KlingError, RuntimeError) as error:  # there is no key for its provider, or the client was closed
            _log.warning("what another client has left is not polled here: %s", error)

    def reserve_key(self, key: str | None) -> AbstractAsyncContextManager[None]:
        """Keep other calls from starting the same job, from its admission until it is started."""
        return self.running.reserve(key or "")

    async def admit(self, job: Job, rules: AdmissionRules, *, shared: bool = True) -> Admission:
        """Decide what to do about a job.

        Args:
            job: with a key.
            rules: those of the client or the batch.
            shared: whether the key names the job for other calls as well; a generated one, without a journal to keep
                it, does not.

        Raises:
            InputError: no provider takes it, or the journal or a running call knows another input under its key.
            JournalError: the journal cannot be read.
        """
        # Running jobs are searched before the journal is read: one may finish meanwhile.
        joined = joined_admission(job, self.running.find(job.key), rules) if shared else None
        if joined is not None:
            return joined
        known = None if self.journal is None else await self.journal.find(job.key)
        if known is None:
            return billable(job, rules, action=ResumeAction.SUBMIT, known=None, shared=shared)
        same = resolved(job, known.provider)
        action = rules.action(known, same, is_shared=self.journal is not None and self.journal.is_shared)
        if known.replaces is not None and known.replaces == fingerprint(same.input):
            admission = readmission(same, rules, action=action, known=known, shared=shared)
        elif action in (ResumeAction.SUBMIT, ResumeAction.RESUBMIT):
            return billable(job, rules, action=action, known=known, shared=shared)
        else:
            admission = Admission(job=same, action=action, known=known)
        if self.journal is not None and action is ResumeAction.REPLAY:
            self.journal.remember(JournalEntry(self.journal, known))
        return admission

    def start(self, admission: Admission, subscription: Subscription) -> AccountTicket | None:
        """Do what was decided about a job, immediately after its admission, and tell a listener of its events.

        Returns:
            The job's ticket; None for one that has finished before, of which the listener has heard already.

        Raises:
            InputError: there is no key for its provider.
            RuntimeError: the client was closed meanwhile.
        """
        ticket = admission.ticket
        if ticket is None and admission.is_billable:
            return self._submit(admission, subscription)
        known = admission.known
        follows = admission.action is ResumeAction.ATTACH and not subscription.only_submit
        if ticket is None and known is not None and follows:
            ticket = self.running.find(known.key) or self._resume(admission.job, known, subscription.priority)
        if ticket is None:
            self._replay(admission, subscription.listener)
            return None
        ticket.account.join(ticket, subscription)
        return ticket

    def _submit(self, admission: Admission, subscription: Subscription) -> AccountTicket:
        job, entry = admission.job, None
        if self.journal is not None:
            provider, repeats = job.provider or "", admission.action is ResumeAction.RESUBMIT
            price = admission.price_at(provider)
            known, replaces = admission.known, admission.replaces
            entry = self.journal.new_entry(
                job, provider=provider, price=price, known=known, repeats=repeats, replaces=replaces
            )
            entry.max_cost = admission.max_cost
        ticket = new_ticket(admission, self._account, entry)
        ticket.account.submit(ticket, subscription)
        if admission.shared and job.key is not None:
            self.running.add(job.key, ticket)
        return ticket

    def _resume(self, job: Job, known: Submission, priority: float) -> AccountTicket | None:
        """Poll or look up a job of an earlier run; it has no listener yet. None if nothing can be done for it."""
        if known.status is JobStatus.RESOLVING:
            return self._look_up(job, known, priority)
        if known.prediction is None or self.journal is None:
            return None
        now = self.journal.now()
        ticket = self._account(known.provider).resume(
            job,
            known.prediction,
            entry=JournalEntry(self.journal, known),
            priority=priority,
            age=now - (known.accepted_at or now),
        )
        self.running.add(known.key, ticket)
        return ticket

    def _look_up(self, job: Job, known: Submission, priority: float) -> AccountTicket | None:
        account, error = self._account(known.provider), known.error()
        if self.journal is None or known.client_id is None or not isinstance(error, AnswerLost):
            return None
        age = self.journal.now() - (known.sent_at or 0.0)
        if not account.api.can_look_up(job.input, known.client_id, age=age):
            return None
        is_redacted = not known.input_complete and job.input == known.job().input
        if (is_redacted or lacks_content(job.input)) and account.api.repeats(job.input):
            return None  # a journal keeps no secrets of an input, without which it would be another submission
        entry = JournalEntry(self.journal, known)
        ticket = account.look_up(job, error, known.client_id, entry=entry, priority=priority, age=age)
        self.running.add(known.key, ticket)
        return ticket

    def _replay(self, admission: Admission, listener: Listener) -> None:
        """Tell a listener the recorded result of a job that nothing is done for."""
        if admission.known is None:
            raise RuntimeError("a finished job is in the journal")
        event = replayed_event(admission.job, admission.known, at=self.accounts.clock.now())
        listener(event)
        self.accounts.listeners.notify(event)

    def _account(self, provider: str | None) -> Account:
        account = self.accounts.account(provider_named(provider or ""))
        if self.journal is not None:
            account.share(self.journal.intents)
        return account

    # Calls that wait.

    async def run(
        self, job: Job, rules: AdmissionRules, *, wait_for: float, priority: float = BATCH, only_submit: bool = False
    ) -> Event:
        """Do what is to be done about a job, and return its last event."""
        self.accounts.check_open()
        completion = Completion()
        async with self.reserve_key(job.key):
            admission = await self.admit(job, rules)
            ticket = self.start(admission, self._subscription(completion, wait_for, priority, only_submit=only_submit))
        return await self.finish(completion, ticket)

    async def resubmit(
        self, key: str, input: Input | None, rules: AdmissionRules, journal: JournalWriter, *, wait_for: float
    ) -> Event:
        """Submit an unconfirmed job again, and return once it is accepted."""
        async with self.reserve_key(key):
            known = await journal.find(key)
            if known is not None and input is None and not known.input_is_whole:
                needed = "is needed: a journal keeps no local media, no data URIs and no signed URLs"
                fault = InputFault("input", None, needed)
                raise InputError.of("The journal does not hold all of the input", [fault], key=key)
            known = await journal.resolve(key, Decision.RESUBMITTED)
            job = known.job() if input is None else evolve(known.job(), input=input)
            admission = billable(job, rules, action=ResumeAction.RESUBMIT, known=known)
            if fingerprint(admission.job.input) == known.fingerprint:
                admission = evolve(admission, replaces=known.replaces)
            completion = Completion()
            ticket = self.start(admission, self._subscription(completion, wait_for, BATCH, only_submit=True))
        return await self.finish(completion, ticket)

    async def wait(self, prediction: Prediction, *, wait_for: float) -> Event:
        """Poll a prediction until it is finished; calls that wait for the same one share its polls."""
        self.accounts.check_open()
        entry = None if self.journal is None else await self.journal.entry_for(prediction)
        completion = Completion()
        subscription = self._subscription(completion, wait_for, INTERACTIVE)
        ticket = self.running.find_polled(prediction)
        if ticket is None and entry is not None and entry.submission.status is JobStatus.ACCEPTED:
            ticket = self._resume(entry.submission.job(), entry.submission, INTERACTIVE)
        if ticket is not None:
            ticket.account.join(ticket, subscription)
        else:
            ticket = self._account(prediction.provider).poll(prediction, subscription, entry=entry)
            self.running.add((prediction.provider, prediction.id), ticket)
        return await self.finish(completion, ticket)

    async def refresh(self, prediction: Prediction, *, wait_for: float) -> Prediction:
        """Poll a prediction once, and return it as the provider describes it now."""
        self.accounts.check_open()
        entry = None if self.journal is None else await self.journal.entry_for(prediction)
        completion = Completion()
        subscription = self._subscription(completion, wait_for, INTERACTIVE)
        ticket = self._account(prediction.provider).poll(prediction, subscription, entry=entry, once=True)
        seen = prediction_of(await self.finish(completion, ticket))
        return prediction if prediction.status.is_terminal and not seen.status.is_terminal else seen

    async def cancel(self, prediction: Prediction, *, wait_for: float) -> Prediction:
        """Cancel a prediction, and return it as the provider describes it then."""
        self.accounts.check_open()
        await self._account(prediction.provider).api.cancel(prediction)
        return await self.refresh(prediction, wait_for=wait_for)

    def _subscription(
        self, completion: Completion, wait_for: float, priority: float, *, only_submit: bool = False
    ) -> Subscription:
        return Subscription(completion, self.accounts.clock.now() + wait_for, priority, only_submit)

    async def finish(self, completion: Completion, ticket: AccountTicket | None) -> Event:
        """Wait for the last event of a job."""
        try:
            return await completion.wait(ticket)
        finally:
            self.release(ticket)

    # What an earlier run has left.

    def resume(self, accepted: Sequence[Submission], *, priority: float) -> None:
        """Poll what was accepted in an earlier run, whether or not a call asks for it."""
        for known in accepted:
            self._resume(known.job(), known, priority)

    async def unfinished(self, keys: Container[str], *, saving: bool) -> AsyncGenerator[Admission]:
        """Yield what an earlier run has paid for and not finished, or not saved, beside the jobs of these keys."""
        if self.journal is None:
            return
        async with aclosing(self.journal.unfinished(saving=saving)) as left:
            async for known in left:
                if known.key not in keys:
                    action = ResumeAction.REPLAY if known.status.is_terminal else ResumeAction.ATTACH
                    yield Admission(job=known.job(), action=action, known=known)

    def release(self, ticket: AccountTicket | None) -> None:
        """Keep no job that has ended: its input, and its reply, may be large."""
        if ticket is not None:
            self.running.drop(ticket)
