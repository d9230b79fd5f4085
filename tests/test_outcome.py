"""How one job of many ended."""

from __future__ import annotations

from pathlib import PurePath

import pytest

from kling_async.errors import DownloadError, KlingError, RateLimited
from kling_async.inputs import ImageInput, Job
from kling_async.outcome import Outcome
from kling_async.prediction import Output, OutputKind, Prediction, Status

JOB = Job(ImageInput("a cat"), key="cat")


def ended(status: Status) -> Prediction:
    """Make a prediction with that status."""
    return Prediction(provider="p", model="m", id="i", status=status, native_status="")


@pytest.mark.parametrize("status", list(Status))
def test_only_success_is_ok(status: Status) -> None:
    """A job is ok if its prediction succeeded, and in no other state."""
    assert (status is Status.SUCCEEDED) is Outcome(job=JOB, prediction=ended(status)).ok


@pytest.mark.parametrize("error", [RateLimited("no"), DownloadError("HTTP 404")])
@pytest.mark.parametrize("prediction", [None, ended(Status.SUCCEEDED)])
def test_an_error_is_never_ok(error: KlingError, prediction: Prediction | None) -> None:
    """A success whose files could not be saved is not ok."""
    assert Outcome(job=JOB, prediction=prediction, error=error).ok is False


def test_nothing_is_not_ok() -> None:
    """An outcome without a prediction is no success, and has no files."""
    outcome = Outcome(job=JOB)
    assert (False, (), None) == (outcome.ok, outcome.files, outcome.error)


def test_files_are_kept() -> None:
    """What was downloaded is named."""
    files = (PurePath("out/cat-0.png"),)
    assert files == Outcome(job=JOB, prediction=ended(Status.SUCCEEDED), files=files).files


def test_a_notebook_shows_outputs_and_nothing_that_runs() -> None:
    """Predictions and outcomes show their first 24 outputs and count the rest; hostile words stay inert."""
    hostile = "<script>alert(1)</script>"
    outputs = [Output(url=f"https://a.example/{n}.png", kind=OutputKind.IMAGE) for n in range(30)]
    outputs[0] = Output(url=f'https://a.example/"{hostile}.png', kind=OutputKind.IMAGE)
    outputs[1] = Output(url="javascript:alert(1)", kind=OutputKind.IMAGE)
    outputs[2] = Output(url="https://a.example/fox.mp4", kind=OutputKind.VIDEO)
    prediction = Prediction(
        provider="gptproto", model="m", id="1", key=hostile, status=Status.SUCCEEDED, outputs=tuple(outputs)
    )
    error = DownloadError(f"the disk is full {hostile}")
    outcome = Outcome(job=Job(ImageInput(hostile), key="fox"), prediction=prediction, error=error)
    html = outcome._repr_html_()  # pyright: ignore[reportPrivateUsage] - notebooks name it so
    assert (22, 1) == (html.count("<img "), html.count("<video "))
    assert "and 6 more" in html
    assert "the disk is full" in html
    assert "<script" not in html
    assert 'src="javascript' not in html
