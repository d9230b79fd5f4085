"""When looks leave: on common ticks, early where nothing is known, and at once where somebody asks for one."""

from __future__ import annotations

import math

from kling_async.planning.moves import Ticket
from kling_async.prediction import Status

from .conftest import PATH, VIDEO, Desk, desk, prediction

SCOUTS = 8


def looks(at: Desk, number: int, now: float = 0.0) -> list[tuple[str | None, float]]:
    """Take that many looks, whenever they are due, and find everything still running."""
    taken = list[tuple[str | None, float]]()
    for _ in range(number):
        ticket, now = at.look(now)
        taken.append((ticket.key, now))
        at.told(ticket, prediction(ticket.key), now=now)
    return taken


def test_the_first_of_a_kind_are_looked_at_early_and_at_different_ages() -> None:
    """Where nothing has finished yet, eight predictions are looked at from half a second on, a tenth apart."""
    at = desk()
    for number in range(SCOUTS + 2):
        at.accepted(str(number))
    early = looks(at, SCOUTS)
    assert [str(number) for number in range(SCOUTS)] == [key for key, _ in early]
    assert [0.5 * 2.0 ** (number / SCOUTS) for number in range(SCOUTS)] == [now for _, now in early]
    again = looks(at, SCOUTS, now=early[-1][1])
    assert [(key, 2.0 * now) for key, now in early] == again


def test_nobody_is_looked_at_early_once_one_has_finished() -> None:
    """What finished says more than a guess, so later ones of its kind follow the plan from their first look on."""
    at = desk()
    first = at.accepted("first")
    _, now = at.look(0.0)
    at.told(first, prediction("first", Status.SUCCEEDED), now=now)
    assert not at.accepted("second", now=now).scouting
    assert at.accepted("of another kind", now=now, path=VIDEO).scouting


def test_planned_looks_leave_together() -> None:
    """Looks that were planned a little apart leave on one tick, none of them early, and each less than a tick late."""
    at = desk()
    for number in range(SCOUTS):
        at.accepted(str(number)).look_at = 1e6
    apart = [at.accepted(f"planned {number}", now=number * 0.003) for number in range(32)]
    assert not any(ticket.scouting for ticket in apart)
    times = [now for _, now in looks(at, len(apart))]
    assert {0.0} == {math.fmod(now, 1 / 32) for now in times}
    assert 4 == len(set(times))
    assert times[-1] - times[0] < 31 * 0.003 + 1 / 32


def test_a_look_that_somebody_asks_for_waits_for_no_tick() -> None:
    """A single look leaves at the very time it is asked for."""
    at = desk()
    now = 5.0123
    ticket = Ticket(key="a", job=None, path=PATH, weight=0, once=True, listener=at.heard.append)
    at.engine.restore(ticket, prediction("a"), now=now)
    assert now == at.engine.poll_at(now)
    assert ticket is at.engine.take_poll(now)
