"""Ports for servers that a test starts later, and for addresses where nothing listens."""

from __future__ import annotations

import os
import re
import secrets
import socket
from itertools import count
from typing import Final

__all__ = ["BLOCK", "FIRST", "free_port"]

FIRST: Final = 10_240
BLOCK: Final = 1_000
"""Ports of one of the processes that share the tests. 20 of them lie below those that Linux gives to others."""
_BLOCKS: Final = 20

_numbers = count(secrets.randbelow(BLOCK))  # another run of the tests on this machine begins elsewhere


def free_port() -> int:
    """Return a port that nothing listens at, each time another one.

    A port that the system chose, and that was closed again, may be that of any other connection a moment later: of
    another test's server, whose clients then come here. The system gives none of these by itself.
    """
    worker = re.sub(r"\D", "", os.environ.get("PYTEST_XDIST_WORKER", "")) or "0"
    first = FIRST + int(worker) % _BLOCKS * BLOCK
    for _ in range(BLOCK):
        port = first + next(_numbers) % BLOCK
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)):
                return port
    raise AssertionError("no port is free")
