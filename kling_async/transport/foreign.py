"""Hosts that a provider's text chooses: checked, resolved once, connected to by number, and never with the API key."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from ipaddress import ip_address

import httpx

from .addresses import AddressBlocked, is_public, resolve_public
from .credentials import is_loopback

__all__ = ["UnsafeUrl", "checked_url", "parsed_url", "pinned_request", "resolve", "send_to_any"]


class UnsafeUrl(Exception):
    """A URL that is not followed; the text says why, after the words "The URL".

    Attributes:
        shown: what may be shown of it.
    """

    def __init__(self, reason: str, shown: str | None = None) -> None:
        super().__init__(reason)
        self.shown = shown


def parsed_url(text: str, *, base: httpx.URL | None = None) -> httpx.URL:
    """Parse a URL, which may be relative to another one. Raises UnsafeUrl if it is malformed."""
    with suppress(httpx.InvalidURL, ValueError):
        return httpx.URL(text) if base is None else base.join(text)
    # Not from their error: its frames hold half a URL, whose repr fails in a traceback that prints locals.
    raise UnsafeUrl("is malformed")


def checked_url(text: str, *, loopback: bool) -> httpx.URL:
    """Parse a URL of a foreign host. Raises UnsafeUrl unless it is https and names a host, not a private address.

    Args:
        text: the URL.
        loopback: permit this machine, and http to it, for a provider that runs on it.
    """
    target = parsed_url(text)
    local = loopback and is_loopback(target.host)
    if not local and _is_private(target.host):
        raise UnsafeUrl("is not on the public internet", target.host)
    if target.scheme != "https" and not (local and target.scheme == "http"):
        raise UnsafeUrl("is not https", f"{target.scheme}://{target.host}")
    if not target.host or target.userinfo:
        raise UnsafeUrl("names no host, or a user", target.host)
    return target


def _is_private(host: str) -> bool:
    try:
        return not is_public(ip_address(host))
    except ValueError:
        return False


async def resolve(url: httpx.URL, *, loopback: bool) -> list[str]:
    """Return the permitted IP addresses of a URL's host. Raises UnsafeUrl if none is, or OSError."""
    try:
        return await resolve_public(url.raw_host.decode("ascii"), url.port or 443, loopback=loopback)
    except AddressBlocked as error:
        raise UnsafeUrl(f"is not allowed: {error}", url.host) from error


def pinned_request(
    method: str,
    url: httpx.URL,
    address: str,
    *,
    headers: httpx.Headers,
    timeouts: Mapping[str, float | None],
    content: httpx.AsyncByteStream | None = None,
) -> httpx.Request:
    """Return a request to one IP address of a URL's host; Host header and certificate are those of its name."""
    named = headers.copy()
    named["Host"] = url.netloc.decode("ascii")
    extensions: dict[str, object] = {"timeout": timeouts, "sni_hostname": url.host}
    return httpx.Request(method, url.copy_with(host=address), headers=named, stream=content, extensions=extensions)


async def send_to_any(
    transport: httpx.AsyncBaseTransport, addresses: list[str], request_to: Callable[[str], httpx.Request]
) -> httpx.Response:
    """Try each IP address of a host until one answers."""
    for address in addresses[:-1]:
        try:
            return await transport.handle_async_request(request_to(address))
        except (httpx.ConnectError, httpx.ConnectTimeout):
            continue
    return await transport.handle_async_request(request_to(addresses[-1]))
