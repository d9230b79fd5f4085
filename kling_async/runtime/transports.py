"""The transports of one client.

The HTTP libraries are loaded by the first transport that is made, which a client does when it is opened: loading them
takes longer than all of this package, and planning or reading a run needs none of them.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from ..providers import Provider
from ..system.clock import Clock
from ..transport.credentials import Credential
from ..transport.tls import LazySSLContext
from .settings import Settings

if TYPE_CHECKING:  # each of these loads the HTTP libraries
    from ..transport.api import ApiTransport
    from ..transport.connections import HttpTransport
    from ..transport.fetcher import OutputFetcher
    from ..transport.uploads import UploadTransport

__all__ = ["Transports"]


class Transports:
    """Makes the transports of one client, which share a TLS context.

    Args:
        settings: keys and origins by provider.
        clock: tells the time.
        shared: a transport of the user's that carries everything, and is closed with this.
    """

    def __init__(self, settings: Settings, *, clock: Clock, shared: HttpTransport | None) -> None:
        self._settings = settings
        self._clock = clock
        self._shared = shared
        self._tls = LazySSLContext()

    def api(self, provider: Provider, *, submit_connections: int) -> ApiTransport:
        """Return a transport to a provider's API, with its key. Raises InputError if there is none."""
        return self._api(provider, self._settings.credential(provider), submit_connections)

    def public(self, provider: Provider, origin: str) -> ApiTransport:
        """Return a transport to a further origin of a provider, without its key."""
        further = self._settings.further_origin(provider, origin)
        return self._api(provider, Credential(key="", origin=further, authorizer=None), submit_connections=1)

    def _api(self, provider: Provider, credential: Credential, submit_connections: int) -> ApiTransport:
        from ..transport.api import ApiTransport  # noqa: PLC0415

        return ApiTransport(
            provider=provider.name,
            credential=credential,
            timeout=self._settings.request_timeout,
            tls=self._tls,
            submit_connections=submit_connections,
            shared=self._shared,
            clock=self._clock,
        )

    def uploads(self, provider: Provider) -> UploadTransport:
        """Return a transport for a provider's uploads. Raises InputError if there is no key."""
        from ..transport.uploads import UploadTransport  # noqa: PLC0415

        return UploadTransport(
            provider=provider.name,
            credential=self._settings.upload_credential(provider),
            timeout=self._settings.request_timeout,
            tls=self._tls,
            clock=self._clock,
            loopback=self._settings.is_local(provider),
            shared=self._shared,
        )

    @cached_property
    def fetcher(self) -> OutputFetcher:
        """The downloads of outputs, of all providers."""
        from ..transport.fetcher import OutputFetcher  # noqa: PLC0415

        return OutputFetcher(clock=self._clock, tls=self._tls, shared=self._shared)

    async def aclose(self) -> None:
        """Close the user's transport, if there is one; each of the others is closed by its user."""
        if self._shared is not None:
            await self._shared.aclose()
