"""Rows 51 to 54: a lost answer, foreign addresses, both meanings of 429, and client ids, on each provider's wire."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import pytest

from kling_async import Job, JobStatus, Limits, MemoryJournal, Outcome, Status
from kling_async.errors import (
    AnswerLost,
    InsufficientBalance,
    PermissionDenied,
)
from kling_async.types.events import Event, EventKind

from .answers import CLOSE, Answer, Script, refused, reply, send
from .cases import CASES, Case, of_providers
from .conftest import OpenSite, client_of, named
from .harness import ServerLog
from .promises import CANARY, check_paid_once, timed

pytestmark = pytest.mark.anyio

KLING = of_providers("kling")
LINKED = of_providers("wavespeed", "fal", "replicate", "openrouter")
"""Those whose records hold addresses: Kling's hold none, as no page shows any."""

# Row 51.

LOST = {
    "closed": CLOSE,
    "half a body": reply('{"id":"<<id>>","status":"starting"}', short=20) + CLOSE,
    "half a head": send("HTTP/1.1 200 OK\r\nContent-Le") + CLOSE,
    "a gateway's page": reply("<html>bad gateway</html>", status="502 Bad Gateway"),
    "another's page": reply("<html>log in</html>"),
}


def looked_up(log: ServerLog) -> list[str]:
    """Return the targets that ask for a client id: a UUID, which no id of the scripted provider is."""
    return [one.target for one in log.of("poll") if "/p-" not in one.target and "=p-" not in one.target]


@pytest.mark.parametrize("case", named(CASES))
@pytest.mark.parametrize("answer", named(LOST))
async def test_row_51_lost_answer(site: OpenSite, case: Case, answer: Answer) -> None:
    """Whatever becomes of an answer, there is one request; only a client id finds it; a later run sends nothing."""
    here = site(Script(submit=[answer]), running_for=1)
    journal, job = MemoryJournal(), Job(case.input, key="cat")
    for _ in range(2):
        async with client_of(here, provider=case.provider, journal=journal) as client:
            [outcome] = (await timed(partial(client.map, [job]), by=3.0)).well()
        check_paid_once(here.log, ["a cat"])
        known = await journal.find("cat")
        assert known is not None
        if case.finds:
            assert outcome.result().id == here.log.charges["a cat"][0]
            assert JobStatus.SUCCEEDED is known.status
        else:
            assert type(outcome.error) is AnswerLost
            assert outcome.error.may_be_billed
            assert JobStatus.UNCONFIRMED is known.status
    assert case.finds == bool(looked_up(here.log))


# Row 52.


@pytest.mark.parametrize("host", [None, "localhost"], ids=["another port", "another host"])
@pytest.mark.parametrize("case", named(LINKED))
async def test_row_52_foreign_addresses(site: OpenSite, case: Case, host: str | None) -> None:
    """The addresses in a record are never used: polls go by the id to the origin that the key belongs to."""
    foreign = site(host=host)
    here = site(links=foreign.origin, running_for=1)
    async with client_of(here, provider=case.provider) as client:
        prediction = (await timed(partial(client.generate, case.input), by=3.0)).well()
    assert here.log.charges["a cat"] == [prediction.id]
    assert len(here.log.of("poll")) >= 2
    assert here.log.key_seen
    assert 0 == foreign.log.connections


@pytest.mark.parametrize("case", named(of_providers("fal", "replicate")))
async def test_row_52_foreign_address_for_cancelling(site: OpenSite, case: Case) -> None:
    """A cancellation goes to the provider's own origin too, and the prediction is cancelled there."""
    foreign = site()
    here = site(links=foreign.origin, running_for=9)
    async with client_of(here, provider=case.provider) as client:
        prediction = (await timed(partial(client.submit, case.input), by=1.0)).well()
        seen = (await timed(partial(client.cancel, prediction), by=1.0)).well()
    assert Status.CANCELLED is seen.status
    assert [f"/{prediction.id}/cancel"] == [one.target[-len(prediction.id) - 8 :] for one in here.log.of("cancel")]
    assert 0 == foreign.log.connections
    check_paid_once(here.log, ["a cat"])


async def test_row_52_content_for_the_key(site: OpenSite, tmp_path: Path) -> None:
    """An output that only the key opens is asked for at the provider's own origin, wherever its address leads."""
    foreign = site()
    here = site(links=foreign.origin, outputs=("",))
    async with client_of(here, provider="openrouter") as client:
        prediction = (await timed(partial(client.generate, CASES["openrouter"].input), by=3.0)).well()
        assert prediction.outputs[0].url.startswith(foreign.origin)
        (await timed(partial(client.download, prediction, tmp_path), by=3.0)).well()
    assert [f"Bearer {CANARY}"] == [one.header("authorization") for one in here.log.of("file")]
    assert 0 == foreign.log.connections


# Row 53.

WAIT, REFUSE = (1302, 1303), (1100, 1101, 1102, 1304)
BALANCE = (1101, 1102)
THROTTLED = "429 Too Many Requests"
SAYS_429: dict[str, object] = {
    "wavespeed": {"message": "Too Many Requests"},
    "fal": {"detail": "Too many requests"},
    "fal video": {"detail": "Too many requests"},
    "replicate": {"detail": "Request was throttled. Your rate limit resets in ~9s.", "status": 429},
    "openrouter": {"error": {"code": 429, "message": "Rate limit exceeded"}},
    "kling legacy": {"code": 1303, "message": "parallel task over resource pack limit", "request_id": "r-1"},
    "kling": {"code": 1302, "message": "Too many requests", "request_id": "r-1"},
}


def kling_says(code: int, status: str = THROTTLED) -> Answer:
    return refused(status, {"code": code, "message": "no", "request_id": "r-1"})


async def throttled(site: OpenSite, case: Case, answer: Answer) -> tuple[list[float], ServerLog]:
    """Generate once at a provider that says 429 first, and return for how many seconds it was waited."""
    here, waits = site(Script(submit=[answer])), list[float]()

    def hear(event: Event) -> None:
        if event.kind is EventKind.THROTTLED and event.retry_in is not None:
            waits.append(event.retry_in)

    async with client_of(here, provider=case.provider) as client:
        client.add_listener(hear)
        (await timed(partial(client.generate, case.input), by=3.0)).well()
    assert 1 == len(here.log.charges["a cat"])
    return waits, here.log


@pytest.mark.parametrize("name", CASES)
async def test_row_53_429_that_means_wait(site: OpenSite, name: str) -> None:
    """A plain 429 is waited out for as long as its header asks, and the submission after it is the one charged."""
    answer = refused(THROTTLED, SAYS_429[name], headers=[("Retry-After", "7")])
    [waited], log = await throttled(site, CASES[name], answer)
    assert 7.0 <= waited <= 7.1
    first, second = log.of("submit")
    assert second.at - first.at >= 0.065  # at a hundred times the speed


async def test_row_53_429_that_says_when_in_words(site: OpenSite) -> None:
    """Replicate's 429 has the seconds in its text alone; they are waited all the same."""
    [waited], _ = await throttled(site, CASES["replicate"], refused(THROTTLED, SAYS_429["replicate"]))
    assert 9.0 <= waited <= 9.1


@pytest.mark.parametrize("status", [THROTTLED, "200 OK"])
@pytest.mark.parametrize("case", named(KLING))
@pytest.mark.parametrize("code", WAIT)
async def test_row_53_kling_is_busy(site: OpenSite, case: Case, code: int, status: str) -> None:
    """Kling's codes for too many requests and for occupied slots are waited out, whatever the HTTP status."""
    waits, log = await throttled(site, case, kling_says(code, status))
    assert 1 == len(waits)
    assert {"a cat": 2} == dict(log.submissions())


@pytest.mark.parametrize("case", named(KLING))
@pytest.mark.parametrize("code", REFUSE)
async def test_row_53_kling_refuses_the_account(site: OpenSite, case: Case, code: int) -> None:
    """The same HTTP 429 with a code about the account stops it: no job is sent again, none is charged, all are told."""
    here = site(Script(submit=[kling_says(code).for_ever]))
    limits = Limits(submit_per_second=None, poll_per_second=None, max_open=None, max_submitting=1)
    inputs = case.inputs(6)
    outcomes: list[Outcome] = []

    async def run() -> None:
        async with client_of(here, provider=case.provider, limits=limits) as client, client.batch(inputs) as batch:
            async for outcome in batch:
                outcomes.append(outcome)

    kind = InsufficientBalance if code in BALANCE else PermissionDenied
    (await timed(run, by=1.0)).badly(kind)
    assert {kind} == {type(one.error) for one in outcomes}
    assert not any(one.error is not None and one.error.may_be_billed for one in outcomes)
    assert 1 == len(here.log.of("submit"))
    assert {} == here.log.charges


# Row 54.

DUPLICATE = {"code": 1201, "message": "external_task_id already exists", "request_id": "r-1"}


@pytest.mark.parametrize("case", named(KLING))
async def test_row_54_client_ids_are_fresh(site: OpenSite, case: Case) -> None:
    """No two submissions share a client id, also after a 429, so that none is refused for its id."""
    here = site(Script(submit=[kling_says(1303)] * 2))
    inputs = case.inputs(8)
    async with client_of(here, provider=case.provider) as client:
        outcomes = (await timed(partial(client.map, inputs), by=3.0)).well()
    assert all(one.ok for one in outcomes)
    charged = [one.client_id for one in here.log.of("submit")]
    assert 10 == len(charged) == len({*charged})
    assert None not in charged
    assert [1] * 8 == [len(ids) for ids in here.log.charges.values()]


@pytest.mark.parametrize("case", named(KLING))
async def test_row_54_refused_as_a_duplicate(site: OpenSite, case: Case) -> None:
    """A client id that is refused as taken was sent twice on the way: the first one is found, and paid for once."""
    here = site(Script(submit=[reply(json.dumps(DUPLICATE), status="400 Bad Request")]), running_for=1)
    journal, job = MemoryJournal(), Job(case.input, key="cat")
    for _ in range(2):
        async with client_of(here, provider=case.provider, journal=journal) as client:
            [outcome] = (await timed(partial(client.map, [job]), by=3.0)).well()
        check_paid_once(here.log, ["a cat"])
        assert outcome.result().id == here.log.charges["a cat"][0]
    assert looked_up(here.log)
