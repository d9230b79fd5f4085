"""Ways to end a run before its time, each held to what it must leave behind; mutants are held to the same."""

from __future__ import annotations

import os
import random
import signal
from functools import partial
from pathlib import Path
from typing import Any

from ..s3 import Bucket, S3Process
from .answers import HEALTHY_SUBMIT, Answer, Script, accepted, refused, repeat, reply, said, send, sleep
from .conftest import OpenSite
from .crashes import (
    PNG,
    Runner,
    at_risk_in,
    check_nothing_lost,
    check_paid,
    kept_in,
    log_of,
    unconfirmed_in,
    wait_until,
)
from .harness import ServerLog

__all__ = [
    "LONG",
    "cancelled",
    "duplicates",
    "interrupted_downloads",
    "interrupted_uploads",
    "leaves",
    "long_file",
    "replacements",
    "steps",
    "sweep",
    "timeouts",
]

FINDING = ("kling", "comfy")
"""Providers that find a submission by its client id."""
JOBS = 24
SLOTS = 4
SLOW = Script(submit=[(sleep(0.01) + HEALTHY_SUBMIT).for_ever])
"""The answer to a submission takes a moment, in which it is charged and nobody knows."""
PIECE, PIECES = "0" * 65_536, 320
LONG = PNG[:8] + PIECE.encode() * PIECES + PNG[-12:]
"""A file of 20 MiB: an upload of it has three parts."""


def sweep(runner: Runner, site: OpenSite, folder: Path, *, kills: int, seed: int, provider: str = "gptproto") -> int:
    """Kill runs at random moments, each begun again until it is done; return how many jobs nobody knows of."""
    dice, killed, lost, number = random.Random(seed), 0, 0, 0
    while killed < kills:
        number += 1
        here, place = site(SLOW, running_for=1), folder / f"run-{number}"
        before = 0
        for patience in range(200):
            kill_after = dice.uniform(0.02, 0.3 + patience / 20)
            code = runner.run(here, place, jobs=JOBS, max_submitting=SLOTS, kill_after=kill_after, provider=provider)
            check_nothing_lost(place)
            # A look-up that finds nothing makes a job unconfirmed that was at risk before.
            after = len(at_risk_in(kept_in(place)))
            assert after - before <= SLOTS, "more at risk than promised (G5)"
            before = after
            if code == 0:
                break
            assert code == -9, log_of(place)
            killed += 1
        check_paid(place, here.log, jobs=JOBS, found=provider in FINDING)
        lost += before
    return lost


def steps(
    runner: Runner, site: OpenSite, folder: Path, *, first: int = 1, every: int = 1, provider: str = "gptproto"
) -> int:
    """Kill a run at one step in the world after another, begin it again, and hold its books; return how many."""
    for done, at in enumerate(range(first, 10_000, every)):
        here, place = site(), folder / f"step-{at}"
        code = runner.run(here, place, jobs=2, max_submitting=1, crash_at=at, provider=provider)
        if code == 0:
            return done
        assert code == -9, log_of(place)
        check_nothing_lost(place)
        assert len(unconfirmed_in(kept_in(place))) <= 1
        assert 0 == runner.run(here, place, jobs=2, provider=provider), log_of(place)
        check_nothing_lost(place)
        check_paid(place, here.log, jobs=2, found=provider in FINDING)
    raise AssertionError("there were more steps than that")


def replacements(runner: Runner, site: OpenSite, folder: Path, *, first: int = 1, every: int = 1) -> int:
    """Kill runs, step after step, that replace two inputs which are refused, one of them twice; return how many."""
    content = refused("400 Bad Request", {"error": {"message": "Content policy violation", "code": "503"}}).for_ever
    refusing = {prompt: Script(submit=[content]) for prompt in ("cat 0", "cat 1", "mild cat 1")}
    for done, at in enumerate(range(first, 10_000, every)):
        here, place = site(Script(jobs=refusing)), folder / f"step-{at}"
        code = runner.run(here, place, jobs=2, max_submitting=1, crash_at=at, replaces=True)
        asked = asked_in(place)
        known = {one.key for one in kept_in(place) if one.attempt > 1}
        again = runner.run(here, place, jobs=2, replaces=True) if code else 0
        assert 0 == again, log_of(place)
        check_nothing_lost(place)
        check_replaced(place, here.log)
        assert known.isdisjoint(asked_in(place)[len(asked) :]), "asked again after a second attempt"
        if code == 0:
            return done
        assert code == -9, log_of(place)
    raise AssertionError("there were more steps than that")


def asked_in(folder: Path) -> list[str]:
    """Return the keys of the jobs that runs have asked about, in order."""
    told = folder / "told.txt"
    lines = told.read_text().splitlines() if told.exists() else []
    return [line.removeprefix("asked ").replace("cat ", "cat-") for line in lines if line.startswith("asked ")]


def check_replaced(folder: Path, log: ServerLog) -> None:
    """Hold that no input was sent twice, and that each job has ended by its second attempt, or is unconfirmed."""
    kept = kept_in(folder)
    twice = {prompt: count for prompt, count in log.submissions().items() if count > 1}
    assert {} == twice, "sent twice"
    assert max(one.attempt for one in kept) <= 2, "asked again"
    newest = {one.key: one for one in kept}
    undone = {key for key, one in newest.items() if one.attempt == 1} - unconfirmed_in(kept)
    undone |= {"cat-0"} - {key for key, one in newest.items() if one.succeeded and one.files} - unconfirmed_in(kept)
    assert set() == undone, "neither replaced nor unconfirmed"
    known = {one.prediction.id for one in kept if one.prediction is not None}
    charged = {id for ids in log.charges.values() for id in ids}
    assert charged <= known or unconfirmed_in(kept), "charged, and unknown"


def interrupted_downloads(runner: Runner, site: OpenSite, folder: Path, *, kills: int) -> None:
    """Kill runs while files are half here, one more each time: none has its final name, and the next run completes it.

    Args:
        kills: at most 4, as so many files come at once from one host.
    """
    half = len(PNG) // 2
    head = f'HTTP/1.1 200 OK\r\nETag: "one"\r\nContent-Length: {len(PNG)}\r\n\r\n'.encode()
    slow = send(head + PNG[:half]) + sleep(30.0) + send(PNG[half:])
    for number in range(kills):
        here, place = site(Script(file=[slow.for_ever])), folder / f"half-{number}"
        run = runner.start(here, place, jobs=4)
        wait_until(partial(has_files, place, number + 1, half), place)
        os.kill(run, signal.SIGKILL)
        assert -signal.SIGKILL == runner.reap(run)
        check_nothing_lost(place)
        here.script(Script())
        assert 0 == runner.run(here, place, jobs=4), log_of(place)
        check_nothing_lost(place)


def interrupted_uploads(runner: Runner, site: OpenSite, folder: Path, *, kills: int = 2) -> None:
    """Kill runs in the middle of an upload, one part later each time: no object is partial, and the next run saves it.

    Args:
        kills: at most 2, as there are so many parts before the last one.
    """
    with S3Process.started() as process:
        for number in range(kills):
            here, place, bucket = site(Script(file=[long_file(every=0.005)])), folder / f"up-{number}", process.bucket()
            order: dict[str, Any] = {"jobs": 1, "save_to": bucket.url, "environ": bucket.environ}
            run = runner.start(here, place, **order)
            parts: list[str] = []
            wait_until(partial(has_parts, bucket, parts, number + 1), place)
            os.kill(run, signal.SIGKILL)
            assert -signal.SIGKILL == runner.reap(run)
            assert {} == bucket.objects(), "an object is partial"
            assert ["cat-0-0.png"] == bucket.uploads(), "it was not killed in the middle"
            here.script(Script(file=[long_file().for_ever]))
            assert 0 == runner.run(here, place, **order), log_of(place)
            assert {"cat-0-0.png": LONG} == bucket.objects(), "an object is partial"
            check_paid(place, here.log, jobs=1)


def long_file(*, every: float = 0.0) -> Answer:
    """Serve a file of three parts of an upload, with a pause after each piece."""
    head = f'HTTP/1.1 200 OK\r\nETag: "one"\r\nContent-Length: {len(LONG)}\r\n\r\n'.encode()
    return send(head + LONG[:8]) + repeat(PIECE, times=PIECES, every=every) + send(LONG[-12:])


def has_parts(bucket: Bucket, parts: list[str], count: int) -> bool:
    """Tell whether so many parts of an object have come; `parts` keeps those that were seen."""
    parts += [target for method, target, _ in bucket.log() if method == "PUT" and "-0.png" in target]
    return len(parts) >= count


def has_files(folder: Path, count: int, size: int) -> bool:
    """Tell whether a run has so many files, partial or not, that are at least so long."""
    files = [*folder.glob("out/*.part"), *folder.glob("out/*.png")]
    return count <= sum(path.stat().st_size >= size for path in files)


def leaves(runner: Runner, site: OpenSite, folder: Path) -> None:
    """Leave a client while answers are on their way: each submission ends first, and its id is written down (G12)."""
    here = site(Script(submit=[(sleep(0.5) + accepted()).for_ever]))
    assert 0 == runner.run(here, folder, jobs=8, leave_at=("submitted", 8), journal_of="client"), log_of(folder)
    check_nothing_lost(folder)
    kept = kept_in(folder)
    known = {one.prediction.id for one in kept if one.prediction is not None}
    assert len(known) == 8 == len(here.log.charges), "a submission was left before its answer"
    assert set() == unconfirmed_in(kept)


def timeouts(runner: Runner, site: OpenSite, folder: Path) -> None:
    """Answers that do not come in time: each job is submitted once, and unconfirmed."""
    here = site(Script(submit=[sleep(1.5).for_ever]))
    runner.run(here, folder, jobs=3, request_timeout=0.5)
    assert {1} == set(here.log.submissions().values()), "a submission was repeated"
    assert 3 == len(unconfirmed_in(kept_in(folder)))


def duplicates(runner: Runner, site: OpenSite, folder: Path) -> None:
    """Refuse submissions for their own client ids, as if each had been sent twice on the way: each is found."""
    taken = reply('{"code":1201,"message":"external_task_id already exists"}', status="400 Bad Request")
    here = site(Script(submit=[taken.for_ever]))
    assert 0 == runner.run(here, folder, jobs=3, provider="kling"), log_of(folder)
    check_paid(folder, here.log, jobs=3, found=True)


def cancelled(runner: Runner, site: OpenSite, folder: Path) -> None:
    """Cancel what was accepted: no later run submits it again."""
    here = site(Script(poll=[said("cancelled").for_ever]))
    for _ in range(2):
        assert 0 == runner.run(here, folder, jobs=3, provider="wavespeed"), log_of(folder)
    assert {1} == set(here.log.submissions().values()), "was bought again"
