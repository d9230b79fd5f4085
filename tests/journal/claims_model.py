"""A model of the claims in a shared journal: two workers, one job, a provider and a person, in every order of steps.

A state is what is stored, where each worker stands, and what the provider has charged. `steps` yields every state that
can follow: each step may be delayed for any time, and a worker may stand still or crash before each. Who may write what
is decided by the rules of the package itself. `search` looks at every state that can be reached.

Time is what leases see of it: a lease is fresh for the client's own clock, then too old to send by, then over by the
clock of the database. That a client's own clock finds it over first is what the lease check relies on.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from enum import StrEnum
from functools import cache
from typing import NamedTuple

from attrs import evolve, frozen

from kling_async import AnswerLost, BadRequest, Prediction, RateLimited, Submission
from kling_async.journal.claims import StoredSubmission, is_owned, may_write
from kling_async.journal.submission import Decision
from kling_async.testing.journal_samples import sample
from kling_async.types.client_id import ClientId

__all__ = ["GUARDS", "Repeat", "Rules", "State", "Trouble", "Worker", "canonical", "search"]


class Repeat(StrEnum):
    """What a repeated submission does at the provider."""

    BUYS_AGAIN = "buys_again"
    REJECTED = "rejected"
    REPLAYED = "replayed"


class Trouble(StrEnum):
    """What must not happen."""

    PAID_TWICE = "a second payment that nobody asked for"
    ID_LOST = "an id that was recorded and is gone"


GUARDS = (
    "claim",  # one worker writes that a job is being submitted
    "intent",  # it is written before anything leaves
    "lost stays lost",  # a lost answer is no reason to submit again
    "lease check",  # a worker sends nothing while its own clock finds its lease old
    "epoch check",  # nor by a claim that it made as a worker which was removed since
    "living owner",  # a worker is removed only once its lease is over
    "resubmit waits",  # a person resubmits nothing that a living worker is submitting
    "fence",  # a worker that was removed takes nothing back
    "window",  # a submission is repeated within the window of its idempotency key only, up to the byte
)


@frozen
class Rules:
    """How the workers of a model behave.

    Attributes:
        repeat: what a repetition does.
        without: the guard that is left out.
        pauses: whether a worker may stand still between its check and the first byte.
        person: whether a person may resubmit what is unconfirmed, once.
        retry: whether that one decision may also be to retry what has ended.
        window: whether the window of idempotency keys may end.
        crashes: crashes at most.
        removals: workers that are removed at most.
    """

    repeat: Repeat
    without: str = ""
    pauses: bool = False
    person: bool = True
    retry: bool = False
    window: bool = True
    crashes: int = 1
    removals: int = 1

    def keep(self, guard: str) -> bool:
        """Return whether a guard is in place."""
        assert guard in GUARDS
        return self.without != guard


FRESH, OLD, OVER, REMOVED = 2, 1, 0, -1
"""What is left of a lease."""
_ABOUT_TO_SEND = ("checked", "ready")


class Worker(NamedTuple):
    """A worker, and where it stands with the job."""

    epoch: int
    lease: int = FRESH
    at: str = "idle"
    """idle, claimed, checked, answered, looking, repeating, ready, done, or gone after a crash."""
    attempt: int = 0
    claim: int = -1
    """The epoch in which the attempt was claimed, by whichever worker: it names the submission."""
    held: int = -1
    """The epoch in which it got the attempt, by a claim or since it took it over."""
    answer: str = ""


class Row(NamedTuple):
    """An attempt as it is stored."""

    attempt: int
    word: str
    claim: int
    owner: int = -1
    """The epoch of the worker that has it; -1 for none."""


class State(NamedTuple):
    """All there is. `canonical` gives those one form that differ by names alone."""

    workers: tuple[Worker, Worker]
    rows: tuple[Row, ...] = ()
    keys: tuple[tuple[int, int], ...] = ()
    """The submissions whose idempotency key, or client id, the provider has charged for."""
    paid: int = 0
    asked: int = 0
    """Decisions of a person to submit again: a further payment each, where the job was paid before."""
    late: bool = False
    """Whether a byte that was paid for left after a person had decided about its attempt."""
    in_window: bool = True
    crashes: int = 0
    removals: int = 0
    id_lost: bool = False


def canonical(state: State) -> State:
    """Return a state with its epochs numbered in the order in which they appear, and with its workers in one order."""
    return min(_renamed(state), _renamed(state._replace(workers=(state.workers[1], state.workers[0]))))


def _renamed(state: State) -> State:
    names: dict[int, int] = {-1: -1}

    def name(epoch: int) -> int:
        return names.setdefault(epoch, len(names) - 1)

    one, other = (
        worker._replace(epoch=name(worker.epoch), claim=name(worker.claim), held=name(worker.held))
        for worker in state.workers
    )
    rows = tuple(row._replace(claim=name(row.claim), owner=name(row.owner)) for row in state.rows)
    keys = tuple(sorted((attempt, name(claim)) for attempt, claim in state.keys))
    return state._replace(workers=(one, other), rows=rows, keys=keys)


def new_epoch(state: State) -> int:
    """Return an epoch that nothing has."""
    used = [epoch for worker in state.workers for epoch in (worker.epoch, worker.claim, worker.held)]
    return 1 + max(
        used + [epoch for row in state.rows for epoch in (row.claim, row.owner)] + [c for _, c in state.keys]
    )


@cache
def form(row: Row, *, has_client_id: bool) -> Submission:
    """Return the submission of a row."""
    client_id = ClientId(value="7d4", origin="https://api.example", key_hash="abc") if has_client_id else None
    planned = sample(attempt=row.attempt)
    sent = planned.sent(float(row.claim), client_id)
    prediction = Prediction(provider="example", model="kling-image-o1", id=f"id-{row.attempt}-{row.claim}", key="cat")
    return {
        "planned": planned,
        "deferred": sent.failed(RateLimited("later"), at=3.0),
        "sent": sent,
        "refused": sent.failed(BadRequest("no"), at=3.0),
        "resolving": sent.resolving(AnswerLost("lost")),
        "lost": sent.failed(AnswerLost("lost"), at=3.0),
        "repeated": sent.failed(AnswerLost("lost"), at=3.0).decided(Decision.RESUBMITTED),
        "accepted": evolve(sent.accepted(prediction, 3.0), accepted_at=3.0),
    }[row.word]


@cache
def allows(new: Row, rows: tuple[Row, ...], owner: int, *, has_client_id: bool) -> bool:
    """Return whether the rules of the package let a worker write a row."""
    stored = [
        StoredSubmission(form(row, has_client_id=has_client_id), None if row.owner < 0 else row.owner) for row in rows
    ]
    return may_write(form(new, has_client_id=has_client_id), stored, owner=owner)


class Model:
    """The steps that can follow a state, by some rules."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._has_client_id = rules.repeat is not Repeat.BUYS_AGAIN

    def steps(self, state: State) -> Iterator[State]:
        """Yield every state that can follow."""
        for number, worker in enumerate(state.workers):
            yield from self._time(state, number, worker)
            if worker.at == "gone":
                if worker.lease <= OVER:
                    yield self._placed(state, number, Worker(epoch=new_epoch(state)))
                continue
            if state.crashes < self._rules.crashes:
                yield self._placed(state, number, worker._replace(at="gone"))._replace(crashes=state.crashes + 1)
            yield self._touched(state, number)
            yield from self._remove(state, number)
            yield from getattr(self, f"_{worker.at}")(state, number, worker)
        yield from self._person(state)
        stands = self._rules.pauses or all(one.at not in _ABOUT_TO_SEND for one in state.workers)
        if state.in_window and stands and self._rules.window and self._rules.repeat is Repeat.REPLAYED:
            # The window is much longer than a lease: what was not renewed since is over.
            over = tuple(one._replace(lease=min(one.lease, OVER)) for one in state.workers)
            yield state._replace(in_window=False, workers=(over[0], over[1]))

    # Leases.

    def _time(self, state: State, number: int, worker: Worker) -> Iterator[State]:
        # Without a pause there, no time passes between the check and the first byte.
        if worker.lease > OVER and (self._rules.pauses or worker.at not in _ABOUT_TO_SEND):
            yield self._placed(state, number, worker._replace(lease=worker.lease - 1))

    def _placed(self, state: State, number: int, worker: Worker) -> State:
        one, other = state.workers
        return state._replace(workers=(worker, other) if number == 0 else (one, worker))

    def _touched(self, state: State, number: int) -> State:
        """Renew the lease, as each transaction does; a worker that was removed joins as another one."""
        worker = state.workers[number]
        if worker.lease != REMOVED:
            return self._placed(state, number, worker._replace(lease=FRESH))
        return self._placed(state, number, worker._replace(lease=FRESH, epoch=new_epoch(state)))

    def _remove(self, state: State, number: int) -> Iterator[State]:
        """Remove the other worker, whose lease is over; what it was sending is interrupted."""
        other = state.workers[1 - number]
        is_over = other.lease == OVER or (other.lease > OVER and not self._rules.keep("living owner"))
        if not is_over or state.removals == self._rules.removals:
            return
        interrupted = "resolving" if self._has_client_id else "lost"
        rows = tuple(
            row._replace(owner=-1, word=interrupted if row.word == "sent" else row.word)
            if row.owner == other.epoch
            else row
            for row in state.rows
        )
        placed = self._placed(state, 1 - number, other._replace(lease=REMOVED))
        yield self._touched(placed._replace(rows=rows, removals=state.removals + 1), number)

    # Writing.

    def _write(self, state: State, number: int, row: Row) -> State | None:
        """Return the state after a worker has written a row, which names it as the owner; None if it may not."""
        guard = "claim" if row.word == "sent" else "fence"
        owner = state.workers[number].epoch
        if self._rules.keep(guard) and not allows(row, state.rows, owner, has_client_id=self._has_client_id):
            return None
        return self._stored(state, row._replace(owner=owner))

    def _stored(self, state: State, row: Row) -> State:
        before = next((one for one in state.rows if one.attempt == row.attempt), None)
        submission = form(row._replace(owner=-1), has_client_id=self._has_client_id)
        row = row if is_owned(submission) else row._replace(owner=-1)
        rows = sorted([one for one in state.rows if one.attempt != row.attempt] + [row])
        lost = before is not None and before.word == "accepted" and row.word != "accepted"
        return state._replace(rows=tuple(rows), id_lost=state.id_lost or lost)

    # A submission.

    def _idle(self, state: State, number: int, worker: Worker) -> Iterator[State]:
        # What a worker read before it claims may be old: it tries whatever is stored.
        newest = state.rows[-1] if state.rows else None
        attempts = {1} | {row.attempt + 1 for row in state.rows if row.word == "repeated"}
        attempts |= {row.attempt for row in state.rows if row.word == "planned"}
        for attempt in attempts:
            if newest is not None and attempt < newest.attempt and newest.attempt - attempt > 1:
                continue
            touched = self._touched(state, number)
            worker = touched.workers[number]
            row = Row(attempt, "sent", worker.epoch)
            claimed = self._write(touched, number, row) if self._rules.keep("intent") else touched
            if claimed is not None:
                at = worker._replace(at="claimed", attempt=attempt, claim=worker.epoch, held=worker.epoch)
                yield self._placed(claimed, number, at)
        if newest is not None and newest.word == "resolving" and newest.owner < 0:
            touched = self._touched(state, number)
            worker = touched.workers[number]
            at = worker._replace(at="looking", attempt=newest.attempt, claim=newest.claim, held=worker.epoch)
            taken = self._stored(touched, newest._replace(owner=worker.epoch))
            yield self._placed(taken, number, at)

    def _may_send(self, worker: Worker) -> bool:
        fresh = worker.lease == FRESH or not self._rules.keep("lease check")
        return fresh and (worker.epoch == worker.held or not self._rules.keep("epoch check"))

    def _claimed(self, state: State, number: int, worker: Worker) -> Iterator[State]:
        if self._may_send(worker):
            yield self._placed(state, number, worker._replace(at="checked"))
        else:
            yield self._placed(state, number, worker._replace(at="answered", answer="deferred"))

    def _checked(self, state: State, number: int, worker: Worker) -> Iterator[State]:
        """Let the first byte leave: it arrives and is charged, is refused, or gets lost; so may the answer be."""
        charged = self._charged(state, worker)
        for answer in ("accepted", "lost"):
            yield self._placed(charged, number, worker._replace(at="answered", answer=answer))
        for answer in ("refused", "deferred", "lost"):
            yield self._placed(state, number, worker._replace(at="answered", answer=answer))

    def _charged(self, state: State, worker: Worker) -> State:
        """Charge for a submission: one that is replayed is charged once within the window, whoever sends it."""
        key = (worker.attempt, worker.claim)
        if self._rules.repeat is Repeat.REPLAYED and key in state.keys and state.in_window:
            return state
        decided = any(row.attempt == worker.attempt and row.word == "repeated" for row in state.rows)
        keys = tuple({*state.keys, key})
        return state._replace(paid=state.paid + 1, late=state.late or decided, keys=keys)

    def _answered(self, state: State, number: int, worker: Worker) -> Iterator[State]:
        """Write the answer down, whoever has the job by now."""
        word = worker.answer
        if word == "lost":
            if not self._rules.keep("lost stays lost"):
                word = "deferred"
            elif self._has_client_id:
                word = "resolving"
        touched = self._touched(state, number)
        worker = touched.workers[number]
        written = self._write(touched, number, Row(worker.attempt, word, worker.claim)) or touched
        at = self._after(word, worker, written)
        held = worker.epoch if at == "looking" else worker.held
        yield self._placed(written, number, worker._replace(at=at, held=held, answer=""))

    def _after(self, word: str, worker: Worker, state: State) -> str:
        if word == "deferred":
            return "idle"
        row = next((one for one in state.rows if one.attempt == worker.attempt), None)
        return "looking" if word == "resolving" and row is not None and row.owner == worker.epoch else "done"

    # Look-ups.

    def _looking(self, state: State, number: int, worker: Worker) -> Iterator[State]:
        """Find it, find nothing for good, which proves nothing, or repeat it where that is a look-up."""
        is_known = (worker.attempt, worker.claim) in state.keys
        touched = self._touched(state, number)
        worker = touched.workers[number]
        if is_known and self._rules.repeat is Repeat.REJECTED:
            yield from self._looked_up(touched, number, worker, "accepted")
        yield from self._looked_up(touched, number, worker, "lost")
        if self._rules.repeat is Repeat.REPLAYED and (state.in_window or not self._rules.keep("window")):
            yield self._placed(state, number, state.workers[number]._replace(at="repeating"))

    def _looked_up(self, state: State, number: int, worker: Worker, word: str) -> Iterator[State]:
        written = self._write(state, number, Row(worker.attempt, word, worker.claim)) or state
        yield self._placed(written, number, worker._replace(at="done"))

    def _repeating(self, state: State, number: int, worker: Worker) -> Iterator[State]:
        if self._may_send(worker) and (state.in_window or not self._rules.keep("window")):
            yield self._placed(state, number, worker._replace(at="ready"))
        yield self._placed(state, number, worker._replace(at="looking"))

    def _ready(self, state: State, number: int, worker: Worker) -> Iterator[State]:
        """Let the first byte of a repetition leave; its answer may be lost as well."""
        charged = self._charged(state, worker)
        touched = self._touched(charged, number)
        yield from self._looked_up(touched, number, touched.workers[number], "accepted")
        yield self._placed(charged, number, worker._replace(at="looking"))

    # Steps of others.

    def _done(self, state: State, number: int, worker: Worker) -> Iterator[State]:
        yield from ()

    def _person(self, state: State) -> Iterator[State]:
        """Decide to submit an unconfirmed job again, or plan a further attempt at one that has ended."""
        if not self._rules.person or state.asked or not state.rows:
            return
        newest = state.rows[-1]
        if self._rules.retry and newest.word in (
            "refused",
            "accepted",
        ):  # what is accepted stands for what has ended, too
            one, other = (at._replace(at="idle") if at.at == "done" else at for at in state.workers)
            planned = Row(newest.attempt + 1, "planned", claim=-1)
            yield self._stored(state, planned)._replace(asked=1, workers=(one, other))
        living = any(one.lease > OVER and one.epoch == newest.owner for one in state.workers)
        if newest.word == "lost" or (newest.word == "sent" and not (living and self._rules.keep("resubmit waits"))):
            repeated = newest._replace(word="repeated", owner=-1)
            if newest.word == "lost" or not self._rules.keep("resubmit waits"):
                yield self._stored(state, repeated)._replace(asked=1)


def troubles_of(state: State) -> set[Trouble]:
    """Return what has happened that must not."""
    twice = state.paid > 1 + state.asked or (state.paid > 1 and state.late)
    return {one for one, has in ((Trouble.PAID_TWICE, twice), (Trouble.ID_LOST, state.id_lost)) if has}


def search(rules: Rules, *, for_one: Trouble | None = None, max_states: int = 500_000) -> tuple[set[Trouble], int]:
    """Return what can happen that must not, and the number of states that were looked at.

    Args:
        rules: how the workers behave.
        for_one: end at this trouble; None looks at every state that can be reached without any.
        max_states: a bound, which is not met.
    """
    model, first = Model(rules), canonical(State(workers=(Worker(epoch=0), Worker(epoch=1))))
    seen, todo, found = {first}, deque([first]), set[Trouble]()
    while todo and for_one not in found:
        for state in map(canonical, model.steps(todo.popleft())):
            if state in seen:
                continue
            seen.add(state)
            troubles = troubles_of(state)
            found |= troubles
            if not troubles:
                todo.append(state)
        assert len(seen) <= max_states
    return found, len(seen)
