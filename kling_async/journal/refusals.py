"""Another input in the place of a refused one: when it may be asked for, and what the journal has of it."""

from __future__ import annotations

from attrs import evolve, fields_dict

from ..types.errors import ContentRejected, InputError
from ..types.inputs import Input
from ..types.jobs import Job, fingerprint
from ..types.media_values import MEDIA_FIELDS, lacks_content
from ..types.prediction import FailureKind
from .submission import Submission

__all__ = ["is_content_refusal", "may_replace", "replacement_input"]


def may_replace(known: Submission | None, refused: Input) -> bool:
    """Return whether another input may be asked for in the place of a refused one: once per job.

    Args:
        known: the newest submission of the job; None without a journal, which then cannot say it.
        refused: the input.
    """
    if known is None:
        return True
    if known.replaces is not None or known.declined or not is_content_refusal(known):
        return False
    return known.fingerprint == fingerprint(refused)


def is_content_refusal(known: Submission) -> bool:
    """Return whether a submission has ended with a refusal of its content, at once or as its result."""
    if not known.status.is_terminal:
        return False
    if known.prediction is not None:
        failure = known.prediction.failure
        return failure is not None and failure.kind is FailureKind.CONTENT_REJECTED
    return isinstance(known.error(), ContentRejected)


def replacement_input(known: Submission, job: Job) -> tuple[Input, bool]:
    """Return the input that took the place of a job's own, as a journal has it, and whether it is whole.

    A journal keeps no content of local media and no signature of a URL. Where the two inputs have the same media,
    which their fingerprints prove, these come from the job.
    """
    stored = known.job().input
    shared = fields_dict(type(stored)).keys() & fields_dict(type(job.input)).keys() & set(MEDIA_FIELDS)
    try:
        whole = evolve(stored, **{name: getattr(job.input, name) for name in shared})
    except InputError:  # media of the one do not go with the rest of the other
        whole = stored
    if whole is not stored and fingerprint(whole) == known.fingerprint:
        return whole, not lacks_content(whole)
    return stored, known.input_is_whole
