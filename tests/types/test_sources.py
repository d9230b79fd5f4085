"""Facts: a value with its source, or openly unknown."""

from __future__ import annotations

import pytest

from kling_async.types.sources import Certainty, Fact, Source

PAGE = Source(Certainty.DOCUMENTED, "https://example.com/docs")
NOWHERE = Source(Certainty.UNDOCUMENTED, "https://example.com/docs")


@pytest.mark.parametrize(
    ("fact", "text"),
    [
        (Fact(True, PAGE), "yes"),
        (Fact(False, PAGE), "no"),
        (Fact(16, PAGE), "16"),
        (Fact("buys_again", PAGE), "buys again"),
        (Fact(None, NOWHERE), "unknown"),
    ],
)
def test_a_fact_reads_as_words(fact: Fact[object], text: str) -> None:
    """A fact is shown as people read it; unknown is never shown as no."""
    assert text == str(fact)


@pytest.mark.parametrize(("value", "source"), [(None, PAGE), (True, NOWHERE), (False, NOWHERE)])
def test_unknown_and_undocumented_are_one(value: object, source: Source) -> None:
    """What nothing documents has no value, and a value has a source that states it."""
    with pytest.raises(ValueError, match="unknown exactly where nothing documents it"):
        Fact(value, source)
