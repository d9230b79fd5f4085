"""What saving into a bucket costs: outputs fetched, checked and written against the library alone writing their bytes.

    python benchmarks/storage.py --json storage.json

The one saves 500 outputs of 1 MB with `client.download`, eight at a time as a batch does, from a server of files into
S3. The other writes the same bytes under the same names with obstore, from eight threads, with nothing to fetch. S3 is
moto's server; it and the files each have a process of their own. A round of both, each into an empty bucket, makes one
ratio; the median of five counts.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import anyio
import httpx
import obstore
from obstore.store import S3Store

from kling_async import Client
from kling_async.types.prediction import Output, OutputKind, Prediction, Status

OUTPUTS = 500
SIZE = 1_000_000
AT_ONCE = 8
"""As many as a batch saves at once."""
ROUNDS = 5
TARGET = 1.3
PNG = b"\x89PNG\r\n\x1a\n" + hashlib.shake_256(b"kling").digest(SIZE - 20) + b"\0\0\0\0IEND\xaeB`\x82"[-12:]

S3_SERVER = """
import logging, sys
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import WSGIRequestHandler, make_server
WSGIRequestHandler.protocol_version = "HTTP/1.1"
logging.disable()
server = make_server("127.0.0.1", 0, DomainDispatcherApplication(create_backend_app), threaded=True)
print(server.port, flush=True)
server.serve_forever()
"""
FILE_SERVER = """
import asyncio, sys
body = sys.stdin.buffer.read()
head = f'HTTP/1.1 200 OK\\r\\nETag: "one"\\r\\nContent-Length: {len(body)}\\r\\n\\r\\n'.encode()
async def serve(reader, writer):
    while await reader.readuntil(b"\\r\\n\\r\\n"):
        writer.write(head + body)
        await writer.drain()
async def guarded(reader, writer):
    try:
        await serve(reader, writer)
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()
async def main():
    server = await asyncio.start_server(guarded, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()
asyncio.run(main())
"""


@contextmanager
def serving(program: str, given: bytes = b"") -> Iterator[str]:
    """Start a server in a process of its own, and yield its origin."""
    command = [sys.executable, "-c", program]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:  # noqa: S603 - ours
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(given)
        process.stdin.close()
        try:
            yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        finally:
            process.kill()


@contextmanager
def bucket(origin: str, name: str) -> Iterator[str]:
    """Make a bucket, and remove it with all that is in it, which the server holds in memory."""
    httpx.put(f"{origin}/{name}").raise_for_status()
    try:
        yield name
    finally:
        httpx.post(f"{origin}/moto-api/reset").raise_for_status()


async def ours(files: str, name: str) -> float:
    """Return the seconds in which outputs are fetched, checked and saved."""
    async with Client(api_key="sk-bench", base_url=files) as client:
        todo = iter(range(OUTPUTS))

        async def save() -> None:
            for number in todo:
                output = Output(url=f"{files}/{number}.png", kind=OutputKind.IMAGE)
                made = Prediction(
                    provider="gptproto",
                    model="kling-image-o1",
                    id=f"p-{number}",
                    key=f"cat-{number}",
                    status=Status.SUCCEEDED,
                    outputs=(output,),
                )
                assert [f"s3://{name}/cat-{number}-0.png"] == await client.download(made, f"s3://{name}")

        began = time.perf_counter()
        async with anyio.create_task_group() as group:
            for _ in range(AT_ONCE):
                group.start_soon(save)
        return time.perf_counter() - began


def alone(origin: str, name: str) -> float:
    """Return the seconds in which the library alone writes the same bytes."""
    store, todo, lock = (
        S3Store(name, endpoint=origin, client_options={"allow_http": True}),
        iter(range(OUTPUTS)),
        threading.Lock(),
    )

    def write() -> None:
        while True:
            with lock:
                number = next(todo, None)
            if number is None:
                return
            obstore.put(store, f"cat-{number}-0.png", PNG, mode="create", attributes={"Content-Type": "image/png"})

    threads = [threading.Thread(target=write) for _ in range(AT_ONCE)]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return time.perf_counter() - began


def figure(rounds: int) -> dict[str, object]:
    """Measure both in turns, and return the median of their ratio."""
    saved: list[float] = []
    written: list[float] = []
    with serving(S3_SERVER) as s3, serving(FILE_SERVER, PNG) as files:
        os.environ["AWS_ENDPOINT_URL"] = s3
        for number in range(rounds):
            with bucket(s3, "alone") as name:
                written.append(alone(s3, name))
            with bucket(s3, "ours") as name:
                saved.append(anyio.run(ours, files, name))
            print(f"round {number + 1}: {saved[-1]:.2f} s against {written[-1]:.2f} s")
    speeds = {"outputs a second": OUTPUTS / statistics.median(saved), "alone": OUTPUTS / statistics.median(written)}
    each = [one / other for one, other in zip(saved, written, strict=True)]
    return {
        "figure": "storage",
        "what": f"{OUTPUTS} outputs of 1 MB into S3",
        "basis": "seconds to fetch, check and save outputs / that of the library alone writing the same bytes",
        "target": TARGET,
        "got": statistics.median(each),
        "spread": [min(each), max(each)],
        "detail": speeds,
    }


def main() -> None:
    """Measure, print, and write."""
    parser = argparse.ArgumentParser(description="What saving into a bucket costs.")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    arguments = parser.parse_args()
    os.environ.update({"AWS_ACCESS_KEY_ID": "bench", "AWS_SECRET_ACCESS_KEY": "bench", "AWS_REGION": "us-east-1"})
    found = figure(arguments.rounds)
    print(f"{found['what']}: {found['got']:.2f} times the library alone (target {TARGET})")
    if arguments.json:
        arguments.json.write_text(json.dumps({"figures": [found]}, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
