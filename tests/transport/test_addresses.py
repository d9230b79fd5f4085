"""Which machines an output may be fetched from."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from kling_async.transport.addresses import AddressBlocked, is_public, resolve_public


@pytest.mark.parametrize("number", ["8.8.8.8", "1.1.1.1", "2606:4700:4700::1111", "::ffff:8.8.8.8"])
def test_public_machines(number: str) -> None:
    """Addresses of the public internet are allowed."""
    assert is_public(ip_address(number))


@pytest.mark.parametrize(
    "number",
    [
        "127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1",
        "0.0.0.0", "255.255.255.255", "224.0.0.1", "240.0.0.1", "192.0.2.1", "198.18.0.1",
        "::1", "::", "fe80::1", "fc00::1", "fec0::1", "ff02::1",
        "::ffff:10.0.0.1", "::ffff:127.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::", "2001::1", "2001:db8::1",
    ],
)  # fmt: skip
def test_private_machines(number: str) -> None:
    """Private, local, multicast and reserved addresses are not, however they are wrapped."""
    assert not is_public(ip_address(number))


@pytest.mark.anyio
async def test_this_machine_is_blocked_unless_allowed() -> None:
    """A name that leads to this machine is refused, except for a provider that runs on it."""
    with pytest.raises(AddressBlocked, match="localhost"):
        await resolve_public("localhost", 443, loopback=False)
    found = await resolve_public("localhost", 443, loopback=True)
    assert set(found) <= {"127.0.0.1", "::1"}
    assert found
