"""Replicate from the public API to the wire: what it bills, what it removes, and what is never sent twice."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from kling_async import ImageInput, Job, Shot, VideoInput
from kling_async.errors import (
    AnswerLost,
    AuthenticationError,
    BadRequest,
    ContentRejected,
    DownloadError,
    InputError,
    InsufficientBalance,
    KlingError,
    PredictionFailed,
)
from kling_async.journal.memory import MemoryJournal
from kling_async.testing import Fixed
from kling_async.types.prediction import FailureKind, Status

from ..conftest import OpenClient

pytestmark = pytest.mark.anyio

PROVIDER = "replicate"
A, C = "https://example.com/a.png", "https://example.com/a.mp4"


def names(folder: Path) -> set[str]:
    """Return the names of the files of a folder."""
    return {path.name for path in folder.iterdir()}


async def test_a_video_is_generated_and_downloaded(open_client: OpenClient, tmp_path: Path) -> None:
    """One submission, its price, and a file with the video."""
    async with open_client(provider=PROVIDER, video_latency=Fixed(60)) as at:
        prediction = await at.client.generate(VideoInput("a dog", model="kling-3.0-std", sound=True), key="dog")
        assert (Status.SUCCEEDED, "kling-3.0-std", Decimal("1.26")) == (
            prediction.status,
            prediction.model,
            prediction.cost,
        )
        assert 60.0 == prediction.timings.inference_seconds
        [path] = await at.client.download(prediction, tmp_path)
        assert ("dog-0.mp4", b"ftyp") == (path.name, path.read_bytes()[4:8])
        assert (1, Decimal("1.26")) == (at.sandbox.submits, at.sandbox.spent)


INPUTS = {
    "text": VideoInput("a dog", aspect_ratio="9:16"),
    "frames": VideoInput("a dog", model="kling-o1-pro", image=A, last_image=A, duration=10),
    "references": VideoInput("a dog", images=[A] * 4, video=C, scene="reference-to-video", duration=3),
    "an edit": VideoInput("a dog", model="kling-3.0-omni-pro", video=C, scene="video-edit"),
    "shots": VideoInput("a dog", model="kling-3.0-omni-std", duration=5, shots=[Shot("a", 2), Shot("b", 3)]),
    "4k": VideoInput("a dog", model="kling-3.0-4k", image=A, negative_prompt="rain"),
    "2.6": VideoInput("a dog", model="kling-2.6-pro", sound=False),
    "2.5": VideoInput("a dog", model="kling-2.5-turbo-pro", image=A, last_image=A),
    "2.1": VideoInput("a dog", model="kling-2.1-pro", image=A, last_image=A),
    "2.1 master": VideoInput("a dog", model="kling-2.1-master", image=A),
}


@pytest.mark.parametrize("input", INPUTS.values(), ids=list(INPUTS))
async def test_every_operation_is_taken_by_a_strict_sandbox(open_client: OpenClient, input: VideoInput) -> None:
    """What the table allows is what the documents describe, at the same price where it is exact."""
    async with open_client(provider=PROVIDER) as at:
        assert (await at.client.generate(input)).succeeded
        cost = at.client.estimate([input], provider=PROVIDER)
        assert cost.low <= at.sandbox.spent <= cost.high


async def test_an_image_is_not_sent(open_client: OpenClient) -> None:
    """Replicate has no image model, and the error says so."""
    async with open_client(provider=PROVIDER) as at:
        with pytest.raises(InputError, match="Replicate has no image model"):
            await at.client.generate(ImageInput("a cat"))
        assert 0 == at.sandbox.submits


async def test_a_batch_is_saved_and_failures_are_told_apart(open_client: OpenClient, tmp_path: Path) -> None:
    """Each job ends with a file, or with the cause of its failure."""
    flagged = "The input or output was flagged as sensitive. (E005)"
    jobs = [
        Job(VideoInput("a dog"), key="good"),
        Job(VideoInput("a [[failed:CUDA out of memory]]"), key="failed"),
        Job(VideoInput(f"a [[failed:{flagged}]]"), key="flagged"),
        Job(VideoInput("a [[cancelled]]"), key="cancelled"),
        Job(VideoInput("a [[empty]]"), key="empty"),
        Job(VideoInput("a [[refused]]"), key="refused"),
    ]
    async with open_client(provider=PROVIDER) as at, at.client.batch(jobs, save_to=tmp_path) as batch:
        outcomes = {outcome.job.key: outcome async for outcome in batch}
        assert 5 == at.sandbox.billed()
    kinds = {
        key: outcome.prediction.failure and outcome.prediction.failure.kind
        for key, outcome in outcomes.items()
        if outcome.prediction is not None
    }
    assert {
        "good": None,
        "failed": FailureKind.FAILED,
        "flagged": FailureKind.CONTENT_REJECTED,
        "cancelled": FailureKind.CANCELLED,
        "empty": FailureKind.NO_OUTPUT,
    } == kinds
    assert isinstance(outcomes["refused"].error, ContentRejected)
    assert {"good-0.mp4"} == names(tmp_path)


REFUSALS: dict[str, type[KlingError]] = {
    "refused": ContentRejected,
    "bad_request": BadRequest,
    "unauthorized": AuthenticationError,
    "no_balance": InsufficientBalance,
}


@pytest.mark.parametrize(("fault", "error"), REFUSALS.items(), ids=list(REFUSALS))
async def test_a_refusal_is_not_billed(open_client: OpenClient, fault: str, error: type[KlingError]) -> None:
    """Each refusal is the error of its meaning, and nothing was started."""
    async with open_client(provider=PROVIDER) as at:
        with pytest.raises(error) as caught:
            await at.client.generate(VideoInput(f"a dog [[{fault}]]"))
        assert not caught.value.may_be_billed
        assert (1, 0) == (at.sandbox.submits, at.sandbox.billed())


LOST = ["lost", "garbled", "no_id", "error_504", "error_500", "error_503", "html"]


@pytest.mark.parametrize("fault", LOST)
async def test_a_lost_answer_is_not_sent_again(open_client: OpenClient, fault: str) -> None:
    """A repeat would buy again, so an answer that says neither yes nor no leaves the submission unconfirmed."""
    async with open_client(provider=PROVIDER) as at:
        prompt = f"a dog [[{fault}]]"
        with pytest.raises(AnswerLost):
            await at.client.generate(VideoInput(prompt))
        assert 1 == at.sandbox.submits
        assert at.sandbox.billed(prompt) <= 1


async def test_a_throttled_submission_waits_as_long_as_the_message_says(open_client: OpenClient) -> None:
    """Without Retry-After, the 30 seconds in the text of the 429 are what is waited."""
    async with open_client(provider=PROVIDER, retry_after=None, video_latency=Fixed(0)) as at:
        prediction = await at.client.generate(VideoInput("a dog [[rate_limited]]"))
        assert prediction.succeeded
        first, second = [one for one in at.sandbox.log if one.kind == "submit"]
        assert (429, 201) == (first.status, second.status)
        assert 30.0 <= second.at - first.at < 60.0
        assert 1 == at.sandbox.billed()


async def test_a_throttled_poll_is_asked_again(open_client: OpenClient) -> None:
    """A 429 to a poll costs nothing but time."""
    async with open_client(provider=PROVIDER) as at:
        assert (await at.client.generate(VideoInput("a dog [[poll_rate_limited:2]] [[poll_error_503]]"))).succeeded
        assert 1 == at.sandbox.submits


async def test_a_prediction_is_cancelled(open_client: OpenClient) -> None:
    """What is running ends as canceled, and keeps its price, since it is billed; a finished one stays as it is."""
    async with open_client(provider=PROVIDER, video_latency=Fixed(600)) as at:
        prediction = await at.client.submit(VideoInput("a dog"))
        await at.clock.sleep(10)
        seen = await at.client.cancel(prediction)
        assert (Status.CANCELLED, "canceled", Decimal("0.420")) == (seen.status, seen.native_status, seen.cost)
        assert Status.CANCELLED is (await at.client.wait(prediction)).status
        late = await at.client.submit(VideoInput("a cat"))
        await at.clock.sleep(601)
        assert (await at.client.cancel(late)).succeeded
        assert 2 == at.sandbox.billed()


async def test_outputs_that_were_removed_are_said_to_be(open_client: OpenClient, tmp_path: Path) -> None:
    """An hour after the end a poll and a download both say that the outputs were removed, and buy nothing."""
    journal = MemoryJournal()
    async with open_client(provider=PROVIDER, video_latency=Fixed(60), journal=journal) as at:
        prediction = await at.client.generate(VideoInput("a dog"), key="dog")
        await at.clock.sleep(3601)
        seen = await at.client.refresh(prediction)
        assert Status.EXPIRED is seen.status
        assert seen.failure is not None
        assert (FailureKind.EXPIRED, Decimal("0.420")) == (seen.failure.kind, seen.cost)
        with pytest.raises(DownloadError, match="has removed the outputs since") as caught:
            await at.client.download(prediction, tmp_path)
        assert prediction.id == caught.value.id
        assert set() == names(tmp_path)
        with pytest.raises(PredictionFailed, match="has removed the outputs since") as again:
            await at.client.generate(VideoInput("a dog"), key="dog")
        assert prediction.id == again.value.id
        assert 1 == at.sandbox.submits


async def test_a_job_whose_files_are_saved_stays_finished(open_client: OpenClient, tmp_path: Path) -> None:
    """That the provider has removed the outputs since takes nothing from a job that has its files."""
    journal = MemoryJournal()
    async with open_client(provider=PROVIDER, journal=journal) as at:
        for _ in range(2):
            async with at.client.batch([Job(VideoInput("a dog"), key="dog")], save_to=tmp_path) as batch:
                [outcome] = [outcome async for outcome in batch]
            assert outcome.ok
            assert {"dog-0.mp4"} == names(tmp_path)
            await at.clock.sleep(3601)
            assert Status.EXPIRED is (await at.client.refresh(outcome.result())).status
        assert 1 == at.sandbox.submits


async def test_a_wait_that_comes_too_late_says_that_the_outputs_were_removed(open_client: OpenClient) -> None:
    """A prediction that is first asked for after an hour has expired, was billed, and says why."""
    async with open_client(provider=PROVIDER, video_latency=Fixed(60)) as at:
        prediction = await at.client.submit(VideoInput("a dog"))
        await at.clock.sleep(7200)
        seen = await at.client.wait(prediction)
        assert (Status.EXPIRED, "succeeded", ()) == (seen.status, seen.native_status, seen.outputs)
        error = PredictionFailed(seen)
        assert "has removed the outputs since" in str(error)
        assert error.may_be_billed
