"""Whose key goes where, and how fast: what a client was told of each provider."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar
from urllib.parse import urlsplit

from .effects.credentials import Credential, Keys, is_loopback, read_key, read_origin
from .errors import InputError, InputFault
from .providers import Limits, Provider, provider_named

__all__ = ["Settings"]


T = TypeVar("T")


class Settings:
    """The providers of one client. A key is looked for when its provider is first used, and before anything is sent.

    Raises:
        InputError: a provider's name, an origin or a scheme is wrong.
    """

    def __init__(
        self,
        default: str,
        *,
        keys: Keys,
        base_urls: Mapping[str, str] | None,
        auth_schemes: Mapping[str, str] | None,
        limits: Mapping[str, Limits] | None,
        allow_http: bool,
    ) -> None:
        self._default = provider_named(default)
        self._keys = keys
        for name in keys:
            provider_named(name)
        self._base_urls = _by_provider(base_urls)
        self._schemes = _by_provider(auth_schemes)
        self._limits = _by_provider(limits)
        self._allow_http = allow_http
        for name in {self._default.name, *self._base_urls}:
            self.origin(provider_named(name))
        for name, scheme in self._schemes.items():
            _check_scheme(provider_named(name), scheme)

    def provider(self, name: str | None) -> Provider:
        """Return the provider of that name, or the default. Raises InputError if there is none."""
        return self._default if name is None else provider_named(name)

    def origin(self, provider: Provider) -> str:
        """Return a provider's origin."""
        return read_origin(provider, self._base_urls, allow_http=self._allow_http)

    def on_this_machine(self, provider: Provider) -> bool:
        """Return whether a provider is reached on this very machine, as a sandbox is."""
        return is_loopback(urlsplit(self.origin(provider)).hostname or "")

    def credential(self, provider: Provider) -> Credential:
        """Return a provider's key, tied to its origin. Raises InputError if there is none."""
        return Credential(
            key=read_key(provider, self._keys),
            origin=self.origin(provider),
            scheme=self._schemes.get(provider.name, provider.schemes[0]),
        )

    def limits(self, provider: Provider) -> Limits:
        """Return how fast a provider may be used."""
        return self._limits.get(provider.name, provider.limits)


def _by_provider(given: Mapping[str, T] | None) -> dict[str, T]:
    return {provider_named(name).name: value for name, value in (given or {}).items()}


def _check_scheme(provider: Provider, scheme: str) -> None:
    if scheme not in provider.schemes:
        fault = InputFault(f"auth_schemes[{provider.name!r}]", scheme, f"must be one of {', '.join(provider.schemes)}")
        raise InputError.of("Unknown way to send the key", [fault], provider=provider.name)
