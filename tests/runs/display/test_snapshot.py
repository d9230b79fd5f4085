"""Snapshots of a batch: collected from events, divided into cells, and formatted."""

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
    AuthenticationError,
    DownloadError,
    Estimate,
    Event,
    EventKind,
    Failure,
    FailureKind,
    KlingError,
    LimitKind,
    LimitOrigin,
    NotSent,
    Prediction,
    Progress,
    RateLimited,
    SpeedLimit,
    Status,
)
from kling_async.runs.display.snapshot import (
    EventAggregator,
    RecentResult,
    Snapshot,
    apportion,
)
from kling_async.runs.display.text import format_cost, format_limits, format_line, format_speed
from kling_async.types.status import JobStatus

STILL = Progress(
    total=None,
    pulled=0,
    planned=0,
    submitting=0,
    accepted=0,
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
    submitting=2,
    accepted=98,
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
    """Make an event of a job."""
    usual: dict[str, Any] = {"status": JobStatus.PLANNED, "previous": JobStatus.PLANNED, "prompt": f"prompt of {key}"}
    return Event(kind=kind, at=0.0, provider=provider, key=key, **usual | facts)


def prediction(status: Status, **facts: Any) -> Prediction:
    """Make a prediction."""
    return Prediction(provider="gptproto", model="kling-image-o1", id="1", status=status, **facts)


def finished(key: str, status: Status = Status.SUCCEEDED, **facts: Any) -> Event:
    """Make the event of a finished prediction."""
    made = prediction(status, **facts)
    return event(EventKind.FINISHED, key, status=JobStatus.SUCCEEDED, previous=JobStatus.ACCEPTED, prediction=made)


def test_each_provider_is_counted() -> None:
    """Submissions, acceptances and endings count where they happened."""
    aggregator = EventAggregator()
    for key in ("a", "b", "c"):
        aggregator.on_event(event(EventKind.SUBMITTED, key), elapsed=0)
    for key in ("a", "b"):
        aggregator.on_event(event(EventKind.ACCEPTED, key), elapsed=0)
    aggregator.on_event(finished("a"), elapsed=1)
    aggregator.on_event(event(EventKind.SUBMITTED, "d", "apiinone"), elapsed=1)
    one, other = aggregator.snapshot(STILL).providers
    assert ("gptproto", 1, 1, 1) == (one.name, one.submitting, one.accepted, one.finished)
    assert ("apiinone", 1, 0, 0) == (other.name, other.submitting, other.accepted, other.finished)


def test_only_new_results_are_shown() -> None:
    """A job that was stopped has not failed, and a result of an earlier run is not shown again."""
    aggregator = EventAggregator()
    aggregator.on_event(finished("a"), elapsed=1)
    aggregator.on_event(evolve(finished("b"), replayed=True), elapsed=1)
    stopped = NotSent("stopped before its turn", reason="stopped")
    ending = event(EventKind.FINISHED, "c", status=JobStatus.PLANNED, previous=JobStatus.PLANNED, error=stopped)
    aggregator.on_event(ending, elapsed=1)
    assert ["a"] == [result.key for result in aggregator.snapshot(STILL).recent]


def test_a_late_listener_sees_no_negative_counts() -> None:
    """The end of a job without its beginning, which a late listener receives, makes no number negative."""
    aggregator = EventAggregator()
    aggregator.on_event(finished("a"), elapsed=1)
    [one] = aggregator.snapshot(STILL).providers
    assert (0, 0, 1) == (one.accepted, one.submitting, one.finished)


@pytest.mark.parametrize(
    ("kind", "trouble"), [(EventKind.THROTTLED, "rate-limited"), (EventKind.NOT_SENT, "unreachable")]
)
def test_trouble_is_shown_as_long_as_it_lasts(kind: EventKind, trouble: str) -> None:
    """A pause of an account is shown with the seconds that are left of it, and not after its end."""
    aggregator = EventAggregator()
    aggregator.on_event(event(kind, retry_in=8.0, error=RateLimited("slow down")), elapsed=10.0)
    [during] = aggregator.snapshot(evolve(STILL, elapsed=15.0)).providers
    assert (trouble, 3.0) == (during.trouble, during.trouble_seconds)
    [after] = aggregator.snapshot(evolve(STILL, elapsed=18.0)).providers
    assert ("", 0.0) == (after.trouble, after.trouble_seconds)


@pytest.mark.parametrize(
    ("error", "trouble"),
    [
        (RateLimited("slow down"), "rate-limited"),
        (AuthenticationError("no such key"), "account refused"),
        (NotSent("no connection"), "unreachable"),
    ],
)
def test_a_provider_that_jobs_move_away_from_is_in_trouble(error: KlingError, trouble: str) -> None:
    """The reason why jobs go elsewhere is shown for half a minute."""
    aggregator = EventAggregator()
    aggregator.on_event(event(EventKind.MOVED, error=error), elapsed=10.0)
    [during] = aggregator.snapshot(evolve(STILL, elapsed=39.0)).providers
    assert (trouble, 1.0) == (during.trouble, during.trouble_seconds)
    [after] = aggregator.snapshot(evolve(STILL, elapsed=40.0)).providers
    assert "" == after.trouble


RESULTS: dict[str, tuple[Event, JobStatus, str]] = {
    "success": (finished("a"), JobStatus.SUCCEEDED, "prompt of a"),
    "failure": (
        finished("a", Status.FAILED, failure=Failure(kind=FailureKind.FAILED, message="out of ink")),
        JobStatus.FAILED,
        "out of ink",
    ),
    "lost answer": (
        event(
            EventKind.FINISHED, status=JobStatus.UNCONFIRMED, previous=JobStatus.SUBMITTING, error=AnswerLost("lost")
        ),
        JobStatus.UNCONFIRMED,
        "lost",
    ),
    "refused": (
        event(EventKind.FINISHED, status=JobStatus.FAILED, previous=JobStatus.SUBMITTING, error=RateLimited("no")),
        JobStatus.FAILED,
        "no",
    ),
}


@pytest.mark.parametrize(("end", "group", "text"), RESULTS.values(), ids=RESULTS)
def test_a_result_shows_what_is_known(end: Event, group: JobStatus, text: str) -> None:
    """An error takes precedence over a failure, and a failure over the prompt."""
    aggregator = EventAggregator()
    aggregator.on_event(end, elapsed=0)
    assert (RecentResult("a", group, text),) == aggregator.snapshot(STILL).recent


def test_only_the_last_results_are_kept() -> None:
    """What is remembered does not grow with the number of jobs."""
    aggregator = EventAggregator()
    for number in range(1000):
        aggregator.on_event(finished(str(number)), elapsed=0)
    assert ["997", "998", "999"] == [result.key for result in aggregator.snapshot(STILL).recent]


def test_files_are_shown_once_they_are_saved() -> None:
    """Paths replace the prompt, and so does an error of the download."""
    aggregator = EventAggregator()
    for key in ("a", "b"):
        aggregator.on_event(finished(key), elapsed=0)
    paths = (PurePath("out/a-0.png"), PurePath("out/a-1.png"))
    for saved in (
        evolve(finished("b"), kind=EventKind.NOT_SAVED, error=DownloadError("disk full")),
        evolve(finished("a"), kind=EventKind.SAVED, files=paths),
    ):
        aggregator.on_event(saved, elapsed=0)
    assert (
        RecentResult("b", JobStatus.SUCCEEDED, "disk full"),
        RecentResult("a", JobStatus.SUCCEEDED, "out/a-0.png, out/a-1.png", is_path=True),
    ) == aggregator.snapshot(STILL).recent


def test_a_job_that_was_not_read_is_planned() -> None:
    """With a total the counts add up to it; without one, to the jobs that were read."""
    view = Snapshot(progress=BUSY, total=1200)
    assert (1200, 980) == (sum(view.counts.values()), view.counts[JobStatus.PLANNED])
    assert (0.1, 270.0) == (view.share, view.remaining)
    open_ended = Snapshot(progress=evolve(BUSY, total=None), total=None)
    assert (300, 0.4, None) == (sum(open_ended.counts.values()), open_ended.share, open_ended.remaining)
    assert 0.0 == Snapshot(progress=STILL, total=0).share


def test_the_total_of_the_batch_takes_precedence() -> None:
    """The batch's own total takes precedence over a given one."""
    assert (7, 1200) == (EventAggregator(total=7).snapshot(STILL).total, EventAggregator(total=7).snapshot(BUSY).total)


@given(st.lists(st.integers(0, 10**6), min_size=1, max_size=6), st.integers(0, 120))
def test_cells_are_divided(counts: list[int], width: int) -> None:
    """All cells are given out, nothing gets what it has not, and one of a million still has a cell if there are any."""
    cells = apportion(counts, width)
    assert (width if any(counts) else 0) == sum(cells)
    assert all(cell == 0 for cell, count in zip(cells, counts, strict=True) if not count)
    if sum(map(bool, counts)) <= width:
        assert all(cell > 0 for cell, count in zip(cells, counts, strict=True) if count)
    for cell, count in zip(cells, counts, strict=True):
        assert abs(cell - count * width / max(1, sum(counts))) < len(counts)


@pytest.mark.parametrize(
    ("per_second", "written"), [(None, "-/s"), (0.05, "3.0/min"), (1.0, "1.0/s"), (1234.5, "1,234.5/s")]
)
def test_an_unknown_speed_is_a_dash(per_second: float | None, written: str) -> None:
    """A slow speed is written per minute, and an unknown one as a dash."""
    assert written == format_speed(per_second)


def expected(low: str, high: str, *, priced: int = 5, unpriced: int = 0) -> Estimate:
    """Make an estimate."""
    return Estimate(low=Decimal(low), high=Decimal(high), priced=priced, unpriced=("m",) * unpriced)


@pytest.mark.parametrize(
    ("spent", "unpriced", "estimate", "written"),
    [
        ("0", 0, None, "$0.00"),
        ("0.036", 0, None, "$0.036"),
        ("1234.5", 0, None, "$1,234.50"),
        ("0", 3, None, "3 without a price"),
        ("1", 3, None, "$1.00 + 3 without a price"),
        ("0", 0, expected("2.40", "2.40"), "$0.00 of ~$2.40"),
        ("1.2", 0, expected("2.4", "24"), "$1.20 of $2.40 to $24.00"),
        ("0", 2, expected("0", "0", priced=0, unpriced=5), "2 without a price"),
    ],
)
def test_unknown_money_is_not_zero(spent: str, unpriced: int, estimate: Estimate | None, written: str) -> None:
    """The money spent is exact, the expected cost is marked, and jobs without a price are counted."""
    progress = evolve(STILL, spent=Decimal(spent), unpriced=unpriced)
    assert written == format_cost(Snapshot(progress=progress, total=None, estimate=estimate))


def test_one_line_has_everything() -> None:
    """A log line has counts, speed, remaining time, money, and providers in trouble, and omits what is unknown."""
    aggregator = EventAggregator(estimate=expected("14.4", "14.4"))
    aggregator.on_event(event(EventKind.THROTTLED, retry_in=8.0), elapsed=60.0)
    assert (
        "120 of 1,200 (10%) done: 117 succeeded, 2 failed, 1 unconfirmed, 98 accepted, 2 submitting, 980 planned; "
        "4.0/s, elapsed 1:04; ETA 4:30; $1.44 of ~$14.40; gptproto rate-limited for 4 s"
    ) == format_line(aggregator.snapshot(BUSY))
    assert "0 done: nothing yet; -/s, elapsed 0:00; $0.00" == format_line(Snapshot(progress=STILL, total=None))


SLOTS = SpeedLimit(provider="gptproto", kind=LimitKind.SLOTS, value=20, origin=LimitOrigin.USER)
PAUSE = SpeedLimit(provider="gptproto", kind=LimitKind.PAUSE, value=11.4, origin=LimitOrigin.REQUESTED)


def test_each_provider_has_its_own_limit() -> None:
    """What limits a provider is shown with it, nothing where nothing does, and no provider that has no jobs here."""
    aggregator = EventAggregator()
    for name in ("apiinone", "gptproto"):
        aggregator.on_event(event(EventKind.SUBMITTED, provider=name), elapsed=0.0)
    elsewhere = evolve(SLOTS, provider="fal")
    view = aggregator.snapshot(evolve(STILL, limited_by=(SLOTS, elsewhere)))
    assert [("apiinone", None), ("gptproto", SLOTS)] == [(one.name, one.limit) for one in view.providers]
    assert ["gptproto max 20 slots: your limit"] == format_limits(view)


def test_a_pause_is_told_once() -> None:
    """A pause of the account takes the place of what its 429 said, and leaves any other trouble."""
    aggregator = EventAggregator()
    aggregator.on_event(event(EventKind.THROTTLED, retry_in=12.0), elapsed=0.0)
    paused = evolve(STILL, limited_by=(PAUSE,))
    assert format_line(aggregator.snapshot(paused)).endswith("; gptproto asked to wait 12 s")
    assert [] == format_limits(aggregator.snapshot(paused))
    aggregator.on_event(event(EventKind.NOT_SENT, retry_in=12.0), elapsed=0.0)
    assert "unreachable" in format_line(aggregator.snapshot(paused))
