"""Names of machines, looked up in a thread of which nothing waits: a resolver that hangs keeps no program from ending.

The event loops look names up in threads, too, but `asyncio.run` waits for those, and so does the interpreter's end.
"""

from __future__ import annotations

import socket
from collections.abc import Sequence
from functools import partial
from ipaddress import ip_address
from itertools import zip_longest

from .threads import DaemonThread

__all__ = ["look_up"]


async def look_up(host: str, port: int) -> list[str]:
    """Return the numbers of a host in the order in which to try them; a number is its own.

    It is the order of the system, but IPv6 and IPv4 alternate (RFC 8305, 4), since often one of the two leads nowhere.

    Args:
        host: a name in ASCII, or a number.

    Raises:
        OSError: the name cannot be found.
    """
    if _is_number(host):
        return [host]
    # A thread for each: behind one that hangs, all others would wait. It outlasts this by the resolver's time limit.
    thread = DaemonThread(name="kling-async names")
    try:
        find = partial(socket.getaddrinfo, host.encode("ascii"), port, type=socket.SOCK_STREAM)
        found = await thread.run(find)
    finally:
        thread.stop()
    return _alternating(list(dict.fromkeys(str(sockaddr[0]) for *_, sockaddr in found)))


def _is_number(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _alternating(numbers: Sequence[str]) -> list[str]:
    first = [one for one in numbers if (":" in one) == (":" in numbers[0])]
    second = [one for one in numbers if one not in first]
    return [one for pair in zip_longest(first, second) for one in pair if one is not None]
