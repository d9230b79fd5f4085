"""Name resolution in daemon threads: a resolver that hangs keeps no program from ending.

The event loops resolve names in threads as well, but `asyncio.run` waits for those, and so does the interpreter's end.
"""

from __future__ import annotations

import socket
from collections.abc import Sequence
from functools import partial
from ipaddress import ip_address
from itertools import zip_longest

from ..system.threads import DaemonThread

__all__ = ["resolve_host"]


async def resolve_host(host: str, port: int) -> list[str]:
    """Return the IP addresses of a host in the order in which to try them.

    The order is the system's, but IPv6 and IPv4 alternate (RFC 8305, 4), since often one of the two is unreachable.

    Args:
        host: a name in ASCII, or an IP address, which is returned.

    Raises:
        OSError: the name cannot be resolved.
    """
    if _is_ip_address(host):
        return [host]
    # A thread for each: one that hangs would delay all others. It ends after the resolver's own time limit.
    thread = DaemonThread(name="kling-async names")
    try:
        call = partial(socket.getaddrinfo, host.encode("ascii"), port, type=socket.SOCK_STREAM)
        found = await thread.run(call)
    finally:
        thread.stop()
    return _alternating(list(dict.fromkeys(str(sockaddr[0]) for *_, sockaddr in found)))


def _is_ip_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _alternating(addresses: Sequence[str]) -> list[str]:
    first = [one for one in addresses if (":" in one) == (":" in addresses[0])]
    second = [one for one in addresses if one not in first]
    return [one for pair in zip_longest(first, second) for one in pair if one is not None]
