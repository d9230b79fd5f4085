"""Row 45: folders of runs, while two processes want one, and after one has died between two files."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from kling_async.cli.batch import batch, resume
from kling_async.cli.options import Options

from .conftest import OpenSite
from .harness import Site
from .promises import CANARY

QUIET = Options(progress="none", download=False)
HOLD = """
import sys
from pathlib import Path
from kling_async.runs.directory import RunDirectory
with RunDirectory(Path("m")).owned():
    print("held", flush=True)
    sys.stdin.read()
"""
"""Holds a folder as a run does from its first look at it to its end."""
DIE = """
import os, sys
from kling_async.cli import main
from kling_async.runs.directory import RunDirectory
RunDirectory.write_metadata = lambda *_: os._exit(9)
sys.argv[1:] = ["batch", "more.csv", "-o", "m", "--merge", "--progress", "none"]
main()
"""
"""Dies after the rows of a run were kept, and before the run is described."""


@pytest.fixture
def here(site: OpenSite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    """Open a site for commands that run in a folder of their own, and run a sheet of two cats."""
    opened = site()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GPTPROTO_BASE_URL", opened.origin)
    monkeypatch.setenv("GPTPROTO_API_KEY", CANARY)
    Path("m.csv").write_text("key,prompt\na,a cat\nb,another cat\n")
    assert 0 == batch("m.csv", options=QUIET)
    return opened


def keys_of(name: str) -> list[str]:
    """Return the keys of a file of the folder, in their order."""
    return [json.loads(line)["key"] for line in Path("m", name).read_text().splitlines()]


def test_row_45_two_runs_in_one_folder(here: Site, capfd: pytest.CaptureFixture[str]) -> None:
    """The second run is refused, naming the first one, before it changes a file, also while that has no journal yet."""
    kept = {path: path.read_bytes() for path in Path("m").iterdir() if path.is_file()}
    Path("m.csv").write_text("key,prompt\na,a dog\n")
    accepting = Options(progress="none", download=False, accept_changed=True)
    with subprocess.Popen([sys.executable, "-c", HOLD], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdout.readline()
        for code in (batch("m.csv", options=accepting), resume(Path("m"), options=QUIET)):
            assert 1 == code
        assert 2 == capfd.readouterr().err.count(f"A run is already using m: process {other.pid} on")
        assert kept == {path: path.read_bytes() for path in kept}
        other.communicate(timeout=20)
    assert kept.keys() == {path for path in Path("m").iterdir() if path.is_file()}
    assert 2 == len(here.log.charges)
    assert 0 == batch("m.csv", options=accepting)


def test_row_45_killed_between_two_files(here: Site) -> None:
    """A process that dies after it kept the rows, and before it described the run, loses no row and no title."""
    Path("more.csv").write_text("key,prompt\nb,another cat\nc,a third cat\n")
    died = subprocess.run([sys.executable, "-c", DIE], env=os.environ, timeout=60, check=False)
    assert (9, ["a", "b", "c"]) == (died.returncode, keys_of("jobs.jsonl"))
    assert 0 == resume(Path("m"), options=QUIET)
    assert (["a", "b", "c"], 3) == (keys_of("results.jsonl"), len(here.log.charges))
    assert "m.csv" == json.loads(Path("m/run.json").read_text())["sheet"]
