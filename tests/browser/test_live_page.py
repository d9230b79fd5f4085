"""The live page in a real browser, in front of a run that another process does."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from kling_async.testing import Fixed, Sandbox, SandboxServer

from ..live_pages import command, environment_of, served_page, write_jobs
from .conftest import Opened
from .test_report import CONTRASTS

pytestmark = pytest.mark.browser

HOSTILE = "</script><script>document.title='hacked'</script><img src=x onerror=\"document.title='hacked'\">"
STORY = "A long story about a harbour. " * 60
ROWS = {
    **{f"fox-{n}": f"a fox, number {n}" for n in range(1, 5)},
    "bad-1": "[[refused]] a cat",
    "bad-2": "[[failed:too dark]] a dog",
    "lost": "[[lost]] an owl",
    "evil": HOSTILE,
    "story": STORY,
}
LABELS = {key: {"mood": "calm" if key.startswith("fox") else "wild"} for key in ROWS}


def do_run(folder: Path, environment: dict[str, str]) -> None:
    """Do the run of these jobs."""
    words = command("batch", "jobs.jsonl", "-o", "out", "-p", "apiinone", "--progress", "none")
    subprocess.run(words, cwd=folder, env=environment, check=False, capture_output=True, timeout=100)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Sandbox]]:
    """Serve the page of a run that has ended."""
    folder = tmp_path_factory.mktemp("live")
    write_jobs(folder / "jobs.jsonl", ROWS, LABELS)
    sandbox = Sandbox(image_latency=Fixed(0.05))
    with SandboxServer(sandbox) as server:
        environment = environment_of(sandbox, server.url)
        do_run(folder, environment)
        with served_page(folder, environment) as url:
            yield url, sandbox


@contextmanager
def opened_page(chromium: Any, url: str, **settings: Any) -> Iterator[Opened]:
    """Open a page in a new, empty profile that agrees to every question, and wait until it is connected."""
    usual: dict[str, Any] = {"viewport": {"width": 1280, "height": 900}}
    context = chromium.new_context(**usual | settings)
    opened = Opened(context.new_page())
    opened.page.on("console", lambda message: opened.complaints.append(message.text))
    opened.page.on("pageerror", lambda error: opened.complaints.append(str(error)))
    opened.page.on("dialog", lambda dialog: dialog.accept())
    opened.page.on("request", lambda request: opened.requests.append(request.url))
    opened.page.goto(url, wait_until="load")
    opened.page.locator("#live", has_text="unning").wait_for()
    yield opened
    context.close()


def card(opened: Opened, key: str) -> Any:
    """Return the card of a job."""
    return opened.page.locator("article").filter(has=opened.page.get_by_role("heading", name=key, exact=True))


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_asks_its_server_only_and_can_be_read(chromium, finished, scheme) -> None:
    """Every request goes to the page's own server, the browser complains of nothing, and all text has contrast."""
    url, _ = finished
    with opened_page(chromium, url, color_scheme=scheme) as opened:
        assert "Run of jobs.jsonl" == opened.page.title()
        assert {url} == {asked[: len(url)] for asked in opened.requests if not asked.startswith("data:")}
        for key in (None, "bad-1", "lost", "evil"):
            if key is not None:
                card(opened, key).get_by_role("button").click()
            contrasts = opened.page.evaluate(CONTRASTS)
            assert {} == {text: ratio for text, ratio in contrasts.items() if ratio < 4.5}
            if key is not None:
                assert opened.page.locator("#viewer").is_visible()
                opened.page.keyboard.press("Escape")
        assert "Run of jobs.jsonl" == opened.page.title()
        assert [] == opened.complaints


@pytest.mark.parametrize("width", [320, 390, 2560])
def test_it_fits_every_screen(chromium, finished, width) -> None:
    """Neither the page nor the viewer is wider than the screen, from a phone on."""
    with opened_page(chromium, finished[0], viewport={"width": width, "height": 800}) as opened:
        assert width >= opened.page.evaluate("document.documentElement.scrollWidth")
        for key in ("story", "bad-1", "lost"):
            card(opened, key).get_by_role("button").click()
            assert opened.page.evaluate(
                "(view => view.scrollWidth <= view.clientWidth)(document.querySelector('#viewer'))"
            )
            opened.page.keyboard.press("Escape")


def test_the_viewer_is_worked_by_keys(chromium, finished) -> None:
    """An image opens the viewer, arrows lead through what the filter shows, and Escape goes back to the card."""
    with opened_page(chromium, finished[0]) as opened:
        opened.page.get_by_label("Find").fill("fox")
        card(opened, "fox-1").locator("img").first.click()
        shown = opened.page.locator("#viewer .pane h2")
        assert ["fox-1"] == shown.all_text_contents()
        opened.page.keyboard.press("ArrowRight")
        assert ["fox-2"] == shown.all_text_contents()
        assert "2 of 4" == opened.page.locator("#place").inner_text()
        opened.page.keyboard.press("ArrowLeft")
        opened.page.keyboard.press("ArrowLeft")
        assert ["fox-4"] == shown.all_text_contents()
        opened.page.get_by_role("button", name="Compare with others").click()
        opened.page.keyboard.press("ArrowRight")
        assert ["fox-4", "fox-1"] == shown.all_text_contents()
        first, second = (box.bounding_box() for box in opened.page.locator(".pane").all())
        assert first["y"] == second["y"]
        assert first["x"] < second["x"]
        opened.page.keyboard.press("Escape")
        assert not opened.page.locator("#viewer").is_visible()
        # A dialog is hidden at once; its `close` event comes a moment later.
        opened.page.locator(":focus", has_text="Details of fox-1").wait_for(state="attached")


def test_a_long_prompt_is_folded_on_its_card_and_copied_whole(chromium, finished) -> None:
    """A long prompt takes no more than five lines of its card; the viewer has all of it, and copies it."""
    with opened_page(chromium, finished[0], permissions=["clipboard-read", "clipboard-write"]) as opened:
        assert card(opened, "story").locator("summary").bounding_box()["height"] < 130
        card(opened, "story").get_by_role("button").click()
        assert STORY.strip() == opened.page.locator(".pane .prompt").text_content().strip()
        opened.page.get_by_role("button", name="Copy prompt").click()
        opened.page.get_by_text("Copied.").wait_for()
        assert STORY.strip() == opened.page.evaluate("navigator.clipboard.readText()").strip()


def test_the_filter_is_in_the_address(chromium, finished) -> None:
    """Labels, words and the order are kept in the address, so that it can be shared and reloaded."""
    with opened_page(chromium, finished[0]) as opened:
        opened.page.get_by_label("mood").select_option(label="calm")
        assert {"fox-1", "fox-2", "fox-3", "fox-4"} == set(opened.cards())
        opened.page.get_by_label("Sort by").select_option(label="newest first")
        opened.page.get_by_label("Find").fill("number")
        before = opened.cards()
        assert 4 == len(before)
        opened.page.reload()
        assert before == opened.cards()
        assert "calm" == opened.page.get_by_label("mood").evaluate("select => select.selectedOptions[0].text")
        opened.page.get_by_label("Find").fill("nothing says this")
        opened.page.get_by_role("button", name="Show all").click()
        assert len(ROWS) == len(opened.cards())
        assert "#" not in opened.page.url.replace("#sort=newest", "")


def test_sorting_is_by_number(chromium, finished) -> None:
    """Sorted by duration, the longest job comes first; in the order of the run, they are as before."""
    with opened_page(chromium, finished[0]) as opened:
        before = opened.cards()
        opened.page.get_by_label("Sort by").select_option(label="duration")
        took = opened.page.evaluate(
            "[...document.querySelectorAll('article')].map((card) => Number(card.dataset.is.split(' ')[4]))"
        )
        assert sorted(took, reverse=True) == took
        assert 0 < took[0]
        opened.page.get_by_label("Sort by").select_option(label="run order")
        assert before == opened.cards()


def test_a_cause_shows_its_jobs(chromium, finished) -> None:
    """A click on a cause shows the jobs that failed for it, and no others."""
    with opened_page(chromium, finished[0]) as opened:
        opened.page.locator(".causes").get_by_role("button", name="too dark").click()
        assert ["bad-2"] == opened.cards()


def test_a_run_fills_its_page(chromium, tmp_path) -> None:
    """While another process does the run, images appear and figures rise without a reload; then buttons are enabled.

    A failed job is retried from the page with an edited prompt, and an unconfirmed one is abandoned.
    """
    rows = {"fox": "a fox", "bad": "[[refused]] a cat", "lost": "[[lost]] an owl"}
    write_jobs(tmp_path / "jobs.jsonl", rows)
    sandbox = Sandbox(image_latency=Fixed(6.0))
    with SandboxServer(sandbox) as server:
        environment = environment_of(sandbox, server.url)
        words = command("batch", "jobs.jsonl", "-o", "out", "-p", "apiinone", "--progress", "none")
        with subprocess.Popen(words, cwd=tmp_path, env=environment, stdout=subprocess.DEVNULL) as batch:
            while not (tmp_path / "out" / "journal.db").exists():
                assert batch.poll() is None
            with served_page(tmp_path, environment) as url, opened_page(chromium, url) as opened:
                page = opened.page
                page.get_by_text("Running (process").wait_for()
                page.locator("article.doubt").wait_for(timeout=20_000)
                card(opened, "lost").get_by_role("button").click()
                assert page.get_by_role("button", name="Abandon").is_disabled()
                page.keyboard.press("Escape")
                page.locator("article.good img").wait_for(timeout=30_000)
                page.get_by_text("Not running.").wait_for(timeout=30_000)
                assert 2 == len(sandbox.entries)

                card(opened, "lost").get_by_role("button").click()
                page.get_by_role("button", name="Abandon").click()
                page.get_by_text("lost is abandoned.").wait_for()
                page.locator(".pane strong", has_text="abandoned").wait_for(timeout=20_000)
                page.keyboard.press("Escape")

                card(opened, "bad").get_by_role("button").click()
                page.get_by_role("textbox", name="Prompt").fill("a mended cat")
                page.get_by_role("button", name="Retry with this prompt").click()
                page.get_by_text("bad is submitted again.").wait_for(timeout=20_000)
                page.keyboard.press("Escape")
                page.locator("article.good", has_text="a mended cat").wait_for(timeout=60_000)
                assert 3 == len(sandbox.entries)
                assert [] == opened.complaints
