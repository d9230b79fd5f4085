"""The client at WaveSpeedAI, from a call to the file, against the sandbox."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from kling_async import (
    AnswerLost,
    AuthenticationError,
    ContentRejected,
    ImageInput,
    InputError,
    Job,
    KlingError,
    OutputKind,
    PredictionFailed,
    RateLimited,
    Status,
    Unsupported,
    VideoInput,
)
from kling_async.providers import PROVIDERS
from kling_async.testing import Fixed
from kling_async.types.inputs import Input

from ..conftest import OpenClient
from ..providers.test_wavespeed import PRICES, REQUESTS

pytestmark = pytest.mark.anyio

VIDEO = VideoInput("a dog", model="kling-4.0", resolution="1080p", duration=10)


async def test_an_image_and_a_video_are_made_and_saved(open_client: OpenClient, tmp_path: Path) -> None:
    """A call submits, polls and returns the outputs at the published price, and a download saves them."""
    async with open_client(provider="wavespeed") as at:
        image = await at.client.generate(ImageInput("a cat", n=2), key="cat")
        assert (Status.SUCCEEDED, "completed", "kling-image-o1", Decimal("0.056")) == (
            image.status,
            image.native_status,
            image.model,
            image.cost,
        )
        assert [OutputKind.IMAGE] * 2 == [one.kind for one in image.outputs]
        video = await at.client.generate(VIDEO)
        assert ("kling-v4.0", Decimal("2.35")) == (video.model, video.cost)
        assert [OutputKind.VIDEO] == [one.kind for one in video.outputs]
        files = [*await at.client.download(image, tmp_path), *await at.client.download(video, tmp_path)]
    assert [".png", ".png", ".mp4"] == [file.suffix for file in files]
    assert all(file.stat().st_size for file in files)
    assert (2, Decimal("2.406")) == (at.sandbox.billed(), at.sandbox.spent)


@pytest.mark.parametrize("input", [input for input, _, _ in REQUESTS.values()], ids=list(REQUESTS))
async def test_each_request_is_one_that_the_schemas_allow(open_client: OpenClient, input: Input) -> None:
    """What the table builds passes the sandbox, which checks the schemas a second time and allows no other field."""
    async with open_client(provider="wavespeed") as at:
        assert (await at.client.generate(input)).status is Status.SUCCEEDED
        assert 1 == at.sandbox.billed()


@pytest.mark.parametrize(("input", "cost"), PRICES.values(), ids=list(PRICES))
async def test_an_estimate_is_what_is_charged(open_client: OpenClient, input: Input, cost: str | None) -> None:
    """Where a price is published, the sandbox charges what the table says."""
    async with open_client(provider="wavespeed") as at:
        await at.client.submit(input)
        assert cost is None or Decimal(cost) == at.sandbox.spent


async def test_a_batch_of_both_kinds(open_client: OpenClient, tmp_path: Path) -> None:
    """Many jobs run under a budget, each is charged once, and a failed one is refunded and costs nothing."""
    jobs = [
        *(Job(ImageInput(f"cat {number}"), key=f"cat-{number}") for number in range(8)),
        Job(VideoInput("a fox", model="kling-3.0-std"), key="fox"),
        Job(ImageInput("rain [[failed:bad weather]]"), key="rain"),
    ]
    async with (
        open_client(provider="wavespeed") as at,
        at.client.batch(jobs, save_to=tmp_path, max_cost=Decimal(1)) as batch,
    ):
        outcomes = {outcome.job.key: outcome async for outcome in batch}
    rain = outcomes.pop("rain")
    assert all(outcome.ok and outcome.files for outcome in outcomes.values())
    error = rain.error
    assert isinstance(error, PredictionFailed)
    assert ("1405", "bad weather") == (error.code, error.prediction.failure and error.prediction.failure.message)
    assert Decimal(0) == error.prediction.cost
    assert (10, Decimal("0.644")) == (at.sandbox.submits, at.sandbox.spent)


REFUSALS: dict[str, type[KlingError]] = {
    "refused": ContentRejected,
    "unauthorized": AuthenticationError,
}


@pytest.mark.parametrize(("fault", "kind"), REFUSALS.items())
async def test_a_refusal_is_raised_and_costs_nothing(
    open_client: OpenClient, fault: str, kind: type[KlingError]
) -> None:
    """What the provider refuses was not billed, and is not submitted again."""
    async with open_client(provider="wavespeed") as at:
        with pytest.raises(kind) as caught:
            await at.client.generate(ImageInput(f"a cat [[{fault}]]"), key="cat")
    assert ("wavespeed", "cat", False) == (caught.value.provider, caught.value.key, caught.value.may_be_billed)
    assert (1, 0) == (at.sandbox.submits, at.sandbox.billed())


@pytest.mark.parametrize("fault", ["lost", "garbled", "no_id", "error_504", "hang"])
async def test_a_lost_answer_is_billed_once_and_never_repeated(open_client: OpenClient, fault: str) -> None:
    """No id came back though the work runs: it is reported as unconfirmed, and a repeat would buy it again."""
    async with open_client(provider="wavespeed", request_timeout=1.0) as at:
        with pytest.raises(AnswerLost) as caught:
            await at.client.generate(ImageInput(f"a cat [[{fault}]]"), key="cat")
    assert caught.value.may_be_billed
    assert (1, 1) == (at.sandbox.submits, at.sandbox.billed())
    assert "buys_again" == PROVIDERS["wavespeed"].repeat(ImageInput("a cat")).value


async def test_too_many_requests_are_waited_for(open_client: OpenClient) -> None:
    """A submission over the rate is refused, nothing is started, and it is submitted anew after the time asked for."""
    async with open_client(provider="wavespeed", retry_after="30", image_latency=Fixed(1.0)) as at:
        done = await at.client.generate(ImageInput("a cat [[rate_limited]]"))
        assert done.status is Status.SUCCEEDED
        assert at.clock.now() >= 30
        with pytest.raises(RateLimited):
            await at.client.submit(ImageInput("a dog [[rate_limited:100]]"))
    assert (1, [429, 200]) == (at.sandbox.billed(), [one.status for one in at.sandbox.log if one.kind == "submit"][:2])


async def test_the_limits_of_the_lowest_level_are_kept(open_client: OpenClient) -> None:
    """By default two submissions leave in a minute, and two predictions are open, as a new account allows."""
    limits = PROVIDERS["wavespeed"].limits
    settings: dict[str, Any] = {"submit_per_second": 2 / 60, "submit_burst": 2, "slots": 2, "image_latency": Fixed(5.0)}
    async with (
        open_client(provider="wavespeed", limits=limits, **settings) as at,
        at.client.batch([ImageInput(f"cat {number}") for number in range(6)]) as batch,
    ):
        assert all([outcome.ok async for outcome in batch])
    assert [200] * 6 == [one.status for one in at.sandbox.log if one.kind == "submit"]


async def test_a_submission_in_sync_mode_goes_on_after_5004(open_client: OpenClient) -> None:
    """The code 5004 beside "processing" ends nothing: the prediction is polled, and succeeds."""
    input = VideoInput("a dog", extra={"enable_sync_mode": True})
    async with open_client(provider="wavespeed", request_timeout=200.0, video_latency=Fixed(150.0)) as at:
        done = await at.client.generate(input)
    assert done.status is Status.SUCCEEDED
    assert (1, True) == (at.sandbox.billed(), at.sandbox.polls >= 1)


async def test_a_prediction_cannot_be_cancelled(open_client: OpenClient) -> None:
    """No page documents a cancellation: it is unsupported, nothing is sent, and the prediction goes on."""
    async with open_client(provider="wavespeed") as at:
        accepted = await at.client.submit(ImageInput("a cat"))
        with pytest.raises(Unsupported):
            await at.client.cancel(accepted)
        assert (await at.client.wait(accepted)).status is Status.SUCCEEDED


async def test_a_field_that_a_model_lacks_is_never_sent(open_client: OpenClient) -> None:
    """An input with a field of another model is an error with the field's name, and no request."""
    async with open_client(provider="wavespeed") as at:
        with pytest.raises(InputError, match="last_image"):
            await at.client.generate(
                VideoInput(
                    "a dog", model="kling-2.6-std", image="https://x.test/a.png", last_image="https://x.test/b.png"
                )
            )
    assert 0 == at.sandbox.submits
