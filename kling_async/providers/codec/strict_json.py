"""Decode bytes to values, without guessing: strict conversion, and errors that name the field that cannot be read.

cattrs coerces by default: a null id becomes the string "None", and a string becomes a list of letters. Here each plain
type is itself or an error. A field that may be missing is optional in the class that describes the body, never in the
converter.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Mapping
from typing import Final, TypeVar, cast

from cattrs import BaseValidationError, Converter, transform_error

from ...types.errors import UnexpectedReply
from ...types.http import MAX_BODY_BYTES, HttpResponse
from ...types.prediction import Json
from ...types.printable import printable

__all__ = ["decode", "excerpt", "json_body", "read_json"]

T = TypeVar("T")


def excerpt(response: HttpResponse) -> str:
    """Return the beginning of a response as printable text without the key, at most 4,096 characters."""
    try:
        return _printable_start(_decompress(response), response)
    except _CompressionError:
        return ""


def read_json(response: HttpResponse, *, provider: str) -> Json:
    """Decode a response's body as JSON, with the key removed from every string and name that repeats it.

    Raises:
        UnexpectedReply: the body is empty, an HTML page, truncated, nested too deeply, or otherwise not JSON.
    """
    try:
        body = _decompress(response)
    except _CompressionError as error:
        raise _unreadable(str(error), response, b"", provider) from None
    if not body.strip():
        raise _unreadable("The reply is empty", response, body, provider)
    try:
        text = response.redact(_decode_text(body, errors="surrogatepass"))
        document = cast("Json", json.loads(text, parse_constant=_reject_constant))
    except (ValueError, RecursionError) as error:
        page = body.lstrip()[:1] == b"<"
        problem = "The reply is a page, not JSON" if page else f"The reply is not JSON ({type(error).__name__})"
        raise _unreadable(problem, response, body, provider) from None
    # Only an escape can hide a key from the redaction of the text.
    return _redact_document(document, response.redact) if "\\" in text else document


_EXCERPT_LENGTH: Final = 4096


def _printable_start(body: bytes, response: HttpResponse) -> str:
    # Redacted before it is cut: half a key at the end would not be recognised.
    return printable(response.redact(_decode_text(body, errors="replace"))[:_EXCERPT_LENGTH])


def _decode_text(body: bytes, *, errors: str) -> str:
    return body.decode(json.detect_encoding(body), errors)


def _redact_document(document: Json, redact: Callable[[str], str]) -> Json:
    """Remove the key from every string and name of a document, in place.

    Without recursion: JSON may be nested more deeply than Python calls, and still hold an id that was paid for.
    """
    root = [document]
    pending: list[list[Json] | dict[str, Json]] = [root]
    while pending:
        one = pending.pop()
        if isinstance(one, dict):
            redacted = {redact(name): _redact_value(value, redact) for name, value in one.items()}
            one.clear()
            one.update(redacted)
            pending += [value for value in redacted.values() if isinstance(value, (dict, list))]
        else:
            one[:] = [_redact_value(value, redact) for value in one]
            pending += [value for value in one if isinstance(value, (dict, list))]
    return root[0]


def _redact_value(value: Json, redact: Callable[[str], str]) -> Json:
    return redact(value) if isinstance(value, str) else value


def _reject_constant(word: str) -> None:
    raise ValueError(word)


class _CompressionError(Exception):
    """The body cannot be decompressed."""


def _decompress(response: HttpResponse) -> bytes:
    coding = response.headers.get("content-encoding", "identity").strip().lower()
    if coding in ("", "identity"):
        return response.body
    if coding not in ("gzip", "deflate"):
        raise _CompressionError(f"The reply is compressed as {coding!r}, which was not asked for")
    # No compression is requested; a gateway that compresses anyway must neither lose a paid answer nor fill the memory.
    # For the same reason the end of the body, with its checksum, may be missing: truncated JSON is detected anyway.
    inflater = zlib.decompressobj(wbits=47 if coding == "gzip" else 15)
    try:
        body = inflater.decompress(response.body, MAX_BODY_BYTES)
    except zlib.error:
        raise _CompressionError("The reply's compression is broken") from None
    if inflater.unconsumed_tail:
        raise _CompressionError(f"The reply is longer than {MAX_BODY_BYTES} bytes")
    return body


def _unreadable(problem: str, response: HttpResponse, body: bytes, provider: str) -> UnexpectedReply:
    return UnexpectedReply(
        problem, provider=provider, http_status=response.status, excerpt=_printable_start(body, response)
    )


def decode(converter: Converter, kind: type[T], value: Json, response: HttpResponse, *, provider: str) -> T:
    """Structure JSON as a value.

    Raises:
        UnexpectedReply: a field is missing or of another type; its `path` names the field.
    """
    try:
        return converter.structure(value, kind)
    except (BaseValidationError, TypeError, ValueError) as error:
        where = transform_error(error, path="$")[0]
        problem, _, path = where.rpartition(" @ ")
        message = f"The reply cannot be read: {problem} at {path}"
        raise UnexpectedReply(
            message, provider=provider, http_status=response.status, path=path, excerpt=excerpt(response)
        ) from None


def json_body(body: Mapping[str, Json]) -> bytes:
    """Encode a body as compact JSON."""
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "backslashreplace")
