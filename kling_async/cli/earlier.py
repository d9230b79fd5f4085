"""What earlier runs have left in a folder: which jobs it knows, and which of their inputs have been mended since."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

from attrs import field, frozen

from ..errors import InputError
from ..folder import RunFolder
from ..inputs import Job
from ..naming import fingerprint
from ..planning.moves import State
from ..planning.submissions import Submission

__all__ = ["Earlier"]


@frozen(kw_only=True)
class Earlier:
    """What earlier runs have left in a folder.

    Attributes:
        jobs: the rows of the run by key, in their order.
        attempts: the submissions of each key, the first one first.
        about: what run.json says; nothing if it is missing or damaged.
        owner: the process that has the journal open, in words; None if there is none.
    """

    jobs: Mapping[str, Job] = field(factory=dict[str, Job])
    attempts: Mapping[str, Sequence[Submission]] = field(factory=dict[str, Sequence[Submission]])
    about: Mapping[str, object] = field(factory=dict[str, object])
    owner: str | None = None

    @classmethod
    def of(cls, folder: RunFolder, *, accept_lost_log: bool = False) -> Earlier:
        """Read a folder. Raises JournalError, or InputError where a row that was kept cannot be read."""
        reading = folder.read(accept_lost_log=accept_lost_log)
        attempts: dict[str, list[Submission]] = {}
        for one in reading.submissions:
            attempts.setdefault(one.key, []).append(one)
        try:
            about = folder.about()
        except InputError:
            about = {}
        return cls(jobs=folder.kept(), attempts=attempts, about=about, owner=reading.owner)

    @property
    def sheet(self) -> str | None:
        """The sheet that the run was begun with; None if the folder holds no run."""
        name = self.about.get("sheet")
        return name if isinstance(name, str) else None

    @property
    def left_out(self) -> list[str]:
        """The keys of the rows of that sheet which --limit has left out so far."""
        keys = self.about.get("left_out")
        return [str(key) for key in cast("list[object]", keys)] if isinstance(keys, list) else []

    def keys(self) -> set[str]:
        """Return every key that the run knows."""
        return {*self.jobs, *self.attempts, *self.left_out}

    def newest(self, key: str | None) -> Submission | None:
        """Return the newest submission of a key."""
        attempts = self.attempts.get(key or "")
        return attempts[-1] if attempts else None

    def mended(self, job: Job) -> Job | None:
        """Return the row that has replaced a job: its input did not succeed, and another one was given since."""
        kept, newest, mark = self.jobs.get(job.key or ""), self.newest(job.key), fingerprint(job.input)
        if kept is None or newest is None or fingerprint(kept.input) == mark:
            return None
        tried = [one for one in self.attempts[newest.key] if one.fingerprint == mark]
        # What may have been paid for under the newest attempt stands, whatever the row says.
        stands = newest.fingerprint == mark and newest.state is not State.FAILED
        return kept if tried and all(map(_did_not_succeed, tried)) and not stands else None


def _did_not_succeed(one: Submission) -> bool:
    return one.state in (State.FAILED, State.UNCONFIRMED) or (one.state is State.ENDED and not one.succeeded)
