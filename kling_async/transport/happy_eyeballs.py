"""Connections to a host name: its IP addresses are tried with a delay, and the first connection is kept (RFC 8305).

httpcore's own backends do the same, but resolve the name in a thread that delays the end of the program.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from functools import partial
from typing import Final, Generic, TypeVar, cast

import anyio
import httpcore
import sniffio

from ..system.interrupts import defer_interrupts
from .dns import resolve_host

__all__ = ["Connector", "connect_first", "network_backend"]

T = TypeVar("T")

_DELAY: Final = 0.25
"""Seconds until the next address is tried although the one before has not failed (RFC 8305, 5)."""


async def connect_first(
    host: str, port: int, connect: Callable[[str], Awaitable[T]], *, close: Callable[[T], Awaitable[None]]
) -> T:
    """Return the first connection to any of a host's IP addresses.

    Args:
        host: a name in ASCII, or an IP address.
        port: the port.
        connect: connects to an address.
        close: closes a connection that is not needed, as when two are made at the same moment.

    Raises:
        Exception: the name cannot be resolved, or what the first of the attempts raised if all fail.
    """
    addresses = await resolve_host(host, port)
    if len(addresses) == 1:
        return await connect(addresses[0])
    return await _Attempts(connect, close).first_of(addresses)


def network_backend() -> httpcore.AsyncNetworkBackend:
    """Return httpcore's own backend, for asyncio or trio."""
    on_trio = sniffio.current_async_library() == "trio"
    network = httpcore.TrioBackend() if on_trio else httpcore.AnyIOBackend()
    return cast("httpcore.AsyncNetworkBackend", network)


class Connector(httpcore.AsyncNetworkBackend):
    """The network backend for httpcore, on asyncio or trio."""

    def __init__(self) -> None:
        self._network = network_backend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - the name is httpcore's
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Connect to a host; a certificate is later checked against its name, not its IP address.

        Args:
            timeout: seconds, name resolution included.

        Raises:
            httpcore.ConnectError: the name cannot be resolved, or none of its addresses can be connected to.
            httpcore.ConnectTimeout: it took too long.
        """
        connect = partial(
            self._network.connect_tcp, port=port, local_address=local_address, socket_options=socket_options
        )
        try:
            with anyio.fail_after(timeout):
                return await connect_first(host, port, connect, close=_close)
        except TimeoutError as error:
            raise httpcore.ConnectTimeout(error) from error
        except OSError as error:
            raise httpcore.ConnectError(error) from error


async def _close(stream: httpcore.AsyncNetworkStream) -> None:
    await stream.aclose()


class _Attempts(Generic[T]):
    """Attempts to connect to several addresses; all but one are cancelled."""

    def __init__(self, connect: Callable[[str], Awaitable[T]], close: Callable[[T], Awaitable[None]]) -> None:
        self._connect = connect
        self._close_one = close
        self._connected: list[T] = []
        self._failures: list[Exception] = []

    async def first_of(self, addresses: Sequence[str]) -> T:
        """Return the first connection. If all attempts fail, raises the error of the first."""
        try:
            async with anyio.create_task_group() as attempts:
                for address in addresses:
                    ended = anyio.Event()
                    attempts.start_soon(self._attempt, address, ended, attempts.cancel_scope)
                    with anyio.move_on_after(_DELAY):
                        await ended.wait()
        except BaseException:
            await self._close(keep=0)
            raise
        await self._close(keep=1)
        if not self._connected:
            raise self._failures.pop(0) if self._failures else httpcore.ConnectError("The name has no address")
        return self._connected[0]

    @defer_interrupts
    async def _attempt(self, address: str, ended: anyio.Event, attempts: anyio.CancelScope) -> None:
        try:
            self._connected.append(await self._connect(address))
            attempts.cancel()
        except (httpcore.NetworkError, httpcore.TimeoutException, OSError) as error:
            self._failures.append(error)
        finally:
            ended.set()

    async def _close(self, *, keep: int) -> None:
        """Close all connections but the first `keep`: two may be made at the same moment."""
        with anyio.CancelScope(shield=True):
            for connection in self._connected[keep:]:
                await self._close_one(connection)
