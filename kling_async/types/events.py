"""Events: changes of a job as immutable facts."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from pathlib import PurePath
from typing import Protocol, TypeAlias, runtime_checkable

from attrs import field, frozen

from .errors import KlingError
from .prediction import Prediction
from .status import JobStatus

__all__ = ["ClosableListener", "Event", "EventKind", "Listener", "UploadProgress"]


class EventKind(StrEnum):
    """The kind of a change."""

    SUBMITTED = "submitted"
    """A submission is in flight."""
    RESOLVING = "resolving"
    """The answer to a submission was lost, and it is looked up at the provider by its client id."""
    ACCEPTED = "accepted"
    RESUMED = "resumed"
    """The job was accepted before, in an earlier run or for another caller; its result is awaited from now on."""
    UPLOADING = "uploading"
    """Local media of the job are on their way to the provider; nothing is submitted before they are there."""
    STATUS = "status"
    """The provider reports another status."""
    THROTTLED = "throttled"
    """The provider answered 429; the account pauses."""
    POLL_ERROR = "poll_error"
    HELD = "held"
    """A limit that clients share lets the submission leave later; nothing was sent, and nothing is wrong."""
    NOT_SENT = "not_sent"
    """The provider could not be reached; the submission is queued again."""
    MOVED = "moved"
    """The provider cannot take the job now, and another one does; nothing was started at this one."""
    REPLACED = "replaced"
    """Its input was refused, and `on_refused` gave another one, which is submitted next."""
    FINISHED = "finished"
    """The job is terminal, with a prediction, an error or both."""
    SAVED = "saved"
    """Its files are saved."""
    NOT_SAVED = "not_saved"
    """Its files could not be saved; they can be downloaded again."""


@frozen(kw_only=True)
class UploadProgress:
    """How far the upload of one content is.

    Attributes:
        name: the file's name.
        sent: bytes that were sent so far.
        size: all bytes.
    """

    name: str
    sent: int
    size: int


@frozen(eq=False, kw_only=True)
class Event:
    """A change of a job, or a failed attempt at one.

    Attributes:
        kind: the kind of change.
        at: its time, in seconds of the client's clock.
        provider: the name of the account's provider.
        key: the job's key; None for a prediction that was submitted without one.
        status: the job's status after the change.
        previous: its status before.
        prediction: the provider's last record, or None.
        error: the error behind the change, or None.
        files: the saved files of a `SAVED` event; URLs as `str` where they were saved in an object store.
        retry_in: seconds for which a throttled account pauses, or until the submission is retried.
        prompt: the prompt of the job's input; empty for a prediction that is only polled.
        replayed: whether the result is that of an earlier run, read from the journal.
        upload: how far an upload is, of an `UPLOADING` event.
        queued_seconds: seconds in the local queue, of a `SUBMITTED` event; since the beginning, for a retry.
        unseen_seconds: of a `FINISHED` event, the seconds between the last poll that found the prediction running and
            the one that found its end: the result was ready for no longer than that.
    """

    kind: EventKind
    at: float
    provider: str
    key: str | None
    status: JobStatus
    previous: JobStatus
    prediction: Prediction | None = None
    error: KlingError | None = None
    files: tuple[PurePath | str, ...] = ()
    retry_in: float | None = None
    prompt: str = field(default="", repr=False)
    replayed: bool = False
    upload: UploadProgress | None = None
    queued_seconds: float | None = None
    unseen_seconds: float | None = None


Listener: TypeAlias = Callable[[Event], None]


@runtime_checkable
class ClosableListener(Protocol):
    """A listener that is told when no more events come."""

    def __call__(self, event: Event, /) -> None:
        """Take an event."""

    def close(self) -> None:
        """Take note that no more events come; it may be called several times."""
