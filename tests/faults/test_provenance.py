"""Row 59: runs that are killed around the end of an output, whose provenance the next one completes."""

from __future__ import annotations

import hashlib
import json
import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from kling_async.errors import DownloadError
from kling_async.testing.sandbox.media import draw_png
from kling_async.transport.embedding import inspect_file
from kling_async.types.prediction import Output, OutputKind, Prediction, Status

from .answers import Script, reply
from .conftest import OpenSite, client_of, listing
from .crashes import Runner, check_paid, kept_in, log_of
from .harness import Site

PICTURE = draw_png("a cat", width=40, height=30)
SERVED = Script(file=[reply(PICTURE, headers=[("ETag", '"one"')]).for_ever])
STEPS = 60
"""Steps before the end of a run at which it is killed: from the last bytes of the output to the end of the journal."""


@pytest.fixture(scope="module")
def runner() -> Iterator[Runner]:
    """Start what forks runs."""
    with Runner() as started:
        yield started


def check_saved(folder: Path, mode: str) -> None:
    """Hold that the output is whole, its sidecar is that of the file, the journal agrees, and nothing else is there."""
    output = folder / "out" / "cat-0-0.png"
    assert {output.name, f"{output.name}.json"} == {path.name for path in output.parent.iterdir()}
    facts, found = inspect_file(output), json.loads(output.with_name(f"{output.name}.json").read_bytes())
    assert (mode == "embed", mode == "embed") == (facts.embedded, found["embedded"])
    assert (facts.sha256, facts.size, "cat 0") == (found["sha256"], found["size"], found["prompt"])
    assert [(facts.sha256,)] == [one.checksums for one in kept_in(folder)]
    content = output.read_bytes()
    assert content.startswith(PICTURE[:-12])
    assert content.endswith(PICTURE[-12:])


def steps_of(runner: Runner, site: Site, folder: Path, mode: str) -> int:
    """Run to the end, and return how many steps that takes."""
    assert 0 == runner.run(site, folder, jobs=1, crash_at=10**9, provenance=mode), log_of(folder)
    check_saved(folder, mode)
    return int((folder / "steps.txt").read_text())


@pytest.mark.parametrize("mode", ["sidecar", "embed"])
def test_row_62_killed_between_an_output_and_its_sidecar(
    runner: Runner, site: OpenSite, tmp_path: Path, mode: str
) -> None:
    """Killed at each of the last steps: what is saved is not fetched again, its sidecar follows, nothing is paid."""
    last, completed = steps_of(runner, site(SERVED), tmp_path / "whole", mode), 0
    for at in range(last - STEPS, last + 1):
        here, folder = site(SERVED), tmp_path / f"step-{at}"
        if runner.run(here, folder, jobs=1, crash_at=at, provenance=mode) == 0:
            continue
        output = folder / "out" / "cat-0-0.png"
        if output.exists():
            assert (mode == "embed") == inspect_file(output).embedded, "a file is partial"
            before = hashlib.sha256(output.read_bytes()).hexdigest()
        is_saved = any(one.files for one in kept_in(folder))
        needs_sidecar = not output.with_name(f"{output.name}.json").exists()
        fetched = len(here.log.of("file"))
        assert 0 == runner.run(here, folder, jobs=1, provenance=mode), log_of(folder)
        check_paid(folder, here.log, jobs=1)
        check_saved(folder, mode)
        if is_saved:
            assert fetched == len(here.log.of("file")), "it was fetched again"
            assert before == hashlib.sha256(output.read_bytes()).hexdigest()
            completed += needs_sidecar
    assert completed, "no run was killed between the two"


@pytest.mark.parametrize("at_once", [1, 3])
def test_row_62_a_finished_run_is_left_alone(runner: Runner, site: OpenSite, tmp_path: Path, at_once: int) -> None:
    """A run that has all of its sidecars asks for nothing, and changes no file, in a later process."""
    here = site(SERVED)
    assert 0 == runner.run(here, tmp_path, jobs=at_once, provenance="embed"), log_of(tmp_path)
    kept = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in (tmp_path / "out").iterdir()}
    asked = len(here.log.requests)
    assert 0 == runner.run(here, tmp_path, jobs=at_once, provenance="embed"), log_of(tmp_path)
    assert kept == {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in (tmp_path / "out").iterdir()}
    assert asked == len(here.log.requests)
    assert 2 * at_once == len(kept)


@contextmanager
def files_at_most(size: int) -> Iterator[None]:
    """Let no file grow beyond a size: to a download that is a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


@pytest.mark.anyio
async def test_row_62_a_disk_that_is_full_while_provenance_is_embedded(site: OpenSite, tmp_path: Path) -> None:
    """A disk that has room for the output alone keeps its text out: an error, no file of the name."""
    here = site(SERVED)
    output = Output(url=f"{here.origin}/files/one.png", kind=OutputKind.IMAGE)
    made = Prediction(provider="gptproto", model="m", id="p-1", key="cat", status=Status.SUCCEEDED, outputs=(output,))
    async with client_of(here) as client:
        with files_at_most(len(PICTURE) + 20), pytest.raises(DownloadError, match="cannot be saved"):
            await client.download(made, tmp_path, provenance="embed")
        assert not {"cat-0.png", "cat-0.png.json"} & {*listing(tmp_path)}
        [path] = await client.download(made, tmp_path, provenance="embed")
    assert inspect_file(path).embedded
    assert ["cat-0.png", "cat-0.png.json"] == listing(tmp_path)
