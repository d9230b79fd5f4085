"""Errors as the journal stores them."""

from __future__ import annotations

from typing import Final, cast

from attrs import frozen

from ..types import errors
from ..types.base_error import ErrorContext
from ..types.errors import ContentRejected, KlingError
from ..types.prediction import RefusedPart
from .redaction import redact

__all__ = ["StoredError"]


@frozen
class StoredError:
    """An error as the journal stores it.

    Attributes:
        kind: the name of its class.
        message: what happened.
        may_be_billed: whether money may have been spent.
        part: what a content policy refused; None where the provider does not say it.
    """

    kind: str
    message: str
    http_status: int | None = None
    code: str | None = None
    may_be_billed: bool = False
    part: RefusedPart | None = None

    @classmethod
    def from_error(cls, error: KlingError) -> StoredError:
        """Make the stored form of an error."""
        message = cast("str", redact(error.message))
        part = error.part if isinstance(error, ContentRejected) else None
        return cls(type(error).__name__, message, error.http_status, error.code, error.may_be_billed, part)

    def to_error(self) -> KlingError:
        """Return the error; `KlingError` for an unknown class."""
        kind: object = getattr(errors, self.kind, None)
        plain = isinstance(kind, type) and issubclass(kind, KlingError) and self.kind in _PLAIN
        error_type = cast("type[KlingError]", kind) if plain else KlingError
        facts = ErrorContext(http_status=self.http_status, code=self.code, may_be_billed=self.may_be_billed)
        error = error_type(self.message, **facts)
        if isinstance(error, ContentRejected):
            error.part = self.part
        return error


_PLAIN: Final = frozenset(errors.__all__) - {"PredictionFailed", "WaitTimeout", "InputFault"}
"""Errors that can be made from a message and facts alone."""
