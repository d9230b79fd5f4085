"""The admission of an input that takes the place of a refused one: at the same provider, under the same key."""

from __future__ import annotations

from typing import Final

from attrs import evolve

from ..journal.refusals import replacement_input
from ..journal.resume import ResumeAction
from ..journal.steps import JournalEntry
from ..journal.submission import Submission
from ..providers.selection import resolved
from ..scheduling.ticket import Entry
from ..types.errors import InputError, InputFault
from ..types.inputs import Input
from ..types.jobs import Job, fingerprint
from .admission import Admission, AdmissionRules

__all__ = ["readmission", "replacing", "submitted_input"]

_NOT_WHOLE: Final = (
    "Nothing was sent. The content of local media and signatures of URLs are in no journal. Give it another key, or "
    "pass the whole input with resubmit_changed=True."
)
_TAKEN: Final = "took the place of a refused one, and the journal does not hold all of it"


def replacing(
    job: Job,
    rules: AdmissionRules,
    *,
    refused: Input,
    known: Submission | None,
    shared: bool,
    action: ResumeAction = ResumeAction.RESUBMIT,
) -> Admission:
    """Return the admission of an input in the place of a refused one.

    Args:
        job: with the input, its key, and the provider that refused the other one.
        rules: those of the client or the batch.
        refused: the refused input, as it was submitted.
        known: the newest submission of the job; None without a journal.
        shared: whether the key names the job for other calls as well.
        action: what to do.

    Raises:
        InputError: the provider does not take it.
    """
    rules.router.candidates(job)
    job = resolved(job, job.provider or "")
    return Admission(
        job=job,
        action=action,
        known=known,
        price=rules.router.max_price(job),
        shared=shared,
        max_cost=rules.max_cost,
        replaces=fingerprint(refused),
        refused=refused,
    )


def readmission(job: Job, rules: AdmissionRules, *, action: ResumeAction, known: Submission, shared: bool) -> Admission:
    """Return the admission of a job that is known by an input in the place of its own: that one is submitted.

    Args:
        job: with its own input, which was refused, at the provider that refused it.
        rules: those of the client or the batch.
        action: what to do.
        known: the newest submission of the job.
        shared: whether the key names the job for other calls as well.

    Raises:
        InputError: it is to be submitted, and the journal does not hold all of it, or no provider takes it.
    """
    input, is_whole = replacement_input(known, job)
    given = evolve(job, input=input)
    if action not in (ResumeAction.SUBMIT, ResumeAction.RESUBMIT):
        return Admission(job=given, action=action, known=known, replaces=known.replaces, refused=job.input)
    if not is_whole:
        fault = InputFault("input", input.prompt, _TAKEN)
        raise InputError.of("The input cannot be submitted again", [fault], key=job.key, advice=_NOT_WHOLE)
    return replacing(given, rules, refused=job.input, known=known, shared=shared, action=action)


def submitted_input(admission: Admission, entry: Entry | None) -> tuple[Input, Input | None]:
    """Return the input that was submitted last for a job, and the refused one in whose place it was, if any.

    Another client that shares the journal may have replaced the input first: then its submission is that of the job.
    """
    known = entry.submission if isinstance(entry, JournalEntry) else None
    given = admission.job.input
    if known is None or known.replaces is None or known.fingerprint == fingerprint(given):
        return given, admission.refused
    return known.job().input, admission.refused or given
