"""Secrets and public keys that prove who has sent a webhook."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

import anyio

from ..providers import PROVIDERS, Provider, provider_named
from ..providers.codec.ed25519 import can_verify
from ..providers.codec.webhook_signatures import is_secret
from ..system.clock import Clock
from ..types.errors import InputError, InputFault
from ..types.http import HttpRequest
from ..types.noncopyable import NonCopyable
from .accounts import Accounts

if TYPE_CHECKING:  # loads the HTTP libraries
    from ..transport.api import ApiTransport

__all__ = ["PublicKeys", "WebhookSecrets"]

_MAX_AGE: Final = 86_400.0
"""Seconds for which public keys are kept; fal asks to keep them for a day at most."""
_MIN_AGE: Final = 300.0
"""Seconds for which keys are not read again, however many deliveries no key has signed."""


class WebhookSecrets(NonCopyable):
    """The secrets that sign webhooks, by provider. Its repr, which tracebacks with locals print, shows none.

    Args:
        given: secrets by provider; others are read from the environment. `check` checks them: nothing that is raised
            here could show them.
    """

    __slots__ = ("_secrets",)

    def __init__(self, given: Mapping[str, str] | None = None) -> None:
        self._secrets = dict(given or {})

    def check(self) -> None:
        """Read what is missing from the environment, and check each secret.

        Raises:
            InputError: a secret is malformed, or of a provider that signs with none. The error never repeats it.
        """
        for name in self._secrets:
            self._check(provider_named(name))
        for provider in PROVIDERS.values():
            if provider.webhook_env in os.environ and provider.name not in self._secrets:
                self._secrets[provider.name] = os.environ[provider.webhook_env]
                self._check(provider)

    def _check(self, provider: Provider) -> None:
        kind = provider.capabilities.webhook_signature.value
        if kind is None or not provider.webhook_env or not is_secret(kind, self._secrets[provider.name].strip()):
            allowed = f"must be the secret as {provider.title} shows it, such as whsec_... ({provider.webhook_env})"
            if not provider.webhook_env:
                allowed = f"has no use: {provider.title} signs its webhooks with no secret of an account"
            fault = InputFault(f"secrets[{provider.name!r}]", "[masked]", allowed)
            raise InputError.of("Malformed webhook secret", [fault], provider=provider.name)

    def of(self, provider: Provider) -> tuple[str, ...]:
        """Return the secrets of a provider; none if there are none."""
        return (self._secrets[provider.name].strip(),) if provider.name in self._secrets else ()

    def __repr__(self) -> str:
        return f"WebhookSecrets({', '.join(self._secrets)})"


class PublicKeys:
    """The public keys of a provider that signs with those, as they were published at most a day ago.

    Args:
        provider: it has `webhook_keys`.
        accounts: make the connection.
        clock: tells the time.
    """

    def __init__(self, provider: Provider, *, accounts: Accounts, clock: Clock) -> None:
        self._provider = provider
        self._accounts = accounts
        self._clock = clock
        self._keys: tuple[str, ...] = ()
        self._read_at = float("-inf")
        self._lock = anyio.Lock()

    async def get(self, *, renew: bool = False) -> tuple[str, ...]:
        """Return the keys; none if the library that checks them is not installed.

        Args:
            renew: read them again, since none of them has signed a delivery; at most once in five minutes.

        Raises:
            KlingError: they cannot be read at present.
        """
        if self._provider.webhook_keys is None or not can_verify():
            return ()
        origin, path = self._provider.webhook_keys
        async with self._lock:
            age = self._clock.now() - self._read_at
            if age > (_MIN_AGE if renew else _MAX_AGE):
                keys = await self._read(self._accounts.transports.public(self._provider, origin), path)
                self._keys, self._read_at = keys, self._clock.now()
            return self._keys

    async def _read(self, transport: ApiTransport, path: str) -> tuple[str, ...]:
        try:
            return self._provider.parse_webhook_keys(await transport.poll(HttpRequest(method="GET", path=path)))
        finally:
            with anyio.CancelScope(shield=True):
                await transport.aclose()
