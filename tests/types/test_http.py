"""HTTP requests and responses as values."""

from __future__ import annotations

from kling_async.types.http import MAX_BODY_BYTES, HttpRequest, HttpResponse


def test_headers_are_found_by_their_names_in_lower_case() -> None:
    """However a server writes a header, it is found by its lower-case name."""
    reply = HttpResponse(status=200, headers={"Retry-After": "5", "DATE": "x"})
    assert {"retry-after": "5", "date": "x"} == reply.headers


def test_a_reply_may_be_empty() -> None:
    """A reply without headers and body is one, and shares nothing with another."""
    one, other = HttpResponse(status=204), HttpResponse(status=204)
    assert ({}, b"") == (one.headers, one.body)
    assert one.headers is not other.headers


def test_a_request_holds_no_secret() -> None:
    """A request has a method, a path, a body and headers of its own: no host and no Authorization, and so no key."""
    assert "HttpRequest(method='GET', path='/a', body=b'', headers=())" == repr(HttpRequest(method="GET", path="/a"))


def test_the_longest_reply() -> None:
    """An API reply is read up to 4 MiB."""
    assert 4 << 20 == MAX_BODY_BYTES
