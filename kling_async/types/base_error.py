"""The base class of all errors: facts as attributes, and a text made from them."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, TypedDict, Unpack

if TYPE_CHECKING:
    from collections.abc import Callable

    from .prediction import Prediction

__all__ = ["ErrorContext", "KlingError", "context_of", "with_period"]


class ErrorContext(TypedDict, total=False):
    """Optional facts of an error; see the attributes of `KlingError`."""

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
        http_status: the HTTP status of the response, where there was one.
        code: the provider's own error code, as text.
        status: the prediction's last known status, as text.
        may_be_billed: whether money may have been spent.
        advice: what to do next.
        billing: whether errors of this class leave money at risk, as one sentence; `kling-async explain` prints it.
    """

    billing: ClassVar[str] = "That depends on the error: see its attribute may_be_billed."

    provider: str | None = None
    key: str | None = None
    id: str | None = None
    http_status: int | None = None
    code: str | None = None
    status: str | None = None
    may_be_billed: bool = False
    advice: str = ""

    def __init__(self, message: str, **facts: Unpack[ErrorContext]) -> None:
        super().__init__(message)
        self.message = message
        for name, value in facts.items():
            setattr(self, name, value)

    def __str__(self) -> str:
        parts = [with_period(self._summary())]
        if self.may_be_billed:
            parts.append("Money may have been spent.")
        if self.advice:
            parts.append(self.advice)
        return " ".join(parts)

    def _summary(self) -> str:
        """Return the message, followed by the known facts in brackets."""
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


def with_period(sentence: str) -> str:
    """Return a sentence with a full stop, unless it has an end already."""
    return sentence if sentence.endswith((".", "?", "!")) else f"{sentence}."


def _rebuild(cls: type[KlingError], message: str) -> KlingError:
    error = cls.__new__(cls)
    Exception.__init__(error, message)
    return error


def context_of(prediction: Prediction) -> ErrorContext:
    """Return the facts that a prediction gives to its error."""
    return {
        "provider": prediction.provider,
        "key": prediction.key,
        "id": prediction.id,
        "status": prediction.status.value,
    }
