"""When polls leave: on common ticks, early where nothing is known, and at once where a caller asks for one."""

from __future__ import annotations

import math

from kling_async.scheduling.ticket import Ticket
from kling_async.types.prediction import Status

from ..conftest import IMAGE, VIDEO, EngineHarness, harness, prediction

SCOUTS = 8


def polls(at: EngineHarness, number: int, now: float = 0.0) -> list[tuple[str | None, float]]:
    """Take that many polls, whenever they are due, and find everything still running."""
    taken = list[tuple[str | None, float]]()
    for _ in range(number):
        ticket, now = at.poll(now)
        taken.append((ticket.key, now))
        at.answer_poll(ticket, prediction(ticket.key), now=now)
    return taken


def test_the_first_of_a_kind_are_polled_early_and_at_different_ages() -> None:
    """Where nothing has finished yet, eight predictions are polled from half a second on, a tenth apart."""
    at = harness()
    for number in range(SCOUTS + 2):
        at.accepted(str(number))
    early = polls(at, SCOUTS)
    assert [str(number) for number in range(SCOUTS)] == [key for key, _ in early]
    assert [0.5 * 2.0 ** (number / SCOUTS) for number in range(SCOUTS)] == [now for _, now in early]
    again = polls(at, SCOUTS, now=early[-1][1])
    assert [(key, 2.0 * now) for key, now in early] == again


def test_none_is_polled_early_once_one_has_finished() -> None:
    """What finished says more than a guess, so later ones of its kind follow the plan from their first poll on."""
    at = harness()
    first = at.accepted("first")
    _, now = at.poll(0.0)
    at.answer_poll(first, prediction("first", Status.SUCCEEDED), now=now)
    second, other = at.accepted("second", now=now), at.accepted("of another kind", now=now, work_kind=VIDEO)
    assert {other} == at.engine._polls._policy._probing
    assert second.poll_at is None


def test_planned_polls_leave_together() -> None:
    """Looks that were planned a little apart leave on one tick, none of them early, and each less than a tick late."""
    at = harness()
    for number in range(SCOUTS):
        at.accepted(str(number)).poll_at = 1e6
    apart = [at.accepted(f"planned {number}", now=number * 0.003) for number in range(32)]
    assert at.engine._polls._policy._probing.isdisjoint(apart)
    times = [now for _, now in polls(at, len(apart))]
    assert {0.0} == {math.fmod(now, 1 / 32) for now in times}
    assert 4 == len(set(times))
    assert times[-1] - times[0] < 31 * 0.003 + 1 / 32


def test_a_poll_that_a_caller_asks_for_waits_for_no_tick() -> None:
    """A single poll leaves at the very time it is asked for."""
    at = harness()
    now = 5.0123
    ticket = Ticket(key="a", job=None, work_kind=IMAGE, slots=0, single_poll=True, listener=at.received.append)
    at.engine.restore(ticket, prediction("a"), now=now)
    assert now == at.engine.poll_at(now)
    assert ticket is at.engine.take_poll(now)
