"""The live page of a run in a database: what it tells while workers do the run, and what its buttons do meanwhile."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image

from kling_async import ImageInput, Job
from kling_async.errors import InputError
from kling_async.integrations.live_page import DatabaseRun
from kling_async.journal.hidden_url import HiddenUrl
from kling_async.journal.queued_cancels import hold_run
from kling_async.journal.queued_runs import QueuedRuns
from kling_async.runs.thumbnails import Thumbnails
from kling_async.testing import Fixed, Sandbox

from ..live_pages import events, served_page
from ..postgres import PostgresServer
from ..s3 import PATIENCE, Bucket
from .test_workers import enqueue, outcomes, statuses
from .workers import Machines

pytest.importorskip("dbos")

PROMPTS = {"fox": "a fox", "-bad": "[[refused]] a cat", "lost": "[[lost]] an owl"}


@pytest.fixture
def there(postgres: PostgresServer, tmp_path: Path) -> Iterator[Machines]:
    """Serve a sandbox, and make an empty database. A job takes several readings of a page."""
    with ExitStack() as stack:
        sandbox = Sandbox(strict=True, image_latency=Fixed(5.0))
        yield stack.enter_context(Machines.running(postgres.url(postgres.database()), tmp_path, sandbox))


def jobs(prompts: dict[str, str]) -> list[Job]:
    """Make jobs."""
    return [Job(ImageInput(prompt), key=key) for key, prompt in prompts.items()]


def idle(name: str, data: Any) -> bool:
    """Return whether an event says that nothing is running any more."""
    return name == "status" and data["owner"] is None and not data["busy"] and not data["problem"]


def test_a_page_follows_workers_and_acts_beside_them(there: Machines) -> None:
    """It says who does the run, shows saved files small and whole, and takes decisions and edits at any time."""
    enqueue(there, jobs(PROMPTS))
    with (
        served_page(there.folder, there.environment, "spring") as url,
        httpx.Client(base_url=url, timeout=30.0) as page,
    ):
        [(_, told, _)] = events(page, until=lambda name, data: name == "status")
        assert (None, True) == (told["owner"], "No worker is living" in told["problem"])
        there.start("one", "--rate", "20")
        events(page, until=lambda name, data: name == "status" and data["owner"] == "workers: one")
        cards = dict[str, str]()

        def all_ended(name: str, data: Any) -> bool:
            cards.update(data if name == "cards" else {})
            found = (re.search(r'class="(\w+)"', cards.get(job, "")) for job in "012")
            is_saved = 'src="media/fox-0.png"' in cards.get("0", "")
            return is_saved and ["good", "bad", "doubt"] == [one[1] for one in found if one]

        events(page, until=all_ended)
        assert (there.folder / "out" / "fox-0.png").read_bytes() == page.get("media/fox-0.png").content
        assert 404 == page.get("media/../spring.jsonl").status_code
        answer = page.post("decide", json={"job": 2, "key": "lost", "decision": "abandon"})
        assert "lost is abandoned." == answer.json()["message"], answer.text
        answer = page.post("retry", json={"job": 1, "key": "-bad", "prompt": 'a "mended" cat; $HOME'})
        assert "-bad is submitted again." == answer.json()["message"], answer.text
        events(page, until=lambda name, data: name == "cards" and 'class="good"' in data.get("1", ""))
        events(page, until=idle)
        assert 1 == there.sandbox.billed('a "mended" cat; $HOME')
        assert 4 == there.sandbox.submits
        assert {"succeeded": 2, "abandoned": 1} == statuses(there)


def test_what_was_held_is_resumed_from_the_page(there: Machines) -> None:
    """A run that was cancelled goes on by its button, also where a run directory has its name."""
    enqueue(there, jobs({"fox": "a fox"}))
    with closing(QueuedRuns(HiddenUrl(there.url))) as runs:
        runs.open()
        hold_run(runs, "spring", reason="it was cancelled")
    with (
        served_page(there.folder, there.environment, "spring") as url,
        httpx.Client(base_url=url, timeout=30.0) as page,
    ):
        there.start("one", "--rate", "20")
        events(page, until=idle)
        (there.folder / "spring").mkdir()
        for name in ("jobs.jsonl", "run.json", "journal.db"):
            (there.folder / "spring" / name).touch()
        assert "The run is resumed." == page.post("resume", json={}).json()["message"]
        events(page, until=lambda name, data: name == "cards" and 'class="good"' in data.get("0", ""))


def test_thumbnails_are_made_elsewhere(there: Machines, tmp_path: Path) -> None:
    """A large image has a thumbnail, which is served; the directory that workers share stays as it is."""
    enqueue(there, jobs({"fox": "a fox"}))
    scratch, place = tmp_path / "scratch", there.folder / "out"
    scratch.mkdir()
    place.mkdir()
    Image.new("RGB", (1024, 768)).save(place / "fox-0.png")
    with closing(QueuedRuns(HiddenUrl(there.url))) as runs:
        runs.open()
        run = DatabaseRun(HiddenUrl(there.url), runs, "spring", scratch=scratch)
    made = Thumbnails(scratch).of(["media/fox-0.png"])
    assert {"media/fox-0.png": "thumbnails/fox-0.png.webp"} == made
    assert (run.folders["thumbnails"] / "fox-0.png.webp").is_file()
    assert ["fox-0.png"] == [path.name for path in place.iterdir()]


@pytest.mark.parametrize("prompt", ["a\0b", "a \ud800 b", "x" * 100_001])
def test_a_prompt_that_no_command_takes_is_refused(there: Machines, tmp_path: Path, prompt: str) -> None:
    """It is named before anything is started."""
    enqueue(there, jobs({"fox": "a fox"}))
    with closing(QueuedRuns(HiddenUrl(there.url))) as runs:
        runs.open()
        run = DatabaseRun(HiddenUrl(there.url), runs, "spring", scratch=tmp_path)
        with pytest.raises(InputError, match="at most 100,000 bytes"):
            run.retry("fox", prompt)
        assert ("retry", "--", "spring", "fox") == run.retry("fox", "a fox")
        assert there.url not in str(run.retry("fox", "a wolf"))


def test_a_page_is_read_again_only_after_a_change(there: Machines) -> None:
    """The signature of a run stays the same until a job, a submission or a chunk of it changes; other runs do not."""
    enqueue(there, jobs({"fox": "a fox"}))
    with closing(QueuedRuns(HiddenUrl(there.url))) as runs:
        runs.open()
        first = runs.changes("spring")
        enqueue(there, jobs({"owl": "an owl"}), run="summer")
        assert first == runs.changes("spring") != runs.changes("summer")
        hold_run(runs, "spring", reason="it was cancelled")
        second = runs.changes("spring")
        assert first != second
        runs.resume("spring", saves=True)
        assert second != runs.changes("spring") != first


def test_links_of_a_report_are_signed(there: Machines, bucket: Bucket) -> None:
    """With `presign` the report's links open the objects, for whoever has it; it needs an object store."""
    place = {"save_to": bucket.url, "presign": 600.0}
    enqueue(there, jobs({"fox": "a fox"}), **place)
    there.start("one", "--rate", "20")
    outcomes(there)
    done = there.run("report", "spring", "-o", "report")
    assert 0 == done.code, done.err
    [link] = re.findall(r'href="(http[^"]*\.png[^"]*)"', (there.folder / "report" / "report.html").read_text("utf-8"))
    assert "X-Amz-Expires=600" in link
    assert httpx.get(link.replace("&amp;", "&"), timeout=PATIENCE).content.startswith(b"\x89PNG")
    for wrong, told in (({"presign": 600.0}, "in an object store"), (place | {"presign": 0.0}, "above 0")):
        with pytest.raises(InputError, match=told):
            enqueue(there, jobs({"owl": "an owl"}), **({"save_to": there.folder} | wrong))
