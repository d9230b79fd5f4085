"""Counting what a run came to."""

from __future__ import annotations

from decimal import Decimal

from kling_async.runs.report.rows import STATUSES, Tone
from kling_async.runs.report.totals import count_causes, count_totals
from kling_async.types.status import JobStatus


def test_money_that_may_be_spent_is_not_counted_as_spent(make_row) -> None:
    """What is unconfirmed or abandoned is money at risk; an unknown price is counted, not taken for nothing."""
    rows = [
        make_row(cost=Decimal("0.03")),
        make_row(cost=None),
        make_row(status="failed", cost=Decimal("0.01")),
        make_row(status="unconfirmed", cost=Decimal("0.42")),
        make_row(status="abandoned", cost=Decimal("0.03")),
    ]
    totals = count_totals(rows)
    assert (Decimal("0.04"), Decimal("0.45"), 1) == (totals.spent, totals.at_risk, totals.unpriced)


def test_every_job_is_counted_once(make_row) -> None:
    """Statuses are listed in their order, whatever that of the jobs, and each belongs to one tone."""
    statuses = ("planned", "failed", "succeeded", "accepted", "expired", "failed", "unconfirmed")
    totals = count_totals([make_row(status=status) for status in statuses])
    assert ["succeeded", "unconfirmed", "failed", "expired", "accepted", "planned"] == list(totals.statuses)
    assert 7 == totals.jobs == sum(totals.of(tone) for tone in Tone)
    assert {"failed": 2, "expired": 1} == totals.kinds(Tone.BAD)
    assert 2 == totals.of(Tone.OPEN)


def test_every_status_has_a_tone() -> None:
    """A report lists each status that a job can have, once."""
    assert sorted(JobStatus) == sorted(STATUSES)


def test_times(make_row) -> None:
    """A run lasts from the first submission to the last thing that happened; only what succeeded has a usual time."""
    rows = [
        make_row(sent_at=10.0, finished_at=14.0, saved_at=15.0),
        make_row(sent_at=12.0, finished_at=18.0),
        make_row(sent_at=13.0, finished_at=99.0, status="failed"),
        make_row(sent_at=20.0, finished_at=19.0),  # the clock was set back
        make_row(),
    ]
    totals = count_totals(rows)
    assert (10.0, 99.0, 89.0, 4.0) == (totals.began_at, totals.ended_at, totals.elapsed, totals.took)


def test_nothing_happened(make_row) -> None:
    """Without times there is neither an elapsed time nor a usual one."""
    for rows in ([], [make_row(status="planned")]):
        totals = count_totals(rows)
        assert (None, None, Decimal()) == (totals.elapsed, totals.took, totals.spent)


def test_causes_are_grouped(make_row) -> None:
    """The most frequent cause comes first; what succeeded or is unconfirmed has none."""
    rows = [
        make_row(status="failed", cause="late"),
        make_row(status="failed", cause="not allowed", advice="change it"),
        make_row(status="failed", failure="refused", cause="not allowed", advice="change it"),
        make_row(status="cancelled"),
        make_row(status="unconfirmed", cause="lost"),
        make_row(),
    ]
    assert [
        ("not allowed", "change it", 2),
        ("late", "", 1),
        ("cancelled, without a known cause", "", 1),
    ] == [(cause.cause, cause.advice, cause.jobs) for cause in count_causes(rows)]
