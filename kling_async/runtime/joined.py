"""The admission of a job that is running: a second call for it joins the first."""

from __future__ import annotations

from typing import Final

from attrs import evolve

from ..journal.resume import ResumeAction
from ..journal.steps import JournalEntry
from ..providers.selection import resolved
from ..types.errors import InputError, InputFault
from ..types.jobs import Job, fingerprint
from ..types.status import JobStatus
from .account import AccountTicket
from .admission import Admission, AdmissionRules
from .failover import ReplacingTicket

__all__ = ["joined_admission"]

_RUNNING: Final = "Nothing was sent for it. Wait until that one is finished, or give this one another key."


def joined_admission(job: Job, ticket: AccountTicket | None, rules: AdmissionRules) -> Admission | None:
    """Return the admission of a job whose key a running ticket has; None if it is not running.

    Raises:
        InputError: another input is running under the key.
    """
    if ticket is None or ticket.job is None:
        return None
    known = ticket.entry.submission if isinstance(ticket.entry, JournalEntry) else None
    replaces = ticket.replaces if isinstance(ticket, ReplacingTicket) else known.replaces if known else None
    running = known.fingerprint if known else fingerprint(ticket.job.input)
    job = resolved(job, ticket.job.provider or "")
    given = fingerprint(job.input)
    if given not in (running, replaces):
        if known is not None and ticket.status is JobStatus.ACCEPTED and not ticket.subscriptions:
            return None  # whether a changed input may be submitted is for the journal to decide
        fault = InputFault("input", job.input.prompt, "differs from the one that is running under this key")
        raise InputError.of("Another input is running", [fault], key=job.key, advice=_RUNNING)
    refused = job.input if given == replaces else None
    job = job if refused is None else evolve(job, input=ticket.job.input)
    price = rules.router.max_price(job)
    return Admission(
        job=job,
        action=ResumeAction.ATTACH,
        known=known,
        price=price,
        ticket=ticket,
        replaces=replaces,
        refused=refused,
    )
