"""From bytes to values: what is read, what is refused, and that nothing is made up in between."""

from __future__ import annotations

import gzip
import json
import zlib
from typing import Any

import pytest
from attrs import evolve, field, frozen

from kling_async.errors import UnexpectedReply
from kling_async.providers.codec.strict_json import decode, excerpt, read_json
from kling_async.types.converter import strict_converter
from kling_async.types.http import MAX_BODY_BYTES, HttpResponse
from kling_async.types.prediction import Json


def reply(body: bytes, status: int = 200, **headers: str) -> HttpResponse:
    """Make a reply."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return HttpResponse(status=status, headers=named, body=body)


def refused(one: HttpResponse) -> UnexpectedReply:
    """Return the error of a reply that cannot be read, after looking at what every such error says."""
    with pytest.raises(UnexpectedReply) as caught:
        read_json(one, provider="gptproto")
    error = caught.value
    assert ("gptproto", one.status, "$") == (error.provider, error.http_status, error.path)
    assert error.__cause__ is None
    return error


READABLE: dict[str, tuple[bytes, Json]] = {
    "object": (b'{"a": 1}', {"a": 1}),
    "null": (b"null", None),
    "text": (b' "x" ', "x"),
    "byte order mark": (b'\xef\xbb\xbf{"a": "\xc3\xa4"}', {"a": "ä"}),
    "UTF-16": ('{"a": "ä"}'.encode("utf-16"), {"a": "ä"}),
    "doubled name": (b'{"a": 1, "a": 2}', {"a": 2}),
    "half a surrogate pair": (b'"\\ud83d"', "\ud83d"),
    "a number beyond floats": (b"1e999", float("inf")),
}


@pytest.mark.parametrize(("body", "value"), READABLE.values(), ids=list(READABLE))
def test_json_is_read(body: bytes, value: Json) -> None:
    """What json reads is taken as it is, in each of JSON's encodings."""
    assert value == read_json(reply(body), provider="gptproto")


UNREADABLE = {
    "empty": (b"", "The reply is empty"),
    "blank": (b" \r\n\t", "The reply is empty"),
    "page": (b"<!DOCTYPE html><html></html>", "The reply is a page, not JSON"),
    "page after a blank": (b"\n  <html>", "The reply is a page, not JSON"),
    "text": (b"Bad Gateway", "The reply is not JSON (JSONDecodeError)"),
    "cut short": (b'{"data": {"id": "ab', "The reply is not JSON (JSONDecodeError)"),
    "two values": (b"{} {}", "The reply is not JSON (JSONDecodeError)"),
    "NaN": (b'{"a": NaN}', "The reply is not JSON (ValueError)"),
    "infinity": (b"[-Infinity]", "The reply is not JSON (ValueError)"),
    "huge integer": (b"1" * 5000, "The reply is not JSON (ValueError)"),
    "wrong charset": ("{'ä'}".encode("latin-1"), "The reply is not JSON (UnicodeDecodeError)"),
    "picture": (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "The reply is not JSON (UnicodeDecodeError)"),
    "too deep": (b"[" * 200_000 + b"]" * 200_000, "The reply is not JSON (RecursionError)"),
}


@pytest.mark.parametrize(("body", "message"), UNREADABLE.values(), ids=list(UNREADABLE))
def test_what_is_not_json_is_named(body: bytes, message: str) -> None:
    """A body that cannot be read is named for what it is, with its beginning."""
    error = refused(reply(body, status=502))
    assert message == error.message
    assert excerpt(reply(body)) == error.excerpt


COMPRESSED = {
    "gzip": ("gzip", gzip.compress(b'{"a": 1}')),
    "gzip in capitals": (" GZIP ", gzip.compress(b'{"a": 1}')),
    "deflate": ("deflate", zlib.compress(b'{"a": 1}')),
    "nothing said": ("", b'{"a": 1}'),
    "identity": ("identity", b'{"a": 1}'),
}


@pytest.mark.parametrize(("coding", "body"), COMPRESSED.values(), ids=list(COMPRESSED))
def test_a_gateway_may_compress(coding: str, body: bytes) -> None:
    """A paid answer is not lost because a gateway compresses what was asked for plain."""
    assert {"a": 1} == read_json(reply(body, content_encoding=coding), provider="gptproto")


BROKEN = {
    "unknown": ("br", b"\x0b\x02\x80{}\x03", "The reply is compressed as 'br', which was not asked for"),
    "two layers": ("gzip, gzip", b"", "The reply is compressed as 'gzip, gzip', which was not asked for"),
    "not compressed at all": ("gzip", b'{"a": 1}', "The reply's compression is broken"),
    "cut short": ("gzip", gzip.compress(b'{"a": 1}')[:10], "The reply is empty"),
}


@pytest.mark.parametrize(("coding", "body", "message"), BROKEN.values(), ids=list(BROKEN))
def test_broken_compression_is_named(coding: str, body: bytes, message: str) -> None:
    """A body that cannot be unpacked is named, and its packed bytes are not shown."""
    error = refused(reply(body, content_encoding=coding))
    assert (message, "") == (error.message, error.excerpt)


def test_a_bomb_is_not_unpacked() -> None:
    """Unpacking ends at the longest reply that is read."""
    bomb = gzip.compress(b" " * (MAX_BODY_BYTES + 1), 9)
    assert f"The reply is longer than {MAX_BODY_BYTES} bytes" == refused(reply(bomb, content_encoding="gzip")).message


KEY = "sk-canary-7f3a/9b"
SPELLED = {
    "plain": f'{{"a": ["{KEY}"], "{KEY}": "x{KEY}"}}'.encode(),
    "escaped": b'{"a": ["\\u0073k-canary-7f3a/9b"], "sk\\u002Dcanary-7f3a\\/9b": "xsk-canary-7f3a\\/9b"}',
    "UTF-16": f'{{"a": ["{KEY}"], "{KEY}": "x{KEY}"}}'.encode("utf-16"),
    "UTF-32, no mark": f'{{"a": ["{KEY}"], "{KEY}": "x{KEY}"}}'.encode("utf-32-le"),
}


def with_key(body: bytes, **headers: str) -> HttpResponse:
    """Make a reply that knows how to take the key out of a text."""
    return evolve(reply(body, **headers), redact=lambda text: text.replace(KEY, "[key]"))


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("body", SPELLED.values(), ids=list(SPELLED))
def test_the_key_is_taken_out_however_it_is_spelled(body: bytes, *, packed: bool) -> None:
    """A key in a text or a name is gone from the document, and from the excerpt of what is none."""
    one = with_key(gzip.compress(body), content_encoding="gzip") if packed else with_key(body)
    assert {"a": ["[key]"], "[key]": "x[key]"} == read_json(one, provider="gptproto")
    broken = body[:-1] if b"\0" not in body else body[:-4]
    cut = with_key(gzip.compress(broken), content_encoding="gzip") if packed else with_key(broken)
    with pytest.raises(UnexpectedReply) as caught:
        read_json(cut, provider="gptproto")
    assert KEY not in caught.value.excerpt
    assert KEY not in repr(cut)


def test_the_key_at_the_end_of_an_excerpt() -> None:
    """An excerpt is cut behind the redaction, so that it never ends in half a key."""
    assert "sk-" not in excerpt(with_key(b"x" * 4090 + KEY.encode()))


def test_a_deep_document_with_an_escape_is_read() -> None:
    """Taking the key out needs no deeper stack than reading JSON does."""
    body = b'{"more":' + b"[" * 500 + b'"\\u0073"' + b"]" * 500 + b"}"
    assert read_json(with_key(body), provider="gptproto")


@pytest.mark.parametrize("missing", range(1, 10))
def test_a_packed_reply_without_its_last_bytes_is_read(missing: int) -> None:
    """A gzip reply that lacks its checksum is taken where its JSON is whole: what was paid for is not lost for that."""
    body = gzip.compress(b'{"a": "some text that is long enough"}')[:-missing]
    assert {"a": "some text that is long enough"} == read_json(
        reply(body, content_encoding="gzip"), provider="gptproto"
    )


def test_an_excerpt_is_short_and_printable() -> None:
    """An excerpt holds at most 4 KiB, and nothing that could move a terminal's cursor."""
    assert "a\n\t\N{REPLACEMENT CHARACTER}[31m" == excerpt(reply(b"a\n\t\x1b[31m"))
    assert "\N{REPLACEMENT CHARACTER}" == excerpt(reply(b"\xff"))
    assert 4096 == len(excerpt(reply(b"x" * 10_000)))


@frozen
class Inner:
    numbers: list[int] = field(factory=list)


@frozen
class Body:
    text: str = ""
    flag: bool = False
    whole: int = 0
    number: float = 0.0
    inner: Inner | None = None


@pytest.mark.parametrize(
    ("value", "path"),
    [
        ({"text": None}, "$.text"),
        ({"text": 7}, "$.text"),
        ({"flag": 1}, "$.flag"),
        ({"flag": "true"}, "$.flag"),
        ({"whole": "7"}, "$.whole"),
        ({"whole": True}, "$.whole"),
        ({"whole": 7.0}, "$.whole"),
        ({"number": "7"}, "$.number"),
        ({"number": True}, "$.number"),
        ({"inner": {"numbers": [1, "2"]}}, "$.inner.numbers[1]"),
        ({"inner": {"numbers": 7}}, "$.inner.numbers"),
        (None, "$"),
    ],
)
def test_nothing_is_coerced(value: Any, path: str) -> None:
    """Null is no text, a number is no text, a truth is no number: the error says where it was."""
    one = reply(json.dumps(value).encode(), status=200)
    with pytest.raises(UnexpectedReply) as caught:
        decode(strict_converter(), Body, value, one, provider="apiinone")
    error = caught.value
    assert (path, "apiinone", 200) == (error.path, error.provider, error.http_status)
    assert error.message.startswith("The reply cannot be read: ")
    assert error.message.endswith(f" at {path}")
    assert excerpt(one) == error.excerpt


def test_what_fits_is_taken_as_it_is() -> None:
    """Values of the right types come through unchanged, and a whole number may stand for a number."""
    value: Json = {"text": "a", "flag": True, "whole": 7, "number": 8, "inner": {"numbers": [1]}}
    seen = decode(strict_converter(), Body, value, reply(b""), provider="gptproto")
    assert Body("a", flag=True, whole=7, number=8, inner=Inner([1])) == seen
    assert 1.5 == decode(strict_converter(), Body, {"number": 1.5}, reply(b""), provider="gptproto").number
