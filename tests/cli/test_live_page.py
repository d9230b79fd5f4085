"""The live page over HTTP: who gets in, what it tells while another process does the run, and what its buttons do."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from kling_async.runs.directory import RunDirectory
from kling_async.testing import Fixed, Sandbox, SandboxServer

from ..live_pages import command, environment_of, events, served_page, write_jobs

HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(1)>\n\ndata: x\r\n\r\nevent: y \u2028"
ROWS = {"fox": "a fox", "bad": "[[refused]] a cat", "lost": "[[lost]] an owl", "evil": HOSTILE}
JSON = {"Content-Type": "application/json"}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, dict[str, str], Sandbox]]:
    """Do a run of four jobs, of which one succeeds, one fails and one is unconfirmed; one has a hostile prompt."""
    folder = tmp_path_factory.mktemp("live")
    write_jobs(folder / "jobs.jsonl", ROWS)
    sandbox = Sandbox(image_latency=Fixed(0.05))
    with SandboxServer(sandbox) as server:
        environment = environment_of(sandbox, server.url)
        words = command("batch", "jobs.jsonl", "-o", "out", "-p", "apiinone", "--progress", "none")
        subprocess.run(words, cwd=folder, env=environment, check=False, capture_output=True, timeout=100)
        yield folder, environment, sandbox


@pytest.fixture(scope="module")
def page(finished) -> Iterator[httpx.Client]:
    """Serve its page."""
    folder, environment, _ = finished
    with served_page(folder, environment) as url, httpx.Client(base_url=url, timeout=20.0) as client:
        yield client


def test_only_the_whole_address_opens_it(page) -> None:
    """Without the token, or with another one, every path is forbidden, and the answer tells nothing of the run."""
    origin = str(page.base_url.copy_with(path="/"))
    token = page.base_url.path.strip("/")
    assert 32 <= len(token)
    for path in ("", "events", f"{token[:-1]}x/", "out/journal.db", "media/", f"x/{token}/", f"?token={token}", "%ff/"):
        for method in ("GET", "POST"):
            answer = httpx.request(method, f"{origin}{path}", headers=JSON, content="{}", timeout=20.0)
            assert (403, path) == (answer.status_code, path)
            assert "fox" not in answer.text
    assert 200 == page.get("").status_code


def test_other_host_names_are_refused(page) -> None:
    """A name of another site that leads to this machine opens nothing, whatever else the request has."""
    port = page.base_url.port
    for host, status in (
        ("evil.example", 403),
        (f"evil.example:{port}", 403),
        ("127.0.0.1.evil.example", 403),
        ("[127.0.0.1", 403),
        ("", 403),
        (f"localhost:{port}", 200),
        (f"127.0.0.1:{port}", 200),
    ):
        assert (status, host) == (page.get("", headers={"Host": host}).status_code, host)


def test_the_browser_may_load_nothing_from_elsewhere(page) -> None:
    """The policy allows this origin and the page's own script and style; it cannot be framed, stored or told on."""
    answer = page.get("")
    policy = dict(part.strip().partition(" ")[::2] for part in answer.headers["content-security-policy"].split(";"))
    assert "'none'" == policy["default-src"] == policy["frame-ancestors"] == policy["form-action"] == policy["base-uri"]
    assert "'self'" == policy["connect-src"]
    assert re.fullmatch(r"'sha256-[^']+'", policy["script-src"])
    assert "file:" not in str(policy)
    for name, value in (
        ("referrer-policy", "no-referrer"),
        ("cache-control", "no-store"),
        ("x-content-type-options", "nosniff"),
        ("cross-origin-resource-policy", "same-origin"),
    ):
        assert value == answer.headers[name]
    links = re.findall(r"(?:src|href)=\"([^\"]*)\"", answer.text)
    assert links
    assert [] == [link for link in links if "//" in link and not link.startswith("data:")]
    assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize("action", ["decide", "retry", "resume"])
def test_another_site_can_do_nothing(page, finished, action) -> None:
    """Even with the token, an action is JSON from the page's own origin, as no form and no other site can send."""
    _, _, sandbox = finished
    before = len(sandbox.entries)
    body = json.dumps({"job": 1, "key": "bad", "prompt": "x", "decision": "resubmit"})
    for headers in (
        JSON | {"Origin": "http://evil.example"},
        JSON | {"Origin": "null"},
        JSON | {"Origin": "http://[evil"},
        JSON | {"Sec-Fetch-Site": "cross-site"},
        JSON | {"Sec-Fetch-Site": "same-site"},
        {"Content-Type": "text/plain"},
        {"Content-Type": "application/x-www-form-urlencoded"},
        {},
    ):
        assert 403 == page.post(action, content=body, headers=headers).status_code
    assert 405 == page.get(action).status_code
    assert before == len(sandbox.entries)


def test_saved_files_are_shown_and_run_nothing(page, finished) -> None:
    """Files of the run are served with a policy that runs no script; parts of them can be asked for; no others are."""
    folder, _, _ = finished
    [path, *_] = sorted((folder / "out" / "media").glob("fox*"))
    answer = page.get(f"media/{path.name}")
    assert path.read_bytes() == answer.content
    assert "sandbox" in answer.headers["content-security-policy"]
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert 304 == page.get(f"media/{path.name}", headers={"If-None-Match": answer.headers["etag"]}).status_code
    part = page.get(f"media/{path.name}", headers={"Range": "bytes=0-3"})
    assert (206, path.read_bytes()[:4]) == (part.status_code, part.content)
    (folder / "out" / "media" / "page.html").write_text("<script>alert(1)</script>")
    assert "sandbox" in page.get("media/page.html").headers["content-security-policy"]
    for name in ("journal.db", "jobs.jsonl", "media/../journal.db", "media/%2e%2e/jobs.jsonl", "media/..%2fjobs.jsonl"):
        assert (404, name) == (page.get(name).status_code, name)


def test_hostile_text_is_inert(page) -> None:
    """A prompt that is HTML, or looks like an event, is escaped text in the page and in the JSON of the events."""
    found = events(page, until=lambda name, data: name == "parts")
    assert {"status", "cards", "parts"} == {name for name, *_ in found}
    cards = {job: html for name, data, _ in found if name == "cards" for job, html in data.items()}
    assert {"0", "1", "2", "3"} == cards.keys()
    for html in (cards["3"], page.get("").text.partition("<main>")[2].partition("<script>")[0]):
        assert "&lt;script&gt;alert(1)" in html
        assert "<script" not in html
        assert "<img src=x" not in html


def test_a_page_gets_what_it_has_not(page) -> None:
    """The page names its version, and nothing older is sent; a browser that connects again is known by its event id."""
    version = int(re.search(r'data-version="(\d+)"', page.get("").text)[1])
    assert ["status"] == [name for name, *_ in events(page, since=version, until=lambda name, data: True)]
    assert {"status", "cards", "parts"} == {name for name, *_ in events(page, until=lambda name, data: name == "parts")}
    last = {"Last-Event-ID": str(version)}
    assert ["status"] == [name for name, *_ in events(page, headers=last, until=lambda name, data: True)]


def test_the_run_of_another_process_is_followed(tmp_path) -> None:
    """Cards, totals and the rate come as another process does the run, and it cannot be decided about meanwhile."""
    sandbox = Sandbox(image_latency=Fixed(2.0))
    write_jobs(tmp_path / "jobs.jsonl", {f"job-{n}": f"a fox, number {n}" for n in range(6)})
    with SandboxServer(sandbox) as server:
        environment = environment_of(sandbox, server.url)
        words = command("batch", "jobs.jsonl", "-o", "out", "-p", "apiinone", "--max-open", "2", "--progress", "none")
        with subprocess.Popen(words, cwd=tmp_path, env=environment, stdout=subprocess.DEVNULL) as batch:
            limit = time.monotonic() + 30.0
            while not RunDirectory(tmp_path / "out").holds_run:
                assert time.monotonic() < limit
                time.sleep(0.05)
            with (
                served_page(tmp_path, environment) as url,
                httpx.Client(base_url=url, timeout=20.0) as page,
            ):
                answer = page.post("resume", json={})
                assert (409, True) == (answer.status_code, "already using" in answer.json()["error"])
                found = events(page, until=lambda name, data: name == "status" and data["owner"] is None)
                found += events(page, until=lambda name, data: name == "parts")
            assert 0 == batch.wait(30)
    owners = [data["owner"] for name, data, _ in found if name == "status"]
    assert f"process {batch.pid} " in owners[0]
    versions = [int(id) for name, _, id in found if name == "parts"]
    assert len(versions) > 1  # how many depends on how soon the server has started
    assert max(data["rate"] for name, data, _ in found if name == "status") > 0
    last = {job: html for name, data, _ in found if name == "cards" for job, html in data.items()}
    assert {str(n) for n in range(6)} == last.keys()
    assert all('class="good"' in html and "<img" in html for html in last.values())
    assert ">6</dd>" in found[-1][1]["parts"]["totals"]


def test_wrong_requests_change_nothing(page, finished) -> None:
    """A field that is missing, wrong or about another job is refused with what is wrong, and nothing is sent."""
    _, _, sandbox = finished
    before = len(sandbox.entries)
    for action, fields, text in (
        ("decide", {}, "reload it"),
        ("decide", {"job": 2, "key": "other", "decision": "abandon"}, "reload it"),
        ("decide", {"job": True, "key": "bad", "decision": "abandon"}, "reload it"),
        ("decide", {"job": 2, "key": "lost", "decision": "pay"}, "must be one of"),
        ("decide", {"job": 2, "key": "lost", "decision": "attach", "id": "a b"}, "must be the provider's id"),
        ("decide", {"job": 2, "key": "lost", "decision": "attach"}, "must be the provider's id"),
        ("decide", {"job": 0, "key": "fox", "decision": "resubmit"}, "is not unconfirmed"),
        ("retry", {"job": 0, "key": "fox", "prompt": "again"}, "has not failed"),
        ("retry", {"job": 1, "key": "bad", "prompt": 3}, "must be a string"),
    ):
        answer = page.post(action, json=fields)
        assert (422, fields) == (answer.status_code, fields)
        assert text in answer.json()["error"]
    assert 400 == page.post("retry", content="[1]", headers=JSON).status_code
    assert 400 == page.post("retry", content="[" * 100_000, headers=JSON).status_code
    assert 413 == page.post("retry", content="1" * (2 << 20), headers=JSON).status_code
    assert before == len(sandbox.entries)


def test_a_failed_job_is_retried_with_an_edited_prompt(finished, page) -> None:
    """Only the job that was asked for is submitted again, with the new prompt, and the others stay as they are."""
    folder, _, sandbox = finished
    before = len(sandbox.entries)
    answer = page.post("retry", json={"job": 1, "key": "bad", "prompt": "a mended cat"})
    assert (200, "bad is submitted again.") == (answer.status_code, answer.json()["message"])
    found = events(page, until=lambda name, data: name == "cards" and 'class="good"' in data.get("1", ""))
    assert "a mended cat" in found[-1][1]["1"]
    events(page, until=lambda name, data: name == "status" and not data["busy"] and data["owner"] is None)
    assert before + 1 == len(sandbox.entries)
    assert ["a fox", "a mended cat", ROWS["lost"], HOSTILE] == [
        job.input.prompt for job in RunDirectory(folder / "out").jobs()
    ]
    again = page.post("retry", json={"job": 1, "key": "bad", "prompt": "once more"})
    assert "has not failed" in again.json()["error"]


def test_an_unconfirmed_job_is_decided_about_once(finished, page) -> None:
    """The first decision holds and sends nothing; another one about the same job is refused."""
    _, _, sandbox = finished
    before = len(sandbox.entries)
    fields = {"job": 2, "key": "lost", "decision": "abandon"}
    assert "lost is abandoned." == page.post("decide", json=fields).json()["message"]
    assert 422 == page.post("decide", json=fields | {"decision": "resubmit"}).status_code
    found = events(page, until=lambda name, data: name == "parts")
    assert "abandoned" in [data["2"] for name, data, _ in found if name == "cards"][-1]
    assert before == len(sandbox.entries)


def test_a_batch_serves_its_page(tmp_path) -> None:
    """`batch --serve` prints the page's URL as it begins, serves until Ctrl-C, and then ends with the run's own code.

    After the run, its directory is free: the page retries a job and the new prompt succeeds.
    """
    write_jobs(tmp_path / "jobs.jsonl", {"fox": "a fox", "bad": "[[refused]] a cat"})
    sandbox = Sandbox(image_latency=Fixed(0.2))
    with SandboxServer(sandbox) as server:
        words = command("batch", "jobs.jsonl", "-o", "out", "-p", "apiinone", "--serve", "--progress", "none")
        environment = environment_of(sandbox, server.url)
        with subprocess.Popen(words, cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True) as batch:
            assert batch.stderr is not None
            url = next(line for line in batch.stderr if line.startswith("Live page: ")).split()[2]
            said = iter(batch.stderr)
            assert any("still served" in line for line in said)
            with httpx.Client(base_url=url, timeout=20.0) as page:
                events(page, until=lambda name, data: name == "cards" and 'class="bad"' in data.get("1", ""))
                assert 200 == page.post("retry", json={"job": 1, "key": "bad", "prompt": "a cat"}).status_code
                events(page, until=lambda name, data: name == "cards" and 'class="good"' in data.get("1", ""))
            batch.send_signal(signal.SIGINT)
            assert 1 == batch.wait(20)
        with pytest.raises(httpx.ConnectError):
            httpx.get(url)
    assert 2 == len(sandbox.entries)


def test_what_a_page_has_started_is_finished(tmp_path) -> None:
    """Ctrl-C ends the server only after the job that its page has submitted is saved, so nothing paid is lost."""
    write_jobs(tmp_path / "jobs.jsonl", {"bad": "[[refused]] a cat"})
    sandbox = Sandbox(image_latency=Fixed(3.0))
    with SandboxServer(sandbox) as server:
        environment = environment_of(sandbox, server.url)
        words = command("batch", "jobs.jsonl", "-o", "out", "-p", "apiinone", "--progress", "none")
        subprocess.run(words, cwd=tmp_path, env=environment, check=False, capture_output=True, timeout=60)
        with served_page(tmp_path, environment) as url, httpx.Client(base_url=url, timeout=20.0) as page:
            assert 200 == page.post("retry", json={"job": 0, "key": "bad", "prompt": "a cat"}).status_code
            events(page, until=lambda name, data: name == "cards" and "accepted" in data.get("0", ""))
    assert 1 == len(sandbox.entries)
    record = json.loads((tmp_path / "out" / "results.jsonl").read_text())
    assert "succeeded" == record["status"]
    assert [b"\x89PNG"] == [(tmp_path / "out" / file).read_bytes()[:4] for file in record["files"]]
