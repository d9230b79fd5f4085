"""The rows of submissions in a PostgreSQL database: locked by key, read, and written."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from hashlib import blake2b
from typing import TYPE_CHECKING, Final

from .claims import NotOwner, StoredSubmission
from .encoding import encode_submission
from .postgres_schema import LOCK, READ_KEYS, WRITE
from .serialization import load_submission, state_of
from .submission import Submission

if TYPE_CHECKING:
    from psycopg import Connection
    from psycopg.rows import TupleRow

__all__ = ["locked_submissions", "not_owner", "put_submissions"]

_ADVICE: Final = "Nothing was sent for it here."


def locked_submissions(
    connection: Connection[TupleRow], keys: Collection[str], *, run: str
) -> Mapping[str, dict[int, StoredSubmission]]:
    """Keep other workers from writing these keys until the end of the transaction, and return what is stored."""
    numbers = sorted(_number_of(run, key) for key in keys)  # in one order, so that none waits for the other
    connection.execute(LOCK, (numbers,))
    stored: dict[str, dict[int, StoredSubmission]] = {key: {} for key in keys}
    for body, owner in connection.execute(READ_KEYS, (run, list(keys))):
        one = load_submission(body)
        stored[one.key][one.attempt] = StoredSubmission(one, owner)
    return stored


def put_submissions(
    connection: Connection[TupleRow], rows: Iterable[tuple[Submission, int | None]], *, run: str
) -> None:
    """Write submissions with their owners, each in place of its earlier form."""
    given = list(rows)
    if not given:
        return
    states = [state_of(one) for one, _ in given]
    columns = {
        "run": run,
        "keys": [one.key for one, _ in given],
        "attempts": [one.attempt for one, _ in given],
        "states": states,
        "paid": [one.max_cost for one, _ in given],
        "unsaved": [one.is_unsaved for one, _ in given],
        "owners": [owner for _, owner in given],
        "bodies": [encode_submission(one, state) for (one, _), state in zip(given, states, strict=True)],
    }
    connection.execute(WRITE, columns)


def _number_of(run: str, key: str) -> int:
    """Return the number by which a key of a run is locked."""
    return int.from_bytes(blake2b(f"{run}\0{key}".encode(), digest_size=8).digest(), "big", signed=True)


def not_owner(attempts: Mapping[int, StoredSubmission], *, worker: int, run: str) -> NotOwner:
    """Return the error for a submission that another worker has, or has found more about."""
    newest = attempts[max(attempts)]
    message = f"Another client or worker of run {run} has the job"
    return NotOwner(message, known=newest.submission, is_own=newest.owner == worker, advice=_ADVICE)
