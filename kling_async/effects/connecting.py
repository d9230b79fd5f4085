"""Connections to a name: its numbers are tried a little apart, and the first that answers is kept (RFC 8305).

httpcore's own backends do the same, but look the name up in a thread that the end of the program waits for.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from functools import partial
from typing import Final, TypeAlias, cast

import anyio
import httpcore
import sniffio

from .names import look_up
from .signals import defer_interrupts

__all__ = ["Connector"]

_APART: Final = 0.25
"""Seconds after which the next number is tried although the one before has not failed (RFC 8305, 5)."""

_Connect: TypeAlias = Callable[[str], Awaitable[httpcore.AsyncNetworkStream]]


class Connector(httpcore.AsyncNetworkBackend):
    """The network of one event loop, asyncio's or trio's, in the form that httpcore asks for."""

    def __init__(self) -> None:
        on_trio = sniffio.current_async_library() == "trio"
        network = httpcore.TrioBackend() if on_trio else httpcore.AnyIOBackend()
        self._network = cast("httpcore.AsyncNetworkBackend", network)

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - the name is httpcore's
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Connect to a host; its name, not its number, is what a certificate is checked against later.

        Args:
            timeout: seconds, the look-up included.

        Raises:
            httpcore.ConnectError: the name cannot be found, or none of its numbers can be connected to.
            httpcore.ConnectTimeout: it took too long.
        """
        connect = partial(
            self._network.connect_tcp, port=port, local_address=local_address, socket_options=socket_options
        )
        try:
            with anyio.fail_after(timeout):
                numbers = await look_up(host, port)
                return await (connect(numbers[0]) if len(numbers) == 1 else _Attempts(connect).first_of(numbers))
        except TimeoutError as error:
            raise httpcore.ConnectTimeout(error) from error
        except OSError as error:
            raise httpcore.ConnectError(error) from error


class _Attempts:
    """Attempts to connect to several numbers, all but one of which are given up."""

    def __init__(self, connect: _Connect) -> None:
        self._connect = connect
        self._connected: list[httpcore.AsyncNetworkStream] = []
        self._failures: list[Exception] = []

    async def first_of(self, numbers: Sequence[str]) -> httpcore.AsyncNetworkStream:
        """Return the first connection. Raises what the first attempt raised if all of them fail."""
        try:
            async with anyio.create_task_group() as attempts:
                for number in numbers:
                    ended = anyio.Event()
                    attempts.start_soon(self._attempt, number, ended, attempts.cancel_scope)
                    with anyio.move_on_after(_APART):
                        await ended.wait()
        except BaseException:
            await self._close(keep=0)
            raise
        await self._close(keep=1)
        if not self._connected:
            raise self._failures.pop(0) if self._failures else httpcore.ConnectError("The name has no address")
        return self._connected[0]

    @defer_interrupts
    async def _attempt(self, number: str, ended: anyio.Event, attempts: anyio.CancelScope) -> None:
        try:
            self._connected.append(await self._connect(number))
            attempts.cancel()
        except (httpcore.NetworkError, httpcore.TimeoutException) as error:
            self._failures.append(error)
        finally:
            ended.set()

    async def _close(self, *, keep: int) -> None:
        """Close all connections but the first few: two may be there at the same moment."""
        with anyio.CancelScope(shield=True):
            for stream in self._connected[keep:]:
                await stream.aclose()
