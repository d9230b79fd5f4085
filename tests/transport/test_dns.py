"""Names are resolved outside the event loop, and outside threads that delay the program's end."""

from __future__ import annotations

import socket
import threading

import anyio
import pytest

from kling_async.transport.dns import resolve_host

from ..faults.names import Names, fake_names

pytestmark = pytest.mark.anyio

ORDERS = {
    ("192.0.2.1", "192.0.2.2", "2001:db8::1"): ["192.0.2.1", "2001:db8::1", "192.0.2.2"],
    ("2001:db8::1", "2001:db8::2", "192.0.2.1"): ["2001:db8::1", "192.0.2.1", "2001:db8::2"],
    ("192.0.2.1", "192.0.2.1"): ["192.0.2.1"],
    (): [],
}


@pytest.mark.parametrize(("system", "order"), ORDERS.items())
async def test_families_alternate(system: tuple[str, ...], order: list[str]) -> None:
    """The system's first address comes first, then one of the other family; none comes twice."""
    with fake_names({"some.test": [list(system)]}):
        assert order == await resolve_host("some.test", 443)


@pytest.mark.parametrize("number", ["127.0.0.1", "::1", "2001:db8::1"])
async def test_a_number_is_not_looked_up(number: str) -> None:
    """An IP address is returned without the resolver."""
    with fake_names({number: [Names.NEVER]}):
        assert [number] == await resolve_host(number, 443)


async def test_a_name_that_is_not_found() -> None:
    """The resolver's own error is raised."""
    not_found = socket.gaierror(socket.EAI_NONAME, "not known")
    with fake_names({"some.test": [not_found]}), pytest.raises(socket.gaierror, match="not known"):
        await resolve_host("some.test", 443)


async def test_a_resolver_that_hangs_holds_nothing() -> None:
    """A cancelled resolution is abandoned; its thread is a daemon, and ends when the resolver answers."""
    before = set(threading.enumerate())
    with fake_names({"slow.test": [Names.NEVER]}) as names:
        with anyio.move_on_after(5) as scope:
            async with anyio.create_task_group() as group:
                group.start_soon(resolve_host, "slow.test", 443)
                while not names.asked("slow.test"):
                    await anyio.sleep(0.001)
                group.cancel_scope.cancel()
        assert not scope.cancelled_caught
        [left] = [one for one in threading.enumerate() if one not in before and one.name == "kling-async names"]
        assert left.daemon
    left.join(5)
    assert not left.is_alive()
