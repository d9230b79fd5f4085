"""What the gateway makes of replies that say no."""

from __future__ import annotations

import gc
import secrets

import httpx
import pytest

from kling_async import ImageInput, Job
from kling_async.effects.credentials import Credential
from kling_async.effects.lanes import TlsContext
from kling_async.effects.transport import Transport
from kling_async.errors import KlingError
from kling_async.gateway import Gateway
from kling_async.prediction import Prediction
from kling_async.providers import provider_named
from kling_async.wire import HttpReply

pytestmark = pytest.mark.anyio


def gateway(answer: httpx.Response) -> Gateway:
    credential = Credential(key="sk-test", origin="https://a.test", scheme="bearer")
    carried = httpx.MockTransport(lambda _: answer)
    transport = Transport(
        provider="gptproto", credential=credential, timeout=1.0, tls=TlsContext(), submit_lanes=2, shared=carried
    )
    return Gateway(provider=provider_named("gptproto"), transport=transport)


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
    assert not [one for one in gc.get_objects() if type(one) is HttpReply and one.body == page]
