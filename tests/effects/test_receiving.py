"""What a server's reply means for a file in the making."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from kling_async.effects.parts import Part
from kling_async.effects.receiving import Passing, begin, check_whole, headers_for, take

TAG = {"etag": '"one"'}


@pytest.fixture
def part(tmp_path: Path) -> Iterator[Part]:
    """Open a part of a file."""
    made = Part(tmp_path, "cat-0")
    made.open(source="a")
    yield made
    made.close()


def half(part: Part, length: int | None) -> None:
    """Let the first 40 bytes come, of so many, and the connection break."""
    begin(part, 200, TAG | ({} if length is None else {"content-length": str(length)}))
    take(part, bytes(40))
    assert "bytes=40-" == headers_for(part)["Range"]


TAKEN = {
    "as asked for": (100, "bytes 40-99/100", 100),
    "the whole is not told again": (100, "bytes 40-99/*", 100),
    "the whole is told now": (None, "bytes 40-99/100", 100),
    "the whole is told nowhere": (None, "bytes 40-99/*", None),
}


@pytest.mark.parametrize(("noted", "told", "length"), TAKEN.values(), ids=list(TAKEN))
def test_the_rest_is_taken(part: Part, noted: int | None, told: str, length: int | None) -> None:
    """The rest of the file goes on where it stopped, and whatever is told of its length holds from then on."""
    half(part, noted)
    begin(part, 206, TAG | {"content-range": told})
    assert (40, length) == (part.progress.size, part.progress.length)
    take(part, bytes(59))
    if length is not None:
        with pytest.raises(Passing, match="99 of 100 bytes came"):
            check_whole(part)
    take(part, bytes(1))
    check_whole(part)


OTHER_PARTS = {
    "ends before the end": (100, "bytes 40-98/100"),
    "ends before the end, of unknown length": (None, "bytes 40-98/100"),
    "ends before the noted end": (100, "bytes 40-98/*"),
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
    "not told": (100, ""),
}


@pytest.mark.parametrize(("noted", "told"), OTHER_PARTS.values(), ids=list(OTHER_PARTS))
def test_another_part_is_not_taken(part: Part, noted: int | None, told: str) -> None:
    """A part that is not all of the rest begins the file anew."""
    half(part, noted)
    with pytest.raises(Passing):
        begin(part, 206, TAG | {"content-range": told})
    assert (0, None) == (part.progress.size, part.progress.validator)
    assert "Range" not in headers_for(part)


@pytest.mark.parametrize("headers", [{}, TAG, {"content-range": "bytes 0-99/100"}, {"content-range": "bytes 0-99/*"}])
def test_a_part_that_was_not_asked_for_is_no_file(part: Part, headers: dict[str, str]) -> None:
    """Where the whole was asked for, a part is not taken, whichever it is."""
    with pytest.raises(Passing):
        begin(part, 206, headers)


def test_a_part_without_a_validator_is_not_gone_on_with(part: Part) -> None:
    """What came without a tag and a date is no beginning for a later part: it was not asked for."""
    begin(part, 200, {"content-length": "100"})
    take(part, bytes(40))
    with pytest.raises(Passing):
        begin(part, 206, {"content-range": "bytes 40-99/100"})
