"""How a provider says no: from an HTTP status, a body code and a message to one of our errors.

HTTP's own words are the same everywhere, and are what `ErrorRules` holds by itself. What else a provider says, its
adapter adds: a code that one provider documents as a refusal may mean an outage at the next, behind which a submission
may have been accepted.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Final

from attrs import field, frozen

from ..errors import (
    AuthenticationError,
    BadRequest,
    ContentRejected,
    InsufficientBalance,
    PermissionDenied,
    ProviderUnavailable,
    RateLimited,
    Refused,
)
from ..wire import HttpReply
from .fields import CONTENT_WORDS

__all__ = ["HTTP_ERRORS", "MONEY_WORDS", "ErrorRules", "refusal", "retry_after"]

HTTP_ERRORS: Final[Mapping[int, type[Refused]]] = {
    401: AuthenticationError,
    402: InsufficientBalance,
    403: PermissionDenied,
    429: RateLimited,
}
"""What a status means wherever HTTP is spoken."""

MONEY_WORDS: Final = re.compile(r"\b(?:balance|credits?|quota|arrears?|top[- ]?up|recharge)\b")
"""Words, in lower case, by which an account without money is told where the code does not tell it."""


@frozen(kw_only=True)
class ErrorRules:
    """What a provider's refusals mean. Without arguments: what HTTP says, and nothing of the provider's own.

    Attributes:
        numbers: errors by HTTP status, or by the body code that stands for one under HTTP 200 and 400.
        outages: other numbers that mean a failure of the provider's. Any further number says no to the request.
        content_codes: body codes that mean the content policy, unless the HTTP status is 500 or above.
        content_messages: beginnings, in lower case, of messages that mean the content policy under any status.
        money: what a message holds, in lower case, where a missing permission is an empty account.
        key_messages: messages, in lower case, where a missing permission is a wrong key.
    """

    numbers: Mapping[int, type[Refused]] = field(default=HTTP_ERRORS)
    outages: Sequence[range] = (range(500, 10_000),)
    content_codes: frozenset[str] = CONTENT_WORDS
    content_messages: tuple[str, ...] = ()
    money: re.Pattern[str] | None = None
    key_messages: frozenset[str] = frozenset()

    def is_about_content(self, code: str | None, message: str | None, *, status: int) -> bool:
        """Return whether a refusal is about content. A true HTTP 5xx is an outage, unless it has a documented text."""
        if (message or "").lower().startswith(self.content_messages):
            return True
        return status < 500 and code in self.content_codes

    def kind(self, code: str | None, message: str | None, *, status: int) -> type[Refused]:
        """Return the error for a reply that says no."""
        if self.is_about_content(code, message, status=status):
            return ContentRejected
        number = status
        # A gateway that answers everything with 200 or 400 says what it means in the body only.
        if status in (200, 400) and code is not None and re.fullmatch(r"\d{3,4}", code):
            number = int(code)
        kind = self.numbers.get(number)
        if kind is PermissionDenied:
            return self._denied((message or "").lower())
        if kind is not None:
            return kind
        return ProviderUnavailable if any(number in outage for outage in self.outages) else BadRequest

    def _denied(self, message: str) -> type[Refused]:
        # All three latch the account, so a wrong guess here changes the advice, never what is sent again.
        if self.money is not None and self.money.search(message):
            return InsufficientBalance
        return AuthenticationError if message.strip() in self.key_messages else PermissionDenied


def refusal(reply: HttpReply, *, provider: str, rules: ErrorRules, code: str | None, message: str | None) -> Refused:
    """Make the error for a reply that says no."""
    kind = rules.kind(code, message, status=reply.status)
    return kind(
        f"The provider refused: {message or f'HTTP {reply.status}'}",
        provider=provider,
        http_status=reply.status,
        code=code,
        retry_after=retry_after(reply.headers),
    )


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Return how long a reply asks to wait, in seconds; None if it does not say, or says nonsense.

    A date is held against the reply's own `Date`, so that neither clock needs to be right (RFC 9110, 10.2.3).
    """
    text = headers.get("retry-after", "").strip()
    numbers = [part.strip() for part in text.split(",")]
    if all(re.fullmatch(r"\d+", number, re.ASCII) for number in numbers):
        return max(float(number[:12]) if len(number) <= 12 else 1e12 for number in numbers)
    asked, sent = _http_date(text), _http_date(headers.get("date", ""))
    if asked is None or sent is None:
        return None
    return max(0.0, (asked - sent).total_seconds())


def _http_date(text: str) -> datetime | None:
    try:
        date = parsedate_to_datetime(text)
    except (TypeError, ValueError, IndexError, OverflowError):
        return None
    return date if date.tzinfo is not None else None
