"""A resolver that says what it is told, in the place of the system's, which every look-up asks in a thread."""

from __future__ import annotations

import socket
import threading
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar

__all__ = ["Names", "fake_names"]


class Names:
    """What names mean: an answer for each time that one is asked for, the last one for ever.

    An answer is a list of addresses, an error to raise, or `NEVER`.
    """

    NEVER: ClassVar = object()

    def __init__(self, answers: Mapping[str, Sequence[object]]) -> None:
        self._answers = answers
        self._asked: Counter[str] = Counter()
        self._over = threading.Event()

    def asked(self, name: str) -> int:
        """Return how often a name was asked for."""
        return self._asked[name]

    def knows(self, host: object) -> bool:
        return _text(host) in self._answers

    def find(self, host: object, port: object) -> list[tuple[Any, ...]]:
        name = _text(host)
        answers = self._answers[name]
        answer = answers[min(self._asked[name], len(answers) - 1)]
        self._asked[name] += 1
        if answer is self.NEVER:
            self._over.wait()
            answer = []
        if isinstance(answer, Exception):
            raise answer
        assert isinstance(answer, list)
        return [_found(address, port) for address in answer]

    def end(self) -> None:
        """Let the threads of what was never answered end."""
        self._over.set()


def _text(host: object) -> str:
    return host.decode("ascii") if isinstance(host, bytes) else str(host)


def _found(address: str, port: object) -> tuple[Any, ...]:
    if ":" in address:
        return (socket.AF_INET6, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (address, port, 0, 0))
    return (socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (address, port))


@contextmanager
def fake_names(answers: Mapping[str, Sequence[object]]) -> Iterator[Names]:
    """Let this process find names as told; other names, and numbers, go through."""
    names, real = Names(answers), socket.getaddrinfo

    def getaddrinfo(host: Any, port: Any, *more: Any, **options: Any) -> Any:
        return names.find(host, port) if names.knows(host) else real(host, port, *more, **options)

    socket.getaddrinfo = getaddrinfo
    try:
        yield names
    finally:
        socket.getaddrinfo = real
        names.end()
