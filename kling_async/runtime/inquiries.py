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
from ..transport.credentials import Credential
from ..transport.tls import LazySSLContext
from ..types.errors import Unsupported
from .api_keys import ApiKeys, further_origin, read_key, read_origin
from .provider_api import ProviderAPI

__all__ = ["compare_models", "read_balance"]

_TIMEOUT: Final = 30.0
_MAX_BYTES: Final = 16 * 1024 * 1024
"""Maximum length of a response in bytes. The schemas of all of WaveSpeedAI's videos alone have over a million."""


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
    async with _connected(provider, _credential(provider)) as api:
        return await api.balance(request)


async def compare_models(provider: Provider) -> tuple[Difference, ...]:
    """Return how the models that a provider lists now differ from those of its table.

    Raises:
        Unsupported: the provider has no list, or none that this package can read.
        MissingAPIKey: there is no API key, where the list asks for one.
        KlingError: no readable answer came.
    """
    if provider.build_listing(()) is None:
        problem = f"The models at {provider.title} cannot be listed"
        raise Unsupported(problem, provider=provider.name, advice="Its own website shows them.")
    credential = _credential(provider) if not provider.listing_origin else _no_credential(provider)
    async with _connected(provider, credential) as api:
        return await api.compare_models()


def _credential(provider: Provider) -> Credential:
    key = read_key(provider, ApiKeys())
    return Credential(key=key, origin=_origin(provider), authorizer=provider.authorizer(key))


def _no_credential(provider: Provider) -> Credential:
    """Return the credential for public pages, which are asked for without a key."""
    public = further_origin(provider, provider.listing_origin, own=_origin(provider))
    return Credential(key="", origin=public, authorizer=None)


def _origin(provider: Provider) -> str:
    return read_origin(provider, {}, allow_http=False)


@asynccontextmanager
async def _connected(provider: Provider, credential: Credential) -> AsyncGenerator[ProviderAPI]:
    transport = ApiTransport(
        provider=provider.name,
        credential=credential,
        timeout=_TIMEOUT,
        tls=LazySSLContext(),
        submit_connections=1,
        max_bytes=_MAX_BYTES,
    )
    api = ProviderAPI(provider=provider, transport=transport)
    try:
        yield api
    finally:
        with anyio.CancelScope(shield=True):
            await api.aclose()
