"""API keys, each tied to the one origin it may be sent to. A key appears in no repr, error, log or pickle."""

from __future__ import annotations

import hashlib
from ipaddress import ip_address
from typing import Final

from ..types.authorizer import Authorizer, HasSecrets
from ..types.noncopyable import NonCopyable

__all__ = ["Credential", "hash_key", "is_loopback"]


class Credential(NonCopyable):
    """A provider's API key, tied to the origin it may be sent to.

    Args:
        key: the API key, as it is redacted from replies; empty without one.
        origin: the only origin it is sent to.
        authorizer: writes the Authorization header from the key. Its own secrets are redacted as well, and so are the
            last tokens that it sent in place of the key. None for public pages, which are asked for without a key.
    """

    __slots__ = ("_authorizer", "_header", "_secrets", "_tokens", "origin")

    def __init__(self, *, key: str, origin: str, authorizer: Authorizer | None) -> None:
        # The key goes first: where its parts are secrets, too, they would cut it up.
        parts = authorizer.secrets if isinstance(authorizer, HasSecrets) else ()
        self._secrets: tuple[str, ...] = (key, *parts) if key else ()
        self._tokens: tuple[str, ...] = ()
        self._header = ("", "")
        self._authorizer = authorizer
        self.origin = origin

    def headers_for(self, origin: str, *, now: float) -> tuple[tuple[str, str], ...]:
        """Return the headers that authorize a request to an origin, none without a key; now is in seconds since 1970.

        Raises:
            RuntimeError: the origin is not the key's own, which is a bug.
        """
        if origin != self.origin:
            raise RuntimeError("a key was about to be sent to an origin that is not its own")
        if self._authorizer is None:
            return ()
        header = self._authorizer.header(now)
        if header != self._header:
            self._header = header
            self._remember(header[1].rpartition(" ")[2])
        return (header,)

    def _remember(self, token: str) -> None:
        """Remember what was sent in place of the key, and before: a reply may repeat the one that has expired."""
        if not any(secret in token for secret in self._secrets):
            self._tokens = (token, *self._tokens)[:_REMEMBERED_TOKENS]

    @property
    def key_hash(self) -> str:
        """A hash of the key, by which an account is recognised; the key cannot be found from it."""
        return hash_key("".join(self._secrets[:1]))

    def redact(self, text: str) -> str:
        """Replace the key in a text that repeats it."""
        for secret in (*self._tokens, *self._secrets):
            text = text.replace(secret, "[key]")
        return text

    def redact_bytes(self, body: bytes) -> bytes:
        """Replace the key in an uncompressed body."""
        for secret in (*self._tokens, *self._secrets):
            body = body.replace(secret.encode(), b"[key]")
        return body

    def __repr__(self) -> str:
        return f"Credential(key=[masked], origin={self.origin!r})"


_REMEMBERED_TOKENS: Final = 3


def hash_key(key: str) -> str:
    """Return the hash of an API key by which its account is recognised; the key cannot be found from it."""
    return hashlib.sha256(f"kling_async {key}".encode()).hexdigest()[:32]


def is_loopback(host: str) -> bool:
    """Return whether a host name means this machine."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
