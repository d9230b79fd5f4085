"""The parser of plain responses: what it reads, a complete implementation of HTTP reads in the same way."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import h11
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from kling_async.transport.http_parser import BodyTooLarge, NotPlain, ParsedResponse, ResponseParser
from kling_async.types.http import HeaderLines

MAX_BYTES = 1000
OK = b"HTTP/1.1 200 OK\r\n"
PLAIN: dict[str, tuple[bytes, bytes]] = {
    "a length": (OK + b"Content-Length: 2\r\n\r\n{}", b"{}"),
    "no reason": (b"HTTP/1.1 200\r\nContent-Length: 2\r\n\r\n{}", b"{}"),
    "a blank reason": (b"HTTP/1.1 503 \r\nContent-Length: 2\r\n\r\n{}", b"{}"),
    "blanks": (OK + b"content-length:\t 2 \t\r\nX-Empty:\r\n\r\n{}", b"{}"),
    "empty": (OK + b"Content-Length: 0\r\n\r\n", b""),
    "chunks": (OK + b"Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n00a\r\n0123456789\r\n0\r\n\r\n", b"{0123456789"),
    "no chunk": (OK + b"Transfer-Encoding: Chunked\r\n\r\n0\r\n\r\n", b""),
    "Latin letters": (OK + b"X: \xe9\r\nContent-Length: 2\r\n\r\n{}", b"{}"),
}
ODD: dict[str, bytes] = {
    "HTTP/1.0": b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\n{}",
    "100": b"HTTP/1.1 100 Continue\r\n\r\n",
    "101": b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n",
    "204": b"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n",
    "304": b"HTTP/1.1 304 Not Modified\r\nContent-Length: 2\r\n\r\n",
    "600": b"HTTP/1.1 600 Odd\r\nContent-Length: 2\r\n\r\n{}",
    "no end stated": OK + b"Content-Type: application/json\r\n\r\n{}",
    "two lengths": OK + b"Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}",
    "a list of lengths": OK + b"Content-Length: 2, 2\r\n\r\n{}",
    "a sign": OK + b"Content-Length: +2\r\n\r\n{}",
    "a negative length": OK + b"Content-Length: -2\r\n\r\n{}",
    "a long number": OK + b"Content-Length: 00000000002\r\n\r\n{}",
    "both": OK + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "another coding": OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "a folded line": OK + b"X: a\r\n Content-Length: 9\r\nContent-Length: 2\r\n\r\n{}",
    "a blank before the colon": OK + b"Content-Length : 2\r\n\r\n{}",
    "a line without a colon": OK + b"Content-Length: 2\r\nX\r\n\r\n{}",
    "NUL": OK + b"X: \0\r\nContent-Length: 2\r\n\r\n{}",
    "a bare line feed": OK + b"X: a\nContent-Length: 9\r\nContent-Length: 2\r\n\r\n{}",
    "a bare return": OK + b"X: a\rContent-Length: 2\r\n\r\n{}",
    "no HTTP": b"garbage\r\n\r\n",
    "TLS": b"\x15\x03\x01\x00\x02\x02\x16\r\n\r\n",
    "an extension of a chunk": OK + b"Transfer-Encoding: chunked\r\n\r\n2;a=b\r\n{}\r\n0\r\n\r\n",
    "a trailer": OK + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\nX: a\r\n\r\n",
    "a chunk longer than its size": OK + b"Transfer-Encoding: chunked\r\n\r\n1\r\n{}\r\n0\r\n\r\n",
    "no size": OK + b"Transfer-Encoding: chunked\r\n\r\n\r\n{}\r\n0\r\n\r\n",
    "a size with a sign": OK + b"Transfer-Encoding: chunked\r\n\r\n+2\r\n{}\r\n0\r\n\r\n",
    "a long size": OK + b"Transfer-Encoding: chunked\r\n\r\n" + b"0" * 30 + b"2\r\n{}\r\n0\r\n\r\n",
    "a huge head": OK + b"X: " + b"a" * 70_000,
    "a huge head that ends": OK + b"X: " + b"a" * 70_000 + b"\r\nContent-Length: 2\r\n\r\n{}",
}
LONG: dict[str, bytes] = {
    "a length": OK + b"Content-Length: 1001\r\n\r\n",
    "one chunk": OK + b"Transfer-Encoding: chunked\r\n\r\n3E9\r\n",
    "chunks": OK + b"Transfer-Encoding: chunked\r\n\r\n" + (b"a\r\n" + b"0" * 10 + b"\r\n") * 101,
    "a huge chunk": OK + b"Transfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFF\r\n",
}


def parse(pieces: Sequence[bytes]) -> ParsedResponse | None:
    """Feed pieces until a response is complete; what has not arrived by then arrives with its last piece."""
    parser = ResponseParser(MAX_BYTES)
    for number, piece in enumerate(pieces, 1):
        response = parser.feed(b"".join(pieces[number - 1 :]) if number == len(pieces) else piece)
        if response is not None:
            return response
    return None


@pytest.mark.parametrize(("raw", "body"), PLAIN.values(), ids=list(PLAIN))
def test_plain_responses_are_read(raw: bytes, body: bytes) -> None:
    """A response is complete with its last byte, however it is cut, and the connection stays open."""
    for piece in (len(raw), 1, 3):
        parser = ResponseParser(MAX_BYTES)
        seen = [parser.feed(raw[start : start + piece]) for start in range(0, len(raw), piece)]
        assert [None] * (len(seen) - 1) == seen[:-1]
        response = seen[-1]
        assert response is not None
        assert (body, False) == (response.body, response.is_last)
        assert not parser.has_begun
        again = parser.feed(raw)
        assert again == response


@pytest.mark.parametrize("raw", ODD.values(), ids=list(ODD))
def test_all_others_are_left_to_a_library(raw: bytes) -> None:
    """What is not in the one usual form is no response, however it is cut."""
    for piece in (len(raw), 1):
        parser = ResponseParser(MAX_BYTES)
        with pytest.raises(NotPlain):
            for start in range(0, len(raw), piece):
                assert parser.feed(raw[start : start + piece]) is None


@pytest.mark.parametrize("raw", LONG.values(), ids=list(LONG))
def test_a_long_body_is_refused_by_its_announcement(raw: bytes) -> None:
    """A body that would be too long is not waited for."""
    with pytest.raises(BodyTooLarge):
        ResponseParser(MAX_BYTES).feed(raw)


@pytest.mark.parametrize(
    ("fields", "leftover", "is_last"),
    [
        (b"", b"", False),
        (b"Connection: keep-alive\r\n", b"", False),
        (b"Connection: close\r\n", b"", True),
        (b"Connection: Keep-Alive, close\r\n", b"", True),
        (b"Connection: x\r\nConnection: close\r\n", b"", True),
        (b"", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]", True),
        (b"", b" ", True),
    ],
)
def test_a_connection_is_used_again_only_if_nothing_speaks_against_it(
    fields: bytes, leftover: bytes, is_last: bool
) -> None:
    """The server may close it, and what is behind a response answers nothing that was asked."""
    for raw in (
        OK + fields + b"Content-Length: 2\r\n\r\n{}" + leftover,
        OK + fields + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n" + leftover,
    ):
        response = ResponseParser(MAX_BYTES).feed(raw)
        assert response is not None
        assert (b"{}", is_last) == (response.body, response.is_last)


PARTS = st.sampled_from(
    [
        *(
            b"HTTP/1.1 200 OK\r\n",
            b"HTTP/1.1 404 Not Found\r\n",
            b"HTTP/1.1 100 Continue\r\n\r\n",
            b"HTTP/1.0 200 OK\r\n",
        ),
        *(b"Content-Length: 2\r\n", b"Content-Length: 5\r\n", b"content-length:0\r\n", b"Content-Length: 2,2\r\n"),
        *(b"Transfer-Encoding: chunked\r\n", b"Transfer-Encoding: gzip\r\n", b"X: a\r\n", b" folded\r\n", b"X:\0\r\n"),
        *(
            b"Connection: close\r\n",
            b"\r\n",
            b"\n",
            b"\r",
            b"{}",
            b"[1,2]",
            b"2\r\n{}\r\n",
            b"5\r\n[1,2]\r\n",
            b"0\r\n",
        ),
        *(b"2;x\r\n{}\r\n", b"0\r\n\r\n", b" ", b"\0", b"Trailer: a\r\n"),
    ]
)


@settings(max_examples=400, deadline=None)
@given(parts=st.lists(PARTS, max_size=12), cuts=st.lists(st.integers(0, 200), max_size=5))
@example(parts=[OK, b"Content-Length: 2\r\n", b"\r\n", b"{}"], cuts=[1, 20])
@example(parts=[OK, b"Transfer-Encoding: chunked\r\n", b"\r\n", b"2\r\n{}\r\n", b"0\r\n\r\n"], cuts=[])
def test_whatever_is_read_a_library_reads_in_the_same_way(parts: list[bytes], cuts: list[int]) -> None:
    """Held against h11: status and body are the same, and so is what is left over; cuts change nothing."""
    raw = b"".join(parts)
    places = sorted({min(cut, len(raw)) for cut in cuts} | {0, len(raw)})
    try:
        response = parse([raw[a:b] for a, b in pairwise(places)])
    except (NotPlain, BodyTooLarge):
        return
    if response is None:
        return
    connection = h11.Connection(our_role=h11.CLIENT)
    connection.send(h11.Request(method="GET", target="/", headers=[("Host", "a")]))
    connection.send(h11.EndOfMessage())
    connection.receive_data(raw)
    head = connection.next_event()
    assert isinstance(head, h11.Response)
    body = b""
    while isinstance(event := connection.next_event(), h11.Data):
        body += event.data
    assert isinstance(event, h11.EndOfMessage)
    assert (head.status_code, body) == (response.status, response.body)
    left = connection.trailing_data[0]
    assert not left or response.is_last
    theirs = {name.decode(): value.decode() for name, value in head.headers}
    assert theirs.keys() == set(HeaderLines(response.head, redact=str))


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200), st.integers(1, 50))
def test_any_bytes_are_an_answer_or_one_of_two_errors(raw: bytes, piece: int) -> None:
    """Nothing else is raised, whatever arrives behind a good status line."""
    for start in (b"", OK, OK + b"Transfer-Encoding: chunked\r\n\r\n"):
        parser, whole = ResponseParser(MAX_BYTES), start + raw
        try:
            for at in range(0, len(whole), piece):
                if parser.feed(whole[at : at + piece]) is not None:
                    break
        except (NotPlain, BodyTooLarge):
            pass
