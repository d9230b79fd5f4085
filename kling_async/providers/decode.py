"""From bytes to values, without guessing: a strict converter, and errors that say what could not be read and where.

cattrs coerces by default: a null id becomes the text "None", and a text becomes a list of letters. Here each plain type
is itself or nothing. What a reply may leave out is optional in the classes that describe it, never in the converter.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable
from typing import TypeVar, cast

from cattrs import BaseValidationError, Converter, transform_error

from ..errors import UnexpectedReply
from ..prediction import Json
from ..wire import MOST_BYTES, HttpReply

__all__ = ["excerpt", "read_json", "strict_converter", "structure"]

T = TypeVar("T")


def _exactly(*kinds: type) -> Callable[[object, object], object]:
    def hook(value: object, _: object) -> object:
        if type(value) not in kinds:
            raise TypeError(f"expected {kinds[0].__name__}, found {type(value).__name__}")
        return value

    return hook


def strict_converter() -> Converter:
    """Make a converter that coerces nothing."""
    made = Converter()
    for kind in (str, bool, int):
        made.register_structure_hook(kind, _exactly(kind))
    made.register_structure_hook(float, _exactly(float, int))
    return made


def excerpt(body: bytes) -> str:
    """Return the beginning of a body as printable text, at most 4 KiB of it."""
    text = body[:4096].decode("utf-8", "replace")
    return "".join(char if char.isprintable() or char in "\n\t" else "\N{REPLACEMENT CHARACTER}" for char in text)


def read_json(reply: HttpReply, *, provider: str) -> Json:
    """Read a reply's body as JSON.

    Raises:
        UnexpectedReply: the body is empty, a page, cut short, too deep, or not JSON for another reason.
    """
    body = _plain(reply, provider=provider)
    if not body.strip():
        raise _unreadable("The reply is empty", reply, body, provider)
    try:
        return cast("Json", json.loads(body, parse_constant=_no_constant))
    except (ValueError, RecursionError) as error:
        page = body.lstrip()[:1] == b"<"
        what = "The reply is a page, not JSON" if page else f"The reply is not JSON ({type(error).__name__})"
        raise _unreadable(what, reply, body, provider) from None


def _no_constant(word: str) -> None:
    raise ValueError(word)


def _plain(reply: HttpReply, *, provider: str) -> bytes:
    coding = reply.headers.get("content-encoding", "identity").strip().lower()
    if coding in ("", "identity"):
        return reply.body
    if coding not in ("gzip", "deflate"):
        raise _unreadable(f"The reply is compressed as {coding!r}, which was not asked for", reply, b"", provider)
    # Compression is not asked for; a gateway that insists must not turn a paid answer into a lost one, nor fill memory.
    inflater = zlib.decompressobj(wbits=47 if coding == "gzip" else 15)
    try:
        body = inflater.decompress(reply.body, MOST_BYTES)
    except zlib.error:
        raise _unreadable("The reply's compression is broken", reply, b"", provider) from None
    if inflater.unconsumed_tail:
        raise _unreadable(f"The reply is longer than {MOST_BYTES} bytes", reply, b"", provider)
    return body


def _unreadable(what: str, reply: HttpReply, body: bytes, provider: str) -> UnexpectedReply:
    return UnexpectedReply(what, provider=provider, http_status=reply.status, excerpt=excerpt(body))


def structure(made: Converter, kind: type[T], value: Json, reply: HttpReply, *, provider: str) -> T:
    """Turn JSON into a value.

    Raises:
        UnexpectedReply: something is missing or of another type; its `path` says where.
    """
    try:
        return made.structure(value, kind)
    except (BaseValidationError, TypeError, ValueError) as error:
        where = transform_error(error, path="$")[0]
        what, _, path = where.rpartition(" @ ")
        message = f"The reply cannot be read: {what} at {path}"
        raise UnexpectedReply(
            message, provider=provider, http_status=reply.status, path=path, excerpt=excerpt(reply.body)
        ) from None
