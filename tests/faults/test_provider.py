"""The scripted provider itself: what it charges, what it notes, and that it ends with whoever started it."""

from __future__ import annotations

import json
import socket
import subprocess
import sys

import httpx

from .answers import CLOSE, Script, refused
from .conftest import OpenSite
from .harness import PROVIDER, ProviderProcess
from .promises import CANARY

PATH = "/api/v3/kwaivgi/kling-image-o1/text-to-image"


def test_charges_what_came_whole(site: OpenSite) -> None:
    """A submission is charged once its body is here, whatever becomes of the answer, and not before."""
    here = site(Script(submit=[CLOSE]))
    body = json.dumps({"prompt": "whole"}).encode()
    head = f"POST {PATH} HTTP/1.1\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    for sent in (head + body, head + body[:-1]):
        with socket.create_connection(("127.0.0.1", here.port)) as connection:
            connection.sendall(sent)
            connection.shutdown(socket.SHUT_WR)
            assert connection.recv(1) == b""
    assert [("whole", 1)] == [(prompt, len(ids)) for prompt, ids in here.log.charges.items()]
    assert [True, False] == [one.whole for one in here.log.requests]


def test_a_refusal_is_free(site: OpenSite) -> None:
    """An answer that says no, and says that it is free, charges nothing; the next one does."""
    here = site(Script(submit=[refused("429 Too Many Requests")]))
    statuses = [httpx.post(here.origin + PATH, json={"prompt": "a"}).status_code for _ in range(2)]
    assert [429, 200] == statuses
    assert 1 == len(here.log.charges["a"])
    assert {"a": 2} == dict(here.log.submissions())


def test_notes_headers_and_key(site: OpenSite) -> None:
    """It tells which headers came, and whether the key was anywhere in what came."""
    here, foreign = site(), site()
    httpx.get(here.origin, headers={"Authorization": CANARY})
    httpx.get(foreign.origin)
    assert CANARY == here.log.requests[0].header("authorization")
    assert here.log.key_seen
    assert not foreign.log.key_seen
    assert CANARY not in repr(here.log)


def test_ends_with_its_parent() -> None:
    """When its standard input ends, as it does when its parent is killed, it ends by itself."""
    command = [sys.executable, "-I", "-S", str(PROVIDER)]
    parent = "import subprocess, sys; subprocess.Popen(sys.argv[1:], stdin=sys.stdin); input()"
    with subprocess.Popen(
        [sys.executable, "-c", parent, *command], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as one:
        assert one.stdin is not None
        assert one.stdout is not None
        one.kill()
        one.stdin.close()
        # Its standard output is ours as well, and ends only when both processes have ended.
        assert b"" == one.stdout.read()


def test_a_site_closes(provider_process: ProviderProcess) -> None:
    """Nobody listens on a site that was closed."""
    with provider_process.site(canary=CANARY) as here:
        httpx.get(here.origin)
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", here.port))
