"""What goes over the wire, as values without secrets: no key, and no host but by the transport."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import field, frozen

__all__ = ["MOST_BYTES", "HttpReply", "HttpRequest"]

MOST_BYTES = 4 * 1024 * 1024
"""The longest API reply that is read, in bytes, also after decompression."""


def _lower(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


@frozen(kw_only=True)
class HttpRequest:
    """A request to a provider's API.

    Attributes:
        method: GET or POST.
        path: absolute path on the provider's origin, already quoted.
        body: the JSON body in bytes, or empty.
    """

    method: str
    path: str
    body: bytes = b""


@frozen(kw_only=True)
class HttpReply:
    """A whole reply: its status, its headers by lower-case name, and its body as it came."""

    status: int
    headers: Mapping[str, str] = field(factory=dict[str, str], converter=_lower)
    body: bytes = b""
