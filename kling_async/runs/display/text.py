"""Format a snapshot of a batch as text: its speed, its money, what limits it, and all of it as one line for a log."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil

from ...providers.pricing import Estimate
from ...types.formatting import format_clock, format_duration, format_money, format_rate
from ...types.limits import LimitKind, SpeedLimit
from .snapshot import Snapshot

__all__ = ["format_cost", "format_limit", "format_limits", "format_line", "format_pauses", "format_speed"]


def format_speed(per_second: float | None) -> str:
    """Write how fast jobs finish; a dash while that is unknown."""
    return "-/s" if per_second is None else format_rate(per_second)


def format_cost(snapshot: Snapshot, *, room: int | None = None) -> str:
    """Write the money spent, the expected cost, and the number of jobs without a price.

    Args:
        snapshot: the state of the batch.
        room: characters at most. The expected cost is left out first, then the jobs without a price.
    """
    progress, estimate = snapshot.progress, snapshot.estimate
    known = progress.spent or (estimate is not None and estimate.priced) or not progress.unpriced
    spent = [format_money(progress.spent)] if known else []
    unpriced = [f"{'+ ' if spent else ''}{progress.unpriced:,} without a price"] if progress.unpriced else []
    forms = [[*spent, *_expected(estimate), *unpriced], [*spent, *unpriced], spent or unpriced]
    texts = [" ".join(form) for form in forms]
    return next((text for text in texts if room is None or len(text) <= room), texts[-1])


def _expected(estimate: Estimate | None) -> list[str]:
    if estimate is None or not estimate.priced:
        return []
    low, high = format_money(estimate.low), format_money(estimate.high)
    return [f"of ~{high}" if low == high else f"of {low} to {high}"]


def format_limits(snapshot: Snapshot) -> list[str]:
    """Write what limits the speed of each provider, without pauses."""
    return [f"{one.name} {format_limit(one.limit)}" for one in snapshot.providers if one.limit and not one.is_paused]


def format_pauses(snapshot: Snapshot) -> list[str]:
    """Write why providers get no submission now, and for how long: troubles first, then pauses."""
    troubles = [
        f"{one.name} {one.trouble} for {format_duration(ceil(one.trouble_seconds))}"
        for one in snapshot.providers
        if one.trouble
    ]
    return [*troubles, *(f"{one.name} {one.limit}" for one in snapshot.providers if one.is_paused)]


def format_limit(limit: SpeedLimit) -> str:
    """Write what limits the speed of one provider as a clause."""
    return str(limit) if limit.kind is LimitKind.PAUSE else f"max {limit}"


def format_line(snapshot: Snapshot, *, limits: Sequence[str] = ()) -> str:
    """Write a snapshot as one line for a log, with some limits."""
    progress = snapshot.progress
    of = "" if snapshot.total is None else f" of {snapshot.total:,} ({snapshot.share:.0%})"
    counts = [f"{count:,} {group}" for group, count in snapshot.counts.items() if count]
    parts = [
        f"{progress.done:,}{of} done: {', '.join(counts) or 'nothing yet'}",
        f"{format_speed(progress.per_second)}, elapsed {format_clock(progress.elapsed)}",
        f"ETA {format_clock(snapshot.remaining)}" if snapshot.remaining else "",
        format_cost(snapshot),
        snapshot.uploading,
        *format_pauses(snapshot),
        *limits,
    ]
    return "; ".join(filter(None, parts))
