"""Map a refusal (an HTTP status, a body code and a message) to one of our errors.

The meaning of HTTP statuses is the same everywhere, and is what `ErrorRules` holds by default. Each provider adds its
documented codes and messages in its own file: a code that one provider documents as a refusal may mean an outage at the
next, behind which a submission may have been accepted.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Final

from attrs import field, frozen

from ...types.errors import (
    AuthenticationError,
    BadRequest,
    ContentRejected,
    InsufficientBalance,
    PermissionDenied,
    ProviderUnavailable,
    RateLimited,
    Refused,
)
from ...types.http import HttpResponse
from ...types.prediction import RefusedPart
from .fields import CONTENT_REJECTED_CODES

__all__ = ["BALANCE_MESSAGES", "HTTP_ERRORS", "ErrorRules", "describe_redirect", "error_for", "retry_after"]

HTTP_ERRORS: Final[Mapping[int, type[Refused]]] = {
    401: AuthenticationError,
    402: InsufficientBalance,
    403: PermissionDenied,
    429: RateLimited,
}
"""The meaning of HTTP statuses, at every provider."""

BALANCE_MESSAGES: Final = re.compile(r"\b(?:balance|credits?|quota|arrears?|top[- ]?up|recharge)\b")
"""Words, in lower case, of messages about an empty account. A provider opts in where its codes do not tell."""


@frozen(kw_only=True)
class ErrorRules:
    """The meaning of a provider's refusals. The default is that of HTTP, without any code of a provider's own.

    Attributes:
        errors: errors by HTTP status, or by the body code that replaces it under HTTP 200 and 400.
        outage_codes: other codes that mean an outage of the provider. Any further code rejects the request.
        content_codes: body codes that mean the content policy, unless the HTTP status is 500 or above.
        content_messages: beginnings, in lower case, of messages that mean the content policy under any status.
        content_pattern: pattern, in lower case, of messages that mean the content policy, unless the HTTP status is 500
            or above.
        balance_messages: pattern, in lower case, of messages that turn a missing permission into an empty account.
        key_messages: messages, in lower case, that turn a missing permission into a wrong API key.
        wait_pattern: pattern of messages whose group 1 is the seconds to wait, for responses without Retry-After.
        slot_codes: body codes of a 429 that is about the predictions running at once.
        deciding_codes: body codes that replace any HTTP status if they are known, where one status has many meanings.
    """

    errors: Mapping[int, type[Refused]] = field(default=HTTP_ERRORS)
    outage_codes: Sequence[range] = (range(500, 10_000),)
    content_codes: frozenset[str] = CONTENT_REJECTED_CODES
    content_messages: tuple[str, ...] = ()
    content_pattern: re.Pattern[str] | None = None
    balance_messages: re.Pattern[str] | None = None
    key_messages: frozenset[str] = frozenset()
    wait_pattern: re.Pattern[str] | None = None
    slot_codes: frozenset[str] = frozenset()
    deciding_codes: range = range(0)

    def is_about_content(self, code: str | None, message: str | None, *, status: int) -> bool:
        """Return whether a refusal is about content. HTTP 5xx is an outage, unless its message is documented."""
        text = (message or "").lower()
        if text.startswith(self.content_messages):
            return True
        found = self.content_pattern is not None and self.content_pattern.search(text) is not None
        return status < 500 and (found or code in self.content_codes)

    def error_type(self, code: str | None, message: str | None, *, status: int) -> type[Refused]:
        """Return the type of error for a refusal."""
        if self.is_about_content(code, message, status=status):
            return ContentRejected
        effective = status
        # A gateway that answers everything with 200 or 400 has the real status in the body only.
        if code is not None and re.fullmatch(r"\d{3,4}", code, re.ASCII):
            number = int(code)
            decides = number in self.deciding_codes and (number in self.errors or self._is_outage(number))
            if decides or status in (200, 400):
                effective = number
        error = self.errors.get(effective)
        if error is PermissionDenied:
            return self._denied((message or "").lower())
        if error is not None:
            return error
        return ProviderUnavailable if self._is_outage(effective) else BadRequest

    def _is_outage(self, number: int) -> bool:
        return any(number in codes for codes in self.outage_codes)

    def wait_seconds(self, message: str | None) -> float | None:
        """Return the seconds to wait that a message names, or None."""
        match = self.wait_pattern.search(message or "") if self.wait_pattern is not None else None
        return None if match is None else float(match[1])

    def _denied(self, message: str) -> type[Refused]:
        # All three block the account, so a wrong guess here changes the advice, never what is resubmitted.
        if self.balance_messages is not None and self.balance_messages.search(message):
            return InsufficientBalance
        return AuthenticationError if message.strip() in self.key_messages else PermissionDenied


def error_for(
    response: HttpResponse,
    *,
    provider: str,
    rules: ErrorRules,
    code: str | None,
    message: str | None,
    part: RefusedPart | None = None,
) -> Refused:
    """Return the error for a refusal; `part` is what the provider says was refused, if it is about content."""
    error_type = rules.error_type(code, message, status=response.status)
    wait = retry_after(response.headers)
    error = error_type(
        f"The provider refused: {message or f'HTTP {response.status}'}",
        provider=provider,
        http_status=response.status,
        code=code,
        retry_after=rules.wait_seconds(message) if wait is None else wait,
    )
    if isinstance(error, RateLimited) and code in rules.slot_codes:
        error.is_about_slots = True
    if isinstance(error, ContentRejected):
        error.part = part
    return error


def describe_redirect(response: HttpResponse) -> str:
    """Return a redirect in words: its status, and the place that it leads to."""
    location = response.headers.get("location", "").partition("?")[0][:200]
    return f"HTTP {response.status}" + (f", which leads to {location!r} and is not followed" if location else "")


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds to wait that a response asks for; None if there are none, or they cannot be read.

    A date is compared with the response's own `Date`, so that neither clock needs to be right (RFC 9110, 10.2.3).
    """
    text = headers.get("retry-after", "").strip()
    numbers = [part.strip() for part in text.split(",")]
    if all(re.fullmatch(r"\d+", number, re.ASCII) for number in numbers):
        return max(float(number[:12]) if len(number) <= 12 else 1e12 for number in numbers)
    until, sent_at = _http_date(text), _http_date(headers.get("date", ""))
    if until is None or sent_at is None:
        return None
    return max(0.0, (until - sent_at).total_seconds())


def _http_date(text: str) -> datetime | None:
    try:
        date = parsedate_to_datetime(text)
    except (TypeError, ValueError, IndexError, OverflowError):
        return None
    return date if date.tzinfo is not None else None
