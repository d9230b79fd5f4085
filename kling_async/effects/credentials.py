"""Keys: where they come from, and the one place they go. A key shows in no repr, error, log or pickle."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from ipaddress import ip_address
from typing import Final, NoReturn
from urllib.parse import urlsplit

from ..errors import InputError, InputFault
from ..providers import Provider

__all__ = ["Credential", "Keys", "NonCopyable", "is_loopback", "read_key", "read_origin"]


class NonCopyable:
    """What holds keys or open connections; to pickle or to copy it raises TypeError."""

    __slots__ = ()

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            f"A {type(self).__name__} cannot be pickled or copied: it holds keys or open connections. "
            "Make one in each process that needs it."
        )


class Credential(NonCopyable):
    """A provider's key, tied to the origin it may be sent to."""

    __slots__ = ("_header", "_key", "origin")

    def __init__(self, *, key: str, origin: str, scheme: str) -> None:
        self._key = key
        self._header = f"Bearer {key}" if scheme == "bearer" else key
        self.origin = origin

    def header_for(self, origin: str) -> tuple[str, str]:
        """Return the Authorization header for a request to an origin; any origin but its own is a mistake of ours."""
        if origin != self.origin:
            raise RuntimeError("a key was about to be sent to an origin that is not its own")
        return ("Authorization", self._header)

    def redact(self, text: str) -> str:
        """Take the key out of a text in which somebody repeats it."""
        return text.replace(self._key, "[key]")

    def redact_bytes(self, body: bytes) -> bytes:
        """Take the key out of bytes that are no packed text."""
        return body.replace(self._key.encode(), b"[key]")

    def __repr__(self) -> str:
        return f"Credential(key=[masked], origin={self.origin!r})"


class Keys(NonCopyable):
    """Keys by provider, as they were handed in. Its repr, which tracebacks with locals print, shows none."""

    __slots__ = ("_given",)

    def __init__(self, given: Mapping[str, str] | None = None) -> None:
        self._given = dict(given or {})

    def __iter__(self) -> Iterator[str]:
        return iter(self._given)

    def of(self, provider: Provider) -> str:
        """Return a provider's key from here or the environment; empty if there is none."""
        return (self._given.get(provider.name) or os.environ.get(provider.key_variable) or "").strip()

    def __repr__(self) -> str:
        return f"Keys({', '.join(self._given)})"


def read_key(provider: Provider, keys: Keys) -> str:
    """Return a provider's key from what was handed in, or from the environment.

    Raises:
        InputError: there is none, or it cannot be a key. The error never repeats it.
    """
    source = f"keys[{provider.name!r}]" if provider.name in keys else provider.key_variable
    key = keys.of(provider)
    if not key:
        fault = InputFault(provider.key_variable, None, f"must hold your {provider.title} key, or pass keys=")
        raise InputError.of(f"No key for {provider.title}", [fault], provider=provider.name)
    if not (key.isascii() and key.isprintable() and " " not in key) or len(key) < 4:
        del key  # tracebacks may print locals
        fault = InputFault(source, "[masked]", "must be a key: at least 4 printable ASCII characters without blanks")
        raise InputError.of(f"The key for {provider.title} cannot be one", [fault], provider=provider.name)
    return key


def read_origin(provider: Provider, base_urls: Mapping[str, str], *, allow_http: bool) -> str:
    """Return a provider's origin from the mapping, the environment, or its own documentation.

    Raises:
        InputError: it is no origin, or it is plain http to another machine and that is not allowed.
    """
    url = base_urls.get(provider.name) or os.environ.get(provider.url_variable) or provider.origin
    field = f"base_urls[{provider.name!r}]" if provider.name in base_urls else provider.url_variable
    try:
        parts = urlsplit(url.strip())
        port = "" if parts.port in (None, _PORTS.get(parts.scheme)) else f":{parts.port}"
    except ValueError:
        parts, port = urlsplit(""), ""
    host = parts.hostname
    plain = (parts.path.strip("/"), parts.query, parts.fragment, parts.username) == ("", "", "", None)
    if parts.scheme not in ("http", "https") or not host or not plain or not _names_host(host):
        allowed = "must be an origin such as https://gptproto.com, without a path"
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


def is_loopback(host: str) -> bool:
    """Return whether a host name means this machine."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
