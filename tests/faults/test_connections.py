"""Rows 18 to 20: connections that never come to be, and too few of them."""

from __future__ import annotations

import datetime as dt
import gc
import socket
from collections.abc import Callable
from pathlib import Path

import anyio
import pytest
import trustme

from kling_async import ImageInput, Limits
from kling_async.errors import DownloadError, NotSent
from kling_async.types.prediction import Output, OutputKind, Prediction, Status

from .answers import CLOSE, HEALTHY_SUBMIT, RESET, Answer, Script, send, sleep
from .conftest import ANSWER_WITHIN, OpenSite, cats, client_of, listing, named
from .names import Names, fake_names
from .promises import check_paid_once, timed

pytestmark = pytest.mark.anyio

CAT = ImageInput(prompt="a cat")
YESTERDAY = dt.datetime.now(dt.UTC) - dt.timedelta(days=1)


@pytest.fixture
def authority(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> trustme.CA:
    """Make an authority that is trusted by the environment."""
    made = trustme.CA()
    made.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    return made


def certificate(authority: trustme.CA, directory: Path, name: str, **settings: dt.datetime) -> Path:
    """Let an authority sign for a name."""
    path = directory / "server.pem"
    authority.issue_cert(name, **settings).private_key_and_cert_chain_pem.write_to_path(str(path))
    return path


CERTIFICATES: dict[str, Callable[[trustme.CA, Path], Path]] = {
    "untrusted": lambda _, directory: certificate(trustme.CA(), directory, "localhost"),
    "expired": lambda ours, directory: certificate(
        ours, directory, "localhost", not_before=YESTERDAY - dt.timedelta(days=9), not_after=YESTERDAY
    ),
    "for another host": lambda ours, directory: certificate(ours, directory, "example.org"),
}


@pytest.mark.parametrize("make", named(CERTIFICATES))
async def test_row_18_certificate_that_is_wrong(
    site: OpenSite, authority: trustme.CA, tmp_path: Path, make: Callable[[trustme.CA, Path], Path]
) -> None:
    """Nothing is sent to a server that is not the one it should be, and it is not tried again."""
    here = site(certificate=make(authority, tmp_path), host="localhost")
    async with client_of(here) as client:
        error = (await timed(lambda: client.submit(CAT), by=ANSWER_WITHIN)).badly(NotSent)
    assert "tls" == error.reason
    assert not error.may_be_billed
    assert [] == here.log.requests
    assert 1 == here.log.connections


async def test_row_18_a_wrong_certificate_stops_a_batch(site: OpenSite, authority: trustme.CA, tmp_path: Path) -> None:
    """A run whose host cannot be trusted ends with that error; not one request was seen."""
    here = site(certificate=certificate(trustme.CA(), tmp_path, "localhost"), host="localhost")

    async with client_of(here) as client:

        async def run() -> None:
            async with client.batch(cats(100), max_open=4) as batch:
                async for outcome in batch:
                    assert isinstance(outcome.error, NotSent)

        (await timed(run, by=2.0)).badly(NotSent)
    assert [] == here.log.requests
    assert here.log.connections <= 3 + 8


async def test_row_18_the_right_certificate(site: OpenSite, authority: trustme.CA, tmp_path: Path) -> None:
    """With the certificate of the host everything goes through, files too: so it was the certificates."""
    here = site(certificate=certificate(authority, tmp_path, "localhost"), host="localhost")
    (tmp_path / "out").mkdir()
    async with client_of(here) as client:
        prediction = (await timed(lambda: client.generate(CAT), by=2.0)).well()
        [path] = (await timed(lambda: client.download(prediction, tmp_path / "out"), by=2.0)).well()
    assert [path.name] == listing(tmp_path / "out")


ALERT = send(b"\x15\x03\x01\x00\x02\x02\x28") + CLOSE
NO_HANDSHAKE = {"alert": ALERT, "close": CLOSE, "reset": RESET, "plain http": send("HTTP/1.1 400 No\r\n\r\n") + CLOSE}


@pytest.mark.parametrize("greeting", named(NO_HANDSHAKE))
async def test_row_18_no_handshake(site: OpenSite, greeting: Answer) -> None:
    """A server that does not finish the handshake has got nothing, however it goes about it."""
    here = site(greeting=greeting)
    async with client_of(here, origin=here.origin.replace("http:", "https:")) as client:
        error = (await timed(lambda: client.submit(CAT, wait_timeout=60), by=2.0)).badly(NotSent)
    assert not error.may_be_billed
    assert [] == here.log.requests
    assert here.log.connections <= 5


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
async def test_row_18_silence_in_the_handshake(site: OpenSite) -> None:
    """A server that never answers the handshake is given up at the deadline of the exchange."""
    # httpcore 1.0 leaves the socket of a cancelled handshake to the garbage collector, which warns of it.
    here, settings = site(greeting=sleep(3.0)), {"request_timeout": ANSWER_WITHIN}
    async with client_of(here, origin=here.origin.replace("http:", "https:"), **settings) as client:
        error = (await timed(lambda: client.submit(CAT, wait_timeout=30), by=ANSWER_WITHIN + 0.3)).badly(NotSent)
    assert "timeout" == error.reason
    gc.collect()


NOT_FOUND = socket.gaierror(socket.EAI_NONAME, "Name or service not known")


async def test_row_19_name_that_does_not_exist(site: OpenSite) -> None:
    """A name that cannot be found is looked for three times, and nothing was sent."""
    here = site()
    with fake_names({"nobody.invalid": [NOT_FOUND]}) as names:
        async with client_of(here, origin="https://nobody.invalid") as client:
            error = (await timed(lambda: client.submit(CAT), by=2.0)).badly(NotSent)
    assert "dns" == error.reason
    assert 3 == names.asked("nobody.invalid")


async def test_row_19_real_name_that_does_not_exist(site: OpenSite) -> None:
    """The same by the machine's own resolver; .invalid never exists (RFC 6761)."""
    async with client_of(site(), origin="https://nobody.invalid") as client:
        error = (await timed(lambda: client.submit(CAT), by=2.0)).badly(NotSent)
    assert "dns" == error.reason


async def test_row_19_slow_names(site: OpenSite) -> None:
    """A resolver that does not answer is no excuse for missing a deadline."""
    with fake_names({"slow.test": [Names.NEVER]}):
        async with client_of(site(), origin="https://slow.test", request_timeout=ANSWER_WITHIN) as client:
            error = (await timed(lambda: client.submit(CAT, wait_timeout=30), by=ANSWER_WITHIN + 0.3)).badly(NotSent)
    assert "timeout" == error.reason


@pytest.mark.parametrize("trouble", named({"not found": [NOT_FOUND] * 2, "no address": [[], []]}))
async def test_row_19_flapping_names(site: OpenSite, trouble: list[object]) -> None:
    """A name that is found at the third try is connected to, and the job is paid for once."""
    here = site()
    origin = here.origin.replace("127.0.0.1", "provider.test")
    with fake_names({"provider.test": [*trouble, ["127.0.0.1"]]}):
        async with client_of(here, origin=origin, allow_http=True) as client:
            (await timed(lambda: client.submit(CAT, wait_timeout=900), by=2.0)).well()
    check_paid_once(here.log, ["a cat"])


def made(url: str) -> Prediction:
    """Return a prediction that succeeded with one output."""
    output = Output(url=url, kind=OutputKind.IMAGE)
    return Prediction(provider="gptproto", model="kling-image-o1", id="p-1", status=Status.SUCCEEDED, outputs=(output,))


PRIVATE: dict[str, list[object]] = {
    "loopback": ["127.0.0.1"],
    "private": ["10.0.0.7"],
    "link-local": ["169.254.169.254"],
    "mapped": ["::ffff:127.0.0.1"],
    "none": [],
}


@pytest.mark.parametrize("addresses", named(PRIVATE))
async def test_row_19_name_that_leads_inside(site: OpenSite, tmp_path: Path, addresses: list[str]) -> None:
    """An output's name that leads into the user's own network is not connected to."""
    here = site()
    with fake_names({"cdn.test": [addresses]}):
        async with client_of(here, origin="https://gptproto.com") as client:
            one = made(f"https://cdn.test:{here.port}/files/one.png")
            (await timed(lambda: client.download(one, tmp_path), by=2.0)).badly(DownloadError)
    assert 0 == here.log.connections
    assert [] == listing(tmp_path)


async def test_row_19_name_that_changes_behind_the_check(site: OpenSite, authority: trustme.CA, tmp_path: Path) -> None:
    """A name is looked up once, and what was checked is what is connected to, under its own certificate."""
    here = site(certificate=certificate(authority, tmp_path, "cdn.test"), host="cdn.test")
    (tmp_path / "out").mkdir()
    with fake_names({"cdn.test": [["127.0.0.1"], ["10.255.255.1"]]}) as names:
        # The provider is on this machine, so that this machine is allowed.
        async with client_of(here, origin="https://127.0.0.1:1") as client:
            one = made(f"{here.origin}/files/one.png")
            (await timed(lambda: client.download(one, tmp_path / "out"), by=2.0)).well()
    assert 1 == names.asked("cdn.test")
    assert 1 == here.log.connections


ONE_LANE = Limits(submit_per_second=None, poll_per_second=None, max_open=None, max_submitting=1)


async def test_row_20_one_connection_for_all(site: OpenSite) -> None:
    """Who finds no free connection waits for one; nobody is told of it."""
    here = site(Script(submit=[sleep(0.02) + HEALTHY_SUBMIT] * 12))
    async with client_of(here, limits=ONE_LANE) as client:
        outcomes = (await timed(lambda: client.map(cats(12)), by=4.0)).well()
    assert all(one.ok for one in outcomes)
    assert 1 == here.log.most_submitting
    check_paid_once(here.log, [f"cat {number}" for number in range(12)])


async def test_row_20_who_waits_too_long(site: OpenSite) -> None:
    """Who waits for a connection until his own deadline is told that nothing was sent, and nothing was."""
    here = site(Script(submit=[(sleep(1.0) + HEALTHY_SUBMIT).for_ever]))
    errors: list[NotSent] = []
    async with client_of(here, limits=ONE_LANE) as client, anyio.create_task_group() as group:
        group.start_soon(lambda: timed(lambda: client.submit(CAT), by=1.0 + ANSWER_WITHIN))
        await here.until(lambda log: len(log.requests) == 1)

        async def late(number: int) -> None:
            ended = await timed(lambda: client.submit(cats(5)[number], wait_timeout=10), by=0.1)
            errors.append(ended.badly(NotSent))

        for number in range(5):
            group.start_soon(late, number)
    assert 5 == len(errors)
    check_paid_once(here.log, ["a cat"])
