"""What a server's reply means for a file in the making: begin it, go on with it, try again, or give up.

A download that broke off is gone on with by a request for the rest (RFC 9110, 13.1.5 and 14), and only if the server
can prove that it is still the same file.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from ..errors import DownloadError
from .parts import Part, Progress

__all__ = ["Passing", "begin", "check_whole", "headers_for", "take"]

_MOST_BYTES: Final = 4 * 1024**3


class Passing(Exception):
    """Something that may be gone at the next try."""


def headers_for(part: Part) -> dict[str, str]:
    """Return what to ask with: for the rest of what is there, if it is still the same."""
    headers = {"Accept": "*/*", "Accept-Encoding": "identity", "User-Agent": "kling-async"}
    progress = part.progress
    if progress.validator is not None and _is_to_go_on(progress):
        headers |= {"Range": f"bytes={progress.size}-", "If-Range": progress.validator}
    return headers


def begin(part: Part, status: int, headers: Mapping[str, str]) -> None:
    """Make a file ready for the body of a reply; its headers go by names in lower case.

    Raises:
        Passing: it may be another reply at the next try.
        DownloadError: it will not.
    """
    if status == 416 or (status == 206 and not _continues(headers, part)):
        part.restart()
        raise Passing("the server does not go on where it stopped")
    if status == 429 or status >= 500:
        raise Passing(f"HTTP {status}")
    if status not in (200, 206):
        raise DownloadError(f"The output's address answers HTTP {status}", http_status=status)
    if headers.get("content-encoding", "identity") != "identity":
        raise DownloadError(f"The output came compressed as {headers['content-encoding']!r}, which was not asked for")
    if status == 200:
        part.restart(validator=_validator(headers), length=_whole_number(headers.get("content-length")))
    _check_size(part.progress.length or 0)


def take(part: Part, piece: bytes) -> None:
    """Add a piece of the body. Raises DownloadError if it becomes too long."""
    _check_size(part.progress.size + len(piece))
    part.write(piece)


def check_whole(part: Part) -> None:
    """Raise Passing unless all is there that was announced."""
    length = part.progress.length
    if length is not None and part.progress.size != length:
        raise Passing(f"{part.progress.size} of {length} bytes came")


def _check_size(size: int) -> None:
    if size > _MOST_BYTES:
        raise DownloadError(f"The output is longer than {_MOST_BYTES} bytes")


def _continues(headers: Mapping[str, str], part: Part) -> bool:
    """Return whether a part is all of the rest that was asked for; if so, how long the whole is may be known now."""
    progress = part.progress
    if not _is_to_go_on(progress):
        return False
    if _validator(headers) not in (None, progress.validator):
        return False  # another version of it, whatever If-Range asked for
    match = _RANGE.fullmatch(headers.get("content-range", ""))
    if match is None:
        return False
    first, last, whole = (_whole_number(text) for text in match.groups())
    length = progress.length if whole is None else whole
    if first != progress.size or progress.length not in (None, length) or (length is not None and last != length - 1):
        return False
    part.expect(length)
    return True


_RANGE: Final = re.compile(r"bytes (\d{1,19})-(\d{1,19})/(\d{1,19}|\*)", re.ASCII)
"""Content-Range (RFC 9110, 14.4)."""


def _is_to_go_on(progress: Progress) -> bool:
    """Return whether there is something to go on with, and something to tell by that it is still the same file."""
    return progress.size > 0 and progress.validator is not None


def _validator(headers: Mapping[str, str]) -> str | None:
    etag = headers.get("etag", "")
    # A weak ETag promises the same meaning, not the same bytes.
    return etag if etag and not etag.startswith("W/") else headers.get("last-modified")


def _whole_number(text: str | None) -> int | None:
    return int(text) if text is not None and text.isascii() and text.isdigit() and len(text) < 20 else None
