"""Clients that share a journal in PostgreSQL: one submission for each key, and its result for all of them."""

from __future__ import annotations

import secrets
from pathlib import Path

import anyio
import pytest

from kling_async import (
    AnswerLost,
    Client,
    ContentRejected,
    ImageInput,
    InputError,
    Job,
    JobStatus,
    PostgresJournal,
    Prediction,
)
from kling_async.journal.submission import new_submission
from kling_async.testing import Fixed, Sandbox, SandboxServer

from ..conftest import NO_LIMITS
from ..postgres import PostgresServer

pytestmark = pytest.mark.anyio


class Shared:
    """A sandbox, and a run in a database."""

    def __init__(self, postgres: PostgresServer, sandbox: Sandbox, server: SandboxServer) -> None:
        self.sandbox = sandbox
        self._server = server
        self._url = postgres.url()
        self._run = f"run-{secrets.token_hex(4)}"

    def journal(self) -> PostgresJournal:
        """Make the journal of another client."""
        return PostgresJournal(self._url, run=self._run)

    def client(self) -> Client:
        """Make another client, as on another machine."""
        return Client(
            "gptproto",
            api_key=self.sandbox.key,
            base_url=self._server.url,
            limits=NO_LIMITS,
            journal=self.journal(),
        )


@pytest.fixture
def sandbox() -> Sandbox:
    """Make a sandbox that takes a moment for an answer."""
    return Sandbox(image_latency=Fixed(0.2))


async def test_one_submission_for_all_clients(postgres: PostgresServer, sandbox: Sandbox) -> None:
    """Three clients that generate under the same keys at once pay once for each key, and each has every result."""
    with SandboxServer(sandbox) as server:
        shared, found = Shared(postgres, sandbox, server), dict[tuple[int, str], Prediction]()

        async def generate(client: Client, number: int, key: str) -> None:
            found[number, key] = await client.generate(ImageInput(f"a {key}"), key=key)

        async with shared.client() as one, shared.client() as two, shared.client() as three:
            async with anyio.create_task_group() as group:
                for number, client in enumerate((one, two, three)):
                    for key in ("cat", "dog", "fox", "owl"):
                        group.start_soon(generate, client, number, key)
            [late] = await two.map([Job(ImageInput("a cat"), key="cat")])
    assert 4 == sandbox.submits == sandbox.billed()
    assert 12 == len([prediction for prediction in found.values() if prediction.succeeded])
    assert 4 == len({prediction.id for prediction in found.values()})
    assert late.result().id == found[0, "cat"].id


async def test_two_batches_share_their_jobs(postgres: PostgresServer, sandbox: Sandbox, tmp_path: Path) -> None:
    """Two batches over the same jobs pay once for each, and each has all outcomes with files of its own."""
    jobs = [Job(ImageInput(f"cat {number}"), key=f"cat-{number}") for number in range(20)]
    with SandboxServer(sandbox) as server:
        shared, files = Shared(postgres, sandbox, server), list[int]()

        async def run(number: int) -> None:
            async with (
                shared.client() as client,
                client.batch(jobs, journal=shared.journal(), save_to=tmp_path / str(number)) as batch,
            ):
                files.append(len([outcome async for outcome in batch if outcome.ok and outcome.files]))

        async with anyio.create_task_group() as group:
            for number in range(2):
                group.start_soon(run, number)
    assert 20 == sandbox.submits == sandbox.billed()
    assert [20, 20] == files


async def test_an_error_is_that_of_all_clients(postgres: PostgresServer, sandbox: Sandbox) -> None:
    """A refusal that one client gets is raised by the others that wait for it, and nothing is sent again."""
    with SandboxServer(sandbox) as server:
        shared, raised = Shared(postgres, sandbox, server), list[type[Exception]]()

        async def generate(client: Client) -> None:
            try:
                await client.generate(ImageInput("a cat [[refused]]"), key="cat")
            except ContentRejected as error:
                raised.append(type(error))

        async with shared.client() as one, shared.client() as two, anyio.create_task_group() as group:
            group.start_soon(generate, one)
            group.start_soon(generate, two)
    assert [ContentRejected] * 2 == raised
    assert 1 == sandbox.submits


async def test_another_input_under_a_key_is_refused(postgres: PostgresServer, sandbox: Sandbox) -> None:
    """A client that has another input under a key that another one is submitting sends nothing."""
    with SandboxServer(sandbox) as server:
        shared = Shared(postgres, sandbox, server)
        async with shared.client() as one, shared.client() as two:
            await one.generate(ImageInput("a cat"), key="cat")
            with pytest.raises(InputError, match="differs"):
                await two.generate(ImageInput("a dog"), key="cat")
    assert 1 == sandbox.submits


async def test_what_a_gone_client_was_submitting_is_never_sent_again(
    postgres: PostgresServer, sandbox: Sandbox
) -> None:
    """A call with the key of a submission whose client is gone gets an error that says it may be billed."""
    with SandboxServer(sandbox) as server:
        shared = Shared(postgres, sandbox, server)
        gone = shared.journal()
        await gone.open()
        job = Job(ImageInput("a cat"), key="cat")
        await gone.write(new_submission(job, provider="gptproto", price=None, at=1.0).sent(2.0))
        async with shared.client() as client:
            postgres.execute(
                "UPDATE kling_async.workers SET expires_at = 'epoch' WHERE id = %s", gone._postgres._worker
            )
            with pytest.raises(AnswerLost) as caught:
                await client.generate(ImageInput("a cat"), key="cat")
            [left] = await client.unconfirmed()
        await gone.aclose()
    assert caught.value.may_be_billed
    assert ("cat", JobStatus.UNCONFIRMED) == (left.key, left.status)
    assert 0 == sandbox.submits
