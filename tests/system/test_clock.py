"""The machine's own time and random numbers."""

from __future__ import annotations

from datetime import UTC

import pytest

from kling_async.system.clock import SystemClock

pytestmark = pytest.mark.anyio


async def test_time_goes_on_and_is_aware() -> None:
    """Seconds are monotonic, a negative pause is one turn, and the calendar knows its zone."""
    clock = SystemClock()
    before = clock.now()
    await clock.sleep(-1.0)
    await clock.sleep(0.001)
    assert 0.001 <= clock.now() - before < 5.0
    assert UTC is clock.utc().tzinfo


async def test_dice_are_fractions() -> None:
    """Random numbers are in [0, 1), and differ."""
    throws = [SystemClock().random() for _ in range(100)]
    assert all(0 <= throw < 1 for throw in throws)
    assert len(set(throws)) > 90
