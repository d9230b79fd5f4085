"""A parser of whatever HTTP/1.1 allows a response to be, by h11: for those that `http_parser` leaves to it."""

from __future__ import annotations

from typing import Final

import h11

from .http_parser import BodyTooLarge, ParsedResponse

__all__ = ["CompleteParser"]

_MAX_HEAD_BYTES: Final = 65536


class CompleteParser:
    """Parses one response. Its connection must not be used again.

    Args:
        max_bytes: maximum length of a body.
    """

    __slots__ = ("_body", "_connection", "_max_bytes", "_response")

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=_MAX_HEAD_BYTES)
        # h11 reads a response to a request that it has seen; what this one is does not matter to what may follow.
        self._connection.send(h11.Request(method="POST", target="/", headers=[("Host", "localhost")]))
        self._connection.send(h11.EndOfMessage())
        self._response: h11.Response | None = None
        self._body = bytearray()

    def feed(self, data: bytes) -> ParsedResponse | None:
        """Return the response once it is complete.

        Args:
            data: the next bytes; none at the end of the connection.

        Raises:
            h11.RemoteProtocolError: it is malformed or incomplete.
            BodyTooLarge: its body is too long.
        """
        self._connection.receive_data(data)
        while True:
            event = self._connection.next_event()
            if event is h11.NEED_DATA:
                return None
            if isinstance(event, h11.Response):
                self._response = event
            elif isinstance(event, h11.Data):
                self._body += event.data
                if len(self._body) > self._max_bytes:
                    raise BodyTooLarge(f"more than {self._max_bytes} bytes")
            elif isinstance(event, h11.EndOfMessage) and self._response is not None:
                return self._complete(self._response)
            elif not isinstance(event, h11.InformationalResponse):
                raise h11.RemoteProtocolError("the connection was closed before the response was complete")

    def _complete(self, response: h11.Response) -> ParsedResponse:
        lines = [b"%b: %b" % (name, value) for name, value in response.headers]
        return ParsedResponse(
            status=response.status_code,
            head=b"\r\n".join((b"HTTP/1.1", *lines)),
            body=bytes(self._body),
            is_encoded=any(name == b"content-encoding" for name, _ in response.headers),
            is_last=True,
        )
