"""What there is to see of a batch at one moment, gathered from its events, and told in one line of text.

Theory of operation. A batch counts for itself; what it does not count, this does: the same tally once more for each
provider, what troubles an account, and the last few endings. Its size does not grow with the number of jobs.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from enum import StrEnum
from math import ceil
from typing import Final

from attrs import frozen

from ..planning.money import Estimate
from ..planning.moves import Event, EventKind, State
from ..planning.progress import Progress, Tally
from ..prediction import Status

__all__ = ["Ending", "Part", "ProviderView", "View", "Watch", "duration", "line", "money", "shares", "speed"]

_ENDINGS: Final = 3
"""Endings that are remembered: enough to see that it goes on."""


class Part(StrEnum):
    """What a job of the batch counts as, in the order in which a bar shows it."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    UNCONFIRMED = "unconfirmed"
    RUNNING = "running"
    SENDING = "sending"
    PLANNED = "planned"


@frozen
class Ending:
    """How a job ended: what it counts as, and its files, its error or its prompt, whichever is known."""

    key: str
    part: Part
    told: str
    is_path: bool = False


@frozen(kw_only=True)
class ProviderView:
    """How one provider gets on.

    Attributes:
        trouble: what keeps it from being used, if anything.
        trouble_for: seconds that this will last.
    """

    name: str
    running: int
    sending: int
    finished: int
    throttled: int
    per_second: float | None
    trouble: str = ""
    trouble_for: float = 0.0


@frozen(kw_only=True)
class View:
    """What there is to see of a batch at one moment.

    Attributes:
        total: jobs in all, or None while nobody knows.
        estimate: what the batch was expected to cost, if somebody asked.
    """

    progress: Progress
    total: int | None
    providers: tuple[ProviderView, ...] = ()
    endings: tuple[Ending, ...] = ()
    estimate: Estimate | None = None

    @property
    def counts(self) -> dict[Part, int]:
        """How many jobs count as what; what was not pulled yet is planned, too."""
        counted = {part: int(getattr(self.progress, part.value)) for part in Part}
        if self.total is not None:
            counted[Part.PLANNED] += max(0, self.total - self.progress.pulled)
        return counted

    @property
    def share(self) -> float:
        """Which part of the jobs is over, from 0 to 1."""
        return self.progress.finished / max(1, sum(self.counts.values()))

    @property
    def remaining(self) -> float | None:
        """Seconds to go at the present speed, if that is known."""
        if self.total is None or self.progress.per_second is None:
            return None
        return max(0, self.total - self.progress.finished) / self.progress.per_second


class Watch:
    """Gathers from events what a batch does not count for itself."""

    def __init__(self, *, total: int | None = None, estimate: Estimate | None = None) -> None:
        self._total = total
        self._estimate = estimate
        self._tallies: dict[str, Tally] = {}
        self._troubles: dict[str, tuple[str, float]] = {}
        self._endings: dict[str, Ending] = {}

    def heard(self, event: Event, *, elapsed: float) -> None:
        """Take in an event, so many seconds after the batch began."""
        tally = self._tallies.setdefault(event.provider, Tally(now=event.at, total=None))
        tally.heard(event, cost=None)
        if event.kind in (EventKind.THROTTLED, EventKind.NOT_SENT):
            trouble = "told to wait (429)" if event.kind is EventKind.THROTTLED else "not reached"
            self._troubles[event.provider] = trouble, elapsed + (event.wait_for or 0.0)
        elif event.kind in (EventKind.FINISHED, EventKind.SAVED, EventKind.NOT_SAVED):
            self._ended(_ending(event))

    def _ended(self, ending: Ending) -> None:
        self._endings.pop(ending.key, None)
        self._endings[ending.key] = ending
        while len(self._endings) > _ENDINGS:
            del self._endings[next(iter(self._endings))]

    def view(self, progress: Progress) -> View:
        """Return what there is to see."""
        return View(
            progress=progress,
            total=progress.total if progress.total is not None else self._total,
            providers=tuple(self._provider(name, tally, progress.elapsed) for name, tally in self._tallies.items()),
            endings=tuple(self._endings.values()),
            estimate=self._estimate,
        )

    def _provider(self, name: str, tally: Tally, elapsed: float) -> ProviderView:
        seen = tally.snapshot(now=0.0)
        trouble, until = self._troubles.get(name, ("", 0.0))
        return ProviderView(
            name=name,
            # Whoever begins to listen late hears of endings without their beginnings.
            running=max(0, seen.running),
            sending=max(0, seen.sending),
            finished=seen.finished,
            throttled=seen.throttled,
            per_second=seen.per_second,
            trouble=trouble if until > elapsed else "",
            trouble_for=max(0.0, until - elapsed),
        )


def _ending(event: Event) -> Ending:
    prediction, job = event.prediction, event.ticket.job
    if event.ticket.state is State.UNCONFIRMED:
        part = Part.UNCONFIRMED
    else:
        well = prediction is not None and prediction.status is Status.SUCCEEDED
        part = Part.SUCCEEDED if well else Part.FAILED
    if event.files:
        return Ending(event.key or "", part, ", ".join(map(str, event.files)), is_path=True)
    fault = prediction.fault if prediction is not None else None
    told = event.error.message if event.error else fault.message if fault else job.input.prompt if job else ""
    return Ending(event.key or "", part, told)


def shares(counts: Sequence[int], width: int) -> list[int]:
    """Divide cells among counts; whatever is there at all gets one, as far as there are enough."""
    total = sum(counts)
    if total == 0:
        return [0] * len(counts)
    least = [min(1, count) for count in counts] if sum(map(bool, counts)) <= width else [0] * len(counts)
    exact = [count * width / total for count in counts]
    cells = [max(int(share), few) for share, few in zip(exact, least, strict=True)]
    while (over := sum(cells) - width) != 0:
        step = -1 if over > 0 else 1
        able = [index for index, cell in enumerate(cells) if counts[index] and cell + step >= least[index]]
        worst = max(able, key=lambda index: (exact[index] - cells[index]) * step)
        cells[worst] += step
    return cells


def duration(seconds: float) -> str:
    """Write seconds as 0:07, 12:34 or 1:02:03."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def speed(per_second: float | None) -> str:
    """Write a speed per second or, if it is slow, per minute."""
    if per_second is None:
        return "-/s"
    return f"{per_second:,.1f}/s" if per_second >= 1 else f"{per_second * 60:.1f}/min"


def money(view: View, *, room: int | None = None) -> str:
    """Write what was spent, and of what; what is expected is left out first where there is not room enough."""
    progress, estimate = view.progress, view.estimate
    known = progress.spent or (estimate is not None and estimate.priced) or not progress.unpriced
    spent = [_dollars(progress.spent)] if known else []
    unpriced = [f"{'+ ' if spent else ''}{progress.unpriced:,} unpriced"] if progress.unpriced else []
    forms = [[*spent, *_expected(estimate), *unpriced], [*spent, *unpriced], spent or unpriced]
    texts = [" ".join(form) for form in forms]
    return next((text for text in texts if room is None or len(text) <= room), texts[-1])


def _expected(estimate: Estimate | None) -> list[str]:
    if estimate is None or not estimate.priced:
        return []
    low, high = _dollars(estimate.low), _dollars(estimate.high)
    return [f"of ~{high}" if low == high else f"of {low} to {high}"]


def _dollars(amount: Decimal) -> str:
    if amount == 0 or amount >= 1:
        return f"${amount:,.2f}"
    return f"${amount.normalize():f}"


def line(view: View) -> str:
    """Tell a view in one line, for a log."""
    progress = view.progress
    of = "" if view.total is None else f" of {view.total:,} ({view.share:.0%})"
    running = [f"{count:,} {part}" for part, count in view.counts.items() if count]
    waiting = [f"{one.name} {one.trouble}, {ceil(one.trouble_for)} s" for one in view.providers if one.trouble]
    left = view.remaining
    parts = [
        f"{progress.finished:,}{of} over: {', '.join(running) or 'nothing yet'}",
        f"{speed(progress.per_second)}, elapsed {duration(progress.elapsed)}",
        f"ETA {duration(left)}" if left else "",
        money(view),
        *waiting,
    ]
    return "; ".join(filter(None, parts))
