"""What goes over the wire, as values without secrets: no key, and no host but by the transport.

A reply may repeat the key in a spelling that is only undone when it is decoded, so it brings the function that takes
the key out of decoded text. That function shows no key itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

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


def _as_it_is(text: str) -> str:
    return text


@frozen(kw_only=True)
class HttpReply:
    """A whole reply.

    Attributes:
        status: its HTTP status.
        headers: by lower-case name.
        body: as it came, perhaps compressed. Its repr is its length: what is packed may hold the key.
        redact: takes the key out of a text that was decoded from the body.
    """

    status: int
    headers: Mapping[str, str] = field(factory=dict[str, str], converter=_lower)
    body: bytes = field(default=b"", repr=lambda body: f"<{len(body)} bytes>")
    redact: Callable[[str], str] = field(default=_as_it_is, repr=False, eq=False)
