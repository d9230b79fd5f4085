"""Tracebacks: a wrong input shows the caller's own line, and other errors show everything."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Awaitable, Callable, Iterator

import httpx
import pytest

import kling_async.blocking
from kling_async import Client, ImageInput, InputError, Job, KlingError
from kling_async.runtime.tracebacks import short_tracebacks
from kling_async.testing import Sandbox, SandboxApp

from ..conftest import OpenClient

WRONG = ImageInput("x", n=99)
Call = Callable[[Client], Awaitable[object]]


def frames(error: BaseException) -> list[str]:
    """Return the modules in the traceback of an error, from the caller on."""
    return [str(frame.f_globals["__name__"]) for frame, _ in traceback.walk_tb(error.__traceback__)]


def of_package(error: BaseException) -> list[str]:
    """Return those of the package."""
    return [name for name in frames(error) if name.startswith("kling_async")]


async def _iterate(client: Client) -> None:
    async with client.batch([ImageInput("x"), 3]) as batch:  # type: ignore[list-item]
        async for _ in batch:
            pass


async def _result(client: Client) -> None:
    async with client.batch([WRONG]) as batch:
        async for outcome in batch:
            outcome.result()


async def _settings(client: Client) -> None:
    client.batch([], provider="nope")


async def _estimate(client: Client) -> None:
    client.estimate([WRONG])


CALLS: dict[str, tuple[Call, int]] = {
    "generate": (lambda client: client.generate(WRONG), 0),
    "submit": (lambda client: client.submit(WRONG), 0),
    "quote": (lambda client: client.quote([WRONG]), 0),
    "estimate": (_estimate, 0),
    "wait": (lambda client: client.generate(ImageInput("x"), wait_timeout=-1), 0),
    "map": (lambda client: client.map([WRONG]), 1),
    "settings": (_settings, 1),
    "iteration": (_iterate, 1),
    "result": (_result, 1),
}
"""Calls with a wrong input, and the frames of the package that may stay: the public method itself, where it holds what
a wrapper would show to a traceback that prints locals."""


@pytest.mark.anyio
@pytest.mark.parametrize("name", CALLS)
async def test_wrong_input_shows_the_callers_line(open_client: OpenClient, name: str) -> None:
    """The traceback ends at the call that was wrong, or in the public method."""
    call, most = CALLS[name]
    async with open_client() as at:
        with pytest.raises(InputError) as caught:
            await call(at.client)
    assert len(of_package(caught.value)) <= most
    assert __name__ in frames(caught.value)


@pytest.mark.anyio
async def test_the_users_own_lines_stay(open_client: OpenClient) -> None:
    """A wrong input that the user's generator makes shows the line of the generator."""

    def jobs() -> Iterator[ImageInput]:
        yield ImageInput("x")
        yield ImageInput("x", n="many")  # type: ignore[arg-type]

    async with open_client() as at:
        with pytest.raises(InputError) as caught:
            await at.client.map(jobs())
    assert "jobs" in [frame.f_code.co_name for frame, _ in traceback.walk_tb(caught.value.__traceback__)]
    assert len(of_package(caught.value)) <= 1


@pytest.mark.anyio
async def test_debugging_shows_everything(open_client: OpenClient, caplog: pytest.LogCaptureFixture) -> None:
    """With the package's logger at DEBUG no frame is left out."""
    caplog.set_level(logging.DEBUG, logger="kling_async")
    async with open_client() as at:
        with pytest.raises(InputError) as caught:
            await at.client.generate(WRONG)
    assert "kling_async.providers.catalogue" in of_package(caught.value)


@pytest.mark.anyio
async def test_other_errors_keep_their_frames(open_client: OpenClient) -> None:
    """An error that is no fault of the input may be one of the package, and shows all."""
    async with open_client() as at:
        with pytest.raises(KlingError) as caught:
            await at.client.generate(ImageInput("[[refused]]"))
    assert not isinstance(caught.value, InputError)
    assert len(of_package(caught.value)) > 1


def test_causes_are_shortened_too() -> None:
    """The error behind a wrong input is shown with its text, and without frames of the package."""

    def read() -> None:
        try:
            kling_async.blocking.Client(request_timeout="soon")  # type: ignore[arg-type]
        except InputError as error:
            raise InputError("unreadable") from error

    with pytest.raises(InputError) as caught:
        short_tracebacks(read)()
    assert isinstance(caught.value.__cause__, InputError)
    assert [] == of_package(caught.value)
    assert [] == of_package(caught.value.__cause__)


def test_programs_without_a_loop_show_the_method_at_most() -> None:
    """The blocking client shows the caller's line and its own method, and nothing of the event loop's thread."""
    sandbox = Sandbox()
    transport = httpx.ASGITransport(SandboxApp(sandbox))
    keys, urls = {"gptproto": sandbox.key}, {"gptproto": "http://127.0.0.1:1"}
    with kling_async.blocking.Client(api_keys=keys, base_urls=urls, transport=transport) as client:
        two = [Job(ImageInput("x"), key="a"), Job(ImageInput("y"), key="a")]
        for call, most in (
            (lambda: client.generate(WRONG), 1),
            (lambda: client.map([WRONG]), 1),
            (lambda: client.estimate([WRONG]), 1),
            (lambda: client.batch(two), 3),
        ):
            with pytest.raises(InputError) as caught:
                call()
            assert len(of_package(caught.value)) <= most, frames(caught.value)
            assert len(frames(caught.value)) == len(of_package(caught.value)) + 2
