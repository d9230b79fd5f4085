"""What can go wrong.

The whole tree::

    KlingError
      InputError                 nothing was sent: the input, a setting or a path is wrong
      NotSent                    no byte left this machine: refused connection, DNS, TLS
      AnswerLost                 a submission left and no usable answer came: it is UNCONFIRMED
      Refused                    the provider said no
        AuthenticationError        the key is missing, wrong or revoked
        InsufficientBalance        the account has no money for it
        PermissionDenied           the key may not do this
        RateLimited                too many requests; nothing was started
        ContentRejected            the content policy forbids it
        BadRequest                 a parameter or an address is wrong
        ProviderUnavailable        the provider failed, or could not be heard
      UnexpectedReply            a reply that cannot be read
      PredictionFailed           the prediction ended without success
      WaitTimeout                it is still running; the work goes on at the provider
      JournalError               the journal cannot be used
      BudgetExceeded             the next submission would pass the budget
      DownloadError              an output could not be saved

Facts are attributes of the error; the text is made from them.
Of the package only the values of `prediction` are named here, so that every other room may raise these.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple, TypedDict, Unpack

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from .prediction import Prediction

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
    "NotSent",
    "PermissionDenied",
    "PredictionFailed",
    "ProviderUnavailable",
    "RateLimited",
    "Refused",
    "UnexpectedReply",
    "WaitTimeout",
]


_PAGE: Final = "docs/reference/errors.md"
"""Where each error is explained, under an anchor that is its name: a file of the source, until the pages have a public
address. This is the one place to set it."""


class Facts(TypedDict, total=False):
    """What is known of an error beside its sentence; see the attributes of `KlingError`."""

    provider: str | None
    key: str | None
    id: str | None
    http_status: int | None
    code: str | None
    status: str | None
    may_be_billed: bool
    advice: str


class KlingError(Exception):
    """Base of everything this package raises on purpose.

    Attributes:
        message: what happened, one sentence.
        provider: the provider's name, where one was involved.
        key: the job's key.
        id: the prediction's id at the provider, once known.
        http_status: the HTTP status of the reply, where there was one.
        code: the provider's own error code, as text.
        status: the prediction's last known status, as text.
        may_be_billed: whether money may have been spent.
        advice: what to do next.
    """

    provider: str | None = None
    key: str | None = None
    id: str | None = None
    http_status: int | None = None
    code: str | None = None
    status: str | None = None
    may_be_billed: bool = False
    advice: str = ""

    def __init__(self, message: str, **facts: Unpack[Facts]) -> None:
        super().__init__(message)
        self.message = message
        for name, value in facts.items():
            setattr(self, name, value)

    def __str__(self) -> str:
        # A subclass of the user's leads to what it is derived from.
        known = next(kind.__name__ for kind in type(self).__mro__ if kind.__name__ in __all__)
        return f"{self._sentences()} See {_PAGE}#{known.lower()}"

    def _sentences(self) -> str:
        parts = [_ended(self._told())]
        if self.may_be_billed:
            parts.append("Money may have been spent.")
        if self.advice:
            parts.append(self.advice)
        return " ".join(parts)

    def _told(self) -> str:
        named = {
            "provider": self.provider,
            "job": self.key,
            "id": self.id,
            "http": self.http_status,
            "code": self.code,
            "status": self.status,
        }
        facts = ", ".join(f"{name} {value}" for name, value in named.items() if value is not None)
        return self.message + (f" [{facts}]" if facts else "")

    def __reduce__(self) -> tuple[Callable[..., KlingError], tuple[type[KlingError], str], dict[str, object]]:
        # Keyword-only facts do not survive Exception's own pickling, and process pools pickle errors.
        return _rebuild, (type(self), self.message), dict(self.__dict__)


def _ended(sentence: str) -> str:
    return sentence if sentence.endswith((".", "?", "!")) else f"{sentence}."


def _rebuild(cls: type[KlingError], message: str) -> KlingError:
    error = cls.__new__(cls)
    Exception.__init__(error, message)
    return error


class InputFault(NamedTuple):
    """One thing that is wrong with an input."""

    field: str
    value: object
    allowed: str

    def __str__(self) -> str:
        shown = repr(self.value)
        if len(shown) > 80:
            shown = shown[:77] + "..."
        return f"{self.field}={shown}: {self.allowed}"


class InputError(KlingError):
    """The input, a setting or a path is wrong; nothing was sent.

    Attributes:
        faults: every fault found, each with field, value and what is allowed.
    """

    advice = "Nothing was sent."

    def __init__(self, message: str, *, faults: Sequence[InputFault] = (), **facts: Unpack[Facts]) -> None:
        super().__init__(message, **facts)
        self.faults = tuple(faults)

    @classmethod
    def of(cls, what: str, faults: Sequence[InputFault], **facts: Unpack[Facts]) -> InputError:
        """Make one error of several faults."""
        return cls(what, faults=faults, **facts)

    def _sentences(self) -> str:
        listed = [str(fault) for fault in self.faults]
        if len(listed) > 1:
            return "\n  - ".join([f"{self._told()}:", *listed]) + f"\n{self.advice}"
        if listed:
            return f"{_ended(f'{self._told()}: {listed[0]}')} {self.advice}"
        return super()._sentences()


class NotSent(KlingError):
    """No byte of the request left this machine, so nothing was started and nothing is owed.

    Attributes:
        reason: "refused", "dns", "tls", "timeout", or "closed" or "stopped" where the client or the batch was.
    """

    advice = "Nothing reached the provider; sending again is safe."

    def __init__(self, message: str, *, reason: str = "refused", **facts: Unpack[Facts]) -> None:
        super().__init__(message, **facts)
        self.reason = reason


class AnswerLost(KlingError):
    """A submission left and no usable answer came: it is UNCONFIRMED, and is never repeated by itself.

    Attributes:
        excerpt: the beginning of what did come, if anything.
    """

    may_be_billed = True
    advice = (
        "It was not sent again, since the provider may have started it. "
        "Look for it in the provider's own history before submitting it anew."
    )

    def __init__(self, message: str, *, excerpt: str = "", **facts: Unpack[Facts]) -> None:
        super().__init__(message, **facts)
        self.excerpt = excerpt


class Refused(KlingError):
    """The provider said no.

    Attributes:
        retry_after: seconds the provider asked to wait, or None.
    """

    advice = "Nothing was started."

    def __init__(self, message: str, *, retry_after: float | None = None, **facts: Unpack[Facts]) -> None:
        super().__init__(message, **facts)
        self.retry_after = retry_after


class AuthenticationError(Refused):
    """The key is missing, wrong or revoked."""

    advice = "Check the key in the provider's dashboard."


class InsufficientBalance(Refused):
    """The account has no money for it."""

    advice = "Top up the account, then run again."


class PermissionDenied(Refused):
    """The key may not do this."""

    advice = "Check what the key is allowed to do in the provider's dashboard."


class RateLimited(Refused):
    """Too many requests; nothing was started."""

    advice = "Wait, or submit more slowly."


class ContentRejected(Refused):
    """The provider's content policy forbids the prompt or an image."""

    advice = "Change the prompt or the images; the same input will be refused again."


class BadRequest(Refused):
    """A parameter, a model or an address is wrong."""

    advice = "Correct the input; the same input will be refused again."


class ProviderUnavailable(Refused):
    """The provider failed (HTTP 5xx), or a poll could not be heard."""

    advice = "Try again later."


class UnexpectedReply(KlingError):
    """A reply that cannot be read.

    Attributes:
        path: where in the reply reading failed, such as ``$.data.id``.
        excerpt: the beginning of the reply.
    """

    advice = "Report it with the excerpt: the provider has changed, or is behind a page of its own."

    def __init__(self, message: str, *, path: str = "$", excerpt: str = "", **facts: Unpack[Facts]) -> None:
        super().__init__(message, **facts)
        self.path = path
        self.excerpt = excerpt

    def _sentences(self) -> str:
        return super()._sentences() + (f" It began: {self.excerpt[:200]!r}" if self.excerpt else "")


class PredictionFailed(KlingError):
    """The prediction ended without success.

    Attributes:
        prediction: its last record, with the provider's reason in ``prediction.fault``.
    """

    advice = "The reason is in error.prediction.fault."

    def __init__(self, prediction: Prediction) -> None:
        fault = prediction.fault
        reason = fault.message if fault else prediction.native_status
        super().__init__(f"The prediction ended as {prediction.status.value}: {reason}", **_named(prediction))
        self.code = fault.code if fault else None
        # Only a provider that says failures are free gives a failed prediction a cost of zero.
        self.may_be_billed = prediction.cost != 0
        self.prediction = prediction


class WaitTimeout(KlingError):
    """It is still running; the work goes on at the provider.

    Attributes:
        prediction: its last record; ``client.wait(error.prediction)`` goes on waiting.
    """

    may_be_billed = True
    advice = "Wait again with client.wait(error.prediction)."

    def __init__(self, prediction: Prediction, *, waited_for: float) -> None:
        super().__init__(f"Not finished after {waited_for:.0f} s", **_named(prediction))
        self.prediction = prediction
        self.waited_for = waited_for


class JournalError(KlingError):
    """The journal cannot be used."""


class BudgetExceeded(KlingError):
    """The next submission would pass the budget."""

    advice = "The job was not sent. Raise max_cost, or submit less."


class DownloadError(KlingError):
    """An output could not be saved; the prediction keeps its outputs.

    Attributes:
        url: the output's address without its query, or None.
        path: the file it was meant for, or None.
    """

    may_be_billed = True
    advice = "The prediction is finished and paid for; download it again with client.download(prediction, directory)."

    def __init__(
        self, message: str, *, url: str | None = None, path: str | None = None, **facts: Unpack[Facts]
    ) -> None:
        super().__init__(message, **facts)
        self.url = url
        self.path = path

    def _sentences(self) -> str:
        places = [f"{name} {value}" for name, value in (("from", self.url), ("to", self.path)) if value]
        return " ".join([super()._sentences(), *(f"[{place}]" for place in places)])


def _named(prediction: Prediction) -> Facts:
    return {
        "provider": prediction.provider,
        "key": prediction.key,
        "id": prediction.id,
        "status": prediction.status.value,
    }
