"""A resolver that says what it is told, in the place that each event loop has for one."""

from __future__ import annotations

import asyncio
import socket
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar

import anyio
import trio

__all__ = ["Names", "fake_names"]


class Names:
    """What names mean: an answer for each time that one is asked for, the last one for ever.

    An answer is a list of addresses, an error to raise, or `NEVER`.
    """

    NEVER: ClassVar = object()

    def __init__(self, answers: Mapping[str, Sequence[object]]) -> None:
        self._answers = answers
        self._asked: Counter[str] = Counter()

    def asked(self, name: str) -> int:
        """Return how often a name was asked for."""
        return self._asked[name]

    def knows(self, host: object) -> bool:
        return _text(host) in self._answers

    async def find(self, host: object, port: object) -> list[tuple[Any, ...]]:
        name = _text(host)
        answers = self._answers[name]
        answer = answers[min(self._asked[name], len(answers) - 1)]
        self._asked[name] += 1
        if answer is self.NEVER:
            await anyio.sleep_forever()
        if isinstance(answer, Exception):
            raise answer
        assert isinstance(answer, list)
        return [_found(address, port) for address in answer]


def _text(host: object) -> str:
    return host.decode("ascii") if isinstance(host, bytes) else str(host)


def _found(address: str, port: object) -> tuple[Any, ...]:
    if ":" in address:
        return (socket.AF_INET6, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (address, port, 0, 0))
    return (socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (address, port))


class _TrioNames(trio.abc.HostnameResolver):
    def __init__(self, names: Names) -> None:
        self._names = names

    async def getaddrinfo(self, host: Any, port: Any, *more: Any, **options: Any) -> Any:
        assert self._names.knows(host), f"asked for {host!r}, which is no name of this test"
        return await self._names.find(host, port)

    async def getnameinfo(self, sockaddr: Any, flags: Any) -> Any:
        raise NotImplementedError


@contextmanager
def fake_names(answers: Mapping[str, Sequence[object]]) -> Iterator[Names]:
    """Let this event loop find names as told; numbers go through."""
    names = Names(answers)
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        before = trio.socket.set_custom_hostname_resolver(_TrioNames(names))
        try:
            yield names
        finally:
            trio.socket.set_custom_hostname_resolver(before)
        return
    real = loop.getaddrinfo

    async def getaddrinfo(host: Any, port: Any, **options: Any) -> Any:
        return await (names.find(host, port) if names.knows(host) else real(host, port, **options))

    loop.getaddrinfo = getaddrinfo
    try:
        yield names
    finally:
        del loop.getaddrinfo
