"""Priorities of jobs: how much a second of delay counts, relative to a row of a batch."""

from __future__ import annotations

from typing import Final

__all__ = ["BATCH", "DETACHED", "DETACHED_SECONDS", "INTERACTIVE", "RESUMED"]

INTERACTIVE: Final = 2.0
"""A single call that a caller awaits."""
BATCH: Final = 1.0
"""A row of a batch."""
DETACHED: Final = 0.1
"""An accepted job without a listener: it holds a slot, so it is polled, but ten times less often."""
RESUMED: Final = DETACHED
"""A prediction of an earlier run that nothing awaits yet."""

DETACHED_SECONDS: Final = 3600.0
"""Seconds for which a job without a listener is polled: one that runs longer has been lost by its provider."""
