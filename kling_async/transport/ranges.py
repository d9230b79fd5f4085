"""Meaning of a server's response for a partial download: restart, resume, retry or fail.

A broken download is resumed by a request for the rest (RFC 9110, 13.1.5 and 14), and only if the server proves that the
file is still the same.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, Protocol

from ..types.errors import DownloadError
from .partial_file import DownloadState

__all__ = ["Part", "TransientError", "append_piece", "headers_for", "start_body", "verify_length"]

_MAX_FILE_BYTES: Final = 4 * 1024**3


class TransientError(Exception):
    """A transient failure; the download is retried."""


class Part(Protocol):
    """A partial download, on disk or on its way."""

    @property
    def every(self) -> int:
        """Bytes after which they are passed on."""
        ...

    @property
    def state(self) -> DownloadState:
        """The progress."""
        ...

    def restart(self, *, validator: str | None = None, length: int | None = None) -> None:
        """Begin again, and keep what the server declares of the complete output."""
        ...

    def expect(self, length: int | None) -> None:
        """Set the length of the complete output, where it was unknown."""
        ...

    def append(self, piece: bytes) -> None:
        """Add bytes at the end."""
        ...


def headers_for(part: Part) -> dict[str, str]:
    """Return the request headers; with a partial file, they ask for the rest if the file is unchanged."""
    headers = {"Accept": "*/*", "Accept-Encoding": "identity", "User-Agent": "kling-async"}
    state = part.state
    if state.validator is not None and _is_resumable(state):
        headers |= {"Range": f"bytes={state.size}-", "If-Range": state.validator}
    return headers


def start_body(part: Part, status: int, headers: Mapping[str, str]) -> None:
    """Prepare a partial file for the body of a response.

    Args:
        headers: of the response, by lower-case name.

    Raises:
        TransientError: a retry may succeed.
        DownloadError: it cannot.
    """
    if status == 416 or (status == 206 and not _is_same_file(headers, part)):
        part.restart()
        raise TransientError("the server does not resume the download")
    if status == 429 or status >= 500:
        raise TransientError(f"HTTP {status}")
    if status not in (200, 206):
        raise DownloadError(f"The output's URL answers HTTP {status}", http_status=status)
    if headers.get("content-encoding", "identity") != "identity":
        raise DownloadError(f"The output is compressed as {headers['content-encoding']!r}, which was not requested")
    if status == 200:
        part.restart(validator=_validator(headers), length=_int_of(headers.get("content-length")))
    _check_size(part.state.length or 0)


def append_piece(part: Part, piece: bytes) -> None:
    """Append a piece of the body. Raises DownloadError if the file gets too long."""
    _check_size(part.state.size + len(piece))
    part.append(piece)


def verify_length(part: Part) -> None:
    """Raise TransientError unless the file has its declared length."""
    length = part.state.length
    if length is not None and part.state.size != length:
        raise TransientError(f"{part.state.size} of {length} bytes were received")


def _check_size(size: int) -> None:
    if size > _MAX_FILE_BYTES:
        raise DownloadError(f"The output is longer than {_MAX_FILE_BYTES} bytes")


def _is_same_file(headers: Mapping[str, str], part: Part) -> bool:
    """Return whether a response is exactly the requested rest; if so, note the length that it declares."""
    state = part.state
    if not _is_resumable(state):
        return False
    if _validator(headers) not in (None, state.validator):
        return False  # another version of it, despite If-Range
    match = _RANGE.fullmatch(headers.get("content-range", ""))
    if match is None:
        return False
    first, last, total = (_int_of(text) for text in match.groups())
    length = state.length if total is None else total
    if first != state.size or state.length not in (None, length) or (length is not None and last != length - 1):
        return False
    part.expect(length)
    return True


_RANGE: Final = re.compile(r"bytes (\d{1,19})-(\d{1,19})/(\d{1,19}|\*)", re.ASCII)
"""Content-Range (RFC 9110, 14.4)."""


def _is_resumable(state: DownloadState) -> bool:
    """Return whether there are bytes to resume from, and a validator to recognize the file by."""
    return state.size > 0 and state.validator is not None


def _validator(headers: Mapping[str, str]) -> str | None:
    etag = headers.get("etag", "")
    # A weak ETag promises the same meaning, not the same bytes.
    return etag if etag and not etag.startswith("W/") else headers.get("last-modified")


def _int_of(text: str | None) -> int | None:
    return int(text) if text is not None and text.isascii() and text.isdigit() and len(text) < 20 else None
