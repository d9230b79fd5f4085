"""The sandbox's own pages: HTML for a browser, and text and JSON for everything else."""

from __future__ import annotations

import json
import re
from html import unescape

import pytest

from kling_async.providers import PROVIDERS
from kling_async.testing import FAULTS, Fixed
from kling_async.testing.sandbox.browser_pages import VARIABLES

from ..conftest import KEY

pytestmark = pytest.mark.anyio

BROWSER = {"accept": "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"}
HOSTILE = "</bdi></td><script>document.title='hacked'</script><img src=x onerror=\"x\"> \ud800 &lt;b&gt;"


@pytest.mark.parametrize("path", ["/", "/sandbox/ledger"])
@pytest.mark.parametrize(
    ("accept", "is_html"),
    [
        (BROWSER["accept"], True),
        ("TEXT/HTML ; Q=0.5", True),
        ("*/*", False),
        ("application/json", False),
        ("application/json, text/html;q=0.5", False),
        ("text/html;q=0", False),
        ("text/html;q=x", False),
        ("", False),
    ],
)
async def test_only_a_browser_gets_html(visit, path, accept, is_html) -> None:
    """HTML is sent to those who ask for it by name; all others get what programs have always got."""
    async with visit() as v:
        answer = await v.http.get(path, headers={"accept": accept})
        usual = "text/plain" if path == "/" else "application/json"
        assert answer.headers["content-type"].partition(";")[0] == ("text/html" if is_html else usual)


async def test_a_browser_may_ask_for_json(visit) -> None:
    """The link on the ledger leads to the JSON, which a browser could not ask for otherwise."""
    async with visit() as v:
        page = (await v.http.get("/sandbox/ledger", headers=BROWSER)).text
        [query] = re.findall(r'href="(\?[^"]+)"', page)
        assert 0 == (await v.http.get(f"/sandbox/ledger{query}", headers=BROWSER)).json()["billed"]


async def test_the_front_page_says_how_to_use_it(visit) -> None:
    """It has each provider's variables with this origin and that provider's key, every fault, and every route."""
    async with visit(key="sk-mine") as v:
        page = unescape((await v.http.get("/", headers=BROWSER)).text)
        for provider in PROVIDERS.values():
            key = v.sandbox.key_for(provider.name)
            line = f"export {provider.base_url_env}=http://sandbox.test {provider.api_key_env}={key}"
            assert line in page
        assert all(f"[[{name}" in page for name in FAULTS)
        assert (await v.http.get("/")).text.partition("\n\n")[2].strip() in page


def test_the_front_page_knows_every_provider() -> None:
    """Its table of variables, which it does not share with the adapters, agrees with theirs."""
    assert VARIABLES == {one.name: (one.base_url_env, one.api_key_env) for one in PROVIDERS.values()}


async def test_the_front_page_shows_the_latest_tasks(visit) -> None:
    """The twenty latest are there, the newest first, with their state and links to their files."""
    async with visit(image_latency=Fixed(10), video_latency=Fixed(100)) as v:
        for number in range(25):
            await v.image(f"cat {number}")
        await v.image("a dog [[failed]]")
        await v.video(prompt="the fog lifts")
        await v.clock.sleep(50)
        page = (await v.http.get("/", headers=BROWSER)).text
        rows = re.findall(r"<tr><td><b class=\"(\w+)\">(\w+)</b></td><td[^>]*><bdi>([^<]*)</bdi>", page)
        assert rows[:3] == [
            ("open", "running", "the fog lifts"),
            ("bad", "failed", "a dog [[failed]]"),
            ("good", "completed", "cat 24"),
        ]
        assert (20, "cat 7") == (len(rows), rows[-1][2])
        assert "The latest 20 of 27." in page
        url = re.findall(r'<a href="(http[^"]*)">1</a>', page)[0]
        assert (await v.http.get(url)).content.startswith(b"\x89PNG")


async def test_the_ledger_lists_each_charge_and_the_total(visit) -> None:
    """An amount, its prompt, and whether the answer was lost or the money came back stand in each row; then the sum."""
    async with visit(image_latency=Fixed(1)) as v:
        await v.image("a cat", n=3)
        await v.image("an owl [[garbled]]")
        await v.one("a dog [[failed]]")
        await v.clock.sleep(1000)
        page = (await v.http.get("/sandbox/ledger", headers=BROWSER)).text
        rows = re.findall(r"<tr><td>(\d+)</td><td>(.*?)</td><td class=\"long\"><bdi>(.*?)</bdi>(.*?)</td>", page)
        expected = [
            (str(number), entry.prompt, not entry.answered, entry.refunded)
            for number, entry in reversed(list(enumerate(v.sandbox.entries, start=1)))
        ]
        assert expected == [(at, text, "answer lost" in notes, "refunded" in notes) for at, _, text, notes in rows]
        assert rows[-2:] == [
            ("2", "$0.028", "an owl [[garbled]]", ' <b class="doubt">answer lost</b>'),
            ("1", "$0.084", "a cat", ""),
        ]
        assert '<td>$0.112</td><td colspan="5">spent in all</td>' in page


async def test_a_long_ledger_is_cut(visit) -> None:
    """Of many charges the newest five hundred are in the page, and it says so."""
    async with visit() as v:
        for number in range(502):
            await v.image(f"cat {number}")
        page = (await v.http.get("/sandbox/ledger", headers=BROWSER)).text
        assert "These are the latest 500." in page
        numbers = re.findall(r"<tr><td>(\d+)</td>", page)
        assert (500, "502", "3") == (len(numbers), numbers[0], numbers[-1])


@pytest.mark.parametrize("path", ["/", "/sandbox/ledger"])
async def test_what_a_caller_sends_is_text(visit, path) -> None:
    """A prompt with markup is shown as it is, cut, and a policy forbids scripts if escaping should fail."""
    async with visit() as v:
        body = json.dumps({"prompt": HOSTILE + "x" * 2000})  # in ASCII: UTF-8 has no half of a pair
        await v.http.post("/api/v3/kwaivgi/kling-image-o1/text-to-image", content=body, headers=KEY)
        assert 1 == v.sandbox.billed()
        answer = await v.http.get(path, headers=BROWSER)
        assert "<script" not in answer.text
        assert "<img" not in answer.text
        [shown] = [text for text in re.findall(r"<bdi>(.*?)</bdi>", answer.text) if "hacked" in text]
        assert unescape(shown) == (HOSTILE.replace("\ud800", "?") + "x" * 2000)[:160] + "…"
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "script-src" not in policy


async def test_it_has_an_icon(visit) -> None:
    """A browser that asks for the icon of a file or of JSON gets one."""
    async with visit() as v:
        answer = await v.http.get("/favicon.ico")
        assert (200, "image/svg+xml") == (answer.status_code, answer.headers["content-type"])
        assert answer.text.startswith("<svg")
