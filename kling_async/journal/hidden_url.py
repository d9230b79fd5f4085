"""URLs of databases, whose passwords no traceback with locals prints."""

from __future__ import annotations

from typing import Final

from ..types.noncopyable import NonCopyable

__all__ = ["HiddenUrl"]

_SCHEMES: Final = ("postgresql://", "postgres://")


class HiddenUrl(NonCopyable):
    """A URL that may hold a password. Its repr shows nothing of it.

    Args:
        url: the URL.
    """

    __slots__ = ("_url",)

    def __init__(self, url: str) -> None:
        self._url = url

    def reveal(self) -> str:
        """Return the URL."""
        return self._url

    @property
    def is_of_a_database(self) -> bool:
        """Whether it is the URL of a PostgreSQL database."""
        return self._url.lower().startswith(_SCHEMES)

    def __repr__(self) -> str:
        return "HiddenUrl(...)"
