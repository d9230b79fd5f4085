"""The tree of errors; `kling_async.errors` is its public path, and draws it."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias, Unpack

from .base_error import ErrorContext, KlingError, context_of, with_period
from .input_fault import InputFault

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .prediction import Prediction, RefusedPart

__all__ = [
    "AnswerLost",
    "AuthenticationError",
    "BadRequest",
    "BudgetExceeded",
    "ContentRejected",
    "DownloadError",
    "InputError",
    "InputFault",
    "InsufficientBalance",
    "JournalError",
    "KlingError",
    "MissingAPIKey",
    "NotSent",
    "PermissionDenied",
    "PredictionFailed",
    "ProviderUnavailable",
    "RateLimited",
    "Refused",
    "Unconfirmed",
    "UnexpectedReply",
    "Unsupported",
    "WaitTimeout",
]


class InputError(KlingError, ValueError):
    """An input, a setting or a path is invalid; nothing was sent.

    Attributes:
        faults: every fault found, each with field, value and what is allowed.
    """

    billing = "None was spent."
    advice = "Nothing was sent."

    def __init__(self, message: str, *, faults: Sequence[InputFault] = (), **facts: Unpack[ErrorContext]) -> None:
        super().__init__(message, **facts)
        self.faults = tuple(faults)

    @classmethod
    def of(cls, message: str, faults: Sequence[InputFault], **facts: Unpack[ErrorContext]) -> InputError:
        """Combine several faults in one error."""
        return cls(message, faults=faults, **facts)

    def __str__(self) -> str:
        listed = [str(fault) for fault in self.faults]
        if len(listed) > 1:
            return "\n  - ".join([f"{self._summary()}:", *listed]) + f"\n{self.advice}"
        if listed:
            return f"{with_period(f'{self._summary()}: {listed[0]}')} {self.advice}"
        return super().__str__()


class MissingAPIKey(InputError):
    """No API key was given for a provider, and none is in the environment.

    Attributes:
        env: the environment variable that is read for it.
    """

    def __init__(self, message: str, *, env: str = "", **facts: Unpack[ErrorContext]) -> None:
        super().__init__(message, **facts)
        self.env = env


class NotSent(KlingError):
    """No byte of the request left this machine, so nothing was started and nothing is owed.

    Attributes:
        reason: "refused", "dns", "tls", "timeout", "upload" of its media, "late" after its claim in a journal that
            several clients share, "closed" or "stopped" of client or batch, or "cancelled" of a job in a queue.
    """

    billing = "None was spent."
    advice = "Nothing reached the provider; sending again is safe."

    def __init__(self, message: str, *, reason: str = "refused", **facts: Unpack[ErrorContext]) -> None:
        super().__init__(message, **facts)
        self.reason = reason


class AnswerLost(KlingError):
    """A submission left and its answer was lost: it is UNCONFIRMED, and never repeated automatically.

    Attributes:
        excerpt: the beginning of what was received, if anything.
    """

    billing = "It may have been spent: the provider may be running the job."
    may_be_billed = True
    advice = (
        "It was not sent again, since the provider may have started it. "
        "Check the provider's own history before submitting it again."
    )

    def __init__(self, message: str, *, excerpt: str = "", **facts: Unpack[ErrorContext]) -> None:
        super().__init__(message, **facts)
        self.excerpt = excerpt


Unconfirmed: TypeAlias = AnswerLost
"""The same error by the name of the status that it leads to."""


class Refused(KlingError):
    """The provider refused the request.

    Attributes:
        retry_after: seconds the provider asked to wait, or None.
    """

    billing = "None was spent if a submission was refused. After a refused poll the prediction is still billed."
    advice = "Nothing was started."

    def __init__(self, message: str, *, retry_after: float | None = None, **facts: Unpack[ErrorContext]) -> None:
        super().__init__(message, **facts)
        self.retry_after = retry_after


class AuthenticationError(Refused):
    """The key is missing, wrong or revoked."""

    advice = "Check the key in the provider's dashboard."


class InsufficientBalance(Refused):
    """The account's balance is too low."""

    advice = "Top up the account, then run again."


class PermissionDenied(Refused):
    """The key lacks a permission."""

    advice = "Check what the key is allowed to do in the provider's dashboard."


class RateLimited(Refused):
    """Too many requests; nothing was started."""

    is_about_slots = False
    """Whether too many predictions are running, and not too many requests were sent."""
    advice = "Wait, or submit more slowly."


class ContentRejected(Refused):
    """The provider's content policy forbids the prompt, a medium or an output."""

    part: RefusedPart | None = None
    """What was refused, such as "prompt"; None where the provider does not say it."""
    advice = "Change the prompt or the images; the same input will be refused again."


class BadRequest(Refused):
    """A parameter, a model or a path is invalid."""

    is_unknown_id = False
    """Whether the provider says, otherwise than by HTTP 404, that it does not know an id."""
    advice = "Correct the input; the same input will be refused again."


class ProviderUnavailable(Refused):
    """The provider failed (HTTP 5xx), or a poll got no answer."""

    advice = "Try again later."


class UnexpectedReply(KlingError):
    """A response that cannot be parsed.

    Attributes:
        path: where in the response parsing failed, such as ``$.data.id``.
        excerpt: the beginning of the response.
    """

    billing = "The prediction was accepted before and is billed."
    advice = "Report it with the excerpt: the API has changed, or a proxy answered in its place."

    def __init__(self, message: str, *, path: str = "$", excerpt: str = "", **facts: Unpack[ErrorContext]) -> None:
        super().__init__(message, **facts)
        self.path = path
        self.excerpt = excerpt

    def __str__(self) -> str:
        return super().__str__() + (f" It began: {self.excerpt[:200]!r}" if self.excerpt else "")


class PredictionFailed(KlingError):
    """The prediction ended without success.

    Attributes:
        prediction: its last record, with the provider's reason in ``prediction.failure``.
    """

    billing = "It may have been spent, unless the provider documents that failures are free."
    advice = "The reason is in error.prediction.failure."

    def __init__(self, prediction: Prediction) -> None:
        failure = prediction.failure
        reason = failure.message if failure else prediction.native_status
        super().__init__(f"The prediction ended as {prediction.status.value}: {reason}", **context_of(prediction))
        self.code = failure.code if failure else None
        # A failed prediction costs zero only at a provider that documents failures as free.
        self.may_be_billed = prediction.cost != 0
        self.prediction = prediction


class WaitTimeout(KlingError):
    """The prediction is still running at the provider after the caller's time-out.

    Attributes:
        prediction: its last record; ``client.wait(error.prediction)`` continues the wait.
        waited_for: seconds that the caller waited.
    """

    billing = "The prediction is running at the provider and is billed."
    may_be_billed = True
    advice = "Wait again with client.wait(error.prediction)."

    def __init__(self, prediction: Prediction, *, waited_for: float) -> None:
        super().__init__(f"Not finished after {waited_for:.0f} s", **context_of(prediction))
        self.prediction = prediction
        self.waited_for = waited_for


class Unsupported(KlingError):
    """The provider cannot do what was asked; nothing was sent."""

    billing = "None was spent for this. The prediction goes on at the provider."
    advice = "`kling-async providers` lists what each provider can do."


class JournalError(KlingError):
    """The journal cannot be used.

    Its message says what to do, such as to free disk space or to end another process. Then run the same jobs with the
    same journal. Do not delete it: it has the ids of everything that was paid for.
    """

    billing = "What was accepted before is billed, and its ids are in the journal. Nothing more is submitted."


class BudgetExceeded(KlingError):
    """The next submission would exceed the budget."""

    billing = "None was spent for this job. What was submitted before is billed."
    advice = "The job was not sent. Raise max_cost, or submit less."


class DownloadError(KlingError):
    """An output could not be saved; the prediction keeps its outputs.

    Attributes:
        url: the output's URL without its query, or None.
        path: the intended file, or None.
    """

    billing = "The prediction is finished and paid for. Downloads are free."
    may_be_billed = True
    advice = "The prediction is finished and paid for; download it again with client.download(prediction, directory)."

    def __init__(
        self, message: str, *, url: str | None = None, path: str | None = None, **facts: Unpack[ErrorContext]
    ) -> None:
        super().__init__(message, **facts)
        self.url = url
        self.path = path

    def __str__(self) -> str:
        ends = [f"{name} {value}" for name, value in (("from", self.url), ("to", self.path)) if value]
        return " ".join([super().__str__(), *(f"[{end}]" for end in ends)])


for _name in __all__:  # tracebacks and pickles show the public path
    globals()[_name].__module__ = "kling_async.errors"
