"""Whose key goes where, and how fast: what a client was told of each provider."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Final, TypeGuard, TypeVar
from urllib.parse import urlsplit

from .effects.credentials import Credential, Keys, is_loopback, read_key, read_origin
from .errors import InputError, InputFault
from .providers import Limits, Provider, provider_named

__all__ = ["Settings", "dollars", "positive", "whole"]


T = TypeVar("T")

_MANY: Final = 500
"""Slots of a provider that queues without limit, as far as is guessed."""


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

    def providers(self, names: str | Sequence[str] | None) -> list[Provider]:
        """Return the providers of these names, each with a key. Raises InputError if one is unknown or has none."""
        chosen = [self.provider(name) for name in ([names] if names is None or isinstance(names, str) else names)]
        for provider in chosen:
            self.credential(provider)
        return chosen

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

    def slots(self, providers: Iterable[Provider]) -> int:
        """Return how many predictions fit into the accounts of some providers at once, or a fair guess."""
        return sum(self.limits(provider).max_open or _MANY for provider in providers)


def _by_provider(given: Mapping[str, T] | None) -> dict[str, T]:
    return {provider_named(name).name: value for name, value in (given or {}).items()}


def _check_scheme(provider: Provider, scheme: str) -> None:
    if scheme not in provider.schemes:
        fault = InputFault(f"auth_schemes[{provider.name!r}]", scheme, f"must be one of {', '.join(provider.schemes)}")
        raise InputError.of("Unknown way to send the key", [fault], provider=provider.name)


def positive(name: str, number: object) -> float:
    """Return a number that must be above 0. Raises InputError."""
    if not _finite(number) or not float(number) > 0.0:
        raise InputError.of("Wrong setting", [InputFault(name, number, "must be a number above 0")])
    return float(number)


def dollars(model: str, price: object) -> Decimal:
    """Return a model's price, which must not be below 0. Raises InputError."""
    if not _finite(price) or not float(price) >= 0.0:
        fault = InputFault(f"prices[{model!r}]", price, "must be US dollars, not below 0")
        raise InputError.of("Wrong setting", [fault])
    return Decimal(str(price))


def _finite(number: object) -> TypeGuard[float | Decimal]:
    return not isinstance(number, bool) and isinstance(number, (int, float, Decimal)) and math.isfinite(number)


def whole(name: str, number: object) -> int:
    """Return a whole number that must be above 0. Raises InputError."""
    if isinstance(number, bool) or not isinstance(number, int) or number < 1:
        raise InputError.of("Wrong setting", [InputFault(name, number, "must be a whole number above 0")])
    return number
