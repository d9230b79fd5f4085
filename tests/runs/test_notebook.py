"""What a notebook shows, without one: a shell that only remembers what it was taught."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from kling_async import (
    AnswerLost,
    ImageInput,
    Job,
    Outcome,
    Output,
    OutputKind,
    Prediction,
    Status,
    gallery,
    load_ipython_extension,
)

from ..conftest import OpenClient

FILM = Output(url="https://files.example/1.mp4?signed=1", kind=OutputKind.VIDEO)
DONE = Prediction(
    provider="gptproto", model="kling-video-o1-std", id="id-1", key="river", status=Status.SUCCEEDED, outputs=(FILM,)
)
SAVED = Outcome(job=Job(ImageInput("a fox"), key="fox"), prediction=DONE, files=(Path("out/fox-0.png"),))


def test_files_go_before_addresses() -> None:
    """A file is shown from the disk, as seen from here; without one, the provider's address is."""
    here = Outcome(job=SAVED.job, prediction=DONE, files=(Path("out/fox-0.png").absolute(),))
    for outcome in (SAVED, here):
        html = gallery([outcome]).html
        assert 'src="out/fox-0.png"' in html
        assert "files.example" not in html
    assert f'<video src="{FILM.url}"' in gallery([DONE]).html


def test_only_addresses_of_the_web_are_shown() -> None:
    """An address that could run something is no picture."""
    for url in ("javascript:alert(1)", "data:text/html,x", '"><script>'):
        bad = Outcome(
            job=SAVED.job,
            prediction=Prediction(
                provider="p", model="m", id="1", status=Status.SUCCEEDED, outputs=(Output(url=url, kind=FILM.kind),)
            ),
        )
        assert "<video" not in gallery([bad]).html
        assert "<script" not in gallery([bad]).html


def test_failures_say_why() -> None:
    """What went wrong is shown with its cause, and a gallery shows itself."""
    failed = Prediction(provider="gptproto", model="kling-3", id="2", status=Status.FAILED)
    shown = gallery([Outcome(job=SAVED.job, error=AnswerLost("cut off")), failed])
    assert "cut off" in shown.html
    assert "2 jobs: 1 unconfirmed, 1 failed" in shown.html
    assert shown.html == shown._repr_html_()
    assert "<" not in repr(shown)


def test_a_shell_is_taught_values_and_lists() -> None:
    """After `%load_ext kling_async` outcomes, predictions and lists of them are pictures; other lists stay theirs."""
    taught: dict[type, Callable[..., str | None]] = {}
    formatter = SimpleNamespace(for_type=taught.__setitem__)
    load_ipython_extension(SimpleNamespace(display_formatter=SimpleNamespace(formatters={"text/html": formatter})))
    assert gallery([SAVED]).html == taught[Outcome](SAVED)
    assert gallery([DONE]).html == taught[Prediction](DONE)
    assert gallery([SAVED, DONE]).html == taught[list]([SAVED, DONE])
    assert [None, None, None] == [taught[list](other) for other in ([], [1], [SAVED, 1])]


@pytest.mark.anyio
async def test_all_images_of_a_call_are_shown_with_its_prompt(open_client: OpenClient) -> None:
    """What `generate` returns has the prompt, and a gallery of it each of its images, and the key once."""
    async with open_client() as at:
        made = await at.client.generate(ImageInput("a fox by candlelight", n=4), key="fox")
    for html in (gallery([made]).html, made._repr_html_()):
        assert 4 == html.count("<img ")
        assert 1 == re.sub("<[^>]*>", "", html).count("a fox by candlelight")
    assert 1 == gallery([made]).html.count(">fox<")
