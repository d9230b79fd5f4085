"""Of several addresses of a host, the first that answers is kept."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import TypeAlias

import anyio
import httpcore
import pytest
from anyio.abc import SocketStream

from kling_async.transport.happy_eyeballs import Connector, _Attempts, _close

from ..conftest import Serve
from ..faults.names import Names, fake_names

pytestmark = pytest.mark.anyio


class Stream(httpcore.AsyncNetworkStream):
    """A connection that is only open or closed."""

    def __init__(self) -> None:
        self.closed = False

    async def aclose(self) -> None:
        self.closed = True


Behaviour: TypeAlias = Callable[[], Awaitable[Stream]]


async def hangs() -> Stream:
    await anyio.sleep_forever()
    raise AssertionError


async def fails() -> Stream:
    raise httpcore.ConnectError("refused")


async def answers() -> Stream:
    return Stream()


def attempts(network: Mapping[str, Behaviour]) -> _Attempts:
    """Return attempts in a network in which each address behaves as given."""
    return _Attempts(lambda number: network[number](), _close)


@pytest.mark.parametrize("first", [hangs, fails])
async def test_the_next_number_is_tried(first: Behaviour) -> None:
    """An address that fails, or does not answer for a moment, costs no more than that delay."""
    with anyio.fail_after(5):
        stream = await attempts({"one": first, "two": answers}).first_of(["one", "two"])
    assert isinstance(stream, Stream)
    assert not stream.closed


async def test_one_that_comes_too_late_is_closed() -> None:
    """Of two connections that are made at the same moment one is closed."""
    late, there = Stream(), anyio.Event()

    async def comes_late() -> Stream:
        with anyio.CancelScope(shield=True):
            await there.wait()
        return late

    async def comes() -> Stream:
        there.set()
        return Stream()

    stream = await attempts({"one": comes_late, "two": comes}).first_of(["one", "two"])
    assert stream is not late
    assert late.closed


async def test_the_first_failure_is_raised() -> None:
    """If all addresses fail, the error is that of the first, which the system prefers."""

    async def fails_otherwise() -> Stream:
        raise httpcore.ConnectTimeout("too slow")

    with pytest.raises(httpcore.ConnectTimeout, match="too slow"):
        await attempts({"one": fails_otherwise, "two": fails}).first_of(["one", "two"])


async def test_what_is_cancelled_leaves_no_connection() -> None:
    """A connection that is made just as the caller is cancelled is closed."""
    made = Stream()

    async def comes_when_cancelled() -> Stream:
        scope.cancel()
        with anyio.CancelScope(shield=True):
            await anyio.sleep(0.01)
        return made

    with anyio.CancelScope() as scope:
        await attempts({"one": comes_when_cancelled, "two": hangs}).first_of(["one", "two"])
    assert scope.cancelled_caught
    assert made.closed


async def test_a_name_is_connected_to(serve: Serve) -> None:
    """Of a name's addresses the one with a server is found, even if another comes first."""

    async def greet(stream: SocketStream) -> None:
        await stream.send(b"hello")

    async with serve(greet) as address:
        port = int(address.rpartition(":")[2])
        with fake_names({"some.test": [["127.0.0.2", "127.0.0.1"]]}):
            stream = await Connector().connect_tcp("some.test", port)
        assert b"hello" == await stream.read(5)
        await stream.aclose()


ERRORS: Mapping[str, tuple[object, type[Exception]]] = {
    "no address": ([], httpcore.ConnectError),
    "not found": (OSError("not found"), httpcore.ConnectError),
    "no answer": (Names.NEVER, httpcore.ConnectTimeout),
}


@pytest.mark.parametrize(("answer", "error"), ERRORS.values(), ids=list(ERRORS))
async def test_errors_are_those_of_httpcore(answer: object, error: type[Exception]) -> None:
    """A resolution that fails or takes too long is a failed connection, as an error of httpcore."""
    with fake_names({"some.test": [answer]}), pytest.raises(error):
        await Connector().connect_tcp("some.test", 443, timeout=0.05)
