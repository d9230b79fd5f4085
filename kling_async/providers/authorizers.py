"""Authorization headers made from an API key."""

from __future__ import annotations

import hashlib
import hmac
import json
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from typing import Final

from ..types.errors import InputError, InputFault
from ..types.noncopyable import NonCopyable

__all__ = ["JwtAuthorizer", "KeyAuthorizer"]

_PREFIXES: Final[Mapping[str, str]] = {"bearer": "Bearer ", "bare": "", "key": "Key "}


class KeyAuthorizer(NonCopyable):
    """Sends the API key itself, behind the prefix of a scheme: "bearer", "bare" or "key"."""

    __slots__ = ("_header",)

    def __init__(self, api_key: str, *, scheme: str) -> None:
        self._header = ("Authorization", f"{_PREFIXES[scheme]}{api_key}")

    def header(self, now: float) -> tuple[str, str]:
        """Return the Authorization header, which is the same at any time."""
        return self._header

    def __repr__(self) -> str:
        return "KeyAuthorizer([masked])"


class JwtAuthorizer(NonCopyable):
    """Sends a token that a secret key signs: a JSON Web Token with HS256 (RFC 7519), renewed long before it expires.

    Args:
        access_key: names the account; the claim `iss`.
        secret_key: signs; it is never sent.

    Raises:
        InputError: either of them is too short to be one. The error never repeats them.
    """

    __slots__ = ("_access_key", "_header", "_made_at", "_secret_key")

    def __init__(self, access_key: str, secret_key: str) -> None:
        if min(len(access_key), len(secret_key)) < _MIN_LENGTH:
            del access_key, secret_key  # tracebacks may print locals
            allowed = f"must be ACCESS_KEY:SECRET_KEY, each of at least {_MIN_LENGTH} characters"
            raise InputError.of("Malformed key pair", [InputFault("api_key", "[masked]", allowed)])
        self._access_key = access_key
        self._secret_key = secret_key
        self._header = ("Authorization", "")
        self._made_at: float | None = None

    @property
    def secrets(self) -> tuple[str, ...]:
        """The parts of the pair, each of which is to be redacted."""
        return self._secret_key, self._access_key

    def header(self, now: float) -> tuple[str, str]:
        """Return the Authorization header; a token is kept for half of its time, and not if the clock went back."""
        if self._made_at is None or not 0 <= now - self._made_at < _TOKEN_SECONDS / 2:
            self._made_at = now
            self._header = ("Authorization", f"Bearer {self._token(int(now))}")
        return self._header

    def _token(self, now: int) -> str:
        claims: dict[str, str | int] = {
            "iss": self._access_key,
            "exp": now + _TOKEN_SECONDS,
            "nbf": now - _CLOCK_SKEW_SECONDS,
        }
        signed = f"{_base64(_compact({'alg': 'HS256', 'typ': 'JWT'}))}.{_base64(_compact(claims))}"
        signature = hmac.digest(self._secret_key.encode(), signed.encode(), hashlib.sha256)
        return f"{signed}.{_base64(signature)}"

    def __repr__(self) -> str:
        return "JwtAuthorizer([masked])"


_MIN_LENGTH: Final = 4
"""A shorter text may stand in any reply by chance, and would be redacted there."""
_TOKEN_SECONDS: Final = 1800
_CLOCK_SKEW_SECONDS: Final = 5
"""As in Kling's own example: a token is valid from a little before it is made."""


def _compact(value: Mapping[str, str | int]) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _base64(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()
