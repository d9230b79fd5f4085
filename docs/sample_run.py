"""Generate runs of many jobs, with real images and videos, for screenshots and tests of the report.

The random numbers are seeded: the same run results every time.
"""

from __future__ import annotations

import heapq
import itertools
import random
from collections.abc import Iterable, Iterator
from decimal import Decimal
from importlib.resources import files
from pathlib import Path

from attrs import evolve

from kling_async.runs.report import ReportRow
from kling_async.testing.sandbox.media import draw_png
from kling_async.types.status import JobStatus

__all__ = ["build_matrix", "build_run", "cut_run", "write_files"]

STARTED_AT = 1_795_168_800.0
"""A Friday in November, in seconds of the Unix clock."""

_SUBJECTS = (
    *("a red fox crossing fresh snow", "a lighthouse at dusk", "paper kites over a harbour", "a neon street in rain"),
    *("an old violin on a workbench", "a tram climbing a steep street", "two otters holding hands", "a glass of tea"),
    *("a night market under lanterns", "a heron lifting off a lake", "a clay teapot", "an orchard in blossom"),
    *("雪の中を歩く赤い狐", "一艘小船停在清晨的湖面上", "قطة نائمة على نافذة تطل على البحر", "등대가 있는 해안 풍경"),
)
_MANNERS = (
    *(
        "shot on 35 mm film, low evening sun",
        "soft morning light, shallow depth of field",
        "watercolour on rough paper",
    ),
    *("wide angle, overcast, muted colours", "as a woodcut in two colours", "long exposure, calm and quiet"),
)
_STORY = (
    " The camera starts low on the ground and rises slowly, past wet stones and grass, until the valley lies open;"
    " mist drifts from left to right, a bird crosses the frame once, and the light warms as the sun clears the ridge."
    " No people, no text, no cuts. Keep the palette to greys, moss green and one warm accent, and end on a still frame."
)
_MODELS = (
    ("gptproto", "kling-image-o1", "image", "0.028", 14.0),
    ("gptproto", "kling-video-o1-std", "video", "0.42", 95.0),
    ("apiinone", "kling-image-o1", "image", "0.028", 11.0),
    ("apiinone", "kling-3", "video", None, 120.0),
)
_WEIGHTS = (60, 14, 20, 6)
_FAILURES = (
    (
        JobStatus.FAILED,
        "content_rejected",
        "The provider's check found the content not allowed.",
        "Change the prompt; it is refused again.",
    ),
    (
        JobStatus.FAILED,
        "refused",
        "400: the prompt is longer than 2,500 characters.",
        "Shorten the prompt, then run the job again.",
    ),
    (JobStatus.EXPIRED, "expired", "The provider gave up after an hour.", "Run the job again; it was not charged."),
    (
        JobStatus.CANCELLED,
        "cancelled",
        "It was cancelled at the provider.",
        "Run the job again, if that was a mistake.",
    ),
)
_LOST = "The connection broke before the answer to the submission arrived."
_ADVICE = "Check the provider's history: attach it, resubmit it, or abandon it."


def build_run(jobs: int) -> list[ReportRow]:
    """Return a run of `jobs` jobs, of which at most 24 are open at a time; one in twelve fails."""
    rng = random.Random(jobs)
    free = [STARTED_AT + 0.4 * slot for slot in range(24)]
    return [_job(position, free, rng) for position in range(jobs)]


def _job(position: int, free: list[float], rng: random.Random) -> ReportRow:
    [(provider, model, kind, price, typical)] = rng.choices(_MODELS, _WEIGHTS)
    sent_at = heapq.heappop(free)
    accepted_at = sent_at + rng.uniform(0.3, 1.1)
    finished_at = accepted_at + typical * rng.lognormvariate(0, 0.35)
    saved_at = finished_at + rng.uniform(0.2, 1.5)
    heapq.heappush(free, finished_at)
    key = f"shot-{position + 1:04}"
    suffix, count = ("mp4", 1) if kind == "video" else ("png", 4 if rng.random() < 0.06 else 1)
    row = ReportRow(
        key=key,
        position=position,
        provider=provider,
        model=model,
        kind="video" if kind == "video" else "image",
        prompt=f"{rng.choice(_SUBJECTS)}, {rng.choice(_MANNERS)}" + (_STORY if rng.random() < 0.03 else ""),
        status=JobStatus.SUCCEEDED,
        files=tuple(f"media/{key}-{place}.{suffix}" for place in range(count)),
        sent_at=sent_at,
        accepted_at=accepted_at,
        finished_at=finished_at,
        saved_at=saved_at,
        cost=Decimal(price) * count if price else None,
        attempts=2 if rng.random() < 0.04 else 1,
    )
    luck = rng.random()
    if luck < 0.006 or position == 17:
        return evolve(
            row,
            status=JobStatus.UNCONFIRMED,
            cause=_LOST,
            advice=_ADVICE,
            files=(),
            accepted_at=None,
            finished_at=None,
            saved_at=None,
        )
    if luck < 0.08:
        [(status, failure, cause, advice)] = rng.choices(_FAILURES, (6, 2, 1, 1))
        refused = failure == "refused"
        return evolve(
            row,
            status=status,
            failure=failure,
            cause=cause,
            advice=advice,
            files=(),
            cost=None,
            saved_at=None,
            accepted_at=None if refused else accepted_at,
            finished_at=accepted_at if refused else finished_at,
        )
    return row


def cut_run(rows: Iterable[ReportRow], *, after: float) -> list[ReportRow]:
    """Return a run as it was so many seconds after its start, while it went on."""
    return [_as_of(row, STARTED_AT + after) for row in rows]


def _as_of(row: ReportRow, now: float) -> ReportRow:
    if row.times and max(row.times) <= now:
        return row
    open_row = evolve(row, failure=None, cause=None, advice=None, files=(), finished_at=None, saved_at=None, cost=None)
    if row.accepted_at is not None and row.accepted_at <= now:
        return evolve(open_row, status=JobStatus.ACCEPTED)
    if row.sent_at is not None and row.sent_at <= now:
        return evolve(open_row, status=JobStatus.SUBMITTING, accepted_at=None)
    return evolve(open_row, status=JobStatus.PLANNED, sent_at=None, accepted_at=None)


def build_matrix(**variables: Iterable[str]) -> Iterator[ReportRow]:
    """Return a run of every combination of values, with their names and values as labels."""
    combinations = list(itertools.product(*variables.values()))
    run = (row for row in build_run(4 * len(combinations) + 60) if row.kind == "image" and len(row.files) < 2)
    for position, (values, row) in enumerate(zip(combinations, run, strict=False)):
        key = f"{position + 1:02}-" + "-".join(values).replace(" ", "-")
        yield evolve(
            row,
            key=key,
            position=position,
            prompt=", ".join(reversed(values)),
            labels=dict(zip(variables, values, strict=True)),
            files=tuple(f"media/{key}-0.png" for _ in row.files),
        )


def write_files(rows: Iterable[ReportRow], folder: Path) -> None:
    """Write the files of a run below a directory: images in several shapes, and a video of two seconds.

    Every 48th job has the same image, since drawing 5,000 of them would take a minute.
    """
    clip = (files("kling_async.testing.sandbox") / "clip.mp4").read_bytes()
    shapes = ((320, 320), (320, 180), (180, 320), (320, 240))
    for row in rows:
        width, height = shapes[row.position % len(shapes)]
        for path in row.files:
            target = folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            picture = draw_png(f"{row.position % 48}{target.stem[-2:]}", width=width, height=height)
            target.write_bytes(clip if target.suffix == ".mp4" else picture)
