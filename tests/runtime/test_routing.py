"""The choice between several providers of a batch."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from kling_async import ImageInput, VideoInput
from kling_async.errors import InputError

from ..conftest import OpenClient

BOTH = ("gptproto", "apiinone")


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("prices", "expected"),
    [
        ({"kling-image-o1": 0.5}, {"gptproto"}),  # a price of the user's holds everywhere, so the load decides
        ({}, {"apiinone"}),  # unknown at GPTProto
    ],
)
async def test_the_cheapest_provider_gets_each_job(
    open_client: OpenClient, prices: dict[str, float], expected: set[str]
) -> None:
    """Of those that take a job the cheapest gets it; an unknown price ranks last."""
    async with open_client(balance=Decimal(100)) as at:
        jobs = [ImageInput(f"a cat {number}") for number in range(1)]
        outcomes = await at.client.map(jobs, provider=BOTH, prefer="cheapest", prices=prices)
        assert expected == {outcome.result().provider for outcome in outcomes}


@pytest.mark.anyio
async def test_the_least_loaded_provider_is_the_default(open_client: OpenClient) -> None:
    """Without a preference the jobs are spread, whatever they cost."""
    async with open_client(balance=Decimal(100)) as at:
        jobs = [ImageInput(f"a cat {number}") for number in range(8)]
        outcomes = await at.client.map(jobs, provider=BOTH)
        assert set(BOTH) == {outcome.result().provider for outcome in outcomes}


@pytest.mark.anyio
async def test_a_provider_that_refuses_the_input_is_not_cheap(open_client: OpenClient) -> None:
    """Only providers that take a job are compared."""
    async with open_client(balance=Decimal(100)) as at:
        [outcome] = await at.client.map([VideoInput("a dog", model="kling-2.6-pro")], provider=BOTH, prefer="cheapest")
        assert "gptproto" == outcome.result().provider


@pytest.mark.anyio
async def test_an_unknown_preference_is_refused(open_client: OpenClient) -> None:
    """A misspelt preference is named before anything is sent."""
    async with open_client() as at:
        wrong: Any = "cheap"
        with pytest.raises(InputError, match="prefer='cheap': must be one of least_loaded, cheapest"):
            at.client.batch([ImageInput("a cat")], prefer=wrong)
