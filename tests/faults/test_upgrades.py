"""Rows 49 and 50: what version 0.1 left on a disk opens, and what is in it is not paid again.

The samples were written by 0.1 itself, and once more when journals had become of version 2;
`tests/samples/disk/0.1/record.py` says what they hold.
"""

from __future__ import annotations

import json
import lzma
import os
import random
import shutil
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

import anyio
import pytest

from kling_async import Client, JobStatus, JournalError, Submission
from kling_async.journal.schema import OPEN, VERSION, mark_of
from kling_async.journal.serialization import state_of

from ..journals import listed, submissions_on_disk
from .answers import Script, poll_reply
from .conftest import OpenSite
from .harness import Site
from .promises import CANARY

pytestmark = pytest.mark.anyio

DISK = Path(__file__).parents[1] / "samples" / "disk"
SAMPLES = DISK / "0.1"
VERSIONS = {"0.1": 1, "journal-2": 2}
"""The versions of the journals in each folder of samples."""
KNOWING = Script(poll=[poll_reply("completed", ["<<origin>>/files/<<id>>.png"]).for_ever])
"""A provider that knows every id."""
JOURNALS = [
    f"{folder}/{name}"
    for folder in VERSIONS
    for name in ("closed.db", "unconfirmed.db", "killed/journal.db", "run-ended/journal.db", "run-killed/journal.db")
]


def taken(sample: str, folder: Path) -> Path:
    """Copy a journal's sample, with what lies beside it, and return the journal."""
    source = DISK / sample
    folder.mkdir(exist_ok=True)
    for path in source.parent.glob(f"{source.name}*"):
        shutil.copy(path, folder)
    return folder / source.name


def written(path: Path) -> list[dict[str, Any]]:
    """Return what 0.1 wrote, as SQLite and JSON alone read it."""
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        return [json.loads(body) for [body] in connection.execute("SELECT body FROM submissions ORDER BY number")]


def facts(one: Submission) -> tuple[object, ...]:
    """Return of a submission what a later run acts on."""
    found = one.prediction
    kept = (state_of(one), one.fingerprint, None if found is None else found.id, one.files)
    return (one.key, one.attempt, *kept, one.status.value)


def facts_written(body: dict[str, Any]) -> tuple[object, ...]:
    """Return the same of what 0.1 wrote."""
    files = body.get("files")
    found = body.get("prediction", {}).get("id")
    state = body.get("state", "planned")
    shown = None if files is None else tuple(files)
    kept = (state, body["fingerprint"], found, shown)
    return (body["key"], body.get("attempt", 1), *kept, status_written(body))


def status_written(body: dict[str, Any]) -> str:
    """Return the status of today for what 0.1 wrote."""
    state = body.get("state", "planned")
    if state == "ended":
        return str(body["prediction"]["status"])
    if state == "unconfirmed" and body.get("decision") == "abandoned":
        return "abandoned"
    return {"sending": "submitting"}.get(state, state)


@pytest.mark.parametrize("sample", JOURNALS)
async def test_row_50_journals_open(tmp_path: Path, sample: str) -> None:
    """Everything is there as it was, in its order, and again when it is opened as a journal of this version."""
    expected = list(map(facts_written, written(taken(sample, tmp_path / "as it was"))))
    path = taken(sample, tmp_path / "run")
    told = [facts(one) for one in submissions_on_disk(path)]  # a reader changes nothing
    assert len(expected) == len(told)
    assert VERSIONS[sample.partition("/")[0]] == mark_of(path) & ~OPEN
    rescued = [("rescued", 1, "accepted", "id-rescued", "accepted")] if "/killed/" in sample else []
    for _ in range(2):
        found = list(map(facts, await listed(path)))
        assert VERSION == mark_of(path)
        assert rescued == [(*one[:3], one[4], one[6]) for one in found if one[0] == "rescued"]
        assert [one for one in expected if one[0] != "rescued"] == [one for one in found if one[0] != "rescued"]


@pytest.mark.parametrize("sample", JOURNALS)
async def test_row_50_nothing_is_paid_again(site: OpenSite, tmp_path: Path, sample: str) -> None:
    """The same jobs submit what was certainly not started, and nothing else; what was lost stays unconfirmed."""
    here, path = site(KNOWING), taken(sample, tmp_path)
    newest = {one.key: one for one in submissions_on_disk(path)}
    jobs = [one.job() for one in newest.values() if one.input_complete and one.provider == "gptproto"]
    providers = ("gptproto", "apiinone")
    client = Client(api_keys=dict.fromkeys(providers, CANARY), base_urls=dict.fromkeys(providers, here.origin))
    async with client, client.batch(jobs, journal=path) as batch:
        outcomes = [outcome async for outcome in batch]
    assert {job.key for job in jobs} <= {one.job.key for one in outcomes}
    planned = [one for one in newest.values() if one.status is JobStatus.PLANNED]
    assert len(planned) == len(here.log.of("submit"))
    unknown = (JobStatus.UNCONFIRMED, JobStatus.ABANDONED)
    lost = {one.key for one in newest.values() if one.status in unknown} - {"rescued"}
    newest = {one.key: one for one in await listed(path)}
    assert lost == {one.key for one in newest.values() if one.status in unknown}


async def test_row_50_without_its_log(tmp_path: Path) -> None:
    """A journal that 0.1 had open, and whose log is missing, is refused, though 0.1 left no mark in it."""
    path = taken("0.1/killed/journal.db", tmp_path)
    path.with_name("journal.db-wal").unlink()
    for _ in range(2):
        with pytest.raises(JournalError, match=r"its log journal\.db-wal is missing"):
            await listed(path)
    assert 1 == mark_of(path)


DAMAGES = {
    "key": "UPDATE submissions SET key = 'another' WHERE key = 'saved'",
    "state": "UPDATE submissions SET state = 'planned' WHERE key = 'saved'",
    "attempt": "UPDATE submissions SET attempt = 9 WHERE key = 'saved'",
    "text": "UPDATE submissions SET body = replace(body, 'id-saved', 'id-waved') WHERE key = 'saved'",
}


@pytest.mark.parametrize("samples", VERSIONS)
@pytest.mark.parametrize("damage", DAMAGES)
async def test_row_50_a_damaged_one_stays_as_it_is(tmp_path: Path, damage: str, samples: str) -> None:
    """A column that says other than the text is damage; the journal is refused, and is of its own version still."""
    path = taken(f"{samples}/closed.db", tmp_path)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(DAMAGES[damage])
        connection.commit()
    before = written(path)
    with pytest.raises(JournalError, match="damaged"):
        await listed(path)
    assert (VERSIONS[samples], before) == (mark_of(path), written(path))


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Unpack the journal of 100,000 rows."""
    path = tmp_path_factory.mktemp("large") / "journal.db"
    with lzma.open(SAMPLES / "hundred_thousand.db.xz") as packed, path.open("wb") as file:
        shutil.copyfileobj(packed, file)
    return path


OPENING = """
import anyio, sys
from kling_async import SqliteJournal

async def main():
    journal = SqliteJournal(sys.argv[1])
    await journal.open()
    counts = [len([one async for one in journal.unfinished(saving=saving)]) for saving in (False, True)]
    print(*counts, await journal.spent())
    await journal.aclose()

anyio.run(main)
"""


@pytest.mark.parametrize("kills", [1, pytest.param(8, marks=pytest.mark.long)])
def test_row_50_a_large_one_opens_whenever_it_was_killed(large: Path, kills: int) -> None:
    """A hundred thousand rows are brought up to date in one step: killed at any moment, it is of one version, whole."""
    path, chance = large.with_name("killed.db"), random.Random(kills)
    shutil.copy(large, path)
    versions = Counter[int]()
    command = [sys.executable, "-c", OPENING, str(path)]
    for _ in range(kills):
        with subprocess.Popen(command, stdout=subprocess.DEVNULL) as opening:
            time.sleep(chance.uniform(0.3, 2.5))
            opening.kill()
        versions[mark_of(path) & ~OPEN] += 1
    assert set(versions) <= {1, VERSION}
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "1000 2000 2800.000" == ran.stdout.strip()
    assert VERSION == mark_of(path)


# Run folders.


def command_line(here: Site, folder: Path, *arguments: str) -> str:
    """Run the command line in a folder, and return what it says on both channels."""
    told = {"GPTPROTO_BASE_URL": here.origin, "GPTPROTO_API_KEY": CANARY, "COLUMNS": "100", "NO_COLOR": "1"}
    command = [sys.executable, "-m", "kling_async", *arguments]
    ran = subprocess.run(command, cwd=folder, env={**os.environ, **told}, capture_output=True, text=True, check=False)
    return ran.stdout + ran.stderr


def media(folder: Path) -> dict[str, bytes]:
    """Return the files of a run."""
    return {path.name: path.read_bytes() for path in (folder / "media").iterdir()}


@pytest.mark.parametrize("samples", VERSIONS)
def test_row_50_a_run_that_had_ended(site: OpenSite, tmp_path: Path, samples: str) -> None:
    """A folder of a finished run is read and gone on with: nothing is sent, and no file changes."""
    here, folder = site(), tmp_path / "run-ended"
    shutil.copytree(DISK / samples / "run-ended", folder)
    before = media(folder)
    for command in ("status", "resume", "status"):
        said = command_line(here, tmp_path, command, "run-ended")
        assert "6 jobs" in " ".join(said.split())
    assert [] == list(here.log.requests)
    assert before == media(folder)


def test_row_49_the_command_line_without_the_log(site: OpenSite, tmp_path: Path) -> None:
    """No command goes on with a run whose log is missing, until it is told to; then all that is left is there."""
    here, folder = site(), tmp_path / "run-ended"
    shutil.copytree(SAMPLES / "run-ended", folder)
    (folder / "journal.db.owner").write_text("process 4711 on host, since 2026-11-29 19:10:32+00:00\n")
    for command in ("status", "resume", "report"):
        said = " ".join(command_line(here, tmp_path, command, "run-ended").split())
        assert "JournalError: The journal" in said
        assert "journal.db-wal is missing" in said
        assert "--accept-lost-log" in said
    assert "6 jobs" in command_line(here, tmp_path, "resume", "run-ended", "--accept-lost-log")
    assert "6 jobs" in " ".join(command_line(here, tmp_path, "status", "run-ended").split())
    assert [] == list(here.log.requests)


def test_row_50_a_run_that_was_killed(site: OpenSite, tmp_path: Path) -> None:
    """A folder of a run that was killed goes on: what was accepted is not paid again, and all of it is saved."""
    here, folder = site(KNOWING), tmp_path / "run-killed"
    shutil.copytree(SAMPLES / "run-killed", folder)
    accepted = {one.key for one in submissions_on_disk(folder / "journal.db")}
    said = command_line(here, tmp_path, "status", "run-killed")
    assert f"{len(accepted)} accepted 22 planned 40 jobs" in " ".join(said.split())
    assert "40 succeeded" in command_line(here, tmp_path, "resume", "run-killed", "--progress", "none")
    assert 40 - len(accepted) == len(here.log.of("submit"))
    assert 40 == len(media(folder))
    assert accepted.isdisjoint({f"k{prompt.split()[3]}" for prompt in here.log.submissions()})
    assert 40 == len(anyio.run(listed, folder / "journal.db"))
