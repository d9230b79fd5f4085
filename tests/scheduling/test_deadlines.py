"""Deadlines come up in order, and finished jobs leave no trace for long, whatever their number."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from kling_async.scheduling.deadlines import Deadlines
from kling_async.scheduling.ticket import Ticket

from .conftest import IMAGE


def ticket(key: str = "a") -> Ticket:
    """Make a ticket without a deadline."""
    return Ticket(key=key, job=None, work_kind=IMAGE)


class CountedTicket(Ticket):
    """A ticket that counts how often it is looked at."""

    looks = 0

    @property
    def closed(self) -> bool:  # type: ignore[override]
        CountedTicket.looks += 1
        return self.only_submit

    @closed.setter
    def closed(self, closed: bool) -> None:
        self.only_submit = closed


ACTIONS = st.one_of(
    st.tuples(st.just("add"), st.integers(0, 29), st.one_of(st.floats(0.0, 100.0), st.just(math.inf))),
    st.tuples(st.just("close"), st.integers(0, 29), st.none()),
    st.tuples(st.just("move"), st.integers(0, 29), st.none()),
    st.tuples(st.just("take"), st.just(0), st.floats(0.0, 100.0)),
)


@given(st.lists(ACTIONS, max_size=400))
def test_the_earliest_deadline_of_an_open_job_comes_first(actions: list[tuple[str, int, float | None]]) -> None:
    """Jobs are added, given other deadlines, closed, moved away and taken, as in a plain table of them."""
    deadlines, table, tickets = Deadlines(), dict[Ticket, float](), [ticket() for _ in range(30)]
    for action, number, value in actions:
        one = tickets[number]
        if action == "add" and value is not None:
            if not one.closed and table.get(one) != value:
                deadlines.add(one, value)
                table.pop(one, None)
                table |= {} if value == math.inf else {one: value}
        elif action == "close":
            one.closed = True
            table.pop(one, None)
        elif action == "move":
            deadlines.discard(one)
            table.pop(one, None)
        elif value is not None:
            taken = deadlines.take(value)
            assert (taken is None) is (min(table.values(), default=math.inf) > value)
            if taken is not None:
                assert table[taken] == min(table.values())
                del table[taken]
                tickets[tickets.index(taken)] = ticket()
        assert deadlines.next_at() == min(table.values(), default=math.inf)
    assert set(deadlines.pending()) == set(table)


def test_finished_jobs_are_forgotten_by_and_by_and_no_call_looks_through_all() -> None:
    """With 1000 of 20,000 jobs open at a time, a third more are kept, and a call looks at 300 tickets at most."""
    deadlines, running = Deadlines(), list[Ticket]()
    for number in range(20_000):
        CountedTicket.looks = 0
        running.append(CountedTicket(key="a", job=None, work_kind=IMAGE))
        deadlines.add(running[-1], 3600.0 + number)
        deadlines.next_at()
        assert CountedTicket.looks <= 300
        if len(running) > 1000:
            # Any but the first, behind which all entries would be removed at once.
            running.pop(1 + number % 999).closed = True
        if number > 2000:
            assert len(deadlines._times) <= 1.5 * len(running)
    assert len(deadlines.pending()) == len(running)
    assert deadlines.next_at() == running[0].deadline


def test_a_shorter_deadline_is_taken_before_longer_ones() -> None:
    """Calls that wait for a minute do not wait behind a batch that waits for an hour."""
    deadlines = Deadlines()
    for number in range(100):
        deadlines.add(ticket(), 3600.0 + number)
    awaited = ticket("awaited")
    deadlines.add(awaited, 60.0)
    assert deadlines.next_at() == 60.0
    assert deadlines.take(59.9) is None
    assert deadlines.take(60.0) is awaited
    assert deadlines.next_at() == 3600.0
