"""HTTP requests and responses as values without secrets; the transport adds the API key and the host.

A response may repeat the key in an encoding that only decoding undoes. So it carries a function that redacts the key in
decoded text. The function's repr shows no key.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from attrs import field, frozen

__all__ = ["MAX_BODY_BYTES", "HttpRequest", "HttpResponse"]

MAX_BODY_BYTES = 4 * 1024 * 1024
"""Maximum length of an API response in bytes, also after decompression."""


def _lower(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


@frozen(kw_only=True)
class HttpRequest:
    """A request to a provider's API.

    Attributes:
        method: GET, POST or PUT.
        path: absolute path on the provider's origin, percent-encoded.
        body: the JSON body in bytes, or empty.
        headers: further headers; the transport adds that of the API key.
    """

    method: str
    path: str
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()


def _unchanged(text: str) -> str:
    return text


@frozen(kw_only=True)
class HttpResponse:
    """A complete response.

    Attributes:
        status: its HTTP status.
        headers: by lower-case name.
        body: as received, perhaps compressed. Its repr is its length: a compressed body may hold the key.
        redact: removes the key from text that was decoded from the body.
    """

    status: int
    headers: Mapping[str, str] = field(factory=dict[str, str], converter=_lower)
    body: bytes = field(default=b"", repr=lambda body: f"<{len(body)} bytes>")
    redact: Callable[[str], str] = field(default=_unchanged, repr=False, eq=False)

    @property
    def is_success(self) -> bool:
        """Whether its status is 2xx."""
        return 200 <= self.status < 300

    @property
    def is_redirect(self) -> bool:
        """Whether it is a redirect or a protocol switch (RFC 9110, 15.2 and 15.4), and so not final."""
        return self.status < 400 and not self.is_success
