"""The blocking client does what the asynchronous one does, in programs without an event loop."""

from __future__ import annotations

import asyncio
import copy
import os
import threading
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
import trio

from kling_async import (
    ContentRejected,
    Event,
    ImageInput,
    InputError,
    Job,
    Limits,
    MissingAPIKey,
    PredictionFailed,
    VideoInput,
    WaitTimeout,
)
from kling_async.blocking import Batch, Client, show_progress
from kling_async.testing import Sandbox, SandboxServer


@pytest.fixture(scope="module")
def server() -> Iterator[SandboxServer]:
    """Serve a sandbox whose jobs take no time, in a thread."""
    with SandboxServer(Sandbox(strict=True, time_scale=0.005)) as running:
        yield running


@pytest.fixture
def client(server: SandboxServer) -> Iterator[Client]:
    """Open a client in front of it."""
    with make(server) as opened:
        yield opened


def make(server: SandboxServer, **settings: object) -> Client:
    """Return a client in front of a sandbox."""
    limits = Limits(submit_per_second=None, poll_per_second=None, max_open=None)
    return Client("apiinone", api_key=server.sandbox.key, base_url=server.url, limits=limits, **settings)  # type: ignore[arg-type]


def test_one_image(client: Client, tmp_path: Path) -> None:
    """Generating, downloading, reading and streaming return what they do with `await`."""
    prediction = client.generate(ImageInput("a fox"), key="fox")
    [path] = client.download(prediction, tmp_path)
    [data] = client.read(prediction)
    assert tmp_path / "fox-0.png" == path
    assert data == path.read_bytes() == b"".join(client.stream(prediction.outputs[0]))
    assert prediction == client.refresh(prediction) == client.wait(prediction)


def test_a_stream_is_left_early(client: Client) -> None:
    """An output need not be read to its end, and the client goes on."""
    prediction = client.generate(ImageInput("a heron"))
    with closing(client.stream(prediction.outputs[0])) as chunks:
        assert next(chunks)
    assert client.estimate([ImageInput("a heron")]).known
    assert (0, 0) == (client.queue().queued, client.queue().position)


def test_errors_are_the_same(client: Client) -> None:
    """An error is raised as it is, and the client can be used after it."""
    with pytest.raises(PredictionFailed, match="out of ink"):
        client.generate(ImageInput("a cat [[failed:out of ink]]"))
    with pytest.raises(InputError):
        client.generate(ImageInput("a cat", n=1000))
    assert client.generate(ImageInput("a cat")).succeeded


def test_a_batch_is_a_plain_iterator(client: Client, tmp_path: Path) -> None:
    """Jobs come from a generator, outcomes and events by plain iteration, and progress is drawn."""
    heard: list[Event] = []
    jobs = (Job(ImageInput(f"cat {number}"), key=f"k{number}") for number in range(5))
    batch = client.batch(jobs, save_to=tmp_path)
    batch.add_listener(heard.append)
    events, seen = batch.events(), list[Event]()
    reader = threading.Thread(target=lambda: seen.extend(events))
    with batch, show_progress(batch, mode="none"):
        reader.start()
        done = {outcome.job.key for outcome in batch}
        reader.join()
    assert {f"k{number}" for number in range(5)} == done
    assert heard == seen
    assert 5 == batch.progress.done == len(list(tmp_path.iterdir()))
    assert not batch.stopped


def test_a_batch_is_stopped(client: Client) -> None:
    """After `stop` an endless generator is pulled no more, and the jobs that are paid for are delivered."""

    def endless() -> Iterator[ImageInput]:
        while True:
            yield ImageInput("a cat")

    with client.batch(endless(), max_open=2) as batch:
        first = next(batch)
        batch.stop()
        rest = list(batch)
    assert first.ok
    assert batch.stopped
    assert len(rest) <= 4


def test_outcomes_of_a_list(client: Client) -> None:
    """`map` keeps the order of its inputs."""
    prompts = ["a fox", "an owl [[refused]]", "a whale"]
    outcomes = client.map([ImageInput(prompt) for prompt in prompts])
    assert prompts == [outcome.job.input.prompt for outcome in outcomes]
    assert [True, False, True] == [outcome.ok for outcome in outcomes]


def test_several_threads(client: Client) -> None:
    """Calls from several threads run at once, through one client, and each gets its own result."""
    with ThreadPoolExecutor(8) as pool:
        keys = [f"job-{number}" for number in range(16)]
        found = list(pool.map(lambda key: client.generate(ImageInput(key), key=key), keys))
    assert keys == [one.key for one in found]


def test_jobs_may_depend_on_the_client(client: Client) -> None:
    """An iterator of jobs runs in a thread of its own, where it may call the client."""

    def jobs() -> Iterator[Job]:
        first = client.generate(ImageInput("a sketch"))
        yield Job(ImageInput("a painting of it", images=(first.outputs[0].url,)))

    with client.batch(jobs()) as batch:
        [outcome] = batch
    assert outcome.ok


def test_a_journal_is_kept(server: SandboxServer, tmp_path: Path) -> None:
    """With a journal a key holds in the next program, too."""
    with make(server, journal=tmp_path / "jobs.db") as client:
        first = client.generate(ImageInput("a fox"), key="fox")
        assert [] == client.unconfirmed()
    with make(server, journal=tmp_path / "jobs.db") as client:
        assert first.id == client.generate(ImageInput("a fox"), key="fox").id


def test_a_call_in_an_event_loop_is_refused(client: Client, server: SandboxServer) -> None:
    """In asyncio and trio a call says what to use in its place, and stops no event loop."""

    async def program() -> None:
        with pytest.raises(RuntimeError, match="would stop the .* event loop that runs in this thread"):
            client.generate(ImageInput("a cat"))
        with pytest.raises(RuntimeError, match=r"async with kling_async\.Client\(\) as client"):
            make(server).open()

    asyncio.run(program())
    trio.run(program)


def test_a_thread_of_an_event_loop_may_call(client: Client) -> None:
    """`asyncio.to_thread` is the way to call it from asyncio, if it must be."""

    async def program() -> bool:
        return (await asyncio.to_thread(client.generate, ImageInput("a cat"))).succeeded

    assert asyncio.run(program())


def test_a_listener_may_not_wait(client: Client) -> None:
    """A listener that calls the client gets an error, in place of waiting for itself for ever."""
    caught: list[RuntimeError] = []

    def listen(_: Event) -> None:
        try:
            client.unconfirmed()
        except RuntimeError as error:
            caught.append(error)

    client.add_listener(listen)
    assert client.generate(ImageInput("a cat")).succeeded
    assert "A listener cannot wait" in str(caught[0])


USES: list[Callable[[Client], object]] = [
    lambda client: client.generate(ImageInput("a cat")),
    lambda client: client.batch([]),
    lambda client: client.webhooks("https://example.com"),
    lambda client: client.unconfirmed(),
]


@pytest.mark.parametrize("use", USES)
def test_a_client_that_is_not_open(server: SandboxServer, use: Callable[[Client], object]) -> None:
    """Before it is opened and after it is closed each call says so, and never hangs."""
    client = make(server)
    with pytest.raises(RuntimeError, match="The client is not open"):
        use(client)
    with client:
        pass
    client.close()
    with pytest.raises(RuntimeError, match="The client is closed"):
        use(client)
    with pytest.raises(RuntimeError, match="opened once"):
        client.open()


def test_closing_ends_what_waits(server: SandboxServer) -> None:
    """A call that waits in another thread ends when the client is closed, and none hangs."""
    client = make(server).open()
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(client.generate, ImageInput("a cat [[slow:10000]]"), wait_timeout=30)
        submitted = threading.Event()
        client.add_listener(lambda event: submitted.set())
        submitted.wait(5)
        client.close()
        assert isinstance(waiting.exception(5), WaitTimeout)


def test_without_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """A missing key is found when the client is opened, which leaves no thread behind."""
    before = threading.active_count()
    with pytest.raises(MissingAPIKey):
        Client("apiinone").open()
    assert before == threading.active_count()


def test_a_traceback_with_locals_has_no_key() -> None:
    """Neither the API key nor the password of a database is among the locals of the package's frames."""
    secrets = {"api_key": "sk-very-secret-key", "journal": "postgresql://me:pass-word@db/jobs"}
    with pytest.raises(InputError) as caught:
        Client("apiinone", request_timeout=-1, **secrets)  # type: ignore[arg-type]
    shown = "".join(traceback.TracebackException.from_exception(caught.value, capture_locals=True).format())
    own = shown[shown.index("blocking/base.py") :]
    assert "secret" not in own
    assert "pass-word" not in own


def test_it_is_neither_pickled_nor_copied(client: Client) -> None:
    """It holds keys and a thread, as the asynchronous one holds keys and connections."""
    with pytest.raises(TypeError, match="Client cannot be pickled or copied"):
        copy.copy(client)
    with client.batch([]) as batch, pytest.raises(TypeError):
        copy.copy(batch)
    assert isinstance(batch, Batch)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system cannot fork")
@pytest.mark.filterwarnings("ignore:.*use of fork:DeprecationWarning")
def test_a_forked_process(client: Client) -> None:
    """In a process that was forked a call says so, and leaving the client there ends nothing of its parent's."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            client.close()
            client.generate(ImageInput("a cat"))
        except RuntimeError as error:
            os.write(write, str(error).encode())
        finally:
            os._exit(0)
    os.close(write)
    os.waitpid(pid, 0)
    said = os.read(read, 1000).decode()
    os.close(read)
    assert f"opened in process {os.getpid()}, from which this one was forked" in said
    assert client.generate(ImageInput("a cat")).succeeded


def test_webhooks(client: Client) -> None:
    """A receiver takes a delivery from any thread, and answers one that it cannot read."""
    receiver = client.webhooks("https://my.app/hooks")
    assert "https://my.app/hooks" == receiver.url
    assert 404 == receiver.handle({}, b"{}", provider="nobody").status


def test_it_says_how_it_stands(server: SandboxServer) -> None:
    """A client and a batch without an event loop are shown as such, and one that was never made can be shown."""
    client = make(server)
    assert "<kling_async.blocking.Client apiinone, not open>" == repr(client)
    with client:
        with client.batch([ImageInput("a fox")]) as batch:
            assert repr(batch).startswith("<kling_async.blocking.Batch, open: ")
            list(batch)
        assert repr(batch).startswith("<kling_async.blocking.Batch, ended: 1 of 1 done: 1 succeeded; ")
    assert "<kling_async.blocking.Client apiinone, closed>" == repr(client)
    for kind in (Client, Batch):
        assert f"<kling_async.blocking.{kind.__name__}, not made>" == repr(kind.__new__(kind))


def test_another_input_after_a_refusal(client: Client) -> None:
    """A plain function may block, since it runs in a thread, and one call, a list and a batch ask it alike."""
    threads = set[threading.Thread]()

    def reword(given: ImageInput | VideoInput, error: ContentRejected) -> ImageInput | VideoInput:
        threads.add(threading.current_thread())
        assert client.estimate([given]).known  # the client can be used here
        assert client.generate(ImageInput("an adviser")).succeeded
        return ImageInput(given.prompt.replace(" [[refused]]", ""))

    async def later(given: ImageInput | VideoInput, error: ContentRejected) -> ImageInput | VideoInput:
        return ImageInput(given.prompt.replace(" [[refused]]", ""))

    refused = ImageInput("an owl [[refused]]")
    assert client.generate(refused, on_refused=reword).succeeded
    [listed] = client.map([refused], on_refused=later)
    with client.batch([refused], on_refused=reword) as batch:
        [outcome] = batch
    for one in (listed, outcome):
        assert one.ok
        assert ("an owl", refused.prompt) == (one.job.input.prompt, one.refused and one.refused.prompt)
    assert threading.main_thread() not in threads
