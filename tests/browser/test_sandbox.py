"""The sandbox's own pages in a real browser."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

import httpx
import pytest

from kling_async.testing import Fixed, Sandbox, SandboxServer

from .test_report import CONTRASTS

pytestmark = pytest.mark.browser

HOSTILE = "</bdi></td></table><script>document.title='hacked'</script><img src=/x onerror=\"document.title='hacked'\">"
PROMPTS = ("a cat", "a dog [[failed]]", "an owl [[lost]]", HOSTILE, "a long story about the harbour " * 60, "x" * 2000)
TITLES = {"/": "The sandbox of kling_async", "/sandbox/ledger": "Ledger of the sandbox"}


@pytest.fixture(scope="module")
def sandbox_url() -> Iterator[str]:
    """Serve a sandbox with tasks in several states."""
    with SandboxServer(Sandbox(image_latency=Fixed(0.01), video_latency=Fixed(600))) as server:
        headers = {"authorization": "Bearer sk-sandbox"}
        with httpx.Client(base_url=server.url, headers=headers, trust_env=False) as http:
            for prompt in PROMPTS:
                with suppress(httpx.RemoteProtocolError):
                    http.post("/api/v3/kwaivgi/kling-image-o1/text-to-image", json={"prompt": prompt, "n": 2})
            http.post("/api/v3/kwaivgi/kling-video-o1-std/text-to-video", json={"prompt": "the fog lifts"})
        yield server.url


@pytest.mark.parametrize("path", TITLES)
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_it_can_be_read_and_does_nothing(chromium, sandbox_url, path, scheme, width) -> None:
    """The pages fit, have contrast in both schemes, ask for nothing else, and hostile prompts are text."""
    page = chromium.new_page(color_scheme=scheme, viewport={"width": width, "height": 800})
    heard = list[str]()
    page.on("console", lambda message: heard.append(message.text))
    page.on("request", lambda request: heard.append(request.url))
    page.goto(sandbox_url + path)
    page.evaluate("document.querySelectorAll('details').forEach((details) => (details.open = true))")
    assert TITLES[path] == page.title()
    assert [sandbox_url + path] == [one for one in heard if not one.startswith("data:")]
    assert width >= page.evaluate("document.documentElement.scrollWidth")
    contrasts = page.evaluate(CONTRASTS)
    assert 20 < len(contrasts)
    assert {} == {text: ratio for text, ratio in contrasts.items() if ratio < 4.5}
    assert HOSTILE in page.locator("bdi").all_text_contents()
    page.close()


def test_links_lead_on(chromium, sandbox_url) -> None:
    """The front page leads to the ledger, to the files of a task, and the ledger to its JSON."""
    page = chromium.new_page()
    page.goto(sandbox_url)
    href = page.locator("tr", has_text="a cat").get_by_role("link").first.get_attribute("href")
    assert page.request.get(href).body().startswith(b"\x89PNG")
    page.get_by_role("link", name="The ledger").click()
    assert "7" == page.locator("dl div", has_text="Charges").locator("dd").inner_text()
    assert "answer lost" in page.locator("tr", has_text="an owl").inner_text()
    page.get_by_role("link", name="JSON").click()
    assert '"billed":7' in page.locator("body").inner_text()
    page.close()
