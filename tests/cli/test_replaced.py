"""Runs in which a program has put another input in the place of a refused one, as the command line shows them."""

from __future__ import annotations

import json
from pathlib import Path

import anyio
import pytest
from attrs import evolve

from kling_async import Client, ContentRejected, ImageInput, VideoInput
from kling_async.runs.directory import RunDirectory
from kling_async.testing import Sandbox

from .conftest import Type
from .test_runs import CALMLY, statuses, write

QUIET = ("--progress", "none")
REFUSED = "an owl [[refused]]"


def replace(folder: Path, prompt: str) -> None:
    """Run the jobs of a run directory with `on_refused`, as a program would."""

    def reword(given: ImageInput | VideoInput, _: ContentRejected) -> ImageInput | VideoInput:
        return evolve(given, prompt=prompt)

    async def run() -> None:
        here = RunDirectory(folder)
        async with (
            Client("apiinone") as client,
            client.batch(here.jobs(), journal=here.journal, save_to=here.media, on_refused=reword) as batch,
        ):
            _ = [outcome async for outcome in batch]

    anyio.run(run)


def prompts(folder: Path) -> dict[str, str]:
    """Return the prompt of each job in the results."""
    lines = (folder / "results.jsonl").read_text().splitlines()
    return {row["key"]: row["prompt"] for row in map(json.loads, lines)}


def test_it_is_shown_as_what_it_is(typed: Type, sandbox: Sandbox, capfd: pytest.CaptureFixture[str]) -> None:
    """Status, a single job, results and the report name the input that was submitted last, and the refused one."""
    write("m.csv", {"a": "a cat", "b": REFUSED})
    assert 1 == typed("batch", "m.csv", *CALMLY)
    replace(Path("m"), "a wise owl")
    capfd.readouterr()
    assert 0 == typed("status", "m")
    assert "1  of these with another input in the place of a refused one" in capfd.readouterr().out
    assert 0 == typed("status", "m", "--json", "replaced")
    assert {"replaced": 1} == json.loads(capfd.readouterr().out)
    assert 0 == typed("get", "m", "b")
    lines = dict(line.split(maxsplit=1) for line in capfd.readouterr().out.splitlines())
    assert {"status": "succeeded", "prompt": "a wise owl", "refused": REFUSED}.items() <= lines.items()
    assert 0 == typed("get", "m", "b", "--json", "submissions")
    submissions = json.loads(capfd.readouterr().out)["submissions"]
    assert [False, True] == [one["in_place_of_refused"] for one in submissions]
    assert 0 == typed("report", "m")
    found = [json.loads(line) for line in Path("m/results.jsonl").read_text().splitlines()]
    assert [("a cat", None), ("a wise owl", REFUSED)] == [(one["prompt"], one["refused_prompt"]) for one in found]
    assert f"in place of a refused prompt: {REFUSED}" in Path("m/report.html").read_text()


def test_it_is_not_paid_again(typed: Type, sandbox: Sandbox) -> None:
    """A resume, a retry and the first job file send nothing for it; an edit by the user is submitted as ever."""
    write("m.csv", {"a": "a cat", "b": REFUSED})
    assert 1 == typed("batch", "m.csv", *CALMLY)
    replace(Path("m"), "a wise owl")
    before = sandbox.submits
    assert 0 == typed("resume", "m", *QUIET)
    assert 0 == typed("batch", "m.csv", *CALMLY)
    assert 0 == typed("batch", "m.csv", "--accept-changed", *CALMLY)
    assert 2 == typed("retry", "m", "b", *QUIET)
    assert before == sandbox.submits
    assert {"a": "a cat", "b": "a wise owl"} == prompts(Path("m"))
    assert {"a": "succeeded", "b": "succeeded"} == statuses(Path("m"))
    assert 0 == typed("retry", "m", "b", "--set", "prompt=a barn owl", *QUIET)
    assert {"a": "a cat", "b": "a barn owl"} == prompts(Path("m"))
    assert before + 1 == sandbox.submits


def test_one_that_failed_is_retried_as_it_was_submitted(typed: Type, sandbox: Sandbox) -> None:
    """A retry submits the input in the place of the refused one again, and shows it."""
    write("m.csv", {"b": REFUSED})
    assert 1 == typed("batch", "m.csv", *CALMLY)
    replace(Path("m"), "an owl [[failed:no luck]]")
    assert 1 == typed("retry", "m", *QUIET)
    assert {"b": "an owl [[failed:no luck]]"} == prompts(Path("m"))
    assert 1 == sum(one.prompt == REFUSED for one in sandbox.log if one.kind == "submit")
    assert 2 == sum(one.prompt == "an owl [[failed:no luck]]" for one in sandbox.log if one.kind == "submit")
