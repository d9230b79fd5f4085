"""The URL of a PostgreSQL database, which hides its password, and connections to it."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Final

from ..types.errors import InputError, InputFault, JournalError
from ..types.noncopyable import NonCopyable
from ..types.printable import one_line
from .hidden_url import HiddenUrl

if TYPE_CHECKING:
    from psycopg import Connection
    from psycopg.rows import TupleRow

__all__ = ["DatabaseUrl"]

_SECRETS: Final = ("password", "sslpassword", "oauth_client_secret", "passfile", "scram_client_key", "scram_server_key")
"""Parameters of libpq that are secret, or name a file that is.

Source: https://www.postgresql.org/docs/18/libpq-connect.html, 32.1.2.
"""
_DEFAULTS: Final = {
    "application_name": "kling_async",
    "client_encoding": "UTF8",
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "tcp_user_timeout": "10000",
}
"""Nothing may hang on a peer that is silent. What the URL says itself goes before these."""
_OPTIONS: Final = "-c statement_timeout=30s -c lock_timeout=10s -c idle_in_transaction_session_timeout={ms}"
"""The last one, in milliseconds: a client that stands still in a transaction holds locks that others wait for."""
_ADVICE: Final = (
    "Nothing was sent. Check that the server runs, and the host, the database, the user and the password in the URL "
    "that is given as {setting}; the database must exist."
)


class DatabaseUrl(NonCopyable):
    """The URL of a database. Its repr, which tracebacks with locals print, shows no password.

    Args:
        url: such as "postgresql://user:password@host:5432/database".
        connect_timeout: whole seconds that it may take to connect, 2 or more, unless the URL says otherwise.
        idle_seconds: for so long a transaction may stand still before the server ends it, unless the URL says
            otherwise.
        setting: what messages call the setting that has the URL.

    Raises:
        InputError: it is malformed, or the extra `postgres` is not installed.
    """

    __slots__ = ("_conninfo", "_name", "_secrets", "setting")

    def __init__(
        self, url: HiddenUrl, *, connect_timeout: int = 5, idle_seconds: float = 5.0, setting: str = "journal"
    ) -> None:
        self._name, self.setting = "...", setting
        if not url.is_of_a_database:
            raise _fault(setting, "must begin with postgresql://")
        parameters = _parsed(url, setting)
        if parameters is None:
            raise _fault(setting, "is malformed. It is written as postgresql://user:password@host:port/database")
        from psycopg.conninfo import make_conninfo  # noqa: PLC0415 - an extra

        options = _OPTIONS.format(ms=round(idle_seconds * 1000))
        own = {"connect_timeout": str(connect_timeout), "options": options}
        self._conninfo = make_conninfo("", **_DEFAULTS | own | parameters)
        self._secrets = [parameters[name] for name in _SECRETS if parameters.get(name)]
        user, host, port = (parameters.get(name, "") for name in ("user", "host", "port"))
        place = f"{host}:{port}" if port else host
        self._name = f"postgresql://{user}{'@' if user else ''}{place}/{parameters.get('dbname', '')}"

    def __str__(self) -> str:
        return self._name

    def __repr__(self) -> str:
        return f"DatabaseUrl({self._name!r})"

    def masked(self, text: str) -> str:
        """Return a text on one line, without the secrets of the URL."""
        for secret in self._secrets:
            text = text.replace(secret, "[masked]")
        return one_line(text)

    def connect(self) -> Connection[TupleRow]:
        """Return a new connection, which commits each statement by itself.

        Raises:
            JournalError: there is none to be had. Neither it nor its traceback has the password.
        """
        connection, reason = self._attempt()
        if connection is None:
            message = f"The {self.setting} {self} cannot be reached: {reason}"
            raise JournalError(message, advice=_ADVICE.format(setting=self.setting))
        return connection

    def _attempt(self) -> tuple[Connection[TupleRow] | None, str]:
        """Return a connection, or why there is none: an error of the library has the password in its frames."""
        import psycopg  # noqa: PLC0415 - an extra

        try:
            return psycopg.connect(self._conninfo, autocommit=True, prepare_threshold=None), ""
        except Exception as error:  # noqa: BLE001 - whatever it is, it is told without the library's frames
            return None, self.masked(str(error))


def _parsed(url: HiddenUrl, setting: str) -> dict[str, str] | None:
    """Return the parameters of a URL; None if it is malformed. An error of the library may quote it."""
    try:
        from psycopg.conninfo import conninfo_to_dict  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise _fault(setting, "needs the extra: pip install 'kling-async[postgres]'") from error
    with suppress(Exception):
        return {name: str(value) for name, value in conninfo_to_dict(url.reveal()).items()}
    return None


def _fault(setting: str, rule: str) -> InputError:
    return InputError.of(f"The {setting} cannot be used", [InputFault(setting, "[masked]", rule)])
