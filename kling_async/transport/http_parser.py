"""A strict parser of HTTP/1.1 responses: the plain ones that APIs send, and nothing else.

Theory of operation. Almost every response to a poll has a status line, header fields in the one form that RFC 9112
recommends, and a body of a stated length or in plain chunks. Reading these costs a few microseconds. All that is
allowed beside them (1xx, a body that ends with the connection, folded lines, other codings, HTTP/1.0) and all that is
not is `NotPlain`, for a complete implementation of HTTP to judge: two readings of one response are how one request gets
the answer to another.
"""

from __future__ import annotations

import re
from typing import Final

from attrs import frozen

__all__ = ["BodyTooLarge", "NotPlain", "ParsedResponse", "ResponseParser"]

_MAX_HEAD_BYTES: Final = 65536
_MAX_CHUNK_LINE: Final = 18
"""Bytes: 16 hexadecimal digits, and the end of the line."""
_END: Final = b"\r\n\r\n"
_OTHER_END: Final = re.compile(rb"\n\r?\n")
"""An end of a head that RFC 9112, 2.2, lets a recipient accept as well."""

_HEAD: Final = re.compile(
    rb"HTTP/1\.1 ([2-5][0-9][0-9])(?: [\t -~\x80-\xff]*)?(?:\r\n[!#$%&'*+.^_`|~0-9A-Za-z-]+:[\t -~\x80-\xff]*)*"
)
"""A status line, and header lines without folding or control characters. No part can match in two ways."""
_LENGTH: Final = re.compile(rb"\r\ncontent-length:[ \t]*([0-9]{1,10})[ \t]*(?=\r\n|\Z)")
_CHUNKED: Final = re.compile(rb"\r\ntransfer-encoding:[ \t]*chunked[ \t]*(?=\r\n|\Z)")
_CHUNK_SIZE: Final = re.compile(rb"[0-9A-Fa-f]{1,16}")
_CONNECTION: Final = re.compile(rb"\r\nconnection:([^\r\n]*)")
_WITHOUT_BODY: Final = (204, 304)


class NotPlain(Exception):
    """The response is not one of the plain ones; it need not be wrong."""


class BodyTooLarge(Exception):
    """The body exceeds its maximum length."""


@frozen
class ParsedResponse:
    """A complete response.

    Attributes:
        status: its HTTP status.
        head: its status line and header lines, without the blank line behind them.
        body: its body, without the form of its transfer.
        is_encoded: whether the body has a content coding, such as compression.
        is_last: whether the connection must not be used again.
    """

    status: int
    head: bytes
    body: bytes
    is_encoded: bool
    is_last: bool


class ResponseParser:
    """Parses one response after another, each from the bytes as they arrive.

    Args:
        max_bytes: maximum length of a body.
    """

    __slots__ = ("_body", "_buffer", "_head", "_is_encoded", "_keeps_alive", "_length", "_max_bytes", "_status")

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._buffer = b""
        self._head = b""
        self._status = 0
        self._length: int | None = None
        self._keeps_alive = True
        self._is_encoded = False
        self._body = bytearray()
        """The chunks so far, of a body without a stated length."""

    @property
    def has_begun(self) -> bool:
        """Whether any byte of the next response has arrived."""
        return bool(self._buffer or self._head)

    def feed(self, data: bytes) -> ParsedResponse | None:
        """Return the response once it is complete.

        Raises:
            NotPlain: it is not one of the plain ones.
            BodyTooLarge: its body is too long.
        """
        buffer = self._buffer + data if self._buffer else data
        if not self._head:
            end = buffer.find(_END)
            if end < 0 or end > _MAX_HEAD_BYTES:
                if len(buffer) > _MAX_HEAD_BYTES:
                    raise NotPlain("a head of more than 64 KiB")
                if _OTHER_END.search(buffer):
                    raise NotPlain("lines that end in another way")
                self._buffer = buffer
                return None
            self._read_head(buffer[:end])
            buffer = buffer[end + len(_END) :]
        if self._length is None:
            return self._read_chunks(buffer)
        if len(buffer) < self._length:
            self._buffer = buffer
            return None
        return self._complete(buffer[: self._length], has_leftover=len(buffer) > self._length)

    def _read_head(self, head: bytes) -> None:
        match = _HEAD.fullmatch(head)
        if match is None:
            raise NotPlain("a head in an unusual form")
        status, lower = int(match[1]), head.lower()
        lengths, encodings = lower.count(b"\r\ncontent-length:"), lower.count(b"\r\ntransfer-encoding:")
        length, is_chunked = _LENGTH.search(lower), _CHUNKED.search(lower) is not None
        if lengths + encodings != 1 or not (length or is_chunked) or status in _WITHOUT_BODY:
            raise NotPlain("a body whose end is not plainly stated")
        self._length = int(length[1]) if length else None
        if self._length is not None and self._length > self._max_bytes:
            raise BodyTooLarge(f"more than {self._max_bytes} bytes")
        options = _CONNECTION.findall(lower)
        self._keeps_alive = not options or options == [b" keep-alive"]
        self._is_encoded = b"\r\ncontent-encoding:" in lower
        self._head, self._status = head, status

    def _read_chunks(self, buffer: bytes) -> ParsedResponse | None:
        """Read as many chunks as have arrived; extensions and trailers are not plain."""
        start = 0
        while True:
            line_end = buffer.find(b"\r\n", start, start + _MAX_CHUNK_LINE)
            if line_end < 0:
                if len(buffer) - start >= _MAX_CHUNK_LINE:
                    raise NotPlain("a chunk with an unusual size")
                break
            line = buffer[start:line_end]
            if _CHUNK_SIZE.fullmatch(line) is None:
                raise NotPlain("a chunk with an unusual size")
            size, data_start = int(line, 16), line_end + 2
            if len(self._body) + size > self._max_bytes:
                raise BodyTooLarge(f"more than {self._max_bytes} bytes")
            end = data_start + size
            if len(buffer) < end + 2:
                break
            if buffer[end : end + 2] != b"\r\n":
                raise NotPlain("a chunk with a trailer, or of another length than its size")
            if size == 0:
                return self._complete(bytes(self._body), has_leftover=len(buffer) > end + 2)
            self._body += buffer[data_start:end]
            start = end + 2
        self._buffer = buffer[start:]
        return None

    def _complete(self, body: bytes, *, has_leftover: bool) -> ParsedResponse:
        # What is behind a response answers nothing that was asked (RFC 9112, 6.3): it would be taken for the next one.
        is_last = has_leftover or not self._keeps_alive
        response = ParsedResponse(self._status, self._head, body, self._is_encoded, is_last)
        self._buffer = self._head = b""
        self._body.clear()
        return response
