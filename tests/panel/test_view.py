"""What there is to see of a batch: gathered from events, divided into cells, and written down."""

from __future__ import annotations

from decimal import Decimal
from pathlib import PurePath
from typing import Any

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from kling_async import (
    AnswerLost,
    DownloadError,
    Estimate,
    Event,
    EventKind,
    Fault,
    FaultKind,
    ImageInput,
    Job,
    Prediction,
    Progress,
    RateLimited,
    Status,
)
from kling_async.panel.view import Ending, Part, View, Watch, duration, line, money, shares, speed
from kling_async.planning.moves import State, Ticket

STILL = Progress(
    total=None,
    pulled=0,
    planned=0,
    sending=0,
    running=0,
    succeeded=0,
    failed=0,
    unconfirmed=0,
    saved=0,
    throttled=0,
    elapsed=0.0,
    per_second=None,
    remaining=None,
    spent=Decimal(0),
    unpriced=0,
)
BUSY = evolve(
    STILL,
    total=1200,
    pulled=300,
    planned=80,
    sending=2,
    running=98,
    succeeded=117,
    failed=2,
    unconfirmed=1,
    saved=110,
    throttled=3,
    elapsed=64.4,
    per_second=4.0,
    remaining=270.0,
    spent=Decimal("1.44"),
)


def event(kind: EventKind, key: str = "a", provider: str = "gptproto", **facts: Any) -> Event:
    """Make an event; `state` and `came_from` are its ticket's."""
    ticket = Ticket(key=key, job=Job(ImageInput(f"prompt of {key}"), key=key), path=())
    ticket.state, ticket.came_from = facts.pop("state", State.PLANNED), facts.pop("came_from", State.PLANNED)
    return Event(kind, 0.0, provider, ticket, **facts)


def prediction(status: Status, **facts: Any) -> Prediction:
    """Make a prediction."""
    return Prediction(provider="gptproto", model="kling-image-o1", id="1", status=status, **facts)


def finished(key: str, status: Status = Status.SUCCEEDED, **facts: Any) -> Event:
    """Make the event of a prediction that is over."""
    made = prediction(status, **facts)
    return event(EventKind.FINISHED, key, state=State.ENDED, came_from=State.ACCEPTED, prediction=made)


def test_each_provider_is_counted() -> None:
    """Submissions, acceptances and endings count where they happened."""
    watch = Watch()
    for key in ("a", "b", "c"):
        watch.heard(event(EventKind.SUBMITTED, key), elapsed=0)
    for key in ("a", "b"):
        watch.heard(event(EventKind.ACCEPTED, key), elapsed=0)
    watch.heard(finished("a"), elapsed=1)
    watch.heard(event(EventKind.SUBMITTED, "d", "apiinone"), elapsed=1)
    one, other = watch.view(STILL).providers
    assert ("gptproto", 1, 1, 1) == (one.name, one.sending, one.running, one.finished)
    assert ("apiinone", 1, 0, 0) == (other.name, other.sending, other.running, other.finished)


def test_whoever_comes_late_sees_no_debts() -> None:
    """An ending without its beginning, heard by whoever began to listen late, makes no number negative."""
    watch = Watch()
    watch.heard(finished("a"), elapsed=1)
    [one] = watch.view(STILL).providers
    assert (0, 0, 1) == (one.running, one.sending, one.finished)


@pytest.mark.parametrize(
    ("kind", "trouble"), [(EventKind.THROTTLED, "told to wait (429)"), (EventKind.NOT_SENT, "not reached")]
)
def test_trouble_is_shown_as_long_as_it_lasts(kind: EventKind, trouble: str) -> None:
    """A pause of an account is told with the seconds that are left of it, and forgotten when it is over."""
    watch = Watch()
    watch.heard(event(kind, wait_for=8.0, error=RateLimited("slow down")), elapsed=10.0)
    [during] = watch.view(evolve(STILL, elapsed=15.0)).providers
    assert (trouble, 3.0) == (during.trouble, during.trouble_for)
    [after] = watch.view(evolve(STILL, elapsed=18.0)).providers
    assert ("", 0.0) == (after.trouble, after.trouble_for)


ENDINGS: dict[str, tuple[Event, Part, str]] = {
    "well": (finished("a"), Part.SUCCEEDED, "prompt of a"),
    "badly": (
        finished("a", Status.FAILED, fault=Fault(kind=FaultKind.FAILED, message="out of ink")),
        Part.FAILED,
        "out of ink",
    ),
    "unheard": (
        event(EventKind.FINISHED, state=State.UNCONFIRMED, came_from=State.SENDING, error=AnswerLost("lost")),
        Part.UNCONFIRMED,
        "lost",
    ),
    "refused": (
        event(EventKind.FINISHED, state=State.FAILED, came_from=State.SENDING, error=RateLimited("no")),
        Part.FAILED,
        "no",
    ),
}


@pytest.mark.parametrize(("over", "part", "told"), ENDINGS.values(), ids=ENDINGS)
def test_an_ending_tells_what_is_known_of_it(over: Event, part: Part, told: str) -> None:
    """An error goes before a fault, a fault before the prompt."""
    watch = Watch()
    watch.heard(over, elapsed=0)
    assert (Ending("a", part, told),) == watch.view(STILL).endings


def test_only_the_last_endings_are_kept() -> None:
    """What is remembered does not grow with the number of jobs."""
    watch = Watch()
    for number in range(1000):
        watch.heard(finished(str(number)), elapsed=0)
    assert ["997", "998", "999"] == [ending.key for ending in watch.view(STILL).endings]


def test_files_are_told_once_they_are_saved() -> None:
    """Paths take the place of the prompt, and so does what went wrong with them."""
    watch = Watch()
    for key in ("a", "b"):
        watch.heard(finished(key), elapsed=0)
    paths = (PurePath("out/a-0.png"), PurePath("out/a-1.png"))
    for saved in (
        evolve(finished("b"), kind=EventKind.NOT_SAVED, error=DownloadError("disk full")),
        evolve(finished("a"), kind=EventKind.SAVED, files=paths),
    ):
        watch.heard(saved, elapsed=0)
    assert (
        Ending("b", Part.SUCCEEDED, "disk full"),
        Ending("a", Part.SUCCEEDED, "out/a-0.png, out/a-1.png", is_path=True),
    ) == watch.view(STILL).endings


def test_what_was_not_pulled_is_planned() -> None:
    """With a total the counts add up to it; without one, to what was pulled."""
    view = View(progress=BUSY, total=1200)
    assert (1200, 980) == (sum(view.counts.values()), view.counts[Part.PLANNED])
    assert (0.1, 270.0) == (view.share, view.remaining)
    open_ended = View(progress=evolve(BUSY, total=None), total=None)
    assert (300, 0.4, None) == (sum(open_ended.counts.values()), open_ended.share, open_ended.remaining)
    assert 0.0 == View(progress=STILL, total=0).share


def test_a_total_that_is_known_better_is_taken() -> None:
    """The batch's own total goes before what somebody said."""
    assert (7, 1200) == (Watch(total=7).view(STILL).total, Watch(total=7).view(BUSY).total)


@given(st.lists(st.integers(0, 10**6), min_size=1, max_size=6), st.integers(0, 120))
def test_cells_are_shared_out(counts: list[int], width: int) -> None:
    """All cells are given out, nothing gets what it has not, and one of a million still has a cell if there are any."""
    cells = shares(counts, width)
    assert (width if any(counts) else 0) == sum(cells)
    assert all(cell == 0 for cell, count in zip(cells, counts, strict=True) if not count)
    if sum(map(bool, counts)) <= width:
        assert all(cell > 0 for cell, count in zip(cells, counts, strict=True) if count)
    for cell, count in zip(cells, counts, strict=True):
        assert abs(cell - count * width / max(1, sum(counts))) < len(counts)


@pytest.mark.parametrize(
    ("seconds", "written"), [(0, "0:00"), (7.6, "0:08"), (59.6, "1:00"), (754, "12:34"), (3723, "1:02:03")]
)
def test_durations_are_written_as_on_a_clock(seconds: float, written: str) -> None:
    """Hours only where there are any."""
    assert written == duration(seconds)


@pytest.mark.parametrize(
    ("per_second", "written"), [(None, "-/s"), (0.05, "3.0/min"), (1.0, "1.0/s"), (1234.5, "1,234.5/s")]
)
def test_speeds_are_written_so_that_they_say_something(per_second: float | None, written: str) -> None:
    """Slow work is counted by the minute."""
    assert written == speed(per_second)


def expected(low: str, high: str, *, priced: int = 5, unpriced: int = 0) -> Estimate:
    """Make an estimate."""
    return Estimate(low=Decimal(low), high=Decimal(high), priced=priced, unpriced=("m",) * unpriced)


@pytest.mark.parametrize(
    ("spent", "unpriced", "estimate", "written"),
    [
        ("0", 0, None, "$0.00"),
        ("0.036", 0, None, "$0.036"),
        ("1234.5", 0, None, "$1,234.50"),
        ("0", 3, None, "3 unpriced"),
        ("1", 3, None, "$1.00 + 3 unpriced"),
        ("0", 0, expected("2.40", "2.40"), "$0.00 of ~$2.40"),
        ("1.2", 0, expected("2.4", "24"), "$1.20 of $2.40 to $24.00"),
        ("0", 2, expected("0", "0", priced=0, unpriced=5), "2 unpriced"),
    ],
)
def test_unknown_money_is_not_zero(spent: str, unpriced: int, estimate: Estimate | None, written: str) -> None:
    """What was spent is a fact, what is expected is marked, and what has no price is counted."""
    progress = evolve(STILL, spent=Decimal(spent), unpriced=unpriced)
    assert written == money(View(progress=progress, total=None, estimate=estimate))


def test_one_line_tells_all() -> None:
    """A line for a log holds counts, speed, time to go, money, and whoever is in trouble; nothing that is not there."""
    watch = Watch(estimate=expected("14.4", "14.4"))
    watch.heard(event(EventKind.THROTTLED, wait_for=8.0), elapsed=60.0)
    assert (
        "120 of 1,200 (10%) over: 117 succeeded, 2 failed, 1 unconfirmed, 98 running, 2 sending, 980 planned; "
        "4.0/s, elapsed 1:04; ETA 4:30; $1.44 of ~$14.40; gptproto told to wait (429), 4 s"
    ) == line(watch.view(BUSY))
    assert "0 over: nothing yet; -/s, elapsed 0:00; $0.00" == line(View(progress=STILL, total=None))
