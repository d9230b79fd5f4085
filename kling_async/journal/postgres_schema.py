"""The schema of journals in a PostgreSQL database: tables, version and statements.

Its names are a contract, as those in a file are: renaming code renames none of them. A row holds a submission as the
same text as a journal in a file, and beside it the columns by which rows are selected and summed. The server keeps its
own checksums, so there is none here. The text is ASCII; a key may be any text, so the database must use UTF-8.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, LiteralString

from .queue_schema import QUEUE_TABLES

if TYPE_CHECKING:
    from psycopg import Connection
    from psycopg.rows import TupleRow

__all__ = [
    "DUE",
    "JOIN",
    "LEASE",
    "LEAVE",
    "LEFT",
    "LOCK",
    "NUMBERS",
    "OPEN",
    "READ",
    "READ_KEYS",
    "RELEASE",
    "REMOVE_GONE",
    "RENEW",
    "RESUMED",
    "TAKE",
    "TAKEN",
    "TOTAL",
    "VERSION",
    "WRITE",
    "prepare_schema",
]

VERSION: Final = 1
_GATE: Final[tuple[LiteralString, ...]] = (
    """CREATE TABLE kling_async.accounts (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, provider text NOT NULL, origin text NOT NULL,
        key_hash text NOT NULL, per_second double precision, burst integer NOT NULL DEFAULT 1, max_open integer,
        set_by text, arrival double precision NOT NULL DEFAULT 0, UNIQUE (provider, origin, key_hash)
    )""",
    """CREATE TABLE kling_async.worker_accounts (
        worker bigint NOT NULL REFERENCES kling_async.workers ON DELETE CASCADE,
        account bigint NOT NULL REFERENCES kling_async.accounts, process text NOT NULL, PRIMARY KEY (worker, account)
    )""",
    """CREATE TABLE kling_async.slots (
        run text COLLATE "C" NOT NULL, key text COLLATE "C" NOT NULL, attempt integer NOT NULL,
        account bigint NOT NULL REFERENCES kling_async.accounts, slots integer NOT NULL,
        seconds double precision NOT NULL, expires_at timestamptz NOT NULL, PRIMARY KEY (run, key, attempt)
    )""",
    "CREATE INDEX slots_account ON kling_async.slots (account, expires_at)",
    """CREATE TABLE kling_async.run_costs (
        run text COLLATE "C" PRIMARY KEY, paid numeric NOT NULL
    )""",
)
"""What the gate keeps. `arrival` is seconds since 1970 on the database's clock, `paid` the sum of that of a run's
submissions in US dollars, and `seconds` how long slots are kept where no client can say that the job has ended.
"""
_LOCK: Final = 0x4B4C4E47
"""Of those that prepare the schema at once, one does: "KLNG", the mark of a journal's file as well."""
_SCHEMA: Final[tuple[LiteralString, ...]] = (
    "CREATE SCHEMA IF NOT EXISTS kling_async",
    "CREATE TABLE kling_async.version (version integer NOT NULL)",
    """CREATE TABLE kling_async.workers (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, run text NOT NULL, name text NOT NULL,
        expires_at timestamptz NOT NULL
    )""",
    *_GATE,
    """CREATE TABLE kling_async.submissions (
        number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, run text COLLATE "C" NOT NULL,
        key text COLLATE "C" NOT NULL, attempt integer NOT NULL, state text COLLATE "C" NOT NULL, paid numeric NOT NULL,
        unsaved boolean NOT NULL, owner bigint, body text NOT NULL, UNIQUE (run, key, attempt)
    )""",
    """CREATE INDEX submissions_due ON kling_async.submissions (run, number)
        WHERE state IN ('sending', 'accepted', 'resolving') OR unsaved""",
    *QUEUE_TABLES,
)
"""`paid` is US dollars, `unsaved` says that files are to be downloaded, and `owner` is the id of a worker.

Ids of workers are used once, so that of two owners with the same name and place one is known to be the earlier.
"""

OPEN: Final[LiteralString] = "state IN ('sending', 'accepted', 'resolving')"
RESUMED: Final[LiteralString] = "state IN ('accepted', 'resolving')"
DUE: Final[LiteralString] = "(state IN ('sending', 'accepted', 'resolving') OR unsaved)"
"""Something remains to be done for it. The words are those of the index, or the index is not used."""
WRITE: Final[LiteralString] = """
    INSERT INTO kling_async.submissions (run, key, attempt, state, paid, unsaved, owner, body)
    SELECT %(run)s, key, attempt, state, paid, unsaved, owner, body FROM unnest(
        %(keys)s::text[], %(attempts)s::integer[], %(states)s::text[], %(paid)s::numeric[], %(unsaved)s::boolean[],
        %(owners)s::bigint[], %(bodies)s::text[]
    ) WITH ORDINALITY AS rows (key, attempt, state, paid, unsaved, owner, body, place) ORDER BY place
    ON CONFLICT (run, key, attempt) DO UPDATE SET state = excluded.state, paid = excluded.paid,
    unsaved = excluded.unsaved, owner = excluded.owner, body = excluded.body
"""
READ: Final[LiteralString] = "SELECT body FROM kling_async.submissions WHERE run = %s"
READ_KEYS: Final = "SELECT body, owner FROM kling_async.submissions WHERE run = %s AND key = ANY(%s)"
NUMBERS: Final[LiteralString] = "SELECT number FROM kling_async.submissions WHERE run = %s AND owner = %s"
TOTAL: Final = "SELECT sum(paid) FROM kling_async.submissions WHERE run = %s"
TAKE: Final[LiteralString] = "UPDATE kling_async.submissions SET owner = %s WHERE run = %s AND owner IS NULL"
TAKEN: Final[LiteralString] = "RETURNING number, key, attempt, state"
LEFT: Final[LiteralString] = "SELECT 1 FROM kling_async.submissions WHERE run = %s AND owner IS NULL"
RELEASE: Final[LiteralString] = "UPDATE kling_async.submissions SET owner = NULL WHERE run = %s AND owner = ANY(%s)"
LOCK: Final = "SELECT pg_advisory_xact_lock(number) FROM unnest(%s::bigint[]) AS number"

JOIN: Final = """
    INSERT INTO kling_async.workers (run, name, expires_at)
    VALUES (%s, %s, clock_timestamp() + make_interval(secs => %s)) RETURNING id
"""
RENEW: Final = """
    UPDATE kling_async.workers SET expires_at = clock_timestamp() + make_interval(secs => %s) WHERE id = %s RETURNING id
"""
REMOVE_GONE: Final = """
    DELETE FROM kling_async.workers WHERE id IN (
        SELECT id FROM kling_async.workers WHERE run = %s AND id <> %s AND expires_at <= clock_timestamp()
        FOR UPDATE SKIP LOCKED
    ) RETURNING id
"""
LEAVE: Final = "DELETE FROM kling_async.workers WHERE id = %s"
LEASE: Final = """
    SELECT name, expires_at FROM kling_async.submissions AS held JOIN kling_async.workers ON workers.id = held.owner
    WHERE held.run = %s AND held.key = %s AND held.state = 'sending'
"""
"""All of these compare with the clock of the database alone."""


def prepare_schema(connection: Connection[TupleRow]) -> None:
    """Create the schema if it is missing, in the transaction of the connection.

    Raises:
        ValueError: it is of a later version, or the database cannot hold it.
        psycopg.Error: the rights are missing.
    """
    connection.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
    [encoding] = connection.execute("SHOW server_encoding").fetchone() or ("",)
    if encoding != "UTF8":
        raise ValueError(f"the encoding of the database is {encoding}, and keys are any text: create it with UTF8")
    [table] = connection.execute("SELECT to_regclass('kling_async.version')").fetchone() or (None,)
    if table is None:
        for statement in _SCHEMA:
            connection.execute(statement)
        connection.execute("INSERT INTO kling_async.version VALUES (%s)", (VERSION,))
        return
    [version] = connection.execute("SELECT max(version) FROM kling_async.version").fetchone() or (None,)
    if version != VERSION:
        raise ValueError(
            f"it was written by a later kling_async: its version is {version}, the latest known is {VERSION}"
        )
