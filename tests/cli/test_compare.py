"""`kling-async compare`: the same rows at several targets, paid once each, and the figures of each target."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from kling_async.cli import build_app
from kling_async.providers import PROVIDERS
from kling_async.runs.directory import RunDirectory
from kling_async.testing import Fixed, Sandbox, SandboxServer

AT = ("gptproto:kling-image-o1", "apiinone:kling-image-o1", "wavespeed:kling-image-o1")
OUT = Path("prompts-compare")
Compare = Callable[..., int]


@pytest.fixture
def sandbox(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sandbox]:
    """Serve a quick sandbox of all providers, in a folder with a job file of two rows."""
    made = Sandbox(strict=True, image_latency=Fixed(0.05), video_latency=Fixed(0.05))
    with SandboxServer(made) as server:
        for provider in PROVIDERS.values():
            monkeypatch.setenv(provider.base_url_env, server.url)
            monkeypatch.setenv(provider.api_key_env, made.key_for(provider.name))
        monkeypatch.chdir(tmp_path)
        Path("prompts.csv").write_text("key,prompt\nfox,a red fox\nowl,an old owl\n")
        yield made


def typed(*words: str) -> int:
    """Run a command in this process, and return its exit code."""
    try:
        code = build_app()(words, exit_on_error=False, result_action="return_value")
    except SystemExit as error:
        code = error.code
    return int(code or 0)


@pytest.fixture
def compare(monkeypatch: pytest.MonkeyPatch) -> Compare:
    """Compare the rows of the job file at targets."""

    def comparing(*on: str, options: tuple[str, ...] = (), file: str = "prompts.csv") -> int:
        flags = [flag for target in on for flag in ("--on", target)]
        return typed("compare", file, *flags, *options, "--progress", "none")

    return comparing


def statuses() -> dict[str, str]:
    """Return the status of each job, in the order of the results."""
    lines = (OUT / "results.jsonl").read_text().splitlines()
    return {row["key"]: row["status"] for row in map(json.loads, lines)}


def charges(sandbox: Sandbox) -> Counter[tuple[str, str]]:
    """Count the charges by provider and prompt."""
    return Counter((charge.provider, charge.prompt) for charge in sandbox.entries)


def test_every_row_runs_once_at_every_target(
    sandbox: Sandbox, compare: Compare, capfd: pytest.CaptureFixture[str]
) -> None:
    """Each row is a job at each target, and each is paid once; the last lines and the report compare the targets."""
    assert 0 == compare(*AT)
    shown = capfd.readouterr()
    names = [f"{row}-{name}_kling_image_o1" for row in ("fox", "owl") for name in ("gptproto", "apiinone", "wavespeed")]
    assert dict.fromkeys(names, "succeeded") == statuses()
    assert 6 == len(shown.out.split()) == sandbox.billed()
    assert {1} == set(charges(sandbox).values())
    table = [line.split() for line in shown.err.splitlines() if line.strip().startswith("wavespeed:")]
    assert [["wavespeed:kling-image-o1", "2", "$0.056"], ["wavespeed:kling-image-o1", "2", "of", "2"]] == [
        line[: len(table[0]) + place] for place, line in enumerate(table)
    ]
    page = (OUT / "report.html").read_text()
    assert all(f">{target}</th>" in page for target in AT)
    assert "Per success" in page


def test_nothing_is_paid_twice_and_a_further_target_pays_for_itself(sandbox: Sandbox, compare: Compare) -> None:
    """The same command and resume send nothing; a target that is added keeps all keys and pays for its own jobs."""
    assert 0 == compare(*AT[:2])
    first = statuses()
    assert (0, 0) == (compare(*AT[:2]), typed("resume", str(OUT), "--progress", "none"))
    assert 4 == sandbox.submits == sandbox.billed()
    assert 0 == compare(AT[2], *AT[:2])
    assert 6 == sandbox.submits == sandbox.billed()
    assert list(first) == list(statuses())[:4]
    assert {1} == set(charges(sandbox).values())
    assert 0 == compare("fal:kling-image-o3")
    assert (8, 8) == (sandbox.submits, len(statuses()))


def test_an_edited_row_is_no_new_target(sandbox: Sandbox, compare: Compare, capfd: pytest.CaptureFixture[str]) -> None:
    """A row that the run does not have is refused also beside a new target, unless --merge adds it."""
    assert 0 == compare(AT[0])
    Path("prompts.csv").write_text("key,prompt\nfox,a red fox\nelk,an elk\n")
    assert 2 == compare(*AT[:2])
    assert "key='elk-gptproto_kling_image_o1': is not in that run" in capfd.readouterr().err
    assert 2 == sandbox.submits
    assert 0 == compare(*AT[:2], options=("--merge",))
    assert 5 == sandbox.submits == len(statuses())


def test_a_limit_counts_rows(sandbox: Sandbox, compare: Compare) -> None:
    """--limit runs the first rows at every target; without it the rest is run, at a new target, too."""
    assert 0 == compare(*AT[:2], options=("--limit", "1"))
    assert ["fox-gptproto_kling_image_o1", "fox-apiinone_kling_image_o1"] == list(statuses())
    assert 0 == compare(*AT)
    assert 6 == sandbox.submits == len(statuses())


def test_one_account_without_money_is_one_column(
    sandbox: Sandbox, compare: Compare, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A provider that refuses each of its jobs keeps no job of another from running, however quickly it refuses."""
    rows = [f"k{number},a cat number {number}" for number in range(6)]
    Path("prompts.csv").write_text("\n".join(["key,prompt", *rows]) + "\n")
    poor = Sandbox(strict=True, balance="0")
    with SandboxServer(poor) as server:
        monkeypatch.setenv("WAVESPEED_BASE_URL", server.url)
        assert 3 == compare(AT[1], AT[2])
    counts = Counter((key.split("-")[1].partition("_")[0], status) for key, status in statuses().items())
    assert {("apiinone", "succeeded"): 6, ("wavespeed", "planned"): 6} == counts
    shown = capfd.readouterr().err
    assert "6 planned" in shown
    assert "6 × " in (OUT / "report.html").read_text()


def test_faults_are_told_before_anything_is_sent(
    sandbox: Sandbox, compare: Compare, capfd: pytest.CaptureFixture[str]
) -> None:
    """What one target does not take is a fault with the row and the target; so is a missing key, of each provider."""
    Path("prompts.csv").write_text("key,prompt,duration\nfox,a red fox,12\n")
    assert 2 == compare("fal:kling-3.0-std", "kling:kling-2.6-pro")
    assert "prompts.csv:2: duration: at kling:kling-2.6-pro, must be one of 5, 10" in capfd.readouterr().err
    assert 2 == compare("gptproto:kling-3.0-std", ":kling-3.0-std")
    assert "is the same as gptproto:kling-3.0-std in this run" in capfd.readouterr().err
    assert 0 == sandbox.submits
    assert not OUT.exists()


def test_only_the_targets_need_keys(
    sandbox: Sandbox, compare: Compare, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where all targets name a provider no other key is needed, and all missing ones are named at once."""
    for name in ("GPTPROTO_API_KEY", "REPLICATE_API_TOKEN", "KLING_API_KEY"):
        monkeypatch.delenv(name)
    assert 0 == compare(*AT[1:])
    assert 0 == typed("resume", str(OUT), "--progress", "none")
    capfd.readouterr()
    assert 2 == compare("replicate:kling-3.0-std", "kling:kling-3.0-std", options=("-o", "other"))
    shown = capfd.readouterr().err
    assert "REPLICATE_API_TOKEN" in shown
    assert "KLING_API_KEY" in shown


def test_a_dry_run_prices_each_target(sandbox: Sandbox, compare: Compare, capfd: pytest.CaptureFixture[str]) -> None:
    """--dry-run shows jobs and cost of each target and the requests, or with --json the jobs, and sends nothing."""
    assert 0 == compare(*AT, options=("--dry-run",))
    shown = capfd.readouterr()
    assert "Nothing was sent." in shown.err
    assert 3 == shown.out.count("Authorization: [masked]")
    assert 0 == compare(*AT, options=("--dry-run", "--json"))
    jobs: list[dict[str, Any]] = [json.loads(line) for line in capfd.readouterr().out.splitlines()]
    assert {"row": "fox", "provider": "gptproto", "model": "kling-image-o1"} == jobs[0]["labels"]
    assert (6, 0) == (len(jobs), sandbox.submits)


def test_a_budget_holds_over_all_targets(sandbox: Sandbox, compare: Compare) -> None:
    """--max-cost is the limit of the whole comparison, which --price completes and resume continues."""
    options = ("--max-cost", "0.05", "--price", "kling-image-o1=0.02")
    assert 4 == compare(*AT, options=options)
    assert 2 == sandbox.submits
    assert 0 == typed("resume", str(OUT), "--progress", "none", "--max-cost", "1")
    assert (6, {1}) == (sandbox.submits, set(charges(sandbox).values()))


def test_a_matrix_of_a_job_file_is_compared(sandbox: Sandbox, capfd: pytest.CaptureFixture[str]) -> None:
    """A row with an axis of providers has the same table at the end of a batch, and its columns in the report."""
    axes = {"animal": ["fox", "owl"], "provider": ["apiinone", "fal"]}
    Path("m.jsonl").write_text(json.dumps({"prompt": "a {animal}", "vars": axes}) + "\n")
    assert 0 == typed("batch", "m.jsonl", "-o", str(OUT), "--progress", "none")
    assert "apiinone  2 of 2" in capfd.readouterr().err
    assert ["fox-apiinone", "fox-fal", "owl-apiinone", "owl-fal"] == list(statuses())
    assert '<th scope="col" dir="auto">fal</th>' in (OUT / "report.html").read_text()
    assert 4 == len(list(RunDirectory(OUT).jobs()))
