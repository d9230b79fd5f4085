"""The journal in a PostgreSQL database: what every shared journal does, what it refuses, and what it never tells."""

from __future__ import annotations

import secrets
import subprocess
import sys
from collections.abc import Sequence
from decimal import Decimal
from traceback import TracebackException
from typing import Any

import anyio
import pytest

from kling_async import Client, InputError, JournalError
from kling_async.journal.base import Journal
from kling_async.journal.claims import is_owned
from kling_async.journal.commits import Refusals
from kling_async.journal.postgres import PostgresJournal
from kling_async.journal.postgres_rows import put_submissions
from kling_async.journal.postgres_store import PostgresStore
from kling_async.journal.submission import Submission
from kling_async.testing import SharedJournalSuite
from kling_async.testing.journal_samples import MakeJournal, sample
from kling_async.testing.shared_journals import ExpireLease

from ..ports import free_port
from ..postgres import PASSWORD, PostgresServer

pytestmark = pytest.mark.anyio


@pytest.fixture
def run() -> str:
    """Name a run that no other test has."""
    return f"run-{secrets.token_hex(4)}"


@pytest.fixture
def expire(postgres: PostgresServer) -> ExpireLease:
    """Let the lease of a journal end."""

    async def expiring(journal: Journal) -> None:
        assert isinstance(journal, PostgresJournal)
        ended = postgres.execute(
            "UPDATE kling_async.workers SET expires_at = 'epoch' WHERE id = %s RETURNING id",
            journal._postgres._worker,
        )
        assert 1 == len(ended)

    return expiring


class TestSharedJournal(SharedJournalSuite):
    """What a shared journal does, this one does."""

    @pytest.fixture
    def make(self, postgres: PostgresServer, run: str) -> MakeJournal:
        """Make a client's journal of one run."""
        return lambda: PostgresJournal(postgres.url(), run=run)


class _Unclaimed(PostgresStore):
    """Lets any client write what it likes."""

    def _write(self, connection: Any, submissions: Sequence[Submission]) -> Refusals:
        rows = [(one, self._worker if is_owned(one) else None) for one in submissions]
        put_submissions(connection, rows, run=self._run)
        return {}


class _Unowned(PostgresStore):
    """Takes over what any other client has."""

    def _remove_gone(self, connection: Any) -> bool:
        connection.execute("UPDATE kling_async.submissions SET owner = NULL WHERE run = %s", (self._run,))
        return super()._remove_gone(connection)


class _Unfinished(PostgresStore):
    """Leaves what a client was submitting as if it still were."""

    def _release(self, connection: Any, workers: list[int]) -> None:
        connection.execute("UPDATE kling_async.submissions SET owner = NULL WHERE owner = ANY(%s)", (workers,))


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.parametrize(
    ("kind", "test"),
    [
        (_Unclaimed, "test_one_client_claims_a_job"),
        (_Unclaimed, "test_a_claim_holds_until_its_job_is_free"),
        (_Unclaimed, "test_a_further_attempt_is_claimed_once"),
        (_Unclaimed, "test_a_client_whose_lease_has_ended_takes_nothing_back"),
        (_Unclaimed, "test_a_decision_is_taken_once"),
        (_Unowned, "test_a_living_client_keeps_its_submissions"),
        (_Unfinished, "test_a_gone_client_is_succeeded"),
        (_Unfinished, "test_a_claim_finds_out_that_a_client_is_gone"),
    ],
)
async def test_the_suite_finds_a_journal_that_will_not_do(
    postgres: PostgresServer, run: str, expire: ExpireLease, kind: type[PostgresStore], test: str
) -> None:
    """A shared journal that breaks a rule fails the test of that rule."""

    def make() -> PostgresJournal:
        journal = PostgresJournal(postgres.url(), run=run)
        journal._postgres.__class__ = kind
        return journal

    method = getattr(SharedJournalSuite(), test)
    with pytest.raises(AssertionError):
        await (method(make, expire) if "expire" in method.__code__.co_varnames else method(make))


async def listed(url: str, run: str = "default") -> list[Submission]:
    """Open a journal, and read all of it."""
    journal = PostgresJournal(url, run=run)
    await journal.open()
    try:
        return await journal.submissions()
    finally:
        await journal.aclose()


async def test_runs_are_apart(postgres: PostgresServer, run: str) -> None:
    """A key is a name within a run: another run neither sees it nor is kept from submitting it."""
    one, other = PostgresJournal(postgres.url(), run=run), PostgresJournal(postgres.url(), run=f"{run}-2")
    await one.open()
    await other.open()
    await one.write(sample().sent(2.0))
    assert await other.find("cat") is None
    await other.write(sample().sent(3.0))
    assert [sample().sent(2.0)] == await one.submissions()
    assert Decimal("0.03") == await one.spent() == await other.spent()
    await one.aclose()
    await other.aclose()


async def test_any_key_is_stored(postgres: PostgresServer, run: str) -> None:
    """A key in any script, and one that looks like SQL, names its job."""
    keys = ["кошка", "猫-1", "'); DROP SCHEMA kling_async; --", "%s", "a\\b"]
    journal = PostgresJournal(postgres.url(), run=run)
    await journal.open()
    await journal.write(*map(sample, keys))
    assert keys == [one.key for one in await journal.submissions()]
    assert [await journal.find(key) for key in keys] == [sample(key) for key in keys]
    await journal.aclose()


async def test_opened_twice_it_stays_with_the_first(postgres: PostgresServer, run: str) -> None:
    """One object is opened once at a time, and a second opening does not disturb its use."""
    journal = PostgresJournal(postgres.url(), run=run)
    await journal.open()
    with pytest.raises(JournalError, match="open already"):
        await journal.open()
    await journal.write(sample())
    await journal.aclose()
    assert [sample()] == await listed(postgres.url(), run)


async def test_the_lease_is_renewed_while_nothing_is_written(postgres: PostgresServer, run: str) -> None:
    """A client that only waits keeps its submissions: its lease is renewed by the time a third of it is over."""
    journal = PostgresJournal(postgres.url(), run=run, lease_seconds=1.0)
    await journal.open()
    await journal.write(sample().sent(2.0))
    worker = journal._postgres._worker
    renewed = "SELECT max(expires_at) FROM kling_async.workers WHERE id = %s"
    [[before]] = postgres.execute(renewed, worker)
    with anyio.fail_after(60):
        while [(before,)] == postgres.execute(renewed, worker):
            await anyio.sleep(0.05)
    await journal.aclose()
    assert [] == postgres.execute("SELECT id FROM kling_async.workers WHERE id = %s", worker)


async def test_a_commit_survives_a_power_loss_whatever_the_default(postgres: PostgresServer) -> None:
    """Where the server's default is to commit without a flush, this journal flushes all the same."""
    database = postgres.database()
    postgres.execute(f"ALTER DATABASE {database} SET synchronous_commit = off")
    journal = PostgresJournal(postgres.url(database))
    await journal.open()
    session = journal._postgres._session
    assert ("on",) == session.run(lambda connection: connection.execute("SHOW synchronous_commit").fetchone())
    await journal.aclose()


# What is refused.


async def refusal(url: str) -> JournalError:
    """Return the error of opening a journal, after seeing that neither it nor its traceback has the password."""
    journal = PostgresJournal(url)
    with pytest.raises(JournalError) as caught:
        await journal.open()
    told = "".join(TracebackException.from_exception(caught.value, capture_locals=True).format())
    assert PASSWORD not in told.replace(f"url = {url!r}", "")  # that of this function
    assert "JournalError" in told
    assert PASSWORD not in f"{journal!r}{caught.value!r}{caught.value}{vars(caught.value)}"
    assert "given as journal" in str(caught.value)
    assert not caught.value.may_be_billed
    return caught.value


async def test_a_missing_database_is_refused(postgres: PostgresServer) -> None:
    """A database that does not exist is an error that names it and the setting; none is created."""
    error = await refusal(postgres.url("no_such_database"))
    assert 'database "no_such_database" does not exist' in str(error)


async def test_a_missing_server_is_refused() -> None:
    """Where nothing listens, opening fails at once."""
    port = free_port()
    error = await refusal(f"postgresql://kling:{PASSWORD}@127.0.0.1:{port}/kling")
    assert f"postgresql://kling@127.0.0.1:{port}/kling" in str(error)
    assert "refused" in str(error)


async def test_a_wrong_password_is_refused_and_not_told(postgres: PostgresServer) -> None:
    """The error of a wrong password names the user, and has the password nowhere."""
    if not postgres.is_ours:
        pytest.skip("needs a server whose users may be chosen")
    url = postgres.user_url(postgres.database()).replace(PASSWORD, f"{PASSWORD}-wrong")
    error = await refusal(url)
    assert 'password authentication failed for user "kling"' in str(error)


async def test_missing_rights_are_refused(postgres: PostgresServer) -> None:
    """A user who may not create the schema is told what to grant, and nothing is left behind."""
    if not postgres.is_ours:
        pytest.skip("needs a server whose users may be chosen")
    database = postgres.database()
    error = await refusal(postgres.user_url(database))
    assert "permission denied" in str(error)
    assert "GRANT CREATE ON DATABASE" in str(error)
    assert [] == postgres.execute("SELECT 1 FROM pg_namespace WHERE nspname = 'kling_async'", database=database)
    assert [] == await listed(postgres.user_url(postgres.database(owner="kling")))


async def test_a_later_schema_is_refused_and_left_alone(postgres: PostgresServer) -> None:
    """What a later kling_async has written is not guessed at, and no client joins it."""
    database = postgres.database()
    assert [] == await listed(postgres.url(database))
    postgres.execute("UPDATE kling_async.version SET version = version + 1", database=database)
    with pytest.raises(JournalError, match="later kling_async: its version is 2, the latest known is 1"):
        await listed(postgres.url(database))
    assert [] == postgres.execute("SELECT id FROM kling_async.workers", database=database)


async def test_another_encoding_is_refused(postgres: PostgresServer) -> None:
    """Keys are any text, so a database that cannot store any text is refused before one is written."""
    database = postgres.database(options="ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0")
    with pytest.raises(JournalError, match="encoding of the database is LATIN1"):
        await listed(postgres.url(database))


async def test_many_clients_create_the_schema_at_once(postgres: PostgresServer) -> None:
    """Clients that open an empty database at the same moment all succeed, and it is created once."""
    database = postgres.database()
    journals = [PostgresJournal(postgres.url(database)) for _ in range(6)]
    async with anyio.create_task_group() as group:
        for journal in journals:
            group.start_soon(journal.open)
    assert [(1,)] == postgres.execute("SELECT version FROM kling_async.version", database=database)
    for journal in journals:
        await journal.aclose()


@pytest.mark.parametrize(
    ("url", "rule"),
    [
        (f"mysql://kling:{PASSWORD}@host/kling", "must begin with postgresql://"),
        (f"postgresql://kling:{PASSWORD}@[::1/kling", "is malformed"),
        (f"postgresql://kling:{PASSWORD}@host/kling?colour=red", "is malformed"),
    ],
)
def test_a_malformed_url_is_refused_and_not_told(url: str, rule: str) -> None:
    """A URL that cannot be one is refused where it is given, and not quoted, since it may hold a password."""
    with pytest.raises(InputError, match=rule) as caught:
        PostgresJournal(url)
    assert PASSWORD not in str(caught.value)
    if url.startswith("postgresql:"):
        with pytest.raises(InputError, match=rule) as caught:
            Client("gptproto", api_key="sk-1", journal=url)
        told = "".join(TracebackException.from_exception(caught.value, capture_locals=True).format())
        assert PASSWORD not in told.replace(repr(url), "", 1)  # once, in this function


@pytest.mark.parametrize(("name", "value"), [("run", ""), ("run", "a\nb"), ("lease_seconds", 0.5), ("run", "x" * 201)])
def test_settings_are_checked(name: str, value: object) -> None:
    """A run without a printable name, and a lease that would end between two signs of life, are refused."""
    with pytest.raises(InputError, match=name):
        PostgresJournal("postgresql://host/kling", **{name: value})


def test_the_library_is_loaded_when_it_is_used() -> None:
    """Importing the journal, and a client without one, load no PostgreSQL library; without it the extra is named."""
    code = """
import sys
from kling_async import Client, InputError, PostgresJournal
Client("gptproto", api_key="sk-1")
assert not [name for name in sys.modules if name.startswith("psycopg")]
class Missing:
    def find_spec(self, name, path=None, target=None):
        if name == "psycopg":
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Missing())
try:
    PostgresJournal("postgresql://host/kling")
except InputError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "pip install 'kling-async[postgres]'" in done.stdout
