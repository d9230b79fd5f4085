"""The interface of what carries requests to one origin, and the record of whether a byte of one was sent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol, TypeAlias

from attrs import frozen

from ..types.gate import SendCheck
from ..types.http import HttpRequest

__all__ = ["Exchanges", "HeaderFields", "RawResponse", "SendTrace", "body_fields"]

HeaderFields: TypeAlias = Sequence[tuple[str, str]]
"""Names and values. The same sequence is encoded once, so it must not change."""


@frozen
class RawResponse:
    """A complete response, with a body that may repeat the API key.

    Attributes:
        status: its HTTP status.
        headers: its header fields by lower-case name, without the key.
        body: its body, without the form of its transfer.
        is_encoded: whether the body has a content coding, such as compression.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    is_encoded: bool


class SendTrace:
    """Whether a byte of one request has been sent.

    Args:
        check: is called immediately before the first byte, which does not leave if it raises.

    Attributes:
        reported: whether what carries the request reports that at all.
        sent: whether the first byte may have left.
    """

    __slots__ = ("_check", "reported", "sent")

    def __init__(self, check: SendCheck | None) -> None:
        self._check = check
        self.reported = False
        self.sent = False

    async def __call__(self, event: str, _: object) -> None:
        """Take an event of httpcore, or of a transport that reports the same."""
        self.reported = True
        if event.endswith(".send_request_headers.started"):
            self.begin()

    def begin(self) -> None:
        """Take note that the first byte leaves now. Raises what the check raises, and then it must not leave."""
        self.check()
        self.sent = True

    def check(self) -> None:
        """Ask whether the request may leave, where nothing later can be asked. Raises what the check raises."""
        if self._check is not None:
            self._check()

    @property
    def never_sent(self) -> bool:
        """Whether it is proved that no byte of the request left."""
        return self.reported and not self.sent


class Exchanges(Protocol):
    """Sends requests to one origin, each with a response of its own."""

    async def send(
        self, request: HttpRequest, fields: HeaderFields, *, max_seconds: float, trace: SendTrace | None
    ) -> RawResponse:
        """Send a request and return its response.

        Args:
            request: the request; its path is already quoted.
            fields: header fields beside those of the request and its body.
            max_seconds: seconds until the response must be complete; a free connection is waited for before they begin.
            trace: is told whether a byte was sent; None where that does not matter, and a request may be repeated.

        Raises:
            TimeoutError: no complete response came in time.
            BodyTooLarge: its body is too long.
            Exception: another error of what carries it.
        """
        ...

    async def aclose(self) -> None:
        """Close the idle connections, and each of the others once its exchange has ended."""
        ...


def body_fields(request: HttpRequest) -> HeaderFields:
    """Return the header fields of a request's own, and those that its body needs."""
    if request.body:
        return (
            *request.headers,
            ("Content-Type", "application/json"),
            ("Content-Length", str(len(request.body))),
        )
    # Some proxies demand a length also where there is no body.
    return request.headers if request.method == "GET" else (*request.headers, ("Content-Length", "0"))
