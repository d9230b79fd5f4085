"""What the gateway makes of replies that say no."""

from __future__ import annotations

import gc
import secrets

import httpx
import pytest

from kling_async import ImageInput, Job
from kling_async.errors import AnswerLost, BadRequest, ContentRejected, KlingError
from kling_async.providers import provider_named
from kling_async.runtime.provider_api import ProviderAPI
from kling_async.transport.api import ApiTransport
from kling_async.transport.credentials import Credential
from kling_async.transport.tls import LazySSLContext
from kling_async.types.http import HttpResponse
from kling_async.types.prediction import Prediction

pytestmark = pytest.mark.anyio


def gateway(answer: httpx.Response, *, provider: str = "gptproto") -> ProviderAPI:
    authorizer = provider_named(provider).authorizer("sk-test")
    credential = Credential(key="sk-test", origin="https://a.test", authorizer=authorizer)
    carried = httpx.MockTransport(lambda _: answer)
    transport = ApiTransport(
        provider=provider,
        credential=credential,
        timeout=1.0,
        tls=LazySSLContext(),
        submit_connections=2,
        shared=carried,
    )
    return ProviderAPI(provider=provider_named(provider), transport=transport)


@pytest.mark.parametrize("status", [200, 400, 502])
@pytest.mark.parametrize("submits", [True, False])
async def test_an_error_keeps_no_reply(*, status: int, submits: bool) -> None:
    """An error may be kept as long as its job runs; the reply, of up to 4 MiB, that it was made from is let go."""
    page = b"<html>" + secrets.token_bytes(100_000)
    asked = gateway(httpx.Response(status, content=page))
    known = Prediction(provider="gptproto", model="kling-image-o1", id="p-1")
    kept: KlingError | None = None
    try:
        await (asked.submit(Job(ImageInput(prompt="a cat"))) if submits else asked.poll(known))
    except KlingError as error:
        kept = error
    assert kept is not None
    gc.collect()
    assert not [one for one in gc.get_objects() if type(one) is HttpResponse and one.body == page]


BOTH = pytest.mark.parametrize("provider", ["gptproto", "apiinone", "fal"])


@BOTH
@pytest.mark.parametrize("status", [101, *range(300, 309), 399])
async def test_a_redirect_of_a_submission_is_unconfirmed(*, status: int, provider: str) -> None:
    """No answer below 400 but a 2xx says whether it was taken: unconfirmed, with advice about the base URL."""
    elsewhere = httpx.Response(status, headers={"Location": "https://b.test/\x1b[2J?signature=1"}, json={"code": 400})
    with pytest.raises(AnswerLost) as caught:
        await gateway(elsewhere, provider=provider).submit(Job(ImageInput(prompt="a cat"), key="cat"))
    error = caught.value
    assert (True, status, "cat", provider) == (error.may_be_billed, error.http_status, error.key, error.provider)
    assert f"HTTP {status}, which leads to 'https://b.test/\\x1b[2J' and is not followed" in error.message
    assert error.advice.startswith(f"Check the base URL (base_urls, or {provider.upper()}_BASE_URL)")
    assert error.advice.endswith(AnswerLost.advice)


@BOTH
async def test_a_redirect_of_a_poll_is_refused(provider: str) -> None:
    """A redirect of a poll is what it was, and its advice speaks of the base URL, too."""
    known = Prediction(provider=provider, model="kling-image-o1", id="p-1")
    with pytest.raises(BadRequest) as caught:
        await gateway(httpx.Response(302, headers={"Location": "/login"}), provider=provider).poll(known)
    error = caught.value
    assert "The provider refused: HTTP 302, which leads to '/login' and is not followed" == error.message
    assert error.advice.startswith("Check the base URL")
    assert "ask again with client.wait" in error.advice
    assert error.may_be_billed


GUIDELINES = "Input may not meet the guidelines. Please adjust and try again."
OUTAGES: dict[str, tuple[int, object]] = {
    "code 503 in a 200": (200, {"code": 503, "message": "Service unavailable"}),
    "code 503 in a 400": (400, {"error": {"code": 503, "message": "Service unavailable"}}),
    "code 503 at the top of a 400": (400, {"code": 503, "message": "Service unavailable"}),
    "code 503 as text": (200, {"error": {"code": "503", "message": GUIDELINES}}),
    "the text under a 503": (503, {"error": {"message": GUIDELINES}}),
    "a code of another service": (200, {"code": 1200, "message": "Content moderation"}),
}


@pytest.mark.parametrize(("status", "body"), OUTAGES.values(), ids=list(OUTAGES))
async def test_codes_of_one_provider_refuse_nothing_at_another(status: int, body: object) -> None:
    """What GPTProto documents as a refusal by content may be an outage at API in One: unconfirmed, never refused."""
    answer = httpx.Response(status, json=body)
    with pytest.raises(AnswerLost) as caught:
        await gateway(answer, provider="apiinone").submit(Job(ImageInput(prompt="a cat")))
    assert caught.value.may_be_billed
    with pytest.raises(ContentRejected if "guide" in str(body) or status != 503 else KlingError):
        await gateway(answer, provider="gptproto").submit(Job(ImageInput(prompt="a cat")))
