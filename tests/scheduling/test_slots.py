"""How much may be open at once."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kling_async.scheduling.slots import Slots


@pytest.mark.parametrize(
    ("limit", "taken", "weight", "fits"),
    [(None, 10**6, 9, True), (5, 0, 5, True), (5, 1, 4, True), (5, 1, 5, False), (5, 5, 1, False), (5, 5, 0, True)],
)
def test_what_fits(limit: int | None, taken: int, weight: int, fits: bool) -> None:
    """A job fits while its weight and what is taken stay within the limit; without one everything does."""
    slots = Slots(limit)
    slots.acquire(taken)
    assert fits is slots.fits(weight)


def test_what_outweighs_all_slots_goes_alone() -> None:
    """A job that is heavier than the limit would wait for ever; it goes once nothing else is open."""
    slots = Slots(3)
    assert slots.fits(9)
    slots.acquire(1)
    assert not slots.fits(9)


@given(st.integers(1, 9), st.lists(st.integers(1, 9), max_size=60), st.randoms(use_true_random=False))
def test_never_more_than_there_are(limit: int, weights: list[int], random: object) -> None:
    """Whoever asks first never opens more than the limit, a lone giant aside, and everything is given back."""
    slots, open_ = Slots(limit), list[int]()
    for weight in weights:
        while not slots.fits(weight):
            slots.release(open_.pop(random.randrange(len(open_))))  # type: ignore[attr-defined]
        slots.acquire(weight)
        open_.append(weight)
        assert sum(open_) == slots.in_use
        assert slots.in_use <= limit or len(open_) == 1
    for weight in open_:
        slots.release(weight)
    assert 0 == slots.in_use
