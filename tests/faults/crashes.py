"""Starts runs that can be killed, and holds what they leave behind against the provider's books."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio

from kling_async import JobStatus, SqliteJournal, Submission

from .harness import ServerLog, Site
from .line_process import LineProcess

__all__ = ["Runner", "at_risk_in", "check_nothing_lost", "check_paid", "ids_told", "kept_in", "unconfirmed_in"]

RUNNER = Path(__file__).with_name("runner.py")
PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 400 + b"\0\0\0\0IEND\xaeB`\x82"


class Runner(LineProcess):
    """The process that forks runs.

    Args:
        package: a folder that holds another build of the package; None for the one that is installed.
    """

    def __init__(self, package: Path | None = None) -> None:
        env = {**os.environ} | ({} if package is None else {"PYTHONPATH": str(package)})
        super().__init__([sys.executable, str(RUNNER)], env=env)

    def start(self, site: Site, folder: Path, *, jobs: int, **order: Any) -> int:
        """Start a run, and return its process."""
        folder.mkdir(exist_ok=True)
        pid = self.ask({"start": {"origin": site.origin, "folder": str(folder), "jobs": jobs, **order}})["pid"]
        assert isinstance(pid, int)
        return pid

    def reap(self, pid: int, *, within: float = 120.0) -> int | None:
        """Wait for a run to end, and return its exit code; None if it has not."""
        code = self.ask({"reap": pid, "within": within})["code"]
        assert code is None or isinstance(code, int)
        return code

    def run(
        self,
        site: Site,
        folder: Path,
        *,
        jobs: int,
        kill_after: float | None = None,
        **order: Any,
    ) -> int:
        """Run, killing the run after so many seconds, and return its exit code."""
        pid = self.start(site, folder, jobs=jobs, **order)
        code = None if kill_after is None else self.reap(pid, within=kill_after)
        if code is None and kill_after is not None:
            os.kill(pid, signal.SIGKILL)
        code = self.reap(pid) if code is None else code
        assert code is not None, "a run did not end"
        return code


def log_of(folder: Path) -> str:
    """Return what a run has said."""
    log = folder / "log.txt"
    return log.read_text() if log.exists() else ""


def wait_until(met: Callable[[], bool], folder: Path) -> None:
    """Wait until a run has done something; if it never does, its words are the error."""
    for _ in range(20_000):
        if met():
            return
        time.sleep(0.01)
    raise AssertionError(log_of(folder))


def kept_in(folder: Path) -> list[Submission]:
    """Return what the journal of a run holds, as the next run would find it."""

    async def read() -> list[Submission]:
        journal = SqliteJournal(folder / "journal.db")
        await journal.open()
        try:
            return await journal.submissions()
        finally:
            await journal.aclose()

    return anyio.run(read) if (folder / "journal.db").exists() else []


def ids_told(folder: Path) -> set[tuple[str, str]]:
    """Return the keys and ids that a run has told of."""
    told = folder / "told.txt"
    lines = [line.split(" ") for line in told.read_text().splitlines()] if told.exists() else []
    return {(line[1], line[2]) for line in lines if line[0] in ("id", "outcome") and line[2]}


def unconfirmed_in(kept: list[Submission]) -> set[str]:
    """Return the jobs of which nobody knows whether they arrived."""
    return {one.key for one in kept if one.status in (JobStatus.SUBMITTING, JobStatus.UNCONFIRMED)}


def at_risk_in(kept: list[Submission]) -> set[str]:
    """Return the jobs that may be charged without an id, those that are being looked up included."""
    return unconfirmed_in(kept) | {one.key for one in kept if one.status is JobStatus.RESOLVING}


def check_nothing_lost(folder: Path) -> None:
    """Hold that each id that was told is in the journal (G2), and that what has its final name is whole (G6)."""
    known = {(one.key, one.prediction.id) for one in kept_in(folder) if one.prediction is not None}
    assert ids_told(folder) <= known, f"told and not on disk: {ids_told(folder) - known}"
    for path in folder.glob("out/*.png"):
        assert path.read_bytes() == PNG, f"{path.name} is partial"


def check_paid(folder: Path, log: ServerLog, *, jobs: int, found: bool = False) -> None:
    """Hold that no job was paid twice (G3), and that what is charged is accepted or unconfirmed (G4).

    Args:
        folder: that of the run.
        log: the provider's books.
        jobs: how many the run has.
        found: whether the provider can be asked, so that nothing that is charged stays unconfirmed.
    """
    kept = kept_in(folder)
    twice = {prompt: ids for prompt, ids in log.charges.items() if len(ids) > 1}
    assert {} == twice, "paid twice"
    charged = {ids[0] for ids in log.charges.values()}
    accepted = {one.prediction.id for one in kept if one.prediction is not None}
    lost = {f"cat {key.removeprefix('cat-')}" for key in unconfirmed_in(kept)}
    assert accepted <= charged
    unknown = {prompt for prompt, ids in log.charges.items() if ids[0] not in accepted}
    assert unknown <= (set() if found else lost), "charged, and unknown"
    missing = {f"cat-{number}" for number in range(jobs)} - {one.key for one in kept}
    assert set() == missing, f"never submitted: {missing}; {log_of(folder)}"
    undone = {one.key for one in kept if not (one.succeeded and one.files)} - unconfirmed_in(kept)
    assert set() == undone, "neither done nor unconfirmed"
