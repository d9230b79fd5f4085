"""The gate in a PostgreSQL database: the rows of accounts, slots and money, and what a claim changes in them.

Theory of operation. Claims lock the row of their account, and that of the money of their run if it is limited, and read
the database's clock only then. So claims of all clients at one account follow each other, and each sees what the one
before has taken. Several claims of a client share a transaction. Slots are a row for each submission, and not a number,
so that none can leak: a row that no client renews expires.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Final, LiteralString, TypeAlias

from attrs import frozen

from ..system.clock import elapsed_seconds
from ..types.errors import KlingError
from ..types.gate import Hold, SharedAccount
from ..types.status import TO_RESUME, JobStatus
from .gate import AccountState, Claim, Held, answer_of_account, answer_of_money
from .submission import Submission

if TYPE_CHECKING:
    from psycopg import Connection
    from psycopg.rows import TupleRow

__all__ = ["Admissions", "Change", "begin_costs", "extend_slots", "record_changes", "shorten_slots"]

Change: TypeAlias = tuple[Submission, Submission | None]
"""A submission as it is written, and as it was stored."""

_HOLDING: Final = frozenset((JobStatus.SUBMITTING, *TO_RESUME))

_LOCK_ACCOUNTS: Final = """
    SELECT id, per_second, burst, max_open, arrival FROM kling_async.accounts WHERE id = ANY(%s) ORDER BY id FOR UPDATE
"""
_LOCK_COSTS: Final = "SELECT paid FROM kling_async.run_costs WHERE run = %s FOR UPDATE"
_RESERVED: Final = """
    SELECT sum(paid) FROM kling_async.submissions WHERE run = %s AND state IN ('sending', 'accepted', 'resolving')
"""
_CLOCK: Final = "SELECT extract(epoch FROM clock_timestamp())::double precision"
_IN_USE: Final = """
    SELECT account, sum(slots)::integer FROM kling_async.slots
    WHERE account = ANY(%s) AND expires_at > clock_timestamp() GROUP BY account
"""
_SPEND: Final = "UPDATE kling_async.accounts SET arrival = %s WHERE id = %s"
_OCCUPY: Final = """
    INSERT INTO kling_async.slots (run, key, attempt, account, slots, seconds, expires_at)
    SELECT %s, key, attempt, account, slots, seconds, clock_timestamp() + make_interval(days => 1) FROM unnest(
        %s::text[], %s::integer[], %s::bigint[], %s::integer[], %s::double precision[]
    ) AS rows (key, attempt, account, slots, seconds)
    ON CONFLICT (run, key, attempt) DO UPDATE SET account = excluded.account, slots = excluded.slots,
    seconds = excluded.seconds, expires_at = excluded.expires_at
"""
"""A day is longer than any job takes: after it slots are free although no client has said so."""
_FREE: Final = """
    DELETE FROM kling_async.slots WHERE run = %s AND (key, attempt) IN (SELECT * FROM unnest(%s::text[], %s::integer[]))
"""
_SHORTEN: Final = """
    UPDATE kling_async.slots SET expires_at = least(expires_at, clock_timestamp() + make_interval(secs => seconds))
    WHERE run = %s AND (key, attempt) IN (SELECT * FROM unnest(%s::text[], %s::integer[]))
"""
_EXTEND: Final = """
    UPDATE kling_async.slots SET expires_at = clock_timestamp() + make_interval(days => 1)
    WHERE run = %s AND (key, attempt) IN (SELECT * FROM unnest(%s::text[], %s::integer[]))
"""
_SHORTEN_OWNED: Final = """
    UPDATE kling_async.slots AS slots
    SET expires_at = least(slots.expires_at, clock_timestamp() + make_interval(secs => slots.seconds))
    FROM kling_async.submissions AS held
    WHERE held.run = %s AND held.owner = ANY(%s) AND held.state IN ('sending', 'accepted', 'resolving')
    AND slots.run = held.run AND slots.key = held.key AND slots.attempt = held.attempt
"""
_PAY: Final = "UPDATE kling_async.run_costs SET paid = paid + %s WHERE run = %s"
_BEGIN: Final = "INSERT INTO kling_async.run_costs (run, paid) VALUES (%s, 0) ON CONFLICT DO NOTHING"


@frozen(kw_only=True)
class _Granted:
    claim: Claim
    account: int


class Admissions:
    """The decisions about the claims of one transaction, in their order.

    Args:
        connection: in a transaction, which holds the locks of the accounts from now on.
        claims: those that may be asked for.
        accounts: the numbers of their accounts.
        run: the name of the run.

    Attributes:
        read_at: elapsed seconds immediately before the database's clock was read: no token is older.
    """

    def __init__(
        self,
        connection: Connection[TupleRow],
        claims: Sequence[Claim],
        *,
        accounts: Mapping[SharedAccount, int],
        run: str,
    ) -> None:
        self._connection = connection
        self._run = run
        self._accounts = accounts
        self._granted: list[_Granted] = []
        self._blocked: dict[int, Hold] = {}
        self._paid: Decimal | None = None
        self._reserved: Decimal | None = None
        numbers = sorted({accounts[claim.account] for claim in claims})
        rows = connection.execute(_LOCK_ACCOUNTS, (numbers,)).fetchall() if numbers else []
        if any(claim.max_cost is not None for claim in claims):
            self._paid = self._amount(_LOCK_COSTS)
        self.read_at = elapsed_seconds()
        [self._now] = connection.execute(_CLOCK).fetchone() or (0.0,)
        limited = any(row[3] is not None for row in rows)
        in_use: dict[int, int] = dict(connection.execute(_IN_USE, (numbers,)).fetchall()) if limited else {}
        self._states = {
            number: AccountState(
                per_second=rate, burst=burst, max_open=slots, arrival=arrival, in_use=in_use.get(number, 0)
            )
            for number, rate, burst, slots, arrival in rows
        }
        self._before = dict(self._states)

    def _amount(self, statement: LiteralString) -> Decimal:
        [amount] = self._connection.execute(statement, (self._run,)).fetchone() or (None,)
        return amount if isinstance(amount, Decimal) else Decimal(0)

    def answer(self, claim: Claim) -> KlingError | None:
        """Grant a claim, or return why it is not granted. Nothing is written before `save`."""
        number = self._accounts[claim.account]
        state = self._states[number]
        error = self._answer_of_money(claim)
        if error is not None:
            return error
        # One that fits must not overtake one that does not, or that one might wait for ever.
        hold = self._blocked.get(number) or answer_of_account(state, claim, now=self._now)
        if hold is not None:
            self._blocked[number] = hold
            return Held(hold, claim=claim)
        self._states[number] = state.taken(claim.slots, now=self._now)
        self._granted.append(_Granted(claim=claim, account=number))
        self._reserve(claim)
        return None

    def _answer_of_money(self, claim: Claim) -> KlingError | None:
        if claim.max_cost is None or self._paid is None:
            return None
        error = answer_of_money(claim, spent=self._paid, reserved=Decimal(0), run=self._run)
        if error is None:
            return None
        if self._reserved is None:  # read only where it matters
            granted = sum((one.claim.submission.max_cost for one in self._granted), Decimal(0))
            self._reserved = self._amount(_RESERVED) + granted
        return answer_of_money(claim, spent=self._paid - self._reserved, reserved=self._reserved, run=self._run)

    def _reserve(self, claim: Claim) -> None:
        cost = claim.submission.max_cost
        if self._paid is not None:
            self._paid += cost
        if self._reserved is not None:
            self._reserved += cost

    def save(self) -> None:
        """Write what the granted claims have taken."""
        for number, state in self._states.items():
            if state.arrival != self._before[number].arrival:
                self._connection.execute(_SPEND, (state.arrival, number))
        if self._granted:
            columns = (
                [one.claim.key for one in self._granted],
                [one.claim.attempt for one in self._granted],
                [one.account for one in self._granted],
                [one.claim.slots for one in self._granted],
                [one.claim.slot_seconds for one in self._granted],
            )
            self._connection.execute(_OCCUPY, (self._run, *columns))


def begin_costs(connection: Connection[TupleRow], *, run: str) -> None:
    """Begin the sum of what a run has paid, which claims lock."""
    connection.execute(_BEGIN, (run,))


def record_changes(connection: Connection[TupleRow], changes: Iterable[Change], *, run: str) -> None:
    """Free the slots of what has ended, keep those of what is unconfirmed for a while, and sum up what is paid."""
    ended: list[Submission] = []
    lost: list[Submission] = []
    found: list[Submission] = []
    paid = Decimal(0)
    for new, old in changes:
        paid += new.max_cost - (Decimal(0) if old is None else old.max_cost)
        # One that was not sent before may have been claimed in the same transaction.
        held = old is None or old.status is JobStatus.PLANNED or old.status in _HOLDING
        kept = old is not None and _is_kept(old)
        if new.status in _HOLDING:
            found += [new] if kept else []
        elif _is_kept(new):
            lost += [new] if held else []
        elif held or kept:
            ended.append(new)
    statements: tuple[tuple[LiteralString, list[Submission]], ...] = (
        (_FREE, ended),
        (_SHORTEN, lost),
        (_EXTEND, found),
    )
    for statement, those in statements:
        if those:
            connection.execute(statement, (run, [one.key for one in those], [one.attempt for one in those]))
    if paid:
        connection.execute(_PAY, (paid, run))


def _is_kept(submission: Submission) -> bool:
    return submission.status is JobStatus.UNCONFIRMED


def shorten_slots(connection: Connection[TupleRow], workers: list[int], *, run: str) -> None:
    """Keep the slots of the submissions of workers that are gone for as long as their jobs may run."""
    connection.execute(_SHORTEN_OWNED, (run, workers))


def extend_slots(connection: Connection[TupleRow], taken: list[tuple[str, int]], *, run: str) -> None:
    """Keep the slots of submissions that a worker has taken over."""
    if taken:
        connection.execute(_EXTEND, (run, [key for key, _ in taken], [attempt for _, attempt in taken]))
