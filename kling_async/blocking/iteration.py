"""Iterate over what an event loop in another thread yields, one step at a time."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from enum import Enum
from typing import Final, Generic, TypeVar

import anyio

from ..system.loops import start_detached

__all__ = ["END", "End", "Pump", "next_of"]

T = TypeVar("T")


class End(Enum):
    """The end of an iterator: a StopAsyncIteration may not leave a task."""

    END = 0


END: Final = End.END


async def next_of(iterator: AsyncIterator[T]) -> T | End:
    """Return the next item of an iterator, or its end."""
    try:
        return await anext(iterator)
    except StopAsyncIteration:
        return END


class Pump(Generic[T]):
    """An asynchronous generator that runs in one task from beginning to end, as its own cancel scopes need it.

    Args:
        items: the generator; it is closed at the end.
    """

    def __init__(self, items: AsyncGenerator[T]) -> None:
        self._send, self._receive = anyio.create_memory_object_stream[T](0)
        self._scope, self._ended = anyio.CancelScope(), anyio.Event()
        self._error: Exception | None = None
        self._items = items
        start_detached(self._run, ended=self._ended.set)

    async def _run(self) -> None:
        try:
            with self._scope, self._send:
                async with aclosing(self._items):
                    async for item in self._items:
                        await self._send.send(item)
        except Exception as error:  # noqa: BLE001 - raised by `next`
            self._error = error

    async def next(self) -> T | End:
        """Return the next item, or the end. Raises what ended the generator."""
        try:
            return await self._receive.receive()
        except anyio.EndOfStream:
            await self._ended.wait()
            error, self._error = self._error, None
            if error is not None:
                raise error from None
            return END

    async def aclose(self) -> None:
        """Close the generator, and return once it has ended."""
        self._scope.cancel()
        self._receive.close()
        await self._ended.wait()
