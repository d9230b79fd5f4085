"""Public IP addresses only: a host is resolved once, checked, and then connected to by number.

A provider's text chooses the URL of an output. With the checked address pinned, DNS cannot point it into the user's own
network between the check and the connection.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Final, TypeAlias

from .credentials import is_loopback
from .dns import resolve_host

__all__ = ["AddressBlocked", "is_public", "resolve_public"]

_Address: TypeAlias = IPv4Address | IPv6Address

_EMBEDDING: Final = tuple(map(ip_network, ("64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "2001::/32", "fec0::/10")))
"""Networks that Python 3.11 calls global although they wrap, or may wrap, a private IPv4 address, or are site-local."""


class AddressBlocked(Exception):
    """A host without a permitted address; the text says why."""


def is_public(address: _Address) -> bool:
    """Return whether an address is on the public internet."""
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return is_public(address.ipv4_mapped)
        if any(address in network for network in _EMBEDDING):
            return False
    return address.is_global and not address.is_multicast and not address.is_reserved


async def resolve_public(host: str, port: int, *, loopback: bool) -> list[str]:
    """Return the permitted IP addresses of a host, at most three.

    Args:
        host: a name in ASCII, or an IP address.
        loopback: permit this machine, for a provider that runs on it.

    Raises:
        AddressBlocked: none is permitted.
        OSError: the name cannot be resolved.
    """
    addresses = await resolve_host(host, port)
    allowed = [one for one in addresses if is_public(ip_address(one)) or (loopback and is_loopback(one))]
    if not allowed:
        raise AddressBlocked(f"{host} is not on the public internet")
    return allowed[:3]
