"""The figures of targets that are compared, and their columns in the report."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from kling_async import ImageInput, InsufficientBalance, Outcome, Prediction, Status, matrix
from kling_async.runs.report.comparison import compare_targets, figures, target_of
from kling_async.runs.report.grid import layout_grids
from kling_async.runs.report.page import render
from kling_async.runs.report.summary import RunSummary
from kling_async.runs.results import row_from_outcome

SENT = 1_795_168_800.0


@pytest.fixture
def compared(make_row):
    """Make the rows of two prompts at three targets, of which the last succeeds once and refuses once."""

    def making():
        rows = []
        for prompt in ("fox", "owl"):
            for place, (provider, model, cost) in enumerate(
                [("fal", "kling-image-o1", "0.03"), ("wavespeed", "kling-image-o1", None), ("fal", None, "0.05")]
            ):
                labels = {"row": prompt, "provider": provider} | ({} if model is None else {"model": model})
                own = {"fal": "fal-ai/kling-image/o1", "wavespeed": "kling-image-o1"}[provider]
                refused = {"status": "failed", "failure": "refused", "cause": "no", "cost": None}
                rows.append(
                    make_row(
                        key=f"{prompt}-{place}",
                        position=len(rows),
                        prompt=f"a {prompt}",
                        provider=provider,
                        model=own,
                        labels=labels,
                        sent_at=SENT,
                        finished_at=SENT + 4 + place,
                        **(refused if place == 2 and prompt == "owl" else {"cost": cost and Decimal(cost)}),
                    )
                )
        return rows

    return making


def test_figures_of_each_target(compared) -> None:
    """Each target has its jobs, failures by kind, median time, money, and money per success; unknown is not 0."""
    targets = compare_targets(compared())
    assert ["fal:kling-image-o1", "wavespeed:kling-image-o1", "fal"] == [one.target for one in targets]
    assert [Decimal("0.03"), None, Decimal("0.05")] == [one.per_success for one in targets]
    assert {
        "succeeded": ["2 of 2", "2 of 2", "1 of 2"],
        "failed": ["–", "–", "1 refused"],
        "median time": ["4 s", "5 s", "6 s"],
        "spent": ["$0.06", "unknown", "$0.05"],
        "per success": ["$0.03", "–", "$0.05"],
    } == figures(targets)


def test_what_failed_is_paid_by_what_succeeded(make_row) -> None:
    """A failure that was charged raises the cost of a success; what may be charged and what is open are told apart."""
    at = {"provider": "gptproto", "labels": {"provider": "gptproto"}}
    rows = [
        make_row(**at, cost=Decimal("0.02")),
        make_row(**at, status="failed", failure="content_rejected", cost=Decimal("0.02")),
        make_row(**at, status="unconfirmed", cost=Decimal("0.02")),
        make_row(**at, status="planned", cause="Account balance not enough"),
        make_row(provider="fal", labels={"provider": "fal"}),
    ]
    first, _ = compare_targets(rows)
    assert {
        "succeeded": "1 of 4",
        "failed": "1 content_rejected, 1 unconfirmed",
        "unfinished": "1 planned",
        "median time": "–",
        "spent": "$0.04, possibly $0.02 more",
        "per success": "$0.04",
    } == first.facts()
    assert {"Account balance not enough": 1} == first.causes


@pytest.mark.parametrize(
    ("labels", "target"),
    [
        ({}, None),
        ({"provider": "gptproto"}, "gptproto"),
        ({"model": "kling-image-o1"}, "kling-image-o1"),
        ({"provider": "fal"}, None),
        ({"model": "sedan"}, None),
    ],
)
def test_labels_name_a_target_only_where_the_job_runs_there(make_row, labels, target) -> None:
    """A label of the user's own that is called model is no target."""
    assert target == target_of(make_row(provider="gptproto", model="kling-image-o1", labels=labels))


def test_a_row_for_each_prompt_and_a_column_for_each_target(compared, make_row) -> None:
    """The table has a column for each target, in the order of the jobs; other jobs are laid out as usual."""
    other = make_row(key="other")
    [grid], others = layout_grids([*compared(), other])
    assert ("fal:kling-image-o1", "wavespeed:kling-image-o1", "fal") == grid.columns
    assert [("a fox", ["fox-0", "fox-1", "fox-2"]), ("a owl", ["owl-0", "owl-1", "owl-2"])] == [
        (heading, [row.key for cell in cells for row in cell]) for heading, cells in grid.lines
    ]
    assert [other] == others


def test_one_target_is_no_comparison(compared) -> None:
    """Jobs at one target only are laid out as other jobs are."""
    rows = [row for row in compared() if row.labels.get("model") and row.provider == "fal"]
    assert [] == compare_targets(rows)
    assert ([], rows) == layout_grids(rows)


def test_a_run_of_python_is_compared(read) -> None:
    """Outcomes of a matrix with an axis of providers make the columns, those that were refused among them."""
    jobs = matrix(ImageInput("a {animal}"), animal=["fox", "owl"], provider=["fal", "wavespeed"])
    models = {"fal": "fal-ai/kling-image/o1", "wavespeed": "kling-image-o1"}
    outcomes = [
        Outcome(job=job, error=InsufficientBalance("no money"))
        if job.provider == "wavespeed"
        else Outcome(
            job=job,
            prediction=Prediction(
                provider=str(job.provider),
                model=models[str(job.provider)],
                id=str(job.key),
                status=Status.SUCCEEDED,
                native_status="",
                cost=Decimal("0.03"),
            ),
        )
        for job in jobs
    ]
    rows = [row_from_outcome(outcome, position) for position, outcome in enumerate(outcomes)]
    assert {"succeeded": ["2 of 2", "0 of 2"], "spent": ["$0.06", "$0.00"]}.items() <= figures(
        compare_targets(rows)
    ).items()
    page = "".join(render(RunSummary.of(rows), title="t", made_at=datetime(2026, 11, 21, tzinfo=UTC), version="0"))
    text = "".join(read(page).text.split())
    assert "falwavespeedSucceeded2of20of2" in text
    assert "2×nomoney" in text
