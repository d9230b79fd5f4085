"""Parts of uploads that several providers share: tickets, which name a place for a content, and multipart bodies."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from ...types.errors import UnexpectedReply
from ...types.http import HttpRequest, HttpResponse
from ...types.media_values import MediaFile
from ...types.printable import quoted
from ...types.uploads import UploadRequest, UploadTicket
from .fields import as_object

__all__ = ["multipart_upload", "parse_address", "parse_ticket"]

_URL: Final = re.compile(r"https?://[^\s/?#]+\S*")
_NAME: Final = re.compile(r"[A-Za-z0-9-]{1,100}")
_VALUE: Final = re.compile(r"[\x20-\x7e]{0,2000}")
_NOT_FROM_TICKETS: Final = frozenset(
    {"authorization", "connection", "content-length", "cookie", "host", "proxy-authorization", "transfer-encoding"}
)
"""Headers that no ticket sets: a provider's text does not decide who is spoken to, nor as whom."""
_MAX_HEADERS: Final = 20


def parse_address(value: object, response: HttpResponse, *, provider: str, path: str) -> str:
    """Return the URL of an uploaded content. Raises UnexpectedReply, without the reply: it may be signed."""
    if isinstance(value, str) and len(value) <= _MAX_URL and _URL.fullmatch(value):
        return quoted(value)
    message = "The reply to an upload holds no address"
    raise UnexpectedReply(message, provider=provider, http_status=response.status, path=path)


_MAX_URL: Final = 8000


def parse_ticket(
    *, url: object, headers: object, address: object, response: HttpResponse, provider: str, path: str
) -> UploadTicket:
    """Return a ticket by its parts. Raises UnexpectedReply as `parse_address` does."""
    kept: Mapping[str, str] = {
        name: value
        for name, value in list(as_object(headers).items())[:_MAX_HEADERS]
        if _NAME.fullmatch(name) and name.lower() not in _NOT_FROM_TICKETS
        if isinstance(value, str) and _VALUE.fullmatch(value)
    }
    return UploadTicket(
        url=parse_address(url, response, provider=provider, path=path),
        headers=kept,
        address=parse_address(address, response, provider=provider, path=path),
    )


def multipart_upload(path: str, file: MediaFile, *, field: str) -> UploadRequest:
    """Return the request that carries a file as the only part of a form (RFC 7578)."""
    # The hash cannot occur in the content that it is of, or nothing can be told apart by it any more.
    boundary = f"kling-async-{file.sha256[:40]}"
    head = (
        f'--{boundary}\r\nContent-Disposition: form-data; name="{field}"; filename="{file.upload_name}"\r\n'
        f"Content-Type: {file.mime}\r\n\r\n"
    )
    return UploadRequest(
        request=HttpRequest(method="POST", path=path, body=head.encode("ascii")),
        after=f"\r\n--{boundary}--\r\n".encode("ascii"),
        has_content=True,
        content_type=f"multipart/form-data; boundary={boundary}",
    )
