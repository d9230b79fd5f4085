"""The journal's record of a submission.

Theory of operation. A journal holds one `Submission` per attempt at a job. Each step is a function from one value to
the next; the newest attempt has the job's status. The file may be read by others, so it holds no data URI and no query
of a URL, which may be a signature; of local media it holds the hash. Whether something was removed is recorded: such
outputs are polled again before they are downloaded, and such an input cannot be submitted from the journal alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from enum import Enum
from typing import Any, Final, cast

from attrs import asdict, evolve, field, frozen

from ..types.client_id import ClientId
from ..types.errors import AnswerLost, KlingError, PredictionFailed
from ..types.inputs import ImageInput, Input, Shot, VideoInput
from ..types.jobs import Job, fingerprint
from ..types.media_values import MEDIA_FIELDS, lacks_content
from ..types.prediction import Json, Output, Prediction
from ..types.status import JobStatus, status_of
from .redaction import redact
from .stored_error import StoredError
from .stored_media import media_from, stored_media

__all__ = ["Decision", "Submission", "input_from", "new_submission"]


class Decision(Enum):
    """A user's decision about an unconfirmed submission."""

    ATTACHED = "attached"
    RESUBMITTED = "resubmitted"
    ABANDONED = "abandoned"


@frozen(kw_only=True)
class Submission:
    """One attempt at a job, as the journal stores it.

    Times are seconds since 1970.

    Attributes:
        key: the job's key.
        attempt: 1 for the first submission of the job; a further one costs again.
        provider: the provider's name.
        model: the requested model.
        fingerprint: a hash of the input.
        input: the input's fields, without secrets.
        labels: the job's labels.
        input_complete: whether nothing had to be redacted in `input`.
        price: the maximum cost in US dollars; None where no price is known.
        status: the job's status after this attempt.
        prediction: the provider's record, with the queries of output URLs removed.
        urls_complete: whether nothing had to be redacted in the outputs' URLs.
        stored_error: the error of a refusal or of a lost answer.
        client_id: the caller's own id of the submission, where the provider takes one.
        files: names of the saved files; None until all are saved.
        checksums: SHA-256 of each of these files, where they were saved as objects or with their provenance.
        decision: the decision about it, if it was unconfirmed.
        replaces: the fingerprint of the job's own input, which the content policy refused, if this input took its
            place; further attempts keep it.
        declined: whether another input was asked for after its refusal, and there is none.
        planned_at: time of its first entry.
        sent_at: time of its submission.
        accepted_at: time of the provider's acceptance.
        finished_at: time when it was found terminal, or was refused.
        saved_at: time when all its files were saved.
    """

    key: str
    attempt: int = 1
    provider: str
    model: str
    fingerprint: str
    input: Mapping[str, Json] = field(repr=False)
    labels: Mapping[str, str] = field(factory=dict[str, str])
    input_complete: bool = True
    price: Decimal | None = None
    status: JobStatus = JobStatus.PLANNED
    prediction: Prediction | None = None
    urls_complete: bool = True
    stored_error: StoredError | None = None
    client_id: ClientId | None = None
    files: tuple[str, ...] | None = None
    checksums: tuple[str, ...] | None = None
    decision: Decision | None = None
    replaces: str | None = None
    declined: bool = False
    planned_at: float = 0.0
    sent_at: float | None = None
    accepted_at: float | None = None
    finished_at: float | None = None
    saved_at: float | None = None

    def is_of(self, fingerprint: str) -> bool:
        """Return whether it is an attempt at a job with this input, be it by another one that took its place."""
        return fingerprint in (self.fingerprint, self.replaces)

    @property
    def input_is_whole(self) -> bool:
        """Whether it can be submitted again from the journal alone."""
        return self.input_complete and not lacks_content(self.job().input)

    @property
    def succeeded(self) -> bool:
        """Whether its prediction succeeded."""
        return self.prediction is not None and self.prediction.succeeded

    @property
    def is_unsaved(self) -> bool:
        """Whether its prediction succeeded, and its files are not saved."""
        return self.succeeded and self.files is None

    @property
    def is_unpaid(self) -> bool:
        """Whether it certainly cost nothing: it was not sent, or the provider refused it."""
        refused = self.status is JobStatus.FAILED and self.prediction is None
        return refused or self.status is JobStatus.PLANNED

    @property
    def max_cost(self) -> Decimal:
        """Its maximum cost in US dollars: the provider's figure, else the price; 0 where neither is known."""
        if self.is_unpaid:
            return _NOTHING
        if self.prediction is not None and self.prediction.cost is not None:
            return self.prediction.cost
        return _NOTHING if self.price is None else self.price

    def sent(self, at: float, client_id: ClientId | None = None) -> Submission:
        """Return it as submitting: from now on it may cost."""
        return evolve(self, status=JobStatus.SUBMITTING, sent_at=at, stored_error=None, client_id=client_id)

    def accepted(self, prediction: Prediction, at: float) -> Submission:
        """Return it as accepted, or as finished if the prediction is terminal."""
        if prediction.status.is_terminal:
            return evolve(self, accepted_at=at).finished(prediction, at)
        redacted, complete = _redacted(prediction)
        return evolve(self, status=JobStatus.ACCEPTED, prediction=redacted, urls_complete=complete, accepted_at=at)

    def finished(self, prediction: Prediction, at: float) -> Submission:
        """Return it as terminal, with the prediction's status."""
        redacted, complete = _redacted(prediction)
        return evolve(self, status=status_of(prediction), prediction=redacted, urls_complete=complete, finished_at=at)

    def failed(self, error: KlingError, *, at: float) -> Submission:
        """Return it as refused or deferred, or as unconfirmed after a lost answer."""
        stored = StoredError.from_error(error)
        if isinstance(error, AnswerLost):
            return evolve(self, status=JobStatus.UNCONFIRMED, stored_error=stored)
        return evolve(self, status=status_of(None, error), stored_error=stored, finished_at=at)

    def resolving(self, error: KlingError) -> Submission:
        """Return it as looked up by its client id, after a lost answer."""
        return evolve(self, status=JobStatus.RESOLVING, stored_error=StoredError.from_error(error))

    def interrupted(self) -> Submission:
        """Return it as looked up by its client id, else as unconfirmed: its process ended before an answer came."""
        error = AnswerLost("The process ended before an answer came")
        return self.failed(error, at=0.0) if self.client_id is None else self.resolving(error)

    def saved(self, files: tuple[str, ...], at: float, *, checksums: tuple[str, ...] | None = None) -> Submission:
        """Return it with the names of its saved files, and with their checksums if there are any."""
        return evolve(self, files=files, checksums=checksums, saved_at=at)

    def decided(self, decision: Decision) -> Submission:
        """Return it with a decision."""
        status = JobStatus.ABANDONED if decision is Decision.ABANDONED else self.status
        return evolve(self, status=status, decision=decision)

    def attached(self, id: str, at: float) -> Submission:
        """Return it as accepted under an id that the user found at the provider."""
        prediction = Prediction(provider=self.provider, model=self.model, id=id, key=self.key)
        accepted = self.accepted(prediction, self.sent_at or at)
        return evolve(accepted, decision=Decision.ATTACHED, stored_error=None)

    def job(self) -> Job:
        """Return its job, with redacted secrets in the input."""
        return Job(input_from(self.input), key=self.key, provider=self.provider, labels=self.labels)

    def error(self) -> KlingError | None:
        """Return its error, or None."""
        if self.status in _WITHOUT_ANSWER:
            return self._unconfirmed()
        if self.status.is_terminal and self.prediction is not None and not self.succeeded:
            return PredictionFailed(self.prediction)
        failed = self.status is JobStatus.FAILED and self.stored_error is not None
        error = self.stored_error.to_error() if failed and self.stored_error is not None else None
        if error is not None:
            error.provider, error.key = self.provider, self.key
        return error

    def _unconfirmed(self) -> AnswerLost:
        reason = self.stored_error.message if self.stored_error is not None else "No answer came"
        error = AnswerLost(reason, provider=self.provider, key=self.key, status="unconfirmed", advice=_ADVICE)
        if self.status is JobStatus.ABANDONED:
            error.message, error.status = f"{reason}; it was abandoned", "abandoned"
            error.advice = "Submit it under another key."
        return error


_NOTHING: Final = Decimal(0)
_WITHOUT_ANSWER: Final = (
    JobStatus.SUBMITTING,
    JobStatus.RESOLVING,
    JobStatus.UNCONFIRMED,
    JobStatus.ABANDONED,
)
_ADVICE: Final = (
    "It was not sent again, since the provider may have started it. Check the provider's own history, then "
    "resolve it: client.attach(key, id), client.resubmit(key), which may pay twice, or client.abandon(key)."
)


def _stored(_: object, __: object, value: object) -> object:
    if isinstance(value, tuple):
        return [stored_media(one) for one in cast("tuple[object, ...]", value)]
    return stored_media(value)


def new_submission(
    job: Job, *, provider: str, price: Decimal | None, at: float, attempt: int = 1, replaces: str | None = None
) -> Submission:
    """Return the first form of a submission: planned, with its input redacted."""
    fields: Mapping[str, object] = {"kind": job.input.kind} | asdict(job.input, value_serializer=_stored)
    given = cast("Json", {name: value for name, value in fields.items() if value not in (None, [], {})})
    stored = cast("Mapping[str, Json]", redact(given))
    return Submission(
        key=job.key or "",
        attempt=attempt,
        provider=provider,
        model=job.input.model or "",
        fingerprint=fingerprint(job.input),
        input=stored,
        labels=dict(job.labels),
        input_complete=stored == given,
        price=price,
        replaces=replaces,
        planned_at=at,
    )


def input_from(fields: Mapping[str, Json]) -> Input:
    """Return the input of a submission, with redacted secrets, and with local media by their hashes alone."""
    given = cast("dict[str, Any]", dict(fields))
    for name in MEDIA_FIELDS & given.keys():
        given[name] = _media_from(given[name])
    kind = ImageInput if given.pop("kind") == "image" else VideoInput
    if "shots" in given:
        given["shots"] = [Shot(**shot) for shot in given["shots"]]
    return kind(**given)


def _media_from(value: object) -> object:
    if isinstance(value, list):
        return [media_from(one) for one in cast("list[object]", value)]
    return media_from(value)


def _redacted_output(output: Output) -> Output:
    url = cast("str", redact(output.url))
    return output if url == output.url else evolve(output, url=url, is_fetchable=False)


def _redacted(prediction: Prediction) -> tuple[Prediction, bool]:
    outputs = tuple(map(_redacted_output, prediction.outputs))
    failure = prediction.failure
    if failure is not None:
        failure = evolve(failure, message=cast("str", redact(failure.message)))
    return evolve(prediction, outputs=outputs, failure=failure, raw=None), outputs == prediction.outputs
