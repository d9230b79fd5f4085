"""Meaning of a server's response for a partial file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from kling_async.transport.partial_file import PartialFile
from kling_async.transport.ranges import TransientError, append_piece, headers_for, start_body, verify_length

TAG = {"etag": '"one"'}


@pytest.fixture
def part(tmp_path: Path) -> Iterator[PartialFile]:
    """Open a part of a file."""
    made = PartialFile(tmp_path, "cat-0")
    made.open(source="a")
    yield made
    made.close()


def half(part: PartialFile, length: int | None) -> None:
    """Let the first 40 bytes come, of so many, and the connection break."""
    start_body(part, 200, TAG | ({} if length is None else {"content-length": str(length)}))
    append_piece(part, bytes(40))
    assert "bytes=40-" == headers_for(part)["Range"]


TAKEN = {
    "as asked for": (100, "bytes 40-99/100", 100),
    "the length is not declared again": (100, "bytes 40-99/*", 100),
    "the length is declared now": (None, "bytes 40-99/100", 100),
    "the length is never declared": (None, "bytes 40-99/*", None),
}


@pytest.mark.parametrize(("known", "declared", "length"), TAKEN.values(), ids=list(TAKEN))
def test_the_rest_is_taken(part: PartialFile, known: int | None, declared: str, length: int | None) -> None:
    """The rest of the file is appended, and the length that it declares holds from then on."""
    half(part, known)
    start_body(part, 206, TAG | {"content-range": declared})
    assert (40, length) == (part.state.size, part.state.length)
    append_piece(part, bytes(59))
    if length is not None:
        with pytest.raises(TransientError, match="99 of 100 bytes were received"):
            verify_length(part)
    append_piece(part, bytes(1))
    verify_length(part)


OTHER_PARTS = {
    "ends before the end": (100, "bytes 40-98/100"),
    "ends before the end, of unknown length": (None, "bytes 40-98/100"),
    "ends before the known end": (100, "bytes 40-98/*"),
    "ends behind the end": (100, "bytes 40-100/100"),
    "of a longer whole": (100, "bytes 40-100/101"),
    "of a shorter whole": (100, "bytes 40-59/60"),
    "begins earlier": (100, "bytes 39-99/100"),
    "begins later": (100, "bytes 41-99/100"),
    "in another unit": (100, "lines 40-99/100"),
    "of nothing": (100, "bytes */100"),
    "of no numbers": (100, "bytes 40-x/100"),
    "of other digits": (100, "bytes \u0664\u0660-99/100"),
    "of negative numbers": (100, "bytes 40--99/100"),
    "not declared": (100, ""),
}


@pytest.mark.parametrize(("known", "declared"), OTHER_PARTS.values(), ids=list(OTHER_PARTS))
def test_another_part_is_not_taken(part: PartialFile, known: int | None, declared: str) -> None:
    """A part that is not exactly the rest restarts the file."""
    half(part, known)
    with pytest.raises(TransientError):
        start_body(part, 206, TAG | {"content-range": declared})
    assert (0, None) == (part.state.size, part.state.validator)
    assert "Range" not in headers_for(part)


@pytest.mark.parametrize("headers", [{}, TAG, {"content-range": "bytes 0-99/100"}, {"content-range": "bytes 0-99/*"}])
def test_a_part_that_was_not_asked_for_is_no_file(part: PartialFile, headers: dict[str, str]) -> None:
    """Where the complete file was requested, no part of it is accepted."""
    with pytest.raises(TransientError):
        start_body(part, 206, headers)


def test_a_part_without_a_validator_is_not_gone_on_with(part: PartialFile) -> None:
    """Bytes without a validator cannot be resumed: no range was requested for them."""
    start_body(part, 200, {"content-length": "100"})
    append_piece(part, bytes(40))
    with pytest.raises(TransientError):
        start_body(part, 206, {"content-range": "bytes 40-99/100"})
