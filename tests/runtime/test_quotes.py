"""Live prices: what a provider tells of an input before it is submitted, and what stands in where it tells nothing."""

from __future__ import annotations

import json
import logging
from collections.abc import Awaitable, Callable
from decimal import Decimal

import anyio
import httpx
import pytest

from kling_async import AuthenticationError, Client, ImageInput, InputError, Job, Limits, VideoInput
from kling_async.providers import PROVIDERS
from kling_async.testing import VirtualClock
from kling_async.types.http import HttpResponse
from kling_async.types.inputs import Input

from ..conftest import NO_LIMITS, ORIGIN, OpenClient
from ..providers.test_wavespeed import PRICES, REQUESTS

pytestmark = pytest.mark.anyio

A = "https://x.test/a.png"
CAT, DOG = ImageInput("a cat", n=2), VideoInput("a dog")


@pytest.mark.parametrize("input", [input for input, _, _ in REQUESTS.values()], ids=list(REQUESTS))
async def test_a_live_price_is_what_is_charged(open_client: OpenClient, input: Input) -> None:
    """What a provider quotes, it charges; a quote charges nothing and submits nothing."""
    async with open_client(provider="wavespeed") as at:
        quoted = await at.client.quote([input])
        assert (0, 0) == (at.sandbox.submits, at.sandbox.billed())
        await at.client.submit(input)
        if quoted.live:
            assert (at.sandbox.spent, at.sandbox.spent, 1) == (quoted.low, quoted.high, quoted.priced)
        else:
            assert at.client.estimate([input]) == quoted


async def test_a_quote_knows_prices_that_no_page_has(open_client: OpenClient) -> None:
    """A price that the table lacks is known from the provider; the length of a given video keeps it unknown."""
    sound = VideoInput("a dog", model="kling-3.0-omni-std", sound=True)
    motion, _ = PRICES["motion, whose length is that of its video"]
    async with open_client(provider="wavespeed") as at:
        assert not at.client.estimate([sound]).known
        quoted = await at.client.quote([sound])
        assert (True, 1) == (quoted.known, quoted.live)
        blind = await at.client.quote([motion])
        assert (False, 0, Decimal(0), 0) == (blind.known, blind.live, blind.high, blind.priced)


async def test_equal_inputs_are_one_request(open_client: OpenClient) -> None:
    """Two hundred jobs of two inputs ask for two prices, and the sum is that of all."""
    jobs = [Job(CAT if number % 2 else DOG, key=f"job-{number}") for number in range(200)]
    async with open_client(provider="wavespeed") as at:
        quoted = await at.client.quote(jobs)
        assert 2 == sum(one.path == "/api/v3/model/price" for one in at.sandbox.log)
    assert (Decimal("47.6"), Decimal("47.6"), 200, 200) == (quoted.low, quoted.high, quoted.priced, quoted.live)


async def test_comfy_estimates(open_client: OpenClient) -> None:
    """Comfy Router prices a body; what it calls unknown is unknown, and never 0."""
    async with open_client(provider="comfy") as at:
        quoted = await at.client.quote([CAT, DOG, VideoInput("a fox", model="kling-4.0")])
    assert (Decimal("0.476"), 2, 2, 1) == (quoted.high, quoted.priced, quoted.live, len(quoted.unpriced))


async def test_a_provider_without_quotes_is_not_asked(open_client: OpenClient) -> None:
    """Where no price can be asked for, the table answers, and no request leaves."""
    async with open_client() as at:
        assert at.client.estimate([CAT]) == await at.client.quote([CAT])
        assert [] == at.sandbox.log


Answer = Callable[[httpx.Request], httpx.Response]


def told(**data: object) -> Answer:
    """Answer each request with a price."""
    return lambda _: httpx.Response(200, json={"code": 200, "message": "success", "data": data})


ANSWERS: dict[str, tuple[Answer, str, int]] = {
    "a discount": (told(price=0.9, discounted_price=0.45, currency="USD"), "0.45", 1),
    "no discount": (told(price=0.9, discounted_price=0), "0.9", 1),
    "the earlier page": (told(unit_price=0.45, currency="USD"), "0.45", 1),
    "nothing": (told(), "0.42", 0),
    "zero": (told(price=0, discounted_price=0), "0.42", 0),
    "null": (told(price=None), "0.42", 0),
    "a negative price": (told(price=-1), "0.42", 0),
    "no number": (told(price="free"), "0.42", 0),
    "another currency": (told(price=3, currency="CNY"), "0.42", 0),
    "a refusal in the body": (lambda _: httpx.Response(200, json={"code": 400, "message": "no"}), "0.42", 0),
    "HTTP 403": (lambda _: httpx.Response(403, json={"message": "no", "error_code": "denied"}), "0.42", 0),
    "HTTP 429": (lambda _: httpx.Response(429), "0.42", 0),
    "HTTP 500": (lambda _: httpx.Response(500), "0.42", 0),
    "no JSON": (lambda _: httpx.Response(200, text="<html>"), "0.42", 0),
}


def client_of(
    answer: Answer | Callable[[httpx.Request], Awaitable[httpx.Response]],
    clock: VirtualClock,
    *,
    limits: Limits = NO_LIMITS,
) -> Client:
    """Make a client whose provider answers each request in one way."""
    return Client(
        "wavespeed",
        api_key="sk-test",
        base_url=ORIGIN,
        transport=httpx.MockTransport(answer),
        limits=limits,
        clock=clock,
    )


@pytest.mark.parametrize(("answer", "price", "live"), ANSWERS.values(), ids=list(ANSWERS))
async def test_what_answers_mean(answer: Answer, price: str, live: int) -> None:
    """The price is what is charged after the discount; whatever tells none leaves the table's, never 0."""
    async with VirtualClock() as clock, client_of(answer, clock) as client:
        quoted = await client.quote([DOG])
    assert (Decimal(price), Decimal(price), 1, live) == (quoted.low, quoted.high, quoted.priced, quoted.live)


@pytest.mark.parametrize(("status", "most"), [(429, 8), (503, 8), (400, 50)])
async def test_a_provider_that_cannot_answer_is_left_alone(
    status: int, most: int, caplog: pytest.LogCaptureFixture
) -> None:
    """After a 429 or an outage only what is in flight is asked; a refusal of one input says nothing of the others."""
    asked: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(status)

    async with VirtualClock() as clock, client_of(answer, clock) as client:
        with caplog.at_level(logging.WARNING):
            quoted = await client.quote([VideoInput(f"dog {number}") for number in range(50)])
    assert (Decimal("21.00"), 50, 0) == (quoted.high, quoted.priced, quoted.live)
    assert 1 <= len(asked) <= most
    assert "WaveSpeedAI told no live price for 50 of its requests" in caplog.text


async def test_prices_are_asked_for_at_the_rate_of_polls() -> None:
    """Fifty questions at ten polls a second take four seconds: eight leave at once, the others at that rate."""
    async with VirtualClock() as clock:
        limits = Limits(poll_per_second=10.0)
        async with client_of(told(price=1.0), clock, limits=limits) as client:
            started = clock.now()
            quoted = await client.quote([VideoInput(f"dog {number}") for number in range(50)])
            assert 4.2 == pytest.approx(clock.now() - started)
    assert (Decimal(50), 50) == (quoted.high, quoted.live)


async def test_a_caller_that_is_cancelled_asks_nothing_more() -> None:
    """A cancelled quote ends at once, whatever is unanswered, and the client goes on."""
    asked: list[httpx.Request] = []

    async def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        if len(asked) <= 8:
            await anyio.sleep_forever()
        return httpx.Response(200, json={"code": 200, "data": {"price": 0.5}})

    async with VirtualClock() as clock, client_of(answer, clock) as client:
        with anyio.move_on_after(0.05) as scope:
            await client.quote([VideoInput(f"dog {number}") for number in range(50)])
        assert (True, 8) == (scope.cancelled_caught, len(asked))
        assert Decimal("0.5") == (await client.quote([DOG])).high


async def test_a_refused_key_is_an_error() -> None:
    """A key that the provider refuses is told, since a submission would fail as well."""
    async with VirtualClock() as clock, client_of(lambda _: httpx.Response(401), clock) as client:
        with pytest.raises(AuthenticationError) as caught:
            await client.quote([DOG])
    assert not caught.value.may_be_billed


BALANCES = {
    "an amount": ({"balance": 50.25}, "50.25"),
    "nothing left, which is known": ({"balance": 0}, "0"),
    "a text": ({"balance": "9.972"}, "9.972"),
    "none": ({}, None),
    "no number": ({"balance": True}, None),
}


@pytest.mark.parametrize(("data", "dollars"), BALANCES.values(), ids=list(BALANCES))
def test_balances(data: dict[str, object], dollars: str | None) -> None:
    """A balance is that of the answer, 0 included; where there is none it is unknown."""
    body = json.dumps({"code": 200, "message": "success", "data": data}).encode()
    told = PROVIDERS["wavespeed"].parse_balance(HttpResponse(status=200, body=body))
    assert (None if dollars is None else Decimal(dollars)) == told


async def test_misuse() -> None:
    """A wrong job names its position and nothing is asked; a client that is not open asks nothing."""
    asked: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(500)

    async with VirtualClock() as clock:
        client = client_of(answer, clock)
        with pytest.raises(RuntimeError, match="not open"):
            await client.quote([DOG])
        async with client:
            with pytest.raises(InputError, match="Job 1"):
                await client.quote([DOG, VideoInput("a dog", duration=99)])
    assert not asked


def test_only_what_can_be_asked_for_is_built() -> None:
    """A provider builds the request for a price only where its capabilities have quotes, and so for the balance."""
    for provider in PROVIDERS.values():
        inputs = [CAT, DOG] if len(provider.default_models) == 2 else [CAT]
        for input in inputs:
            assert provider.build_quote(input) is None or provider.capabilities.quote.value is True
        assert provider.build_balance() is None or provider.capabilities.balance.value is True
