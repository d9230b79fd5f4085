"""Row 38: the key shows nowhere. Every other row looks for it in its errors, its logs and its files as well."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from kling_async import Client, ImageInput
from kling_async.errors import InputError, KlingError

from .answers import Answer, Script, poll_reply, refused, reply
from .conftest import ANSWER_WITHIN, OpenSite, client_of, named
from .promises import CANARY, check_no_key, shown_by, timed

pytestmark = pytest.mark.anyio

CAT = ImageInput(prompt="a cat")


async def test_row_38_key_from_the_environment(site: OpenSite, monkeypatch: pytest.MonkeyPatch) -> None:
    """A key from the environment is in no repr of a client or of what it made, nor in their pickles."""
    here = site()
    monkeypatch.setenv("GPTPROTO_API_KEY", CANARY)
    monkeypatch.setenv("GPTPROTO_BASE_URL", here.origin)
    async with Client(request_timeout=ANSWER_WITHIN) as client:
        prediction = (await timed(lambda: client.submit(CAT), by=ANSWER_WITHIN)).well()
        check_no_key(repr(client), f"{client}", repr(vars(client)), repr(prediction), pickle.dumps(prediction))
        with pytest.raises(TypeError, match="A Client cannot be pickled or copied") as refused:
            pickle.dumps(client)
        check_no_key(*shown_by(refused.value))
    assert f"Bearer {CANARY}" == here.log.requests[0].header("authorization")


async def test_row_38_error_of_the_user_beside_a_client(site: OpenSite) -> None:
    """A traceback that prints its locals, as many loggers do, shows a client without its key."""
    here = site()

    async def users() -> None:
        async with client_of(here) as client:
            await client.submit(CAT)
            raise RuntimeError("a mistake of the user, in a frame that knows the client")

    with pytest.raises(RuntimeError) as caught:
        await users()
    check_no_key(*shown_by(caught.value))


ECHOES: dict[str, Answer] = {
    "in a refusal": refused(
        "400 Bad Request", {"error": {"message": f"bad key {CANARY}", "code": CANARY, "type": CANARY}}
    ),
    "in a 401": refused("401 Unauthorized", {"error": {"message": f"Bearer {CANARY} is revoked"}}),
    "in an envelope": reply('{"code":400,"message":"KEY"}'.replace("KEY", CANARY)).free,
    "in a page": reply(f"<html>Authorization: Bearer {CANARY}</html>", status="502 Bad Gateway"),
    "in what cannot be read": reply('{"key":"KEY'.replace("KEY", CANARY)),
    "as an id": reply('{"code":200,"data":{"id":"KEY/x","status":"created"}}'.replace("KEY", CANARY)),
}


@pytest.mark.parametrize("echo", named(ECHOES))
async def test_row_38_provider_repeats_the_key(site: OpenSite, echo: Answer) -> None:
    """What a provider repeats of the key is taken out before anybody can see it."""
    here = site(Script(submit=[echo]))
    async with client_of(here) as client:
        ended = await timed(lambda: client.submit(CAT), by=ANSWER_WITHIN)
    assert isinstance(ended.error, KlingError)
    check_no_key(*shown_by(ended.error))


async def test_row_38_prediction_repeats_the_key(site: OpenSite) -> None:
    """A prediction, too, is read from a reply without the key: its raw reply and its words show none."""
    word = poll_reply("completed", ["https://a.test/1.png?key=" + CANARY], error=CANARY, note=[CANARY])
    here = site(Script(poll=[poll_reply(CANARY), word.for_ever]))
    async with client_of(here) as client:
        prediction = (await timed(lambda: client.generate(CAT, wait_timeout=900), by=2.0)).well()
    check_no_key(repr(prediction), repr(prediction.raw), repr(prediction.outputs[0].url), pickle.dumps(prediction))


WRONG_SETTINGS: dict[str, Callable[[], Client]] = {
    "provider": lambda: Client("nobody", api_keys={"gptproto": CANARY}),
    "another provider's key": lambda: Client(api_keys={"nobody": CANARY}),
    "scheme": lambda: Client(api_keys={"gptproto": CANARY}, auth_schemes={"gptproto": "basic"}),
    "plain http to another machine": lambda: Client(
        api_keys={"gptproto": CANARY}, base_urls={"gptproto": "http://gptproto.com"}
    ),
    "timeout": lambda: Client(api_keys={"gptproto": CANARY}, request_timeout=-1),
}


@pytest.mark.parametrize("make", named(WRONG_SETTINGS))
def test_row_38_wrong_settings(make: Callable[[], Client]) -> None:
    """An error about a setting does not show the key that was set beside it."""
    with pytest.raises(InputError) as caught:
        make()
    check_no_key(*shown_by(caught.value))


def test_row_38_key_in_an_address() -> None:
    """An address that holds a key, where none belongs, is refused without being repeated."""
    with pytest.raises(InputError) as caught:
        Client(base_urls={"gptproto": f"https://{CANARY}@gptproto.com"})
    check_no_key(str(caught.value), repr(caught.value), pickle.dumps(caught.value))


async def test_row_38_key_that_cannot_be_one() -> None:
    """A key with a line break in it is refused before anything is sent, and the error does not repeat it."""
    with pytest.raises(InputError) as caught:
        async with Client(api_keys={"gptproto": f"{CANARY}\nX-Evil: 1"}):
            pytest.fail("it has opened")
    check_no_key(*shown_by(caught.value))


@pytest.mark.parametrize("verdict", ["200 OK", "401 Unauthorized", "502 Bad Gateway"])
def test_row_38_command_line(site: OpenSite, tmp_path: Path, verdict: str) -> None:
    """The command line shows the key neither in what it says nor in what it writes, however it goes."""
    here = site() if verdict == "200 OK" else site(Script(submit=[refused(verdict, {"error": {"message": CANARY}})]))
    command = [sys.executable, "-m", "kling_async", "generate", "a cat", "--output", str(tmp_path)]
    environment = {**os.environ, "GPTPROTO_API_KEY": CANARY, "GPTPROTO_BASE_URL": here.origin}
    done = subprocess.run(command, env=environment, capture_output=True, timeout=30, check=False, cwd=tmp_path)
    assert here.log.of("submit")
    assert (verdict == "200 OK") == (done.returncode == 0)
    check_no_key(done.stdout, done.stderr)
