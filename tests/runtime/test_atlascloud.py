"""The client at Atlas Cloud, from a call to the file, against the sandbox."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from kling_async import (
    AnswerLost,
    AuthenticationError,
    ContentRejected,
    KlingError,
    OutputKind,
    PredictionFailed,
    Status,
    Unsupported,
    VideoInput,
)

from ..conftest import OpenClient
from ..providers.test_atlascloud import PRICES, REQUESTS

pytestmark = pytest.mark.anyio


async def test_a_video_is_made_and_saved(open_client: OpenClient, tmp_path: Path) -> None:
    """A call submits, polls and returns the output at the published price, and a download saves it."""
    async with open_client(provider="atlascloud") as at:
        video = await at.client.generate(VideoInput("a dog", duration=10))
        assert ("kling-v3.0-std", Decimal("0.71")) == (video.model, video.cost)
        assert [OutputKind.VIDEO] == [one.kind for one in video.outputs]
        [path] = await at.client.download(video, tmp_path)
    assert ".mp4" == path.suffix
    assert (1, Decimal("0.71")) == (at.sandbox.billed(), at.sandbox.spent)


@pytest.mark.parametrize("input", [input for input, _ in REQUESTS.values()], ids=list(REQUESTS))
async def test_each_request_is_one_that_the_nodes_send(open_client: OpenClient, input: VideoInput) -> None:
    """What the table builds passes the sandbox, which was written a second time and allows no other field."""
    async with open_client(provider="atlascloud") as at:
        assert (await at.client.generate(input)).status is Status.SUCCEEDED
        assert 1 == at.sandbox.billed()


@pytest.mark.parametrize(("input", "cost"), PRICES.values(), ids=list(PRICES))
async def test_an_estimate_is_what_is_charged(open_client: OpenClient, input: VideoInput, cost: str | None) -> None:
    """Where a price is known, the sandbox charges what the table says."""
    async with open_client(provider="atlascloud") as at:
        await at.client.submit(input)
        assert cost is None or Decimal(cost) == at.sandbox.spent


FAULTS: dict[str, tuple[type[KlingError], int]] = {
    "unauthorized": (AuthenticationError, 0),
    "refused": (ContentRejected, 0),
    "lost": (AnswerLost, 1),
    "no_id": (AnswerLost, 1),
}


@pytest.mark.parametrize(("fault", "expected"), FAULTS.items(), ids=list(FAULTS))
async def test_nothing_is_sent_twice(
    open_client: OpenClient, fault: str, expected: tuple[type[KlingError], int]
) -> None:
    """A refusal costs nothing; an answer that is lost may have cost once, and is not sent again."""
    kind, paid = expected
    async with open_client(provider="atlascloud") as at:
        with pytest.raises(kind) as caught:
            await at.client.generate(VideoInput(f"a dog [[{fault}]]"))
        assert (paid, 1) == (at.sandbox.billed(), at.sandbox.submits)
    assert bool(paid) is caught.value.may_be_billed


async def test_a_limit_of_rate_is_waited_for(open_client: OpenClient) -> None:
    """429 started nothing, so the submission goes again, and is charged once."""
    async with open_client(provider="atlascloud") as at:
        assert (await at.client.generate(VideoInput("a dog [[rate_limited]]"))).succeeded
        assert (1, 2) == (at.sandbox.billed(), at.sandbox.submits)


async def test_a_failure_is_free_and_a_cancellation_there_is_none(open_client: OpenClient) -> None:
    """A failed prediction costs nothing, as documented; a call that would cancel one is refused as unsupported."""
    async with open_client(provider="atlascloud") as at:
        with pytest.raises(PredictionFailed) as caught:
            await at.client.generate(VideoInput("rain [[failed:bad weather]]"))
        assert caught.value.prediction.failure is not None
        assert ("1000", "bad weather") == (
            caught.value.prediction.failure.code,
            caught.value.prediction.failure.message,
        )
        assert (Decimal(0), Decimal(0)) == (caught.value.prediction.cost, at.sandbox.spent)
        running = await at.client.submit(VideoInput("a dog"))
        with pytest.raises(Unsupported):
            await at.client.cancel(running)
