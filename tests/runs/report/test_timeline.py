"""The picture of how many jobs stood where."""

from __future__ import annotations

import re
from xml.etree import ElementTree as ET  # what is read here was written here

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kling_async.runs.report import ReportRow
from kling_async.runs.report.timeline import STATES, count_states, draw_timeline
from kling_async.types.status import JobStatus

TIMES = st.none() | st.floats(allow_nan=True, allow_infinity=True) | st.floats(1e9, 2e9)


def job(status, *times):
    told = dict.fromkeys(("key", "provider", "model", "prompt"), "")
    when = dict(zip(("sent_at", "accepted_at", "finished_at", "saved_at"), times, strict=True))
    return ReportRow(**told, **when, position=0, kind="image", status=JobStatus(status))


def test_a_job_passes_through_its_states() -> None:
    """Each job stands in one state at a time, from the moment at which the journal says so."""
    rows = [job("succeeded", 0.0, 1.0, 3.0, 4.0), job("planned", None, None, None, None)]
    timeline = count_states(rows, moments=5)
    assert timeline is not None
    assert {
        "succeeded": (0, 0, 0, 0, 1),
        "saving": (0, 0, 0, 1, 0),
        "accepted": (0, 1, 1, 0, 0),
        "submitting": (1, 0, 0, 0, 0),
        "planned": (1, 1, 1, 1, 1),
    } == timeline.counts


@pytest.mark.parametrize(
    ("row", "state"),
    [
        (job("failed", 2.0, 3.0, 4.0, None), "failed"),
        (job("failed", 2.0, None, None, None), "failed"),
        (job("failed", None, None, None, None), "failed"),
        (job("expired", 2.0, 3.0, 4.0, None), "failed"),
        (job("cancelled", 2.0, 3.0, 4.0, None), "failed"),
        (job("abandoned", 2.0, None, None, None), "failed"),
        (job("unconfirmed", 2.0, None, None, None), "unconfirmed"),
        (job("succeeded", 2.0, 3.0, 4.0, None), "succeeded"),
        (job("accepted", 2.0, 3.0, None, None), "accepted"),
        (job("accepted", 2.0, None, None, None), "submitting"),
        (job("submitting", 2.0, None, None, None), "submitting"),
        (job("planned", None, None, None, None), "planned"),
        (job("planned", 2.0, 3.0, None, None), "accepted"),
    ],
)
def test_every_job_ends_where_its_status_says(row, state) -> None:
    """The last moment shows each job as the totals do."""
    timeline = count_states([row, job("succeeded", 0.0, 1.0, 2.0, 9.0)])
    assert timeline is not None
    last = {name: column[-1] - (name == "succeeded") for name, column in timeline.counts.items()}
    assert {state: 1} == {name: count for name, count in last.items() if count}


@given(st.lists(st.builds(job, st.sampled_from(JobStatus), TIMES, TIMES, TIMES, TIMES), max_size=8))
def test_no_job_is_lost_or_doubled(rows) -> None:
    """At each moment every job is somewhere, whatever the clocks said, and the picture can be drawn."""
    timeline = count_states(rows, moments=7)
    if timeline is None:
        assert not any(row.times for row in rows)
        return
    assert set(timeline.counts) <= set(STATES)
    for moment in range(7):
        assert len(rows) == sum(column[moment] for column in timeline.counts.values())
    assert min(min(column) for column in timeline.counts.values()) >= 0
    drawn = draw_timeline(timeline)
    ET.fromstring(drawn)  # noqa: S314
    assert "nan" not in drawn
    assert "inf" not in drawn


def test_the_peak_is_exact() -> None:
    """It is counted between the moments, too; a job that begins as another ends was never beside it."""
    rows = [job("succeeded", at, at, at + 0.5, at + 0.6) for at in (1.0, 1.1, 1.2, 50.0, 50.5, 99.0)]
    timeline = count_states(rows, moments=3)
    assert timeline is not None
    assert 3 == timeline.peak
    assert 1 == max(timeline.counts["accepted"], default=0)
    alone = count_states(rows[3:5])
    assert alone is not None
    assert 1 == alone.peak


def test_nothing_happened() -> None:
    """Without any time there is no picture."""
    assert count_states([]) is None
    assert count_states([job("planned", None, None, None, None)]) is None


def test_one_path_a_state(sample_run) -> None:
    """Each state is one path, the layers fill the picture, and 5,000 jobs make it no larger than a few kilobytes."""
    timeline = count_states(sample_run.build_run(5_000))
    assert timeline is not None
    drawn = draw_timeline(timeline)
    areas = [path for path in ET.fromstring(drawn).iter("path") if path.get("class") != "line"]  # noqa: S314
    assert [path.get("class") for path in areas] == list(timeline.counts)
    assert " 0.0L" in (areas[-1].get("d") or "") or "M0 0.0" in (areas[-1].get("d") or "")
    assert len(drawn) < 40_000


@pytest.mark.parametrize("lasted", [0.0, 0.4, 3.0, 59.0, 3_600.0, 86_400.0 * 3, 86_400.0 * 400])
def test_marks_of_time_are_few_and_round(lasted) -> None:
    """There are at most eight marks, from the beginning on, however long the run took."""
    timeline = count_states([job("succeeded", 1e9, 1e9, 1e9 + lasted, 1e9 + lasted)])
    assert timeline is not None
    marks = re.findall(r'<text x="[\d.]+%" y="100%" dy="20">([^<]+)<', draw_timeline(timeline))
    assert len(marks) <= 8
    assert marks[:1] == (["0 s"] if lasted else [])


@pytest.mark.parametrize(
    ("jobs", "counts"),
    [
        (1, "0 1"),
        (7, "0 2 4 6 7"),
        (40, "0 10 20 30 40"),
        (500, "0 100 200 300 400 500"),
        (5_100, "0 2,000 4,000 5,100"),
    ],
)
def test_marks_of_counts_keep_their_distance(jobs, counts) -> None:
    """There is a line at none, at all, and at round numbers between."""
    timeline = count_states([job("succeeded", 0.0, 1.0, 2.0, 3.0)] * jobs)
    assert timeline is not None
    assert counts.split() == re.findall(r'class="count">([\d,]+)<', draw_timeline(timeline))
