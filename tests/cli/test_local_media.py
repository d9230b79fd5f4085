"""Local media on the command line: paths relative to the job file, faults with their line, and reruns without files."""

from __future__ import annotations

import json
from pathlib import Path

from kling_async.testing import Sandbox
from kling_async.testing.sandbox.media import draw_png

from .conftest import Run

PNG = draw_png("a cat", width=320, height=300)
Served = tuple[Sandbox, dict[str, str]]


def settings_of(served: Served) -> dict[str, str]:
    """Return the settings that lead to fal in the sandbox."""
    sandbox, settings = served
    return {"FAL_BASE_URL": settings["GPTPROTO_BASE_URL"], "FAL_KEY": sandbox.key_for("fal")}


def write_jobs(folder: Path) -> Path:
    """Write a job file with a picture beside it, in a folder of their own."""
    (folder / "jobs" / "media").mkdir(parents=True)
    picture = folder / "jobs" / "media" / "cat.png"
    picture.write_bytes(PNG)
    rows = [
        "key,kind,prompt,image,model",
        "a,video,it wakes,media/cat.png,kling-o1-std",
        "b,video,it yawns,./media/cat.png,kling-o1-std",
        "",
    ]
    (folder / "jobs" / "jobs.csv").write_text("\n".join(rows), encoding="utf-8")
    return picture


def test_a_job_file_finds_its_media(run: Run, served: Served, folder: Path) -> None:
    """A path is relative to the job file; a rerun and a resume of a finished run work without the picture."""
    sandbox, settings = served[0], settings_of(served)
    picture = write_jobs(folder)
    command = ("batch", "jobs/jobs.csv", "-o", "out", "-p", "fal")
    first = run(*command, **settings)
    assert (0, 2) == (first.returncode, len(first.stdout.splitlines())), first.stderr
    assert [PNG] == [one.content for one in sandbox.uploads.contents.values()]
    stored = [json.loads(line) for line in (folder / "out" / "jobs.jsonl").read_text().splitlines()]
    assert str(picture) == stored[0]["image"]["media"]["path"]
    picture.unlink()
    requests = len(sandbox.log)
    for again in (command, ("resume", "out")):
        done = run(*again, "--print", "all", **settings)
        assert (0, 2) == (done.returncode, len(done.stdout.splitlines())), done.stderr
    assert requests == len(sandbox.log)


def test_a_missing_picture_has_its_line(run: Run, served: Served, folder: Path) -> None:
    """A file that is missing is a fault of its rows before anything is sent, with the name and the lines."""
    write_jobs(folder).unlink()
    done = run("batch", "jobs/jobs.csv", "-p", "fal", **settings_of(served))
    assert 2 == done.returncode
    assert "jobs.csv:2-3: image: does not exist" in done.stderr.replace("\n", "")
    assert [] == served[0].log


def test_generate_takes_a_path(run: Run, served: Served, folder: Path) -> None:
    """A path is relative to the working directory; a dry run shows its name in the request, and sends nothing."""
    (folder / "cat.png").write_bytes(PNG)
    command = ("generate", "it wakes", "-p", "fal", "-m", "kling-o1-std", "-s", "image=cat.png")
    shown = run(*command, "--dry-run")
    assert (0, True) == (shown.returncode, '"<cat.png>"' in shown.stdout), shown.stderr
    assert [] == served[0].log
    done = run(*command, **settings_of(served))
    assert (0, 1) == (done.returncode, served[0].billed()), done.stderr
