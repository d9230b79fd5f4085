"""The interface between a provider, which knows how an API key is sent, and the transport, which sends it."""

from __future__ import annotations

from typing import Protocol

__all__ = ["Authorizer"]


class Authorizer(Protocol):
    """Writes the Authorization header from an API key. It must show the key in no repr and no pickle."""

    def header(self, now: float) -> tuple[str, str]:
        """Return the header's name and value for a request that is sent now, in seconds since 1970.

        It is asked for every request, so that a token that expires can be renewed.
        """
        ...
