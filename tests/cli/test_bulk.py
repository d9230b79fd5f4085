"""Job files become run directories: the real commands, as processes of their own, against a sandbox on a socket."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kling_async import JobStatus
from kling_async.testing import Fixed, Sandbox, SandboxServer

from ..conftest import FOR_EVER, finish
from ..journals import submissions_on_disk
from .conftest import Run

Served = tuple[Sandbox, dict[str, str]]


def write_jobs(folder: Path, prompts: dict[str, str], name: str = "jobs.jsonl") -> None:
    """Write a job file of prompts by key, in the format of its suffix."""
    with (folder / name).open("w", newline="", encoding="utf-8") as file:
        if name.endswith(".csv"):
            csv.writer(file).writerows([("key", "prompt"), *prompts.items()])
        else:
            file.writelines(json.dumps({"key": key, "prompt": text}) + "\n" for key, text in prompts.items())


def foxes(count: int = 30, **changed: str) -> dict[str, str]:
    """Return prompts by key, some of them changed."""
    return {f"shot-{n:02}": f"a fox, number {n}" for n in range(count)} | {
        key.replace("_", "-"): f"{text} {key}" for key, text in changed.items()
    }


def results(folder: Path) -> list[dict[str, Any]]:
    """Return the rows of the results."""
    return [json.loads(line) for line in (folder / "out/results.jsonl").read_text().splitlines()]


def statuses(folder: Path) -> dict[str, str]:
    """Return the status of each job."""
    return {row["key"]: row["status"] for row in results(folder)}


def failures(folder: Path) -> dict[str, str | None]:
    """Return the kind of failure of each job that has failed."""
    return {row["key"]: row["failure"] for row in results(folder) if row["status"] == "failed"}


@pytest.fixture
def slow() -> Iterator[Served]:
    """Serve a sandbox in which a job is done when `finish` says so."""
    sandbox = Sandbox(strict=True, image_latency=Fixed(FOR_EVER))
    with SandboxServer(sandbox) as server:
        names = [f"{name}_{what}" for name in ("GPTPROTO", "APIINONE") for what in ("BASE_URL", "API_KEY")]
        yield sandbox, dict(zip(names, [server.url, sandbox.key] * 2, strict=True))


class Started:
    """A running command."""

    def __init__(self, folder: Path, settings: dict[str, str], *arguments: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "kling_async", *arguments],
            cwd=folder,
            env=os.environ | {"NO_COLOR": "1"} | settings,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.messages: list[str] = []
        self.journal = folder / "out/journal.db"

    def wait_for_accepted(self, count: int) -> None:
        """Wait until its journal has `count` accepted submissions."""
        while sum(one.status is JobStatus.ACCEPTED for one in submissions_on_disk(self.journal)) < count:
            assert self.process.poll() is None, self.end()
            time.sleep(0.02)

    def end(self) -> tuple[int, str, str]:
        """Wait for its end; return its exit code, stdout and stderr."""
        out, talk = self.process.communicate(timeout=200)
        return self.process.returncode, out, "".join([*self.messages, talk])

    def wait_for(self, text: str) -> None:
        """Wait until stderr has a text, in any case."""
        assert self.process.stderr is not None
        while text.lower() not in "".join(self.messages).lower():
            line = self.process.stderr.readline()
            assert line, f"it has ended without {text!r}"
            self.messages.append(line)


@pytest.mark.parametrize("name", ["jobs.jsonl", "jobs.csv"])
def test_a_job_file_becomes_a_directory(run: Run, folder: Path, served: Served, name: str) -> None:
    """Thirty rows, three of which go wrong in their own ways: files, results in order, and what failed, feedable."""
    sandbox, settings = served
    prompts = foxes(shot_04="[[refused]]", shot_14="[[failed:no luck]]", shot_20="[[lost]]")
    write_jobs(folder, prompts, name)
    shown = run("batch", name, "-o", "out", **settings)
    assert 1 == shown.returncode, shown.stderr
    wrong = {"shot-04": "failed", "shot-14": "failed", "shot-20": "unconfirmed"}
    assert statuses(folder) == {key: wrong.get(key, "succeeded") for key in prompts}
    assert {"shot-04": "refused", "shot-14": "failed"} == failures(folder)
    assert list(prompts) == [row["key"] for row in results(folder)]
    paths = shown.stdout.split()
    assert {f"out/media/{key}-0.png" for key in prompts.keys() - wrong} == set(paths)
    assert all((folder / path).is_file() for path in paths)
    with (folder / "out/results.csv").open(encoding="utf-8-sig", newline="") as file:
        assert list(prompts) == [row["key"] for row in csv.DictReader(file)]
    failed = [json.loads(line)["key"] for line in (folder / "out/failed.jsonl").read_text().splitlines()]
    assert ["shot-04", "shot-14"] == failed
    assert "shot-20" in (folder / "out/report.html").read_text()
    assert all(sandbox.billed(prompt) <= 1 for prompt in prompts.values())
    everything = b"".join(path.read_bytes() for path in (folder / "out").rglob("*") if path.is_file())
    assert sandbox.key.encode() not in everything
    assert {"journal.db", "jobs.jsonl", "results.jsonl", "results.csv", "failed.jsonl", "media"} | {
        "report.html",
        "run.json",
        "timings.json",
    } == {path.name for path in (folder / "out").iterdir()}
    again = run("plan", "out/failed.jsonl")
    assert 0 == again.returncode
    assert "\n2 jobs, expected cost: " in again.stderr


def test_a_finished_run_sends_nothing_again(run: Run, folder: Path, served: Served) -> None:
    """The same command once more, and a resume, send nothing and change no file; 0 is for all done."""
    sandbox, settings = served
    write_jobs(folder, {"a": "a cat", "b": "a dog"})
    assert 0 == run("batch", "jobs.jsonl", "-o", "out", **settings).returncode

    def kept() -> dict[Path, int]:
        files = [folder / "out/timings.json", *(folder / "out/media").iterdir()]
        return {path: path.stat().st_mtime_ns for path in files}

    media, before = kept(), len(sandbox.log)
    for arguments in (("batch", "jobs.jsonl", "-o", "out"), ("resume", "out")):
        shown = run(*arguments, **settings)
        assert 0 == shown.returncode, shown.stderr
        assert "" == shown.stdout
        shown = run(*arguments, "--print", "all", **settings)
        assert ["out/media/a-0.png", "out/media/b-0.png"] == sorted(shown.stdout.split())
    assert before == len(sandbox.log)
    assert media == kept()


def test_every_fault_is_reported_and_nothing_is_sent(run: Run, folder: Path, served: Served) -> None:
    """A job file with faults is rejected with the line of each, and leaves no directory; so is one without jobs."""
    sandbox, settings = served
    (folder / "jobs.csv").write_text("key,prompt,n,aspect\na,cat,2,\na,dog,two,\nc,,1,\nd,bird,10,\n")
    shown = run("batch", "jobs.csv", "-o", "out", **settings)
    assert (2, "") == (shown.returncode, shown.stdout)
    for told in (
        'jobs.csv:1: unknown column "aspect"; did you mean aspect_ratio?',
        "jobs.csv:3: n:",
        "jobs.csv:4: prompt:",
        "jobs.csv:5: n:",
    ):
        assert told in shown.stderr
    assert [] == sandbox.log
    assert not (folder / "out").exists()
    (folder / "none.jsonl").write_text("# nothing\n")
    for file, told in (
        ("none.jsonl", "none.jsonl has no jobs"),
        ("missing.jsonl", "Cannot read missing.jsonl: No such file"),
    ):
        wrong = run("batch", file, **settings)
        assert (2, True) == (wrong.returncode, told in wrong.stderr), wrong.stderr


def test_a_plan_needs_no_key_and_sends_nothing(run: Run, folder: Path, served: Served) -> None:
    """The price, and the first requests with the key masked; with --json every job, which is a job file again."""
    sandbox, _ = served
    row = {"prompt": "{a} in {b}", "vars": {"a": ["cat", "dog"], "b": ["rain", "snow"]}}
    (folder / "jobs.jsonl").write_text(json.dumps(row) + "\n")
    for arguments in (["plan", "jobs.jsonl"], ["batch", "jobs.jsonl", "--dry-run"]):
        shown = run(*arguments, "-p", "apiinone")
        assert 0 == shown.returncode, shown.stderr
        assert 3 == shown.stdout.count("Authorization: [masked]")
        assert 3 == shown.stdout.count("POST https://apiin.one/api/v1/images/generations")
        assert "4 jobs, expected cost: $0.048" in shown.stderr
    listed = run("plan", "jobs.jsonl", "--json", "--limit", "3")
    (folder / "again.jsonl").write_text(listed.stdout)
    assert listed.stdout == run("plan", "again.jsonl", "--json").stdout
    labels = [json.loads(line)["labels"] for line in listed.stdout.splitlines()]
    assert [{"a": "cat", "b": "rain"}, {"a": "cat", "b": "snow"}, {"a": "dog", "b": "rain"}] == labels
    assert [] == sandbox.log
    assert ["again.jsonl", "jobs.jsonl"] == sorted(path.name for path in folder.iterdir())


def test_json_is_all_there_is_on_stdout(run: Run, folder: Path, served: Served) -> None:
    """One object for each outcome, also for those that went wrong, with paths as seen from here."""
    _, settings = served
    write_jobs(folder, {"a": "a cat", "b": "[[refused]]", "[red]c[/]": "雪 [[failed:no luck]]"})
    shown = run("batch", "jobs.jsonl", "-o", "out", "--json", "--progress", "plain", "-s", "n=2", **settings)
    rows = {row["key"]: row for row in map(json.loads, shown.stdout.splitlines())}
    assert {"a": ("succeeded", None), "b": ("failed", "refused"), "[red]c[/]": ("failed", "failed")} == {
        key: (row["status"], row["failure"]) for key, row in rows.items()
    }
    assert ["out/media/a-0.png", "out/media/a-1.png"] == rows["a"]["files"]
    assert "done:" in shown.stderr
    assert "[red]c[/]: The prediction ended as failed: no luck" in shown.stderr
    silent = run("resume", "out", "--json", "--progress", "none", **settings)
    assert "done:" not in silent.stderr


def test_stdin_is_a_job_file(folder: Path, served: Served) -> None:
    """A pipe is read for `-`, and its faults are reported with their lines."""
    sandbox, settings = served
    command = [sys.executable, "-m", "kling_async", "batch", "-", "--no-download"]
    piped = subprocess.run(
        command,
        cwd=folder,
        env=os.environ | settings,
        input='{"prompt": "a cat"}\n',
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert 0 == piped.returncode, piped.stderr
    assert piped.stdout.startswith(settings["GPTPROTO_BASE_URL"])
    assert not (folder / "out/media").exists()
    wrong = subprocess.run(
        command, cwd=folder, input='{"prompt": 1}\n', capture_output=True, text=True, timeout=200, check=False
    )
    assert (2, True) == (wrong.returncode, "stdin:1: prompt: must be text" in wrong.stderr)
    assert 1 == sandbox.submits


def test_a_reader_that_leaves_stops_nothing(folder: Path, served: Served) -> None:
    """A reader of stdout may stop, as `head` does; the run continues, and ends as it would have."""
    sandbox, settings = served
    write_jobs(folder, {f"a{n}": f"cat {n}" for n in range(5)})
    started = Started(folder, settings, "batch", "jobs.jsonl", "-o", "out")
    assert started.process.stdout is not None
    started.process.stdout.close()
    started.process.stdout = None
    code, _, talk = started.end()
    assert (0, False) == (code, "Error" in talk), talk
    assert 5 == sandbox.submits
    assert {"succeeded"} == set(statuses(folder).values())


def test_the_budget_ends_a_run_with_4(run: Run, folder: Path, served: Served) -> None:
    """Not more is spent than --max-cost, over all runs of the folder; a model without a price needs one."""
    sandbox, settings = served
    write_jobs(folder, foxes())
    shown = run("batch", "jobs.jsonl", "-o", "out", "-p", "apiinone", "--max-cost", "0.05", **settings)
    assert 4 == shown.returncode, shown.stderr
    assert "may exceed --max-cost" in shown.stderr
    assert "kling-async resume out" in shown.stderr
    assert (4, 26) == (sandbox.submits, list(statuses(folder).values()).count("planned"))
    assert 4 == run("resume", "out", **settings).returncode
    assert 4 == sandbox.submits
    more = run("resume", "out", "--max-cost", "0.07", **settings)
    assert (4, 5) == (more.returncode, sandbox.submits)
    unpriced = run("batch", "jobs.jsonl", "-o", "other", "--max-cost", "1", **settings)
    assert (2, True) == (unpriced.returncode, "--price kling-image-o1=USD" in unpriced.stderr)
    priced = run(
        "batch", "jobs.jsonl", "-o", "other", "--max-cost", "0.06", "--price", "kling-image-o1=0.03", **settings
    )
    assert (4, 7) == (priced.returncode, sandbox.submits)
    assert 2 == run("batch", "jobs.jsonl", "-o", "out", "--price", "kling-image-o1", **settings).returncode


def test_the_first_failure_ends_a_fail_fast_run(run: Run, folder: Path, served: Served) -> None:
    """Nothing is submitted after it; a later resume goes on, and is not stopped by the old failure."""
    sandbox, settings = served
    write_jobs(folder, foxes(10, shot_00="[[refused]]"))
    shown = run("batch", "jobs.jsonl", "-o", "out", "--fail-fast", "--max-open", "2", **settings)
    assert 1 == shown.returncode, shown.stderr
    assert "shot-00 failed; no more jobs are submitted" in shown.stderr
    assert sandbox.submits < 8
    assert "planned" in statuses(folder).values()
    more = run("resume", "out", **settings)
    assert (1, {"failed", "succeeded"}) == (more.returncode, set(statuses(folder).values()))
    assert {"shot-00": "refused"} == failures(folder)
    assert "--retry-failed" in more.stderr
    before = sandbox.submits
    assert 1 == run("resume", "out", "--retry-failed", **settings).returncode
    assert before + 1 == sandbox.submits


@pytest.mark.parametrize(
    "case",
    [("[[no_balance]]", [], 3), ("[[unauthorized]]", [], 3), ("[[slow:1000]]", ["--timeout", "0.5"], 4)],
)
def test_exit_codes_tell_why(run: Run, folder: Path, served: Served, case: tuple[str, list[str], int]) -> None:
    """A refused key or an empty account is 3, too little time is 4; both can be gone on with."""
    (prompt, arguments, code), settings = case, served[1]
    write_jobs(folder, {"a": "a cat", "b": prompt})
    shown = run("batch", "jobs.jsonl", "-o", "out", *arguments, **settings)
    assert code == shown.returncode, shown.stderr
    assert "kling-async resume out" in shown.stderr


def test_a_missing_key_is_told_before_anything(run: Run, folder: Path, served: Served) -> None:
    """Also that of a provider which only one row names."""
    sandbox, settings = served
    (folder / "jobs.jsonl").write_text('{"prompt": "a cat"}\n{"prompt": "a dog", "provider": "apiinone"}\n')
    shown = run(
        "batch", "jobs.jsonl", "-o", "out", **{name: text for name, text in settings.items() if "APIINONE" not in name}
    )
    assert (2, True) == (shown.returncode, "APIINONE_API_KEY" in shown.stderr)
    assert [] == sandbox.log
    assert not (folder / "out").exists()


def test_a_run_is_spread_over_providers(run: Run, folder: Path, served: Served) -> None:
    """With several providers each does some of the jobs."""
    _, settings = served
    write_jobs(folder, foxes(12))
    assert (
        0
        == run(
            "batch", "jobs.jsonl", "-o", "out", "-p", "gptproto", "-p", "apiinone", "--limit", "8", **settings
        ).returncode
    )
    rows = results(folder)
    assert (8, {"gptproto", "apiinone"}) == (len(rows), {row["provider"] for row in rows})


def test_a_changed_input_is_refused_before_anything(run: Run, folder: Path, served: Served) -> None:
    """Another input under a known key costs nothing unless that is asked for."""
    sandbox, settings = served
    write_jobs(folder, {"a": "a cat", "b": "a bird"})
    assert 0 == run("batch", "jobs.jsonl", "-o", "out", **settings).returncode
    write_jobs(folder, {"a": "a dog", "b": "a bird"})
    shown = run("batch", "jobs.jsonl", "-o", "out", **settings)
    assert 2 == shown.returncode
    assert "jobs.jsonl:1: input: differs from the one already submitted under this key" in shown.stderr
    assert "--accept-changed" in shown.stderr
    assert 2 == sandbox.submits
    assert 0 == run("batch", "jobs.jsonl", "-o", "out", "--accept-changed", **settings).returncode
    assert (3, 1, 1) == (sandbox.submits, sandbox.billed("a dog"), sandbox.billed("a cat"))


def test_a_killed_run_is_resumed(run: Run, folder: Path, slow: Served) -> None:
    """After SIGKILL the folder alone is enough: nothing that was accepted is paid again, and all of it is there."""
    sandbox, settings = slow
    write_jobs(folder, foxes(16))
    started = Started(folder, settings, "batch", "jobs.jsonl", "-o", "out", "-p", "apiinone", "--max-open", "8")
    started.wait_for_accepted(8)
    started.process.kill()
    started.end()
    before = run("status", "out", "--json")
    told = json.loads(before.stdout)
    assert (None, 8) == (told["running"], told["statuses"].get("accepted")), before.stdout
    (folder / "jobs.jsonl").unlink()
    finish(sandbox, 8)
    shown = run("resume", "out", "--max-open", "30", **settings)
    assert 0 == shown.returncode, shown.stderr
    assert {1} == {sandbox.billed(prompt) for prompt in foxes(16).values()}
    assert 16 == len(shown.stdout.split())
    assert (
        "max open</" in (folder / "out/report.html").read_text()
        or "max open" in (folder / "out/report.html").read_text()
    )


def test_the_first_interrupt_finishes_what_is_paid_for(run: Run, folder: Path, slow: Served) -> None:
    """It stops submitting, waits for what is accepted, writes everything down, says how to go on, and is 130."""
    sandbox, settings = slow
    write_jobs(folder, foxes(12))
    started = Started(folder, settings, "batch", "jobs.jsonl", "-o", "out", "--max-open", "4")
    started.wait_for_accepted(4)
    started.process.send_signal(signal.SIGINT)
    started.wait_for("stopping")
    finish(sandbox, 4)
    code, out, talk = started.end()
    assert (130, 4) == (code, sandbox.submits), talk
    assert 4 == len(out.split())
    assert "kling-async resume out" in talk
    assert "Traceback" not in talk
    found = list(statuses(folder).values())
    assert (4, 8) == (found.count("succeeded"), found.count("planned"))
    assert 0 == run("resume", "out", "--max-open", "30", **settings).returncode
    assert {1} == {sandbox.billed(prompt) for prompt in foxes(12).values()}


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM])
def test_the_second_interrupt_leaves(run: Run, folder: Path, slow: Served, sign: signal.Signals) -> None:
    """It does not wait for what is accepted; the results say what goes on, and a resume takes it up."""
    sandbox, settings = slow
    write_jobs(folder, {"a": "a cat", "b": "a dog"})
    started = Started(folder, settings, "batch", "jobs.jsonl", "-o", "out")
    started.wait_for_accepted(2)
    started.process.send_signal(sign)
    started.wait_for("stopping")
    started.process.send_signal(sign)
    code, out, talk = started.end()
    assert (130, "") == (code, out), talk
    assert "kling-async resume out" in talk
    assert {"a": "accepted", "b": "accepted"} == statuses(folder)
    finish(sandbox, 2)
    assert 0 == run("resume", "out", **settings).returncode
    assert 2 == sandbox.submits


def test_the_status_is_shown_while_it_runs(run: Run, folder: Path, slow: Served) -> None:
    """Another process may read the directory, but a second run in it is rejected."""
    sandbox, settings = slow
    write_jobs(folder, {f"a{n}": f"cat {n}" for n in range(6)})
    started = Started(folder, settings, "batch", "jobs.jsonl", "-o", "out", "-p", "apiinone")
    started.wait_for_accepted(6)
    told = json.loads(run("status", "out", "--json").stdout)
    assert f"process {started.process.pid} on" in told["running"]
    assert 6 == told["jobs"]
    assert "Running (process" in run("status", "out").stderr
    kept = (folder / "out/jobs.jsonl").read_bytes()
    write_jobs(folder, {"z": "another"}, "other.jsonl")
    for arguments in (("resume", "out"), ("batch", "other.jsonl", "-o", "out")):
        refused = run(*arguments, **settings)
        assert (1, True) == (refused.returncode, "A run is already using out" in refused.stderr)
    assert kept == (folder / "out/jobs.jsonl").read_bytes()
    finish(sandbox, 6)
    assert 0 == started.end()[0]
    assert {"succeeded": 6} == json.loads(run("status", "out", "--json").stdout)["statuses"]
    assert 6 == sandbox.submits


def test_each_decision_about_an_unconfirmed_submission(run: Run, folder: Path, served: Served) -> None:
    """To attach goes on with the id, to resubmit pays once more, to abandon never sends; none of them needs a key."""
    sandbox, settings = served
    write_jobs(folder, {"a": "a cat [[lost]]", "b": "a dog [[lost]]", "c": "a bird [[lost]]", "d": "a fox"})
    shown = run("batch", "jobs.jsonl", "-o", "out", **settings)
    assert (1, True) == (shown.returncode, "kling-async unconfirmed out" in shown.stderr)
    listed = [json.loads(line) for line in run("unconfirmed", "out", "--json").stdout.splitlines()]
    assert {"a", "b", "c"} == {one["key"] for one in listed}
    assert all(word in run("unconfirmed", "out").stdout for word in ("a", "gptproto", "kling-image-o1"))
    [entry] = [one for one in sandbox.entries if "cat" in one.prompt]
    for arguments in (("attach", "a", entry.id), ("resubmit", "b"), ("abandon", "c")):
        decided = run("unconfirmed", "out", *arguments)
        assert (0, "") == (decided.returncode, decided.stdout), decided.stderr
    assert "" == run("unconfirmed", "out", "--json").stdout
    run("resume", "out", **settings)
    assert {"a": "succeeded", "b": "succeeded", "c": "abandoned", "d": "succeeded"} == statuses(folder)
    assert [1, 2, 1] == [sandbox.billed(f"a {who} [[lost]]") for who in ("cat", "dog", "bird")]
    for wrong in (("attach", "a"), ("attach", "a", "no/id"), ("resubmit",), ("abandon", "d"), ("resubmit", "b", "x")):
        assert 2 == run("unconfirmed", "out", *wrong).returncode


def test_a_report_is_regenerated(run: Run, folder: Path, served: Served) -> None:
    """`report` needs the jobs and the journal only; its path is all there is on stdout, and matrices are tables."""
    _, settings = served
    row = {"prompt": "{a} in {b}", "vars": {"a": ["cat", "dog"], "b": ["rain", "snow"]}}
    (folder / "jobs.jsonl").write_text(json.dumps(row) + "\n")
    assert 0 == run("batch", "jobs.jsonl", "-o", "out", **settings).returncode
    for name in ("report.html", "results.jsonl", "results.csv", "failed.jsonl"):
        (folder / "out" / name).unlink()
    shown = run("report", "out")
    assert (0, "out/report.html\n") == (shown.returncode, shown.stdout), shown.stderr
    assert 'src="media/cat-rain-0.png"' in (folder / "out/report.html").read_text()
    assert {"cat", "dog"} == {row["label.a"] for row in results(folder)}
    assert "label.b" in (folder / "out/results.csv").read_text("utf-8-sig").splitlines()[0]


@pytest.mark.parametrize("command", ["resume", "status", "report", "unconfirmed"])
def test_a_directory_without_a_run_is_an_error(run: Run, folder: Path, command: str) -> None:
    """What is no folder of a run, or has lost its settings, is bad input."""
    for text in (None, "{", "[]"):
        if text is not None:
            (folder / "out").mkdir(exist_ok=True)
            (folder / "out/run.json").write_text(text)
        shown = run(command, "out")
        assert 2 == shown.returncode
        assert 'No run found in "out"' in shown.stderr
        assert "Traceback" not in shown.stderr


def test_there_is_no_colour_where_none_is_wanted(run: Run, folder: Path, served: Served) -> None:
    """Neither without a terminal nor with NO_COLOR does an escape sequence reach a stream."""
    _, settings = served
    write_jobs(folder, {"a": "a cat", "b": "[[refused]]"})
    for name in ("NO_COLOR", "CI"):
        shown = run("batch", "jobs.jsonl", "-o", name, **settings, **{"NO_COLOR": "", name: "1"})
        assert "\x1b" not in shown.stdout + shown.stderr


def test_providers_are_listed_without_their_keys(run: Run) -> None:
    """Each with whether its key is set, its base URL and its limits; the key itself is not shown."""
    shown = run("providers", GPTPROTO_API_KEY="sk-canary-7f3a9b", APIINONE_BASE_URL="https://example.com")
    assert 0 == shown.returncode
    for word in ("gptproto", "apiinone", "set APIINONE_API_KEY", "https://example.com", "2.0/s"):
        assert word in shown.stdout
    assert "sk-canary" not in shown.stdout + shown.stderr
