"""The result of one job of a batch."""

from __future__ import annotations

from pathlib import PurePath
from typing import Any

import pytest

from kling_async.errors import DownloadError, InputError, KlingError, PredictionFailed, RateLimited
from kling_async.types.inputs import ImageInput
from kling_async.types.jobs import Job, Outcome, as_job
from kling_async.types.prediction import Output, OutputKind, Prediction, Status

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


def test_the_result_of_a_success_is_its_prediction() -> None:
    """A job that is ok returns its prediction."""
    prediction = ended(Status.SUCCEEDED)
    assert prediction is Outcome(job=JOB, prediction=prediction).result()


@pytest.mark.parametrize("prediction", [None, ended(Status.SUCCEEDED)])
def test_the_result_of_an_error_raises_it(prediction: Prediction | None) -> None:
    """A job with an error raises that very error, also where the prediction succeeded."""
    error = DownloadError("HTTP 404")
    with pytest.raises(DownloadError) as caught:
        Outcome(job=JOB, prediction=prediction, error=error).result()
    assert error is caught.value


def test_the_result_of_a_failure_raises() -> None:
    """A prediction that did not succeed becomes an error of the outcome."""
    with pytest.raises(PredictionFailed):
        Outcome.from_job(JOB, ended(Status.FAILED), None).result()


@pytest.mark.parametrize("prediction", [None, ended(Status.RUNNING)])
def test_without_prediction_and_error_there_is_no_result(prediction: Prediction | None) -> None:
    """An outcome made by hand, without a success and without an error, has no result to return."""
    with pytest.raises(RuntimeError, match="'cat' has neither"):
        Outcome(job=JOB, prediction=prediction).result()


def test_files_are_kept() -> None:
    """The saved files are an attribute."""
    files = (PurePath("out/cat-0.png"),)
    assert files == Outcome(job=JOB, prediction=ended(Status.SUCCEEDED), files=files).files


def test_a_notebook_shows_outputs_and_nothing_that_runs() -> None:
    """Predictions and outcomes show their first 24 outputs and count the rest; hostile text stays inert."""
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
    html = outcome._repr_html_()  # pyright: ignore[reportPrivateUsage] - the name is IPython's
    assert (22, 1) == (html.count("<img "), html.count("<video "))
    assert "and 6 more" in html
    assert "the disk is full" in html
    assert "<script" not in html
    assert 'src="javascript' not in html


@pytest.mark.parametrize("wrong", ["a cat", None, {"prompt": "a cat"}])
def test_a_job_is_of_an_input(wrong: Any) -> None:
    """A job of anything but an input is refused when it is made, not when it is to be sent."""
    with pytest.raises(InputError, match="input=.*: must be an ImageInput or a VideoInput"):
        Job(wrong, key="cat")


def test_an_input_is_a_job_without_a_key() -> None:
    """Lists of jobs may hold inputs, and a job stays the object that it is."""
    assert Job(ImageInput("a cat")) == as_job(ImageInput("a cat"), position=0)
    assert JOB is as_job(JOB, position=0)


def test_an_item_that_is_no_job_is_named() -> None:
    """The fault says at which position of the list the item stands."""
    with pytest.raises(InputError, match=r"position 3 is not a job: jobs\[3\]='a cat': must be Job"):
        as_job("a cat", position=3)
