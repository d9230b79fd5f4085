"""The bar of a notebook: drawn in place, by a shell that only remembers what it was given."""

from __future__ import annotations

import math
import subprocess
import sys
from decimal import Decimal
from html.parser import HTMLParser
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import pytest
from attrs import define, field

from kling_async import ImageInput, InputError, Job, LimitKind, LimitOrigin, Progress, SpeedLimit, show_progress
from kling_async.runs.display.notebook import in_notebook, render_html, running_shell
from kling_async.runs.display.snapshot import ProviderView, Snapshot
from kling_async.testing import Fixed

from ...conftest import OpenClient

JOBS = [Job(ImageInput(f"cat {number}"), key=f"cat-{number}") for number in range(40)]
PROGRESS = Progress(
    total=200,
    pulled=150,
    planned=3,
    submitting=0,
    accepted=43,
    succeeded=99,
    failed=4,
    unconfirmed=1,
    saved=99,
    throttled=0,
    elapsed=18.0,
    per_second=6.9,
    remaining=14.0,
    spent=Decimal("0.564"),
    unpriced=0,
)


@define
class Shell:
    """A notebook's shell, as far as it is used."""

    kernel: object = "a kernel"
    shown: list[tuple[dict[str, str], str, bool]] = field(factory=list)
    is_broken: bool = False

    @property
    def display_pub(self) -> Shell:
        """Publish what is displayed; IPython has an object of its own for it."""
        return self

    def publish(self, data: Any, metadata: Any, *, transient: Any, update: bool) -> None:
        """Take what is displayed."""
        if self.is_broken:
            raise OSError("the kernel's connection is gone")
        self.shown.append((data, transient["display_id"], update))


@pytest.fixture
def shell(monkeypatch: pytest.MonkeyPatch) -> Shell:
    """Run in a notebook."""
    made = Shell()
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: made))
    return made


class Elements(HTMLParser):
    """The elements of HTML, and its text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.names: list[str] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.append(tag)

    def handle_data(self, data: str) -> None:
        self.text += data


def snapshot(progress: Progress = PROGRESS, *, total: int | None = 200, **provider: Any) -> Snapshot:
    """Return a snapshot with one provider."""
    facts = {"name": "gptproto", "accepted": 43, "submitting": 0, "finished": 104, "throttled": 0, "per_second": 6.9}
    return Snapshot(progress=progress, total=total, providers=(ProviderView(**facts | provider),))


@pytest.mark.anyio
async def test_a_notebook_has_one_bar(open_client: OpenClient, shell: Shell, capsys: pytest.CaptureFixture) -> None:
    """In a notebook one display is updated in place, no more than five times a second, and nothing is on stderr."""
    async with open_client(image_latency=Fixed(10.0), max_open=None) as at:
        async with at.client.batch(JOBS, max_open=8) as batch, show_progress(batch, clock=at.clock):
            async for _ in batch:
                pass
        seconds, seen = batch.progress.elapsed, len(shell.shown)
        await at.clock.sleep(10.0)
    assert len(shell.shown) == seen, "something is drawn after the end"
    assert [False] + [True] * (seen - 1) == [update for _, _, update in shell.shown]
    assert 1 == len({place for _, place, _ in shell.shown})
    assert seconds >= 50.0
    assert 5 <= seen <= math.ceil(seconds * 5) + 2
    assert all(one["text/html"] != later["text/html"] for (one, _, _), (later, _, _) in pairwise(shell.shown))
    assert "40 of 40 (100%), ended after" in shell.shown[-1][0]["text/html"]
    assert shell.shown[-1][0]["text/plain"].startswith("40 of 40 (100%) done: 40 succeeded")
    assert ("", "") == capsys.readouterr()


@pytest.mark.anyio
async def test_a_notebook_that_is_gone_ends_the_bar_only(open_client: OpenClient, shell: Shell) -> None:
    """If nothing can be displayed any more, the batch goes on."""
    async with open_client() as at:
        shell.is_broken = True
        async with at.client.batch(JOBS) as batch, show_progress(batch, clock=at.clock):
            assert 40 == len([outcome async for outcome in batch if outcome.ok])


@pytest.mark.anyio
async def test_a_batch_that_is_left_says_how_far_it_came(open_client: OpenClient, shell: Shell) -> None:
    """The last state of a batch that was left by an exception says what was not submitted."""
    async with open_client(image_latency=Fixed(10.0)) as at:
        with pytest.raises(ZeroDivisionError):
            async with at.client.batch(JOBS, max_open=8) as batch, show_progress(batch, clock=at.clock):
                async for _ in batch:
                    raise ZeroDivisionError
    last = Elements(shell.shown[-1][0]["text/html"]).text
    assert ", ended after" in last
    assert " planned" in last


def test_the_line_says_what_the_panel_says() -> None:
    """Jobs by status, money, speed, remaining time and what limits it are on the line; the end has none of the last."""
    limit = SpeedLimit(provider="gptproto", kind=LimitKind.SLOTS, value=20.0, origin=LimitOrigin.USER)
    running = Elements(render_html(snapshot(limit=limit))).text
    facts = (
        "104 of 200 (52%)",
        "99 succeeded",
        "4 failed",
        "1 unconfirmed",
        "43 accepted",
        "$0.564",
        "6.9/s",
        "ETA 0:14",
    )
    assert all(fact in running for fact in (*facts, "gptproto max 20 slots: your limit"))
    ended = Elements(render_html(snapshot(limit=limit), ended=True)).text
    assert "104 of 200 (52%), ended after 18 s" in ended
    assert "53 planned" in ended
    assert not any(fact in ended for fact in ("ETA", "/s", "your limit"))
    assert "104 of 150 so far" in Elements(render_html(snapshot(total=None))).text


@pytest.mark.parametrize("text", ["<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "a\nb\x1b[2J"])
def test_hostile_names_add_nothing(text: str) -> None:
    """What a provider is called, and why it waits, stays text."""
    plain, hostile = (
        Elements(render_html(snapshot(name=one, trouble=one, trouble_seconds=3.0))) for one in ("x", text)
    )
    assert plain.names == hostile.names
    assert "\x1b" not in hostile.text


def test_without_ipython_there_is_no_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    """A program, and IPython in a terminal, are no notebook; the module does not load IPython to find out."""
    monkeypatch.delitem(sys.modules, "IPython", raising=False)
    assert not in_notebook()
    assert running_shell() is None
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: Shell(kernel=None)))
    assert not in_notebook()
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: None))
    assert not in_notebook()
    code = "import sys, kling_async.runs.display.notebook as n; print(n.in_notebook(), 'IPython' in sys.modules)"
    assert (
        "False False" in subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    )


@pytest.mark.anyio
async def test_the_bar_needs_a_notebook(open_client: OpenClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where it was asked for and cannot be shown, the error says what to do."""
    monkeypatch.delitem(sys.modules, "IPython", raising=False)
    async with open_client() as at:
        with pytest.raises(InputError, match='use mode="plain"'):
            show_progress(at.client.batch(JOBS), mode="notebook")
