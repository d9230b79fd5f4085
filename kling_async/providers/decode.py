"""From bytes to values, without guessing: a strict converter, and errors that say what could not be read and where.

cattrs coerces by default: a null id becomes the text "None", and a text becomes a list of letters. Here each plain type
is itself or nothing. What a reply may leave out is optional in the classes that describe it, never in the converter.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable
from typing import Final, TypeVar, cast

from cattrs import BaseValidationError, Converter, transform_error

from ..errors import UnexpectedReply
from ..prediction import Json
from ..printable import printable
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


def excerpt(reply: HttpReply) -> str:
    """Return the beginning of a reply as printable text without the key, at most 4,096 characters of it."""
    try:
        return _beginning(_unpacked(reply), reply)
    except _Packed:
        return ""


def read_json(reply: HttpReply, *, provider: str) -> Json:
    """Read a reply's body as JSON, without the key wherever a text or a name in it repeats that.

    Raises:
        UnexpectedReply: the body is empty, a page, cut short, too deep, or not JSON for another reason.
    """
    try:
        body = _unpacked(reply)
    except _Packed as error:
        raise _unreadable(str(error), reply, b"", provider) from None
    if not body.strip():
        raise _unreadable("The reply is empty", reply, body, provider)
    try:
        text = reply.redact(_text(body, errors="surrogatepass"))
        document = cast("Json", json.loads(text, parse_constant=_no_constant))
    except (ValueError, RecursionError) as error:
        page = body.lstrip()[:1] == b"<"
        what = "The reply is a page, not JSON" if page else f"The reply is not JSON ({type(error).__name__})"
        raise _unreadable(what, reply, body, provider) from None
    # Only an escape can hide a key from the first of these lines.
    return _redacted(document, reply.redact) if "\\" in text else document


_EXCERPT: Final = 4096


def _beginning(body: bytes, reply: HttpReply) -> str:
    # Redacted before it is cut: half a key at the end would be one that is not recognised.
    return printable(reply.redact(_text(body, errors="replace"))[:_EXCERPT])


def _text(body: bytes, *, errors: str) -> str:
    return body.decode(json.detect_encoding(body), errors)


def _redacted(document: Json, redact: Callable[[str], str]) -> Json:
    """Take the key out of every text and name of a document, in place.

    Without recursion: JSON may be nested more deeply than Python calls, and still hold an id that was paid for.
    """
    whole = [document]
    todo: list[list[Json] | dict[str, Json]] = [whole]
    while todo:
        one = todo.pop()
        if isinstance(one, dict):
            held = {redact(name): _without(value, redact) for name, value in one.items()}
            one.clear()
            one.update(held)
            todo += [value for value in held.values() if isinstance(value, (dict, list))]
        else:
            one[:] = [_without(value, redact) for value in one]
            todo += [value for value in one if isinstance(value, (dict, list))]
    return whole[0]


def _without(value: Json, redact: Callable[[str], str]) -> Json:
    return redact(value) if isinstance(value, str) else value


def _no_constant(word: str) -> None:
    raise ValueError(word)


class _Packed(Exception):
    """The body is compressed in a way that cannot be undone."""


def _unpacked(reply: HttpReply) -> bytes:
    coding = reply.headers.get("content-encoding", "identity").strip().lower()
    if coding in ("", "identity"):
        return reply.body
    if coding not in ("gzip", "deflate"):
        raise _Packed(f"The reply is compressed as {coding!r}, which was not asked for")
    # Compression is not asked for; a gateway that insists must not turn a paid answer into a lost one, nor fill memory.
    # For the same reason the end of the packed body may be missing, with its checksum: JSON shows itself if it is cut.
    inflater = zlib.decompressobj(wbits=47 if coding == "gzip" else 15)
    try:
        body = inflater.decompress(reply.body, MOST_BYTES)
    except zlib.error:
        raise _Packed("The reply's compression is broken") from None
    if inflater.unconsumed_tail:
        raise _Packed(f"The reply is longer than {MOST_BYTES} bytes")
    return body


def _unreadable(what: str, reply: HttpReply, body: bytes, provider: str) -> UnexpectedReply:
    return UnexpectedReply(what, provider=provider, http_status=reply.status, excerpt=_beginning(body, reply))


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
            message, provider=provider, http_status=reply.status, path=path, excerpt=excerpt(reply)
        ) from None
