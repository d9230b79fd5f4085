"""What a journal keeps of each submission.

Theory of operation. A journal holds one `Submission` per attempt at a job. Each step of its life is a function from one
value to the next; the newest attempt says how the job stands. What is kept can be read by anybody who gets the file, so
it holds no data URI and no query of an address, where signatures stand. Where that took something away it is noted:
such outputs are asked for anew before they are fetched, and such an input cannot be submitted from the journal alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from enum import Enum
from typing import Any, Final, cast

from attrs import asdict, evolve, field, frozen

from .. import errors
from ..errors import AnswerLost, JournalError, KlingError, NotSent, PredictionFailed, RateLimited
from ..inputs import ImageInput, Input, Job, Shot, VideoInput
from ..naming import fingerprint
from ..prediction import Json, Prediction, Status
from .moves import LATCHING, State
from .redaction import without_secrets

__all__ = ["Decision", "Submission", "Trouble", "input_from", "is_put_off", "planned"]


class Decision(Enum):
    """What was decided about a submission that was unconfirmed."""

    ATTACHED = "attached"
    RESUBMITTED = "resubmitted"
    ABANDONED = "abandoned"


@frozen
class Trouble:
    """An error, as far as a journal keeps it.

    Attributes:
        kind: the name of its class.
        message: what happened.
        may_be_billed: whether money may have been spent.
    """

    kind: str
    message: str
    http_status: int | None = None
    code: str | None = None
    may_be_billed: bool = False

    @classmethod
    def of(cls, error: KlingError) -> Trouble:
        """Keep an error."""
        message = cast("str", without_secrets(error.message))
        return cls(type(error).__name__, message, error.http_status, error.code, error.may_be_billed)

    def error(self) -> KlingError:
        """Return the error again."""
        kind: object = getattr(errors, self.kind, None)
        plain = isinstance(kind, type) and issubclass(kind, KlingError) and self.kind in _PLAIN
        made = cast("type[KlingError]", kind) if plain else KlingError
        return made(self.message, http_status=self.http_status, code=self.code, may_be_billed=self.may_be_billed)


_PLAIN: Final = frozenset(errors.__all__) - {"PredictionFailed", "WaitTimeout", "InputFault"}
"""Errors that are made of a sentence and facts alone."""


@frozen(kw_only=True)
class Submission:
    """What a journal keeps of one submission.

    Times are seconds since 1970.

    Attributes:
        key: the job's name.
        attempt: 1 for the first submission of the job; a further one costs again.
        provider: who has it.
        model: the model that was asked for.
        fingerprint: a hash of the input.
        input: the input's fields, without secrets.
        labels: the job's.
        whole: whether nothing had to be taken out of `input`.
        price: the most that it can cost in US dollars; None where no price is known.
        state: where it stands.
        prediction: the provider's record; outputs without the queries of their addresses.
        fetchable: whether nothing had to be taken out of the outputs' addresses.
        trouble: why it was refused, or why there is no answer.
        files: names of the saved files; None until all are saved.
        decision: what was decided about it, if it was unconfirmed.
        planned_at: when it was first written down.
        sent_at: when it left.
        accepted_at: when the provider had accepted it.
        finished_at: when it was found finished, or was refused.
        saved_at: when its files were there.
    """

    key: str
    attempt: int = 1
    provider: str
    model: str
    fingerprint: str
    input: Mapping[str, Json] = field(repr=False)
    labels: Mapping[str, str] = field(factory=dict[str, str])
    whole: bool = True
    price: Decimal | None = None
    state: State = State.PLANNED
    prediction: Prediction | None = None
    fetchable: bool = True
    trouble: Trouble | None = None
    files: tuple[str, ...] | None = None
    decision: Decision | None = None
    planned_at: float = 0.0
    sent_at: float | None = None
    accepted_at: float | None = None
    finished_at: float | None = None
    saved_at: float | None = None

    @property
    def succeeded(self) -> bool:
        """Whether it finished well."""
        return self.prediction is not None and self.prediction.status is Status.SUCCEEDED

    @property
    def unsaved(self) -> bool:
        """Whether it finished well, and its files are not saved."""
        return self.succeeded and self.files is None

    @property
    def paid(self) -> Decimal:
        """What it has cost at most, in US dollars, as far as that is known."""
        if self.state in (State.PLANNED, State.FAILED):
            return Decimal(0)
        known = self.prediction.cost if self.prediction is not None else None
        return (self.price if known is None else known) or Decimal(0)

    def sent(self, at: float) -> Submission:
        """It is about to leave: from here on it may cost."""
        return evolve(self, state=State.SENDING, sent_at=at, trouble=None)

    def accepted(self, prediction: Prediction, at: float) -> Submission:
        """The provider has it."""
        if prediction.status.finished:
            return evolve(self, accepted_at=at).finished(prediction, at)
        kept, fetchable = _kept(prediction)
        return evolve(self, state=State.ACCEPTED, prediction=kept, fetchable=fetchable, accepted_at=at)

    def finished(self, prediction: Prediction, at: float) -> Submission:
        """The provider will not change it any more."""
        kept, fetchable = _kept(prediction)
        return evolve(self, state=State.ENDED, prediction=kept, fetchable=fetchable, finished_at=at)

    def failed(self, error: KlingError, *, lost: bool, at: float) -> Submission:
        """It was not accepted, or no answer tells whether it was."""
        trouble = Trouble.of(error)
        if lost:
            return evolve(self, state=State.UNCONFIRMED, trouble=trouble)
        return evolve(self, state=State.PLANNED if is_put_off(error) else State.FAILED, trouble=trouble, finished_at=at)

    def interrupted(self) -> Submission:
        """The process that sent it is gone, and nobody knows whether it arrived."""
        error = AnswerLost("The process ended before an answer came")
        return evolve(self, state=State.UNCONFIRMED, trouble=Trouble.of(error))

    def saved(self, files: tuple[str, ...], at: float) -> Submission:
        """All its outputs are files."""
        return evolve(self, files=files, saved_at=at)

    def decided(self, decision: Decision) -> Submission:
        """Somebody has decided what becomes of it."""
        return evolve(self, decision=decision)

    def attached(self, id: str, at: float) -> Submission:
        """Somebody has found its id at the provider."""
        prediction = Prediction(provider=self.provider, model=self.model, id=id, key=self.key)
        found = self.accepted(prediction, self.sent_at or at)
        return evolve(found, decision=Decision.ATTACHED, trouble=None)

    def job(self) -> Job:
        """Return the job that it is a submission of; of secrets in its input, only their places."""
        return Job(input_from(self.input), key=self.key, provider=self.provider, labels=self.labels)

    def error(self) -> KlingError | None:
        """Return what is wrong with it, or None."""
        if self.state is State.ENDED and self.prediction is not None and not self.succeeded:
            return PredictionFailed(self.prediction)
        if self.state in (State.SENDING, State.UNCONFIRMED):
            return self._unconfirmed()
        error = self.trouble.error() if self.trouble is not None and self.state is State.FAILED else None
        if error is not None:
            error.provider, error.key = self.provider, self.key
        return error

    def _unconfirmed(self) -> AnswerLost:
        why = self.trouble.message if self.trouble is not None else "No answer came"
        error = AnswerLost(why, provider=self.provider, key=self.key, status="unconfirmed", advice=_WAYS_ON)
        if self.decision is Decision.ABANDONED:
            error.message, error.status = f"{why}; it was abandoned", "abandoned"
            error.advice = "Submit it under another key."
        return error


_WAYS_ON: Final = (
    "It was not sent again, since the provider may have started it. Look for it in the provider's own history, then "
    "say which it is: client.attach(key, id), client.resubmit(key), which may pay twice, or client.abandon(key)."
)


def is_put_off(error: KlingError) -> bool:
    """Return whether a job with this error is sent by a later run; with others it is over."""
    return isinstance(error, (NotSent, RateLimited, JournalError, *LATCHING))


def _listed(_: object, __: object, value: object) -> object:
    return list(cast("tuple[object, ...]", value)) if isinstance(value, tuple) else value


def planned(job: Job, *, provider: str, price: Decimal | None, at: float, attempt: int = 1) -> Submission:
    """Return the beginning of a submission."""
    kind = "image" if isinstance(job.input, ImageInput) else "video"
    fields: Mapping[str, object] = {"kind": kind} | asdict(job.input, value_serializer=_listed)
    given = cast("Json", {name: value for name, value in fields.items() if value not in (None, [], {})})
    kept = cast("Mapping[str, Json]", without_secrets(given))
    return Submission(
        key=job.key or "",
        attempt=attempt,
        provider=provider,
        model=job.input.model,
        fingerprint=fingerprint(job.input),
        input=kept,
        labels=dict(job.labels),
        whole=kept == given,
        price=price,
        planned_at=at,
    )


def input_from(fields: Mapping[str, Json]) -> Input:
    """Return the input that a submission keeps; of secrets in it, only their places."""
    given = cast("dict[str, Any]", dict(fields))
    kind = ImageInput if given.pop("kind") == "image" else VideoInput
    if "shots" in given:
        given["shots"] = [Shot(**shot) for shot in given["shots"]]
    return kind(**given)


def _kept(prediction: Prediction) -> tuple[Prediction, bool]:
    outputs = tuple(evolve(output, url=cast("str", without_secrets(output.url))) for output in prediction.outputs)
    fault = prediction.fault
    if fault is not None:
        fault = evolve(fault, message=cast("str", without_secrets(fault.message)))
    return evolve(prediction, outputs=outputs, fault=fault, raw=None), outputs == prediction.outputs
