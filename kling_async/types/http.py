"""HTTP requests and responses as values without secrets; the transport adds the API key and the host.

A response may repeat the key in an encoding that only decoding undoes. So it carries a function that redacts the key in
decoded text. The function's repr shows no key.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping

from attrs import field, frozen

__all__ = ["MAX_BODY_BYTES", "HeaderLines", "HttpRequest", "HttpResponse", "join_fields"]

MAX_BODY_BYTES = 4 * 1024 * 1024
"""Maximum length of an API response in bytes, also after decompression."""


class HeaderLines(Mapping[str, str]):
    """The header fields of a head by lower-case name, parsed when the first is read: few responses are asked for any.

    Repeated ones are joined (RFC 9110, 5.3).

    Args:
        head: a status line and header lines, whose form was checked.
        redact: removes the API key from a text.
    """

    __slots__ = ("_head", "_parsed", "_redact")

    def __init__(self, head: bytes, *, redact: Callable[[str], str]) -> None:
        self._head = head
        self._redact = redact
        self._parsed: dict[str, str] | None = None

    def __getitem__(self, name: str) -> str:
        return self._fields[name]

    def __contains__(self, name: object) -> bool:
        return name in self._fields

    def __iter__(self) -> Iterator[str]:
        return iter(self._fields)

    def __len__(self) -> int:
        return len(self._fields)

    def __repr__(self) -> str:
        return repr(self._fields)

    @property
    def _fields(self) -> dict[str, str]:
        if self._parsed is None:
            lines = self._redact(self._head.decode("latin-1")).split("\r\n")[1:]
            self._parsed = join_fields(
                (name, value.strip(" \t")) for name, _, value in (one.partition(":") for one in lines)
            )
        return self._parsed


def join_fields(fields: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Return header fields by lower-case name; repeated ones are joined (RFC 9110, 5.3)."""
    found: dict[str, str] = {}
    for name, value in fields:
        lower = name.lower()
        found[lower] = f"{found[lower]}, {value}" if lower in found else value
    return found


def _by_name(headers: Mapping[str, str]) -> Mapping[str, str]:
    return headers if isinstance(headers, HeaderLines) else join_fields(headers.items())


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
    headers: Mapping[str, str] = field(factory=dict[str, str], converter=_by_name)
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
