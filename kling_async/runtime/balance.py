"""Read the balance of an account, by a connection of its own."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

import anyio

from ..providers import Provider
from ..transport.api import ApiTransport
from ..transport.connections import LazySSLContext
from ..types.errors import Unsupported
from .api_keys import ApiKeys
from .provider_api import ProviderAPI
from .settings import Settings

__all__ = ["read_balance"]

_TIMEOUT: Final = 30.0


async def read_balance(provider: Provider) -> Decimal | None:
    """Return the balance of the account whose key is in the environment, in US dollars; None if the answer tells none.

    It sends one request, which charges nothing.

    Raises:
        Unsupported: the provider has no request for it, or none whose answer is in dollars.
        MissingAPIKey: there is no API key.
        KlingError: no readable answer came.
    """
    request = provider.build_balance()
    if request is None:
        problem = f"The balance at {provider.title} cannot be read"
        raise Unsupported(problem, provider=provider.name, advice="Its own website shows it.")
    settings = Settings(
        provider.name,
        api_keys=ApiKeys(),
        base_url=None,
        base_urls=None,
        auth_schemes=None,
        limits=None,
        request_timeout=_TIMEOUT,
        allow_http=False,
    )
    transport = ApiTransport(
        provider=provider.name,
        credential=settings.credential(provider),
        timeout=settings.request_timeout,
        tls=LazySSLContext(),
        submit_connections=1,
    )
    api = ProviderAPI(provider=provider, transport=transport)
    try:
        return await api.balance(request)
    finally:
        with anyio.CancelScope(shield=True):
            await api.aclose()
