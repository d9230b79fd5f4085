"""Uploads of local media as values: the request that begins one, and where the content goes. No key is in them."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import field, frozen

from .http import HttpRequest

__all__ = ["UploadRequest", "UploadTicket"]


@frozen(kw_only=True)
class UploadRequest:
    """The request that begins an upload, to the provider's own upload origin.

    Attributes:
        request: the request. Where it carries the content itself, its body is that which comes before it.
        after: the end of the body behind the content.
        has_content: whether the content is part of this request; else the response names the place for it.
        content_type: of the body.
    """

    request: HttpRequest
    after: bytes = b""
    has_content: bool = False
    content_type: str = "application/json"


@frozen(kw_only=True)
class UploadTicket:
    """A place for a content, as a provider named it. The place is another host, which gets no API key.

    Attributes:
        url: where the content is put. It may hold a signature, so its repr hides it.
        headers: headers that belong to it, hidden as well.
        address: the URL under which the content is found then.
    """

    url: str = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    address: str = field(repr=False)
