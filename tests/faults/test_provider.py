"""The scripted provider itself: what it charges, what it notes, and that it ends with whoever started it."""

from __future__ import annotations

import json
import socket
import subprocess
import sys

import httpx
import pytest

from .answers import CLOSE, RESET, Script, refused
from .conftest import OpenSite, named
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


KLING = "/v1/images/omni-image"


def test_a_client_id_is_taken_once(site: OpenSite) -> None:
    """A second submission under a client id is refused, for free, and the first is found by it."""
    here = site(Script(submit=[RESET]))
    body = {"prompt": "a", "external_task_id": "mine"}
    with pytest.raises(httpx.ReadError):
        httpx.post(here.origin + KLING, json=body)
    refused = httpx.post(here.origin + KLING, json=body)
    assert (400, 1201) == (refused.status_code, refused.json()["code"])
    found = httpx.get(f"{here.origin}{KLING}/mine").json()["data"]
    assert [found["task_id"]] == here.log.charges["a"]
    assert "mine" == found["task_info"]["external_task_id"]


WIRES = {
    "wavespeed": ("/api/v3/kwaivgi/kling-image-o1", {"prompt": "a"}),
    "apiinone": ("/api/v1/images/generations", {"prompt": "a"}),
    "kling legacy": (KLING, {"prompt": "a"}),
    "kling": ("/omni-video/kling-o1", {"contents": [{"type": "prompt", "text": "a"}]}),
    "replicate": ("/v1/models/kwaivgi/kling-o1/predictions", {"input": {"prompt": "a"}}),
    "openrouter": ("/api/v1/videos", {"prompt": "a"}),
    "fal": ("/fal-ai/kling-video/o1/text-to-video", {"prompt": "a"}),
}


@pytest.mark.parametrize("submission", named(WIRES))
def test_knows_whose_wire_it_is(site: OpenSite, submission: tuple[str, dict[str, object]]) -> None:
    """A submission on any provider's path is charged to its prompt, wherever its body has it."""
    here = site()
    path, body = submission
    answer = httpx.post(here.origin + path, json=body)
    assert answer.is_success
    [id] = here.log.charges["a"]
    assert id in answer.text


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
