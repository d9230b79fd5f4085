"""A provider for benchmarks, in a process of its own: `python benchmarks/server.py [--port N]` prints its port.

It speaks the v3 wire that GPTProto and WaveSpeedAI share, and costs about a tenth of the leanest client measured here,
so it is never what is measured. Everything that it needs to know of a prediction stands in the id. To a poll in one of
the other providers' dialects (`dialects.py`) it says that the prediction is running.

    POST /api/v3/{anything}                   submit: the n-th gets the n-th latency of the seed
    GET  /api/v3/predictions/{id}/result      poll
    GET  {a dialect's prefix}{id}...          poll of a prediction that never ends
    GET  /bench/begin?seed=&mean=&spread=&rtt=   forget everything, and begin a run
    GET  /bench/end                           what was seen, as JSON

A round trip of `rtt` is half there and half back: a request counts as arrived `rtt / 2` after it came in, and its reply
leaves `rtt` after. So what is measured as detection delay runs from the time when a prediction was done until the first
poll arrived that saw it.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import sys
from collections import deque
from dataclasses import asdict, dataclass, field
from pathlib import Path
from time import monotonic
from urllib.parse import parse_qsl

sys.path.insert(0, str(Path(__file__).resolve().parent))

from dialects import dialect_of

__all__ = ["Counts", "latency", "made_up_id"]

_HEAD = "content-type: application/json\r\nserver: bench\r\nx-request-id: 0f1e2d3c4b5a\r\n"
_RECORD = (
    '{{"code":200,"message":"success","data":{{"id":"{id}","model":"kwaivgi/kling-image-o1/text-to-image",'
    '"outputs":{outputs},"urls":{{"get":"/api/v3/predictions/{id}/result"}},"has_nsfw_contents":[],'
    '"status":"{status}","created_at":"2026-11-20T10:00:00.000Z","error":"","executionTime":0}}}}'
)
_OUTPUTS = '["https://files.example.com/0f1e2d3c4b5a69788796a5b4c3d2e1f0/image-0.png"]'


@dataclass
class Counts:
    """What was seen of one run.

    Attributes:
        submits: submissions that came in.
        polls: polls that came in.
        connections: how many connections were opened.
        found: predictions that a poll saw finished.
        most_open: the most that were submitted and not done at any time.
        delays: seconds from done to seen, of each that was found.
        work: the latency of each prediction, in the order of submission.
    """

    submits: int = 0
    polls: int = 0
    connections: int = 0
    found: int = 0
    most_open: int = 0
    delays: list[float] = field(default_factory=list)
    work: list[float] = field(default_factory=list)


def latency(dice: random.Random, mean: float, spread: float) -> float:
    """Draw a latency: evenly from `mean * (1 - spread)` to `mean * (1 + spread)`."""
    return mean * (1.0 + spread * (2.0 * dice.random() - 1.0))


def made_up_id(serial: int, done_at: float) -> str:
    """Return the id of a prediction that nobody submitted and that is done at a time of this machine's clock."""
    return f"w{serial}-{round(done_at * 1e6)}"


class _Run:
    """One run: what was asked for, and what was seen."""

    def __init__(self, *, seed: int = 0, mean: float = 1.0, spread: float = 0.2, rtt: float = 0.0) -> None:
        self.dice, self.mean, self.spread, self.rtt = random.Random(seed), mean, spread, rtt
        self.counts = Counts()
        self.seen: set[str] = set()
        self.edges: list[tuple[float, int]] = []

    def submit(self, at: float) -> str:
        """Take a submission that arrived at a time, and return the body of the reply."""
        counts = self.counts
        takes = latency(self.dice, self.mean, self.spread)
        counts.submits += 1
        counts.work.append(takes)
        self.edges += (at, 1), (at + takes, -1)
        return _RECORD.format(id=f"s{counts.submits}-{round((at + takes) * 1e6)}", outputs="[]", status="created")

    def poll(self, id: str, at: float) -> str:
        """Answer a poll that arrived at a time."""
        counts = self.counts
        counts.polls += 1
        done_at = int(id[id.index("-") + 1 :]) / 1e6
        if done_at > at:
            return _RECORD.format(id=id, outputs="[]", status="processing")
        if id not in self.seen:
            self.seen.add(id)
            counts.found += 1
            counts.delays.append(at - done_at)
        return _RECORD.format(id=id, outputs=_OUTPUTS, status="completed")

    def end(self) -> str:
        """Return the counts as JSON."""
        now_open = 0
        for _, step in sorted(self.edges):
            now_open += step
            self.counts.most_open = max(self.counts.most_open, now_open)
        return json.dumps(asdict(self.counts))


class _Desk:
    """Replies that wait for their time. All wait equally long, so one timer serves the line."""

    def __init__(self) -> None:
        self.run = _Run()
        self._line: deque[tuple[float, asyncio.Transport, bytes]] = deque()
        self._loop = asyncio.get_running_loop()

    def say(self, at: float, link: asyncio.Transport, reply: bytes) -> None:
        """Send a reply at a time, which is never before that of an earlier call in the same run."""
        if at <= monotonic():
            link.write(reply)
            return
        self._line.append((at, link, reply))
        if len(self._line) == 1:
            self._wait()

    def _wait(self) -> None:
        self._loop.call_at(self._loop.time() + self._line[0][0] - monotonic(), self._send)

    def _send(self) -> None:
        line, now = self._line, monotonic()
        while line and line[0][0] <= now:
            _, link, reply = line.popleft()
            if not link.is_closing():
                link.write(reply)
        if line:
            self._wait()


class _Link(asyncio.Protocol):
    """One connection."""

    def __init__(self, desk: _Desk) -> None:
        self._desk = desk
        self._buffer = b""
        self._link: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._link = transport
        self._desk.run.counts.connections += 1

    def data_received(self, data: bytes) -> None:
        self._buffer = self._buffer + data if self._buffer else data
        while self._buffer:
            head, found, rest = self._buffer.partition(b"\r\n\r\n")
            if not found:
                return
            length = 0
            if head.startswith(b"POST"):
                at = head.lower().find(b"content-length:")
                length = int(head[at + 15 :].split(b"\r", 1)[0]) if at >= 0 else 0
            if len(rest) < length:
                return
            self._buffer = rest[length:]
            method, path, _ = head.split(b"\r", 1)[0].decode().split(" ")
            self._answer(method, path)

    def _answer(self, method: str, path: str) -> None:
        now, desk, link = monotonic(), self._desk, self._link
        assert link is not None
        run = desk.run
        at, reply_at, status = now + run.rtt / 2, now + run.rtt, "200 OK"
        if method == "POST":
            body = run.submit(at)
        elif path.startswith("/api/v3/predictions/"):
            body = run.poll(path.split("/")[4], at)
        elif dialect := dialect_of(path):
            run.counts.polls += 1
            body, status = dialect.answer(path), dialect.status
        elif path.startswith("/bench/"):
            body, reply_at = self._control(path), now
        else:
            body, status = "{}", "404 Not Found"
        reply = f"HTTP/1.1 {status}\r\n{_HEAD}content-length: {len(body)}\r\n\r\n{body}".encode()
        desk.say(reply_at, link, reply)

    def _control(self, path: str) -> str:
        name, _, query = path.partition("?")
        if name == "/bench/begin":
            told = dict(parse_qsl(query))
            numbers = {key: float(value) for key, value in told.items() if key != "seed"}
            self._desk.run = _Run(seed=int(told.get("seed", "0")), **numbers)
            return "{}"
        return self._desk.run.end()


async def serve(port: int) -> None:
    """Serve until the process ends."""
    desk = _Desk()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: _Link(desk), "127.0.0.1", port, backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


def main() -> None:
    """Serve; the port is printed first."""
    parser = argparse.ArgumentParser(description="A provider for benchmarks.")
    parser.add_argument("--port", type=int, default=0)
    asyncio.run(serve(parser.parse_args().port))


if __name__ == "__main__":
    main()
