"""The interface between a provider, which knows how an API key is sent, and the transport, which sends it."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

__all__ = ["Authorizer", "HasSecrets"]


class Authorizer(Protocol):
    """Writes the Authorization header from an API key. It must show the key in no repr and no pickle."""

    def header(self, now: float) -> tuple[str, str]:
        """Return the header's name and value for a request that is sent now, in seconds since 1970.

        It is asked for every request, so that a token that expires can be renewed.
        """
        ...


@runtime_checkable
class HasSecrets(Protocol):
    """An authorizer that sends something else than the API key, which has parts that are secret by themselves."""

    @property
    def secrets(self) -> tuple[str, ...]:
        """The parts, each of which is redacted like the key."""
        ...
