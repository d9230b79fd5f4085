"""Where an output may be fetched from: public machines over https, found once and then pinned.

A provider's text chooses the address of an output. Looked up, checked and then connected to by number, it cannot be
made to point into the user's own network between the check and the connection.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Final, TypeAlias

from .credentials import is_loopback
from .names import look_up

__all__ = ["Blocked", "find_addresses", "is_public"]

_Address: TypeAlias = IPv4Address | IPv6Address

_EMBEDDING: Final = tuple(map(ip_network, ("64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "2001::/32", "fec0::/10")))
"""Networks that Python 3.11 calls global although they wrap, or may wrap, a private IPv4 address, or are site-local."""


class Blocked(Exception):
    """The address may not be connected to; the text says why."""


def is_public(address: _Address) -> bool:
    """Return whether an address is a machine on the public internet."""
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return is_public(address.ipv4_mapped)
        if any(address in network for network in _EMBEDDING):
            return False
    return address.is_global and not address.is_multicast and not address.is_reserved


async def find_addresses(host: str, port: int, *, loopback: bool) -> list[str]:
    """Return the numbers of a host that may be connected to, at most three.

    Args:
        host: a name in ASCII, or a number.
        loopback: allow this very machine, for a provider that runs on it.

    Raises:
        Blocked: none of its numbers may be.
        OSError: the name cannot be found.
    """
    numbers = await look_up(host, port)
    allowed = [one for one in numbers if is_public(ip_address(one)) or (loopback and is_loopback(one))]
    if not allowed:
        raise Blocked(f"{host} is not on the public internet")
    return allowed[:3]
