"""Authorization headers made from an API key."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from ..types.noncopyable import NonCopyable

__all__ = ["KeyAuthorizer"]

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
