"""The settings of each provider of a client: keys, origins, limits."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Final, TypeGuard, TypeVar
from urllib.parse import urlsplit

from ..providers import Provider, provider_named
from ..transport.credentials import Credential, is_loopback
from ..types.errors import InputError, InputFault
from ..types.inputs import Input
from ..types.limits import Limits
from .api_keys import ApiKeys, further_origin, read_key, read_origin
from .tracebacks import short_tracebacks

__all__ = ["Settings", "parse_price", "positive_float", "positive_int"]


T = TypeVar("T")

_ASSUMED_SLOTS: Final = 500
"""Slots of a provider without a limit of open jobs; a guess."""


class Settings:
    """The providers of one client. A key is read when its provider is first used, before anything is sent.

    Args:
        default: the name of the default provider.
        api_keys: keys by provider.
        base_url: the default provider's origin.
        base_urls: origins by provider.
        auth_schemes: how the key is sent, by provider.
        limits: by provider, or those of the default provider.
        request_timeout: seconds that one exchange with an API may take.
        allow_http: let a key travel over http to another machine.

    Raises:
        InputError: a provider's name, an origin, a scheme or a number is wrong, or a setting is given twice.
    """

    def __init__(
        self,
        default: str,
        *,
        api_keys: ApiKeys,
        base_url: str | None,
        base_urls: Mapping[str, str] | None,
        auth_schemes: Mapping[str, str] | None,
        limits: Limits | Mapping[str, Limits] | None,
        request_timeout: float,
        allow_http: bool,
    ) -> None:
        self._default = provider_named(default)
        self._api_keys = api_keys
        for name in api_keys:
            provider_named(name)
        self._base_urls = _by_provider(self._merged("base_url", base_url, base_urls))
        self._schemes = _by_provider(auth_schemes)
        self._limits = _by_provider({default: limits} if isinstance(limits, Limits) else limits)
        self._allow_http = allow_http
        self.request_timeout = positive_float("request_timeout", request_timeout)
        for name in {self._default.name, *self._base_urls}:
            self.origin(provider_named(name))
        for name, scheme in self._schemes.items():
            _validate_scheme(provider_named(name), scheme)

    def _merged(self, name: str, value: str | None, by_provider: Mapping[str, str] | None) -> Mapping[str, str] | None:
        """Return settings by provider, with the one that is given for the default provider alone."""
        if value is None:
            return by_provider
        if self._default.name in (by_provider or {}):
            fault = InputFault(name, value, f"is given twice: {name}s names {self._default.name}, too")
            raise InputError.of("Wrong setting", [fault])
        return {**(by_provider or {}), self._default.name: value}

    def provider(self, name: str | None) -> Provider:
        """Return the provider of that name, or the default. Raises InputError if there is none."""
        return self._default if name is None else provider_named(name)

    @short_tracebacks
    def providers(self, names: str | Sequence[str] | None) -> list[Provider]:
        """Return the providers of these names, each with a key. Raises InputError if one is unknown or has none."""
        chosen = [self.provider(name) for name in ([names] if names is None or isinstance(names, str) else names)]
        for provider in chosen:
            self.credential(provider)
        return chosen

    def origin(self, provider: Provider) -> str:
        """Return a provider's origin."""
        return read_origin(provider, self._base_urls, allow_http=self._allow_http)

    def further_origin(self, provider: Provider, origin: str) -> str:
        """Return a further origin of a provider, such as its public pages'; a base URL of the user's replaces it."""
        return further_origin(provider, origin, own=self.origin(provider))

    def is_local(self, provider: Provider) -> bool:
        """Return whether a provider is reached on this machine, as a sandbox is."""
        return is_loopback(urlsplit(self.origin(provider)).hostname or "")

    def credential(self, provider: Provider) -> Credential:
        """Return a provider's key, tied to its origin. Raises InputError if there is none."""
        return self._credential(provider, self.origin(provider))

    def upload_credential(self, provider: Provider) -> Credential:
        """Return a provider's key, tied to the origin of its uploads; an origin of the user's stands for both."""
        return self._credential(provider, self.further_origin(provider, provider.upload_origin or provider.origin))

    def _credential(self, provider: Provider, origin: str) -> Credential:
        key = read_key(provider, self._api_keys)
        return Credential(
            key=key, origin=origin, authorizer=provider.authorizer(key, scheme=self._schemes.get(provider.name))
        )

    def check_key(self, provider: Provider, input: Input) -> None:
        """Check that a provider's key is of a kind that an input's model takes. Raises InputError if it is not."""
        if provider.api_key_pair_env and (key := self._api_keys.get(provider)):
            provider.check_key(input, key)

    def limits(self, provider: Provider) -> Limits:
        """Return the limits of a provider."""
        return self._limits.get(provider.name, provider.limits)

    def learns(self, provider: Provider) -> bool:
        """Return whether the limits of a provider are learned: those that the user has set are kept."""
        return provider.name not in self._limits

    def slots(self, providers: Iterable[Provider]) -> int:
        """Return how many predictions some providers may hold at once, or a guess."""
        return sum(
            _ASSUMED_SLOTS if self.learns(provider) else self.limits(provider).max_open or _ASSUMED_SLOTS
            for provider in providers
        )


def _by_provider(given: Mapping[str, T] | None) -> dict[str, T]:
    return {provider_named(name).name: value for name, value in (given or {}).items()}


def _validate_scheme(provider: Provider, scheme: str) -> None:
    if scheme not in provider.schemes:
        fault = InputFault(f"auth_schemes[{provider.name!r}]", scheme, f"must be one of {', '.join(provider.schemes)}")
        raise InputError.of("Unknown way to send the key", [fault], provider=provider.name)


def positive_float(name: str, number: object) -> float:
    """Return a number that must be above 0. Raises InputError."""
    if not _finite(number) or not float(number) > 0.0:
        raise InputError.of("Wrong setting", [InputFault(name, number, "must be a number above 0")])
    return float(number)


def parse_price(model: str, price: object) -> Decimal:
    """Return a model's price, which must not be below 0. Raises InputError."""
    if not _finite(price) or not float(price) >= 0.0:
        fault = InputFault(f"prices[{model!r}]", price, "must be US dollars, not below 0")
        raise InputError.of("Wrong setting", [fault])
    return Decimal(str(price))


def _finite(number: object) -> TypeGuard[float | Decimal]:
    return not isinstance(number, bool) and isinstance(number, (int, float, Decimal)) and math.isfinite(number)


def positive_int(name: str, number: object) -> int:
    """Return a whole number that must be above 0. Raises InputError."""
    if isinstance(number, bool) or not isinstance(number, int) or number < 1:
        raise InputError.of("Wrong setting", [InputFault(name, number, "must be a whole number above 0")])
    return number
