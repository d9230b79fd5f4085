"""API keys, each tied to the one origin it may be sent to. A key appears in no repr, error, log or pickle."""

from __future__ import annotations

import hashlib
from ipaddress import ip_address

from ..types.authorizer import Authorizer
from ..types.noncopyable import NonCopyable

__all__ = ["Credential", "is_loopback"]


class Credential(NonCopyable):
    """A provider's API key, tied to the origin it may be sent to.

    Args:
        key: the API key, as it is redacted from replies.
        origin: the only origin it is sent to.
        authorizer: writes the Authorization header from the key.
    """

    __slots__ = ("_authorizer", "_key", "origin")

    def __init__(self, *, key: str, origin: str, authorizer: Authorizer) -> None:
        self._key = key
        self._authorizer = authorizer
        self.origin = origin

    def header_for(self, origin: str, *, now: float) -> tuple[str, str]:
        """Return the Authorization header for a request to an origin, sent now, in seconds since 1970.

        Raises:
            RuntimeError: the origin is not the key's own, which is a bug.
        """
        if origin != self.origin:
            raise RuntimeError("a key was about to be sent to an origin that is not its own")
        return self._authorizer.header(now)

    @property
    def key_hash(self) -> str:
        """A hash of the key, by which an account is recognised; the key cannot be found from it."""
        return hashlib.sha256(f"kling_async {self._key}".encode()).hexdigest()[:32]

    def redact(self, text: str) -> str:
        """Replace the key in a text that repeats it."""
        return text.replace(self._key, "[key]")

    def redact_bytes(self, body: bytes) -> bytes:
        """Replace the key in an uncompressed body."""
        return body.replace(self._key.encode(), b"[key]")

    def __repr__(self) -> str:
        return f"Credential(key=[masked], origin={self.origin!r})"


def is_loopback(host: str) -> bool:
    """Return whether a host name means this machine."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
