"""Ask a provider about an account or its models, once, by a connection of its own. It charges nothing."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Final

import anyio

from ..providers import Provider
from ..providers.listing import Difference
from ..transport.api import ApiTransport
from ..transport.connections import LazySSLContext
from ..types.errors import Unsupported
from .api_keys import ApiKeys
from .provider_api import ProviderAPI
from .settings import Settings

__all__ = ["compare_models", "read_balance"]

_TIMEOUT: Final = 30.0


async def read_balance(provider: Provider) -> Decimal | None:
    """Return the balance of the account whose key is in the environment, in US dollars; None if the answer tells none.

    Raises:
        Unsupported: the provider has no request for it, or none whose answer is in dollars.
        MissingAPIKey: there is no API key.
        KlingError: no readable answer came.
    """
    request = provider.build_balance()
    if request is None:
        problem = f"The balance at {provider.title} cannot be read"
        raise Unsupported(problem, provider=provider.name, advice="Its own website shows it.")
    async with _connected(provider) as api:
        return await api.balance(request)


async def compare_models(provider: Provider) -> tuple[Difference, ...]:
    """Return how the models that a provider lists now differ from those of its table.

    Raises:
        Unsupported: the provider has no list, or none that this package can read.
        MissingAPIKey: there is no API key.
        KlingError: no readable answer came.
    """
    request = provider.build_listing()
    if request is None:
        problem = f"The models at {provider.title} cannot be listed"
        raise Unsupported(problem, provider=provider.name, advice="Its own website shows them.")
    async with _connected(provider) as api:
        return await api.compare_models(request)


@asynccontextmanager
async def _connected(provider: Provider) -> AsyncGenerator[ProviderAPI]:
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
        yield api
    finally:
        with anyio.CancelScope(shield=True):
            await api.aclose()
