"""How a provider says no: from an HTTP status, a body code and a message to one of our errors.

The codes are the ones the seed documents print, and WaveSpeedAI's body codes, whose envelope GPTProto shares.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from email.utils import parsedate_to_datetime

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

__all__ = ["is_content_refusal", "refusal", "retry_after"]

_BY_NUMBER: Mapping[int, type[Refused]] = {
    401: AuthenticationError,
    402: InsufficientBalance,
    403: PermissionDenied,
    429: RateLimited,
    # WaveSpeedAI's body codes (wavespeed.ai/docs/error-codes).
    1200: ContentRejected,
    1400: BadRequest,
    1401: BadRequest,
    1402: BadRequest,
    1403: ProviderUnavailable,
    1405: ProviderUnavailable,
}

_MONEY = re.compile(r"(?i)\b(?:balance|credits?|quota|arrears?|top[- ]?up|recharge)\b")
"""GPTProto answers 403 for a missing permission and for an empty account alike; only the text tells them apart.
Both latch the account, so a wrong guess here changes the advice, never what is sent again."""

_KEY_MESSAGES = frozenset({"invalid token", "invalid signature"})
"""GPTProto's older pages print these under 403; what helps is another key, not another permission."""

_CONTENT_CODES = CONTENT_WORDS | {"503", "1200"}
_CONTENT_MESSAGE = "input may not meet the guidelines"
"""GPTProto's documented text for its "503 Content policy violation (actual status code is 400)"."""


def is_content_refusal(code: str | None, message: str | None, *, status: int) -> bool:
    """Return whether a refusal is about content. A true HTTP 503 is an outage, unless it has the documented text."""
    if (message or "").lower().startswith(_CONTENT_MESSAGE):
        return True
    return status < 500 and code in _CONTENT_CODES


def refusal(reply: HttpReply, *, provider: str, code: str | None, message: str | None) -> Refused:
    """Make the error for a reply that says no."""
    kind = _kind(reply.status, code, message)
    return kind(
        f"The provider refused: {message or f'HTTP {reply.status}'}",
        provider=provider,
        http_status=reply.status,
        code=code,
        retry_after=retry_after(reply.headers),
    )


def _kind(status: int, code: str | None, message: str | None) -> type[Refused]:
    if is_content_refusal(code, message, status=status):
        return ContentRejected
    number = status
    # A gateway that answers everything with 200 or 400 says what it means in the body only.
    if status in (200, 400) and code is not None and re.fullmatch(r"\d{3,4}", code):
        number = int(code)
    kind = _BY_NUMBER.get(number)
    if kind is PermissionDenied and _MONEY.search(message or ""):
        return InsufficientBalance
    if kind is PermissionDenied and (message or "").strip().lower() in _KEY_MESSAGES:
        return AuthenticationError
    if kind is not None:
        return kind
    return ProviderUnavailable if 500 <= number < 600 or number >= 5000 else BadRequest


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
