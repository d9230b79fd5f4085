"""Limits that learn: how fast an account may submit, and how many jobs it may have open, found out from its answers.

Theory of operation. Accounts differ by their level, and most providers document nothing. Two numbers are learned, apart
from each other: a rate and a number of slots. Each starts from the provider's default and rises only while it is what
holds jobs back. At first it rises fast, until a refusal shows the limit: the slots are then those that were in use,
and the rate that of the submissions that were accepted lately. After that it probes upwards, rarely and in small steps,
since each probe that fails costs a refusal; steps that succeed grow, so that a limit which was raised is found soon.
"""

from __future__ import annotations

import math
from collections import deque
from typing import Final

from attrs import frozen

__all__ = ["AccountLimits", "LearnedRate", "LearnedSlots"]


@frozen(kw_only=True)
class AccountLimits:
    """What is known of the limits of an account; None for what is not.

    Attributes:
        per_second: submissions per second.
        slots: slots for open jobs.
    """

    per_second: float | None = None
    slots: int | None = None


_MIN_RATE, _MAX_RATE = 1.0 / 600.0, 1000.0
_MAX_SLOTS: Final = 10_000
_SLOW_START, _FAST_START = 1.5, 3.0
"""Factors of a step until the first refusal: as a rule, and where a step takes longer than a second."""
_MARGIN: Final = 0.98
"""Share of the measured rate that is used after a refusal."""
_MIN_FACTOR: Final = 0.5
"""The rate falls to half at most by one refusal, since few acceptances measure badly."""
_LEARNED_BURST: Final = 2
"""Submissions that may leave at once at a learned rate, so that a late wake-up loses none of it."""
_TOGETHER, _MAX_TOGETHER = 0.9, 64
"""Share of the time between two submissions within which they left at once, and how many of them are remembered."""
_MAX_SECONDS, _ENOUGH = 60.0, 8
"""Seconds over which the rate of acceptances is measured at most, if that many are enough."""
_MAX_ACCEPTED: Final = 4096
_HOLD_SECONDS: Final = 60.0
"""Seconds for which the slots do not rise after the provider was seen to queue what it had accepted."""
_MIN_STEP, _MAX_STEP = 1.04, 1.25
"""Factors of a first probe, and of one after many that succeeded."""
_QUIET: Final = 120
"""Acceptances between two probes; twice as many after each that failed, up to the maximum of the limit."""
_MAX_RATE_QUIET, _MAX_SLOTS_QUIET = 800, 200
_QUIET_SECONDS: Final = 20.0
_CONFIRM, _CONFIRM_SECONDS = 16, 4.0
"""Acceptances after which a step has succeeded."""


class _Probe:
    """Says when to step upwards, and how far: rarely after a failure, faster and faster after successes.

    Args:
        max_quiet: the most acceptances between two probes.
        slow_start: whether nothing is known, so that steps are large.

    Attributes:
        slow_start: whether nothing was refused so far.
        climbing: whether a step was made that has not succeeded yet.
    """

    def __init__(self, *, max_quiet: int, slow_start: bool) -> None:
        self._max_quiet = max_quiet
        self.slow_start = slow_start
        self.climbing = False
        self._factor = _MIN_STEP
        self._quiet = _QUIET
        self._accepted = 0
        self._since = -math.inf

    def accepted(self, now: float, *, patient: bool = True) -> float:
        """Count an acceptance while this limit holds jobs back; return the factor by which to raise it, 1 for none.

        Args:
            now: the present time.
            patient: whether to wait for more acceptances before the next step of a slow start.
        """
        self._accepted += 1
        if self.slow_start:
            need, seconds = (4, 0.5) if patient else (1, 0.0)
        else:
            need, seconds = (_CONFIRM, _CONFIRM_SECONDS) if self.climbing else (self._quiet, _QUIET_SECONDS)
        if self._accepted < need or now - self._since < seconds:
            return 1.0
        if self.slow_start:
            self._accepted, self._since = 0, now
            return _SLOW_START if patient else _FAST_START
        if self.climbing:
            self._factor, self._quiet = min(1.0 + 2.0 * (self._factor - 1.0), _MAX_STEP), _QUIET
        self.climbing, self._accepted, self._since = True, 0, now
        return self._factor

    def refused(self, now: float) -> None:
        """Count a refusal."""
        if self.climbing:
            self._quiet = min(2 * self._quiet, self._max_quiet)
        self.slow_start, self.climbing, self._factor = False, False, _MIN_STEP
        self._accepted, self._since = 0, now


class LearnedRate:
    """Submissions per second that an account accepts.

    Args:
        per_second: the rate to start from.
        burst: the submissions that may leave at once to start with.
        known: whether it was learned before, so that it does not rise fast any more.

    Attributes:
        per_second: the rate to submit at.
    """

    def __init__(self, per_second: float, *, burst: int = 1, known: bool = False) -> None:
        self.per_second = self._before = per_second
        self._first_burst = burst
        self._max_burst = math.inf
        self._sent: deque[float] = deque(maxlen=_MAX_TOGETHER)
        self._probe = _Probe(max_quiet=_MAX_RATE_QUIET, slow_start=not known)
        self._accepted: deque[float] = deque(maxlen=_MAX_ACCEPTED)
        self._refused_at = -math.inf
        self._raised_at = -math.inf
        self._refusals: deque[float] = deque(maxlen=4)
        self._pauses: deque[tuple[float, float]] = deque(maxlen=16)

    @property
    def is_learned(self) -> bool:
        """Whether a refusal has shown the account's limit."""
        return not self._probe.slow_start

    @property
    def burst(self) -> int:
        """The submissions that may leave at once: few once any was refused, since the rest would be, too."""
        return int(min(_LEARNED_BURST if self.is_learned else self._first_burst, self._max_burst))

    def sent(self, now: float) -> None:
        """Report a submission that leaves."""
        self._sent.append(now)

    def not_sent(self) -> None:
        """Report that the last submission did not leave."""
        self._sent.pop()

    def accepted(self, *, sent_at: float, held_back: bool, now: float) -> None:
        """Report an acceptance, and whether the rate is what holds jobs back."""
        self._accepted.append(sent_at)
        # An acceptance of what left before the last change says nothing of the present rate.
        if held_back and sent_at >= max(self._refused_at, self._raised_at):
            factor = self._probe.accepted(now, patient=self.per_second > 1.0)
            if factor > 1.0:
                self._before, self._raised_at = self.per_second, now
                self._set(factor * self.per_second)

    def refused(self, *, sent_at: float, now: float, pause: float = 0.0) -> None:
        """Report a refusal because of the rate; one to a submission sent before the last one says nothing new.

        Args:
            sent_at: the time at which the submission left.
            now: the present time.
            pause: seconds for which nothing is submitted now.
        """
        if sent_at < self._refused_at:
            return
        self._refused_at = now
        since = sent_at - _TOGETHER / self.per_second
        if self.burst > 1 and sum(since < at <= sent_at for at in self._sent) > 1:
            # It left faster than the rate, at once with others: the account takes no such burst, and shows no rate.
            self._max_burst = max(1, min(sum(since < at <= sent_at for at in self._accepted), self.burst - 1))
        else:
            measured = max(_MARGIN * self._measured(now), _MIN_FACTOR * self.per_second)
            self._set(min(self.per_second, self._before if self._probe.climbing else measured))
            self._probe.refused(now)
        # What is saved up for the next submission meanwhile is not lost.
        self._pauses.append((now + min(1.0 / self.per_second, pause), now + pause))

    def _measured(self, now: float) -> float:
        """Return the rate of the latest acceptances.

        Whatever the provider saves up while it is idle is spent at a refusal. So what it accepts from one refusal to a
        later one is what it allows, without the pauses that it asked for. Too few acceptances are counted from an
        earlier refusal, or from the beginning.
        """
        since = self._accepted[0] if self._accepted else now - 1.0
        for refused_at in self._refusals:
            if sum(at > refused_at for at in self._accepted) >= _ENOUGH or refused_at == self._refusals[0]:
                since = refused_at
        if len(self._accepted) > _ENOUGH:
            since = max(since, min(now - _MAX_SECONDS, self._accepted[-_ENOUGH]))
        self._refusals.append(now)
        paused = sum(max(0.0, min(end, now) - max(begin, since)) for begin, end in self._pauses)
        return sum(at > since for at in self._accepted) / max(now - since - paused, 0.1)

    def _set(self, per_second: float) -> None:
        self.per_second = min(max(per_second, _MIN_RATE), _MAX_RATE)


class LearnedSlots:
    """Slots that an account has.

    Args:
        slots: the number to start from.
        known: whether it was learned before, so that it does not rise fast any more.

    Attributes:
        slots: the number to use.
    """

    def __init__(self, slots: int, *, known: bool = False) -> None:
        self.slots = slots
        self._step = 1
        self._held_until = -math.inf
        self._probe = _Probe(max_quiet=_MAX_SLOTS_QUIET, slow_start=not known)
        self._refused_at = -math.inf

    @property
    def is_learned(self) -> bool:
        """Whether a refusal has shown the account's limit."""
        return not self._probe.slow_start

    def accepted(self, slots: int, *, sent_at: float, held_back: bool, now: float) -> None:
        """Report an acceptance of a job of so many slots, and whether the slots are what holds jobs back."""
        if not held_back or sent_at < self._refused_at or now < self._held_until:
            return
        if self._probe.slow_start:
            self.slots = min(self.slots + slots, _MAX_SLOTS)
            return
        if self._probe.accepted(now) > 1.0:
            # One by one at first: all that are in flight beyond the limit are refused.
            self.slots, self._step = min(self.slots + self._step, _MAX_SLOTS), 2 * self._step

    def hold(self, now: float) -> None:
        """Learn of no more slots for a while: the provider queues what it has accepted."""
        self._held_until = now + _HOLD_SECONDS

    def refused(self, running: int, *, sent_at: float, now: float) -> None:
        """Report a refusal for want of slots, while accepted jobs occupied so many of them."""
        if sent_at < self._refused_at:
            self.slots = max(1, min(self.slots, running))
            return
        self._refused_at, self._step = now, 1
        self._probe.refused(now)
        self.slots = max(1, running)
