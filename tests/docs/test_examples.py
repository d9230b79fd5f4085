"""Every file in docs/examples is run as a user would run it, against a sandbox."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from pathlib import Path

import httpx
import pytest
from attrs import field, frozen

from kling_async.testing import Sandbox, SandboxServer

from ..postgres import PostgresServer
from ..s3 import Bucket

EXAMPLES = Path(__file__).resolve().parents[2] / "docs" / "examples"


@frozen
class Expected:
    """The arguments of an example, its output, patterns of the files it leaves, and a library that it needs."""

    arguments: tuple[str, ...] = ()
    printed: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    options: tuple[str, ...] = field(default=(), kw_only=True)
    needs: str = field(default="sys", kw_only=True)


ELSEWHERE = frozenset({"bucket.py", "fastapi_app.py", "ray_tasks.py", "resume.py", "webhooks_app.py"})
"""Not simply run to their end: tests of their own serve the apps; those below give one a bucket, one a database, and
stop another."""

CELLS = """
import ast, asyncio, inspect, pathlib, sys, types
code = compile(pathlib.Path(sys.argv[1]).read_text(), "cells", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
asyncio.run(types.FunctionType(code, {"__name__": "__main__"})())
"""
"""Runs a file as a notebook runs its cells: in a running event loop."""

EXPECTED = {
    "batch.py": Expected(
        printed=("[8 of 8, 0 accepted", "fox-linocut: fox-linocut-0.png\n", "heron-watercolour: "),
        files=(*["out/*-linocut-0.png"] * 4, *["out/*-watercolour-0.png"] * 4),
    ),
    "batch_budget.py": Expected(
        printed=(*["done: a lighthouse, postcard "] * 3, "The next job would pass max_cost", "spent $0.09 on 3 of 8\n")
    ),
    "batch_matrix.py": Expected(
        printed=("a_fox-rain a_fox-rain-0.png\n", "a_whale-snow a_whale-snow-0.png\n"), files=(*["out/*-*-0.png"] * 6,)
    ),
    "both_providers.py": Expected(
        printed=("gptproto None ", "apiinone 0.012 "), files=("out/gptproto/*.png", "out/apiinone/*.png")
    ),
    "chain.py": Expected(
        printed=("a-harbour out/videos/a-harbour-0.mp4\n", "a-gorge out/videos/a-gorge-0.mp4\n"),
        files=(*["out/images/*-0.png"] * 10, *["out/videos/*-0.mp4"] * 10, "out/images.db", "out/videos.db"),
    ),
    "compare.py": Expected(
        printed=(
            "gptproto: 2 of 2 succeeded, spent: unknown\n",
            "apiinone: 2 of 2 succeeded, spent: $0.024\n",
        ),
        files=(*["out/fox-*-kling_image_o1-0.png"] * 2, *["out/kites-*-kling_image_o1-0.png"] * 2),
    ),
    "errors.py": Expected(
        ("a cat", "a cat [[refused]]", "a cat [[lost]]", "a cat [[failed:out of ink]]", " "),
        (
            "succeeded: image\n",
            "refused: change the prompt\n",
            "unconfirmed: check the provider's history (image-",
            "failed: out of ink\n",
            "not sent: prompt=' ': must be text",
        ),
    ),
    "estimate.py": Expected(
        printed=("API in One: $0.036\n", "$1.20 to $12.00\n", "no published price", "known? False\n")
    ),
    "events.py": Expected(printed=(*["submitted "] * 3, *["finished "] * 3, *["done: "] * 3, *[" succeeded \n"] * 3)),
    "first_image.py": Expected(printed=(".png\n",), files=("out/image-*.png",)),
    "first_video.py": Expected(printed=(".mp4\n",), files=("out/video-*.mp4",)),
    "later.py": Expected(printed=("submitted heron\n", "heron-0.png\n"), files=("out/heron-0.png", "prediction.json")),
    "hundred.py": Expected(
        ("dragon [[refused]]",),
        ("expected cost: $1.32\n", "saved: 100\n", "ContentRejected: 10\n"),
        (*["hundred/*-*-0.png"] * 100,),
    ),
    "many.py": Expected(
        ("a fox", "an owl [[refused]]", "a whale"),
        ("a fox: ", "an owl [[refused]]: The provider refused", "a whale: "),
        ("out/*.png", "out/*.png"),
    ),
    "new_provider.py": Expected(
        printed=('{"prompt":"a cat","count":2}\n', "j-1 queued 0.03\n", "succeeded https://example.com/1.png\n")
    ),
    "notebook.py": Expected(
        printed=("<div><p>3 jobs: 3 succeeded</p>",), files=(*["out/*-0.png"] * 4,), options=("-c", CELLS)
    ),
    "own_transport.py": Expected(
        printed=("POST /api/v3/kwaivgi/kling-image-o1/text-to-image 200\n", "GET /api/v3/predictions/", "succeeded\n")
    ),
    "pandas_frame.py": Expected(
        printed=("A-3", "a mug of glass", "out/A-3-0.png"),
        files=("results.csv", *["out/A-*-0.png"] * 3),
        needs="pandas",
    ),
    "sandbox_server.py": Expected(printed=("gptproto succeeded\n", "apiinone kling-image-o1 was billed 0.012\n")),
    "job_file.py": Expected(
        ("jobs.csv",), printed=("3 jobs, expected cost: ", "fox done\n", "heron done\n"), files=(*["out/*.png"] * 3,)
    ),
    **dict.fromkeys(
        ("test_own_journal.py", "test_with_sandbox.py"),
        Expected(
            printed=(" passed",),
            options=("-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir=.", "-c", os.devnull),
        ),
    ),
    "refused.py": Expected(
        ("a duel at dawn [[refused]]", "a cat [[refused]] [[slow:1]]", "a cat"),
        (
            "row-0: 'a fencing lesson at dawn' done, in place of 'a duel at dawn [[refused]]'\n",
            "row-1: 'a cat [[slow:1]]' done, in place of 'a cat [[refused]] [[slow:1]]'\n",
            "row-2: 'a cat' done\n",
        ),
        ("images.db",),
    ),
    "script.py": Expected(
        printed=(".png\n", "fox-linocut: out/fox-linocut-0.png\n", "heron-watercolour: "),
        files=(*["out/*.png"] * 9, "jobs.db"),
    ),
    "telemetry.py": Expected(
        printed=("submit\n", "wait\n", "generate_content", "save kling-image-o1\n", "request\n"),
        files=("out/*.png",),
        needs="opentelemetry.sdk",
    ),
    "tqdm_progress.py": Expected(needs="tqdm"),
    "trio_app.py": Expected(printed=(".png\n",), files=("out/*.png", "out/*.png")),
}


@pytest.fixture(scope="module")
def settings() -> Iterator[dict[str, str]]:
    """Serve a quick sandbox, and return an environment that points at it."""
    with SandboxServer(Sandbox(time_scale=0.005)) as server:
        pointed = {"PYTHONIOENCODING": "utf-8", "PYTHONDONTWRITEBYTECODE": "1"}
        for name in ("GPTPROTO", "APIINONE"):
            pointed |= {f"{name}_BASE_URL": server.url, f"{name}_API_KEY": server.sandbox.key}
        yield {**os.environ, **pointed}


def test_every_example_is_run() -> None:
    """Every example has a test, and every test an example."""
    assert sorted(ELSEWHERE.union(EXPECTED)) == sorted(path.name for path in EXAMPLES.glob("*.py"))


def run(words: list[str], settings: dict[str, str], folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Run an example as a user would, to a successful end."""
    command = [sys.executable, *options, str(EXAMPLES / words[0]), *words[1:]]
    done = subprocess.run(
        command, cwd=folder, env=settings, capture_output=True, text=True, encoding="utf-8", timeout=200, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done


@pytest.mark.parametrize("name", EXPECTED)
def test_it_runs(name: str, settings: dict[str, str], tmp_path: Path) -> None:
    """An example succeeds, prints the output on its page, and leaves its files."""
    expected = EXPECTED[name]
    pytest.importorskip(expected.needs)
    (tmp_path / "jobs.csv").write_text("key,prompt\nfox,a fox\n,an owl\nheron,a heron\n", encoding="utf-8")
    done = run([name, *expected.arguments], settings, tmp_path, *expected.options)
    for text in expected.printed:
        assert done.stdout.count(text) >= expected.printed.count(text)
    for pattern in expected.files:
        found = list(tmp_path.glob(pattern))
        assert len(found) == expected.files.count(pattern)
        assert all(path.stat().st_size for path in found)


@pytest.fixture
def proxy() -> Iterator[tuple[str, list[str]]]:
    """Serve a proxy that forwards requests, and records them."""
    requests: list[str] = []

    class Passing(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            requests.append(f"{self.command} {self.path}")
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            with httpx.Client(trust_env=False) as http:
                answer = http.request(self.command, self.path, content=body, headers=dict(self.headers.items()))
            self.send_response(answer.status_code)
            self.send_header("Content-Length", str(len(answer.content)))
            self.end_headers()
            self.wfile.write(answer.content)

        do_GET = do_POST  # noqa: N815

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Passing) as serving:
        thread = threading.Thread(target=serving.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{serving.server_port}", requests
        serving.shutdown()
        thread.join()


def test_everything_goes_through_the_proxy(
    settings: dict[str, str], proxy: tuple[str, list[str]], tmp_path: Path
) -> None:
    """With a proxy in the transport, the submission and every poll go through it, and keep their URL."""
    url, requests = proxy
    run(["own_transport.py"], settings | {"MY_PROXY": url}, tmp_path)
    origin = settings["GPTPROTO_BASE_URL"]
    assert requests[0] == f"POST {origin}/api/v3/kwaivgi/kling-image-o1/text-to-image"
    assert requests[1:]
    assert all(line.startswith(f"GET {origin}/api/v3/predictions/") for line in requests[1:])


def test_files_go_into_a_bucket(settings: dict[str, str], bucket: Bucket, tmp_path: Path) -> None:
    """The example of a bucket saves every image there, prints its URL, and leaves nothing else but the journal."""
    done = run(["bucket.py"], settings | bucket.environ | {"BUCKET": bucket.name}, tmp_path)
    lines = [f"postcard-{n} s3://{bucket.name}/lighthouses/postcard-{n}-0.png " for n in range(1, 5)]
    assert lines == done.stdout.splitlines()[:4]
    assert done.stdout.endswith("bytes, PNG\n")
    assert {f"postcard-{n}-0.png" for n in range(1, 5)} == set(bucket.objects("lighthouses/"))
    assert [] == list(tmp_path.rglob("*.png"))


@pytest.mark.skipif(find_spec("ray") is None, reason="Ray is not installed")
def test_ray_runs_the_tasks(settings: dict[str, str], request: pytest.FixtureRequest, tmp_path: Path) -> None:
    """The example for Ray does each job once, over tasks in processes of Ray's."""
    postgres: PostgresServer = request.getfixturevalue("postgres")
    with SandboxServer(Sandbox(time_scale=0.005)) as server:
        given = {"KLING_DATABASE": postgres.url(postgres.database()), "RAY_USAGE_STATS_ENABLED": "0"}
        done = run(["ray_tasks.py"], settings | given | {"GPTPROTO_BASE_URL": server.url}, tmp_path)
        assert sorted(f"postcard-{n} done" for n in range(8)) == sorted(done.stdout.splitlines())
        assert [1] * 8 == [server.sandbox.billed(f"a lighthouse, postcard {n}") for n in range(8)]


@pytest.mark.skipif(os.name == "nt", reason="Windows sends no SIGINT to a process of its own")
def test_a_run_is_stopped_and_resumed(tmp_path: Path) -> None:
    """The lesson about Ctrl-C: stopped in the middle, it resumes; each is billed once; a third run sends nothing."""
    with SandboxServer(Sandbox(time_scale=0.005)) as server:
        settings = {**os.environ, "GPTPROTO_BASE_URL": server.url, "GPTPROTO_API_KEY": server.sandbox.key}
        command = [sys.executable, str(EXAMPLES / "resume.py")]
        with subprocess.Popen(
            command, cwd=tmp_path, env=settings, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as first:
            assert first.stdout is not None
            assert first.stdout.readline().startswith("fox-")
            first.send_signal(signal.SIGINT)
            output, messages = first.communicate(timeout=200)
        assert first.returncode == 0, messages
        assert "Press Ctrl-C again to quit now" in messages
        assert output.endswith(" of 40 are done.\nStopped; run it again.\n")
        assert 0 < server.sandbox.billed() < 40
        assert run(["resume.py"], settings, tmp_path).stdout.endswith("\n40 of 40 are done.\n")
        requests = len(server.sandbox.log)
        assert run(["resume.py"], settings, tmp_path).stdout.endswith("\n40 of 40 are done.\n")
        assert len(server.sandbox.log) == requests
        assert [server.sandbox.billed(f"a fox in the manner of painter {n}") for n in range(1, 41)] == [1] * 40
    assert len(list(tmp_path.glob("foxes/fox-*-0.png"))) == 40


@pytest.mark.skipif(os.name == "nt", reason="Windows kills in another way")
def test_a_chain_is_killed_and_resumed(tmp_path: Path) -> None:
    """Ten images and a video of each, killed in the middle: the next run pays for what is left, a third for nothing."""
    with SandboxServer(Sandbox(time_scale=0.05)) as server:
        settings = {**os.environ, "GPTPROTO_BASE_URL": server.url, "GPTPROTO_API_KEY": server.sandbox.key}
        with subprocess.Popen([sys.executable, str(EXAMPLES / "chain.py")], cwd=tmp_path, env=settings) as first:
            until = time.monotonic() + 60
            while server.sandbox.billed() < 12:  # ten images, and the first videos
                assert first.poll() is None, "it has ended"
                assert time.monotonic() < until, "it submits nothing"
                time.sleep(0.001)
            first.kill()
        assert server.sandbox.billed() < 20
        assert 10 == len(run(["chain.py"], settings, tmp_path).stdout.splitlines())
        requests = len(server.sandbox.log)
        assert 10 == len(run(["chain.py"], settings, tmp_path).stdout.splitlines())
        assert requests == len(server.sandbox.log)
        assert (10, 10) == (server.sandbox.billed("the fog lifts"), server.sandbox.billed() - 10)
