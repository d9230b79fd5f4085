"""The log: a line for each submission, each end and each save, and nothing secret in it."""

from __future__ import annotations

import logging
import re
from pathlib import Path

import pytest
from attrs import evolve

from kling_async import ContentRejected, ImageInput, Job
from kling_async.runtime.event_log import apply_log_setting

from ..conftest import OpenClient

pytestmark = pytest.mark.anyio


def lines(caplog: pytest.LogCaptureFixture, level: int = logging.INFO) -> list[str]:
    """Return the messages of a level, without the times and ids that differ."""
    texts = [one.getMessage() for one in caplog.records if one.name.startswith("kling_async") and one.levelno == level]
    return [re.sub(r"(id|seconds)=\S+", r"\1=_", text) for text in texts]


async def test_one_line_for_each_step(
    open_client: OpenClient, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    """Acceptance, end and save have a line each, with key, provider, id, seconds and cost."""
    caplog.set_level(logging.INFO, "kling_async")
    async with open_client(provider="apiinone") as here:
        prediction = await here.client.generate(ImageInput("a fox"), key="fox")
        await here.client.download(prediction, tmp_path)
    assert [
        "accepted key=fox provider=apiinone id=_ seconds=_",
        "succeeded key=fox provider=apiinone id=_ seconds=_ cost=$0.012",
        "saved key=fox provider=apiinone id=_ files=1 seconds=_",
    ] == lines(caplog)
    assert prediction.id in caplog.text


async def test_a_failure_has_its_reason(open_client: OpenClient, caplog: pytest.LogCaptureFixture) -> None:
    """The end of a job that failed names the error and its message."""
    caplog.set_level(logging.INFO, "kling_async")
    async with open_client() as here:
        with pytest.raises(ContentRejected):
            await here.client.generate(ImageInput("a cat [[refused]]"), key="cat")
    [line] = lines(caplog)
    assert line.startswith("failed key=cat provider=gptproto seconds=_ error=ContentRejected: ")


async def test_joined_calls_have_one_end(open_client: OpenClient, caplog: pytest.LogCaptureFixture) -> None:
    """A job of a batch that another batch joins is accepted once, and ends once."""
    caplog.set_level(logging.INFO, "kling_async")
    async with open_client() as here:
        job = Job(ImageInput("a fox"), key="fox")
        async with here.client.batch([job]) as one, here.client.batch([job]) as other:
            assert (await anext(one)).ok
            assert (await anext(other)).ok
    assert ["accepted", "succeeded"] == [line.split()[0] for line in lines(caplog)]


async def test_everything_else_is_for_debugging(open_client: OpenClient, caplog: pytest.LogCaptureFixture) -> None:
    """At DEBUG each event has a line; without the setting there is none at all."""
    async with open_client() as here:
        await here.client.generate(ImageInput("a cat"), key="quiet")
        assert [] == lines(caplog)
        caplog.set_level(logging.DEBUG, "kling_async")
        await here.client.generate(ImageInput("a cat [[rate_limited]]"), key="cat")
    words = [line.split()[0] for line in lines(caplog, logging.DEBUG)]
    assert {"submitted", "throttled"} <= set(words)


async def test_no_secret_is_logged(open_client: OpenClient, caplog: pytest.LogCaptureFixture, tmp_path: Path) -> None:
    """The API key is in no line at any level."""
    caplog.set_level(logging.DEBUG, "kling_async")
    async with open_client() as here:
        for prompt in ("a cat", "a cat [[unauthorized]]", "a cat [[error_502]]"):
            await here.client.map([ImageInput(prompt)], save_to=tmp_path)
        assert here.sandbox.key_for("gptproto") not in caplog.text
    assert lines(caplog)


@pytest.mark.parametrize(
    ("setting", "level"),
    [("info", logging.INFO), (" DEBUG ", logging.DEBUG), ("", logging.NOTSET), ("1", logging.NOTSET)],
)
def test_the_setting(setting: str, level: int) -> None:
    """KLING_LOG sets the level of the package's log; anything else leaves it alone."""
    log = logging.getLogger("kling_async")
    before, handlers = log.level, list(log.handlers)
    try:
        log.setLevel(logging.NOTSET)
        apply_log_setting({"KLING_LOG": setting})
        assert level == log.level
        assert handlers == log.handlers or not logging.getLogger().handlers  # pytest's own are there
    finally:
        log.setLevel(before)
        log.handlers = handlers


@pytest.mark.parametrize("key", ["a\nsucceeded key=b", "\x1b[2J", "\ud800", "\u202efed"], ids=ascii)
async def test_a_key_forges_no_line(
    open_client: OpenClient, caplog: pytest.LogCaptureFixture, tmp_path: Path, key: str
) -> None:
    """A prediction that comes from elsewhere may have any key: its line is one that any file and terminal can take."""
    caplog.set_level(logging.INFO, "kling_async")
    async with open_client() as here:
        prediction = await here.client.generate(ImageInput("a fox"))
        await here.client.download(evolve(prediction, key=key), tmp_path)
    [line] = [line for line in lines(caplog) if line.startswith("saved")]
    assert line.encode().decode().isprintable()
