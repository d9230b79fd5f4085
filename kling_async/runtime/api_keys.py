"""API keys and origins: read from arguments and the environment, checked before anything is sent."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import Final
from urllib.parse import urlsplit

from ..providers import DEFAULT_PROVIDER, PROVIDERS, Provider
from ..transport.credentials import is_loopback
from ..types.errors import InputError, InputFault, MissingAPIKey
from ..types.noncopyable import NonCopyable

__all__ = ["ApiKeys", "default_provider", "further_origin", "read_key", "read_origin"]


class ApiKeys(NonCopyable):
    """API keys by provider, as they were passed in. Its repr, which tracebacks with locals print, shows none.

    Args:
        given: keys by provider.
        provider: the provider of a single key.
        key: a single key.

    Raises:
        InputError: the single key's provider has one by provider, too.
    """

    __slots__ = ("_given",)

    def __init__(self, given: Mapping[str, str] | None = None, *, provider: str = "", key: str | None = None) -> None:
        self._given = dict(given or {})
        if key is not None:
            if provider in self._given:
                fault = InputFault("api_key", "[masked]", f"is given twice: api_keys names {provider}, too")
                raise InputError.of("Wrong setting", [fault], provider=provider)
            self._given[provider] = key

    def __iter__(self) -> Iterator[str]:
        return iter(self._given)

    def get(self, provider: Provider) -> str:
        """Return a provider's key from here or the environment; empty if there is none."""
        key = self._given.get(provider.name) or os.environ.get(provider.api_key_env) or ""
        return key.strip() or _pair_of(provider)

    def source_of(self, provider: Provider) -> str:
        """Return where a provider's key is from: an argument, its variable, or the two variables of a pair."""
        if provider.name in self._given:
            return "api_key"
        is_pair = not os.environ.get(provider.api_key_env, "").strip() and bool(_pair_of(provider))
        return " and ".join(provider.api_key_pair_env) if is_pair else provider.api_key_env

    def __repr__(self) -> str:
        return f"ApiKeys({', '.join(self._given)})"


def _pair_of(provider: Provider) -> str:
    """Return a key of two parts, joined by a colon, from the environment; empty if one of them is missing."""
    parts = [os.environ.get(name, "").strip() for name in provider.api_key_pair_env]
    return ":".join(parts) if all(parts) else ""


def default_provider(keys: ApiKeys, *, from_environment: bool = True) -> str:
    """Return the provider that is used when none is named: the only one with a key.

    Of several it is the usual default, GPTProto, which it also is if there is no key at all.

    Args:
        keys: those that were passed in. If there are any, they alone decide.
        from_environment: whether the environment decides if there are none.

    Raises:
        InputError: several providers have a key, and GPTProto is not among them.
    """
    names = list(keys)
    if not names and from_environment:
        # Asked first, since asking the others loads their tables.
        usual = bool(keys.get(PROVIDERS[DEFAULT_PROVIDER]))
        names = [] if usual else [name for name, provider in PROVIDERS.items() if keys.get(provider)]
    if not names or DEFAULT_PROVIDER in names:
        return DEFAULT_PROVIDER
    if len(names) == 1:
        return names[0]
    advice = f'Name one: provider="{names[0]}", or --provider {names[0]} on the command line. Nothing was sent.'
    fault = InputFault("provider", None, f"must be one of those with an API key: {', '.join(names)}")
    raise InputError.of(f"No provider is named, and {len(names)} have an API key", [fault], advice=advice)


def read_key(provider: Provider, keys: ApiKeys) -> str:
    """Return a provider's key from the arguments or the environment.

    Raises:
        MissingAPIKey: there is none.
        InputError: it is malformed. The error never repeats it.
    """
    source, key = keys.source_of(provider), keys.get(provider)
    if not key:
        pair = f", or {' and '.join(provider.api_key_pair_env)}" if provider.api_key_pair_env else ""
        advice = f"Set {provider.api_key_env}{pair}, or pass api_key=. Nothing was sent."
        raise MissingAPIKey(
            f"No API key for {provider.title}", env=provider.api_key_env, provider=provider.name, advice=advice
        )
    if not all(map(_is_key, key.split(":", 1) if provider.api_key_pair_env else [key])):
        del key  # tracebacks may print locals
        pair = ", or two of them joined by a colon" if provider.api_key_pair_env else ""
        allowed = f"must be a key: at least 4 printable ASCII characters without blanks{pair}"
        fault = InputFault(source, "[masked]", allowed)
        raise InputError.of(f"Malformed API key for {provider.title}", [fault], provider=provider.name)
    return key


def _is_key(text: str) -> bool:
    return len(text) >= _MIN_LENGTH and text.isascii() and text.isprintable() and " " not in text


_MIN_LENGTH: Final = 4


def further_origin(provider: Provider, origin: str, *, own: str) -> str:
    """Return a further origin of a provider, such as its public pages'; a base URL of the user's replaces it as well.

    Args:
        provider: the provider.
        origin: its further origin.
        own: the origin of its API, as `read_origin` returns it.
    """
    return origin if own == provider.origin else own


def read_origin(provider: Provider, base_urls: Mapping[str, str], *, allow_http: bool) -> str:
    """Return a provider's origin from the mapping, the environment, or its own documentation.

    Raises:
        InputError: it is no origin, or it is plain http to another machine and that is not allowed.
    """
    url = base_urls.get(provider.name) or os.environ.get(provider.base_url_env) or provider.origin
    field = f"base_urls[{provider.name!r}]" if provider.name in base_urls else provider.base_url_env
    try:
        parts = urlsplit(url.strip())
        port = "" if parts.port in (None, _PORTS.get(parts.scheme)) else f":{parts.port}"
    except ValueError:
        parts, port = urlsplit(""), ""
    host = parts.hostname
    plain = (parts.path.strip("/"), parts.query, parts.fragment, parts.username) == ("", "", "", None)
    if parts.scheme not in ("http", "https") or not host or not plain or not _names_host(host):
        allowed = f"must be an origin such as {provider.origin}, without a path"
        fault = InputFault(field, url.rpartition("@")[2], allowed)
        raise InputError.of("Malformed base URL", [fault], provider=provider.name)
    if parts.scheme == "http" and not is_loopback(host) and not allow_http:
        fault = InputFault(field, url, "must be https: over http anyone on the way reads your key (or allow_http=True)")
        raise InputError.of("Insecure base URL", [fault], provider=provider.name)
    return f"{parts.scheme}://{f'[{host}]' if ':' in host else host}{port}"


_PORTS: Final = {"http": 80, "https": 443}
"""Ports that go without saying, and that HTTP libraries therefore leave out of an origin."""


def _names_host(host: str) -> bool:
    return host.isascii() and all(char.isalnum() or char in ".-_:" for char in host)
