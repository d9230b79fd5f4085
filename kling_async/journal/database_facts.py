"""What `doctor` tells of a database: its version, the schema, the clock and the rights, without changing anything."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, LiteralString

from attrs import frozen

from .hidden_url import HiddenUrl
from .postgres_schema import VERSION
from .postgres_session import Session
from .postgres_url import DatabaseUrl
from .queue_schema import MACHINES
from .queue_values import Machine

if TYPE_CHECKING:
    from psycopg import Connection
    from psycopg.rows import TupleRow

__all__ = ["DatabaseFacts", "read_facts"]

_FACTS: Final[LiteralString] = """
    SELECT current_setting('server_version'), current_setting('server_encoding'),
    to_regclass('kling_async.version') IS NOT NULL, to_regclass('kling_async.machines') IS NOT NULL,
    has_database_privilege(current_database(), 'CREATE')
"""


@frozen(kw_only=True)
class DatabaseFacts:
    """A database.

    Attributes:
        name: its URL, without a password.
        server: the version of the server.
        encoding: that of the database; keys need UTF8.
        schema: the version of our schema; None if it is not there.
        latest: the version that this package knows.
        may_create: whether the user may create schemas.
        skew_seconds: by how many seconds the clock of this machine is ahead of that of the database.
        machines: the workers.
    """

    name: str
    server: str
    encoding: str
    schema: int | None
    latest: int
    may_create: bool
    skew_seconds: float
    machines: Sequence[Machine] = ()


def read_facts(url: HiddenUrl) -> DatabaseFacts:
    """Return what is known of a database.

    Raises:
        InputError: the URL is malformed, or the extra `postgres` is not installed.
        JournalError: the database cannot be reached.
    """
    database = DatabaseUrl(url, setting="database")
    session = Session(database, name=str(database), patience=0.0)

    def reading(connection: Connection[TupleRow]) -> DatabaseFacts:
        before = time.time()
        row = connection.execute("SELECT extract(epoch FROM clock_timestamp())").fetchone() or (before,)
        skew = (before + time.time()) / 2 - float(row[0])
        server, encoding, has_schema, has_machines, may_create = connection.execute(_FACTS).fetchone() or ("",) * 5
        version = connection.execute("SELECT max(version) FROM kling_async.version").fetchone() if has_schema else None
        workers = connection.execute(MACHINES).fetchall() if has_machines else []
        return DatabaseFacts(
            name=str(database),
            server=server,
            encoding=encoding,
            schema=None if version is None else version[0],
            latest=VERSION,
            may_create=bool(may_create),
            skew_seconds=skew,
            machines=[
                Machine(name=name, providers=tuple(providers), facts=facts, seconds_left=float(left))
                for name, providers, facts, left in workers
            ],
        )

    try:
        return session.run(reading)
    finally:
        session.disconnect()
