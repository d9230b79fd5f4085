"""Each command as a newcomer types it: what it prints where, which files it leaves, and its exit code."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from kling_async.providers import PROVIDERS, Provider
from kling_async.testing import FAULTS, Sandbox

from .conftest import Run

Served = tuple[Sandbox, dict[str, str]]


def test_help_names_the_commands_and_exit_codes(run: Run) -> None:
    """`--help` shows what there is, where to begin, and what exit codes mean."""
    shown = run("--help")
    assert 0 == shown.returncode
    for word in ("demo", "sandbox", "generate", "models", "doctor", "130 interrupted"):
        assert word in shown.stdout


@pytest.mark.parametrize(
    ("shell", "line"), [("bash", "complete -F "), ("zsh", "#compdef kling-async"), ("fish", "complete -c kling-async")]
)
def test_completion_is_installed_on_demand(run: Run, folder: Path, shell: str, line: str) -> None:
    """`--install-completion` writes a script that knows the commands and options, under the home directory only."""
    home = {"HOME": str(folder), "XDG_CONFIG_HOME": "", "XDG_DATA_HOME": "", "ZDOTDIR": ""}
    shown = run("--install-completion", "--shell", shell, **home)
    assert 0 == shown.returncode, shown.stderr
    written = "".join(path.read_text() for path in folder.rglob("*") if path.is_file())
    for word in (line, "generate", "time-scale", "doctor"):
        assert word in written


def test_a_typo_is_answered_with_the_right_word(run: Run) -> None:
    """A command, an option, a field, a value, a model and a provider that are nearly right are named as they are."""
    near = {
        "generate": ("generat", "a cat"),
        "--model": ("generate", "a cat", "--modle", "kling-3"),
        "duration": ("generate", "a cat", "--set", "duraton=5"),
        "1k": ("generate", "a cat", "--set", "resolution=1kk"),
        "kling-video-o1-std": ("generate", "a cat", "-m", "kling-vidoe-o1-std"),
        "gptproto": ("generate", "a cat", "-p", "gtpproto"),
    }
    for right, typed in near.items():
        shown = run(*typed)
        assert 2 == shown.returncode, typed
        assert f"did you mean {right}?" in shown.stderr.lower().replace('"', ""), shown.stderr


def test_demo_does_the_main_job(run: Run, folder: Path) -> None:
    """The demo needs nothing, uses three providers, tells the refusal and the 429 as what they are, and ends with 0."""
    shown = run("demo")
    assert 0 == shown.returncode, shown.stderr
    files = sorted(path.name for path in (folder / "kling-demo").iterdir())
    assert 14 == len(files)
    assert {".png", ".mp4"} == {Path(name).suffix for name in files}
    for word in ("gptproto", "apiinone", "wavespeed", "ContentRejected", "fox-0.png", "waves-0.mp4"):
        assert word in shown.stdout
    assert "rate-limited (429)" in shown.stderr
    assert "charged more than once" in shown.stderr
    assert "kling-async generate" in shown.stderr
    again = run("demo")
    assert 0 == again.returncode, again.stderr
    assert files == sorted(path.name for path in (folder / "kling-demo").iterdir())


def test_demo_ignores_real_keys(run: Run) -> None:
    """With real keys and addresses in the environment the demo still talks to its own sandbox only."""
    shown = run("demo", GPTPROTO_API_KEY="sk-real", GPTPROTO_BASE_URL="https://gptproto.invalid")
    assert 0 == shown.returncode, shown.stderr


def test_a_demo_that_goes_wrong_says_so(run: Run, folder: Path) -> None:
    """Where the files cannot be written, the demo does not end with 0."""
    (folder / "kling-demo").write_text("in the way")
    shown = run("demo")
    assert 1 == shown.returncode
    assert "cannot be written" in shown.stderr


def test_generate_prints_paths_only_on_stdout(run: Run, folder: Path, served: Served) -> None:
    """A pipe gets the files' paths and nothing else; the id and the price are talk."""
    sandbox, settings = served
    shown = run("generate", "a cat", "-o", "out", "--key", "cat", "-s", "n=2", "-s", "aspect_ratio=1:1", **settings)
    assert 0 == shown.returncode, shown.stderr
    assert ["out/cat-0.png", "out/cat-1.png"] == shown.stdout.split()
    assert all((folder / path).is_file() for path in shown.stdout.split())
    assert "Accepted by gptproto" in shown.stderr
    assert 1 == sandbox.billed("a cat")


def test_generate_a_video_elsewhere(run: Run, served: Served) -> None:
    """Another provider and model, with shots and a passed-through field."""
    _, settings = served
    arguments = [
        "-p",
        "apiinone",
        "-m",
        "kling-3",
        "-s",
        "shots=it wakes=2|it yawns=3",
        "-s",
        "extra.mode=pro",
        "--key",
        "v",
    ]
    shown = run("generate", "a cat", *arguments, **settings)
    assert 0 == shown.returncode, shown.stderr
    assert "v-0.mp4" == shown.stdout.strip()


def test_generate_prints_one_object_with_json(run: Run, served: Served) -> None:
    """`--json` is one object for a program; without a download the outputs are its addresses."""
    _, settings = served
    shown = run("generate", "a [red]cat[/]", "--json", "--no-download", **settings)
    assert 0 == shown.returncode, shown.stderr
    record = json.loads(shown.stdout)
    assert ("succeeded", []) == (record["status"], record["files"])
    bare = run("generate", "a [red]cat[/]", "--no-download", **settings)
    assert bare.stdout.startswith(settings["GPTPROTO_BASE_URL"])


def test_generate_dry_run_sends_nothing(run: Run, served: Served) -> None:
    """`--dry-run` needs no key, shows the request without one, and sends nothing."""
    sandbox, _ = served
    shown = run("generate", "a cat", "--dry-run", "-p", "apiinone")
    assert 0 == shown.returncode, shown.stderr
    assert "POST https://apiin.one/api/v1/images/generations" in shown.stdout
    assert "[masked]" in shown.stdout
    assert "$0.012" in shown.stderr
    assert [] == sandbox.log


WRONG = {
    "no key": (["a cat"], 2, "GPTPROTO_API_KEY"),
    "unknown model": (["a cat", "-m", "kling-image-01"], 2, "did you mean kling-image-o1?"),
    "unknown provider": (["a cat", "-p", "gptprot"], 2, "did you mean gptproto?"),
    "unknown field": (["a cat", "-s", "aspect=1:1"], 2, "did you mean aspect_ratio?"),
    "no value": (["a cat", "-s", "n"], 2, "NAME=VALUE"),
    "not a number": (["a cat", "-s", "n=two"], 2, "must be a whole number"),
    "not a truth": (["a cat", "-s", "multi_shot=perhaps"], 2, "must be true or false"),
    "out of range": (["a cat", "-s", "n=10", "--dry-run"], 2, "from 1 to 9"),
    "local path": (["a cat", "-s", "images=./cat.png", "--dry-run"], 2, "does not exist"),
    "typo in an option": (["a cat", "--modle", "x"], 2, "--model"),
    "no prompt": ([], 2, "PROMPT"),
}


@pytest.mark.parametrize(("arguments", "code", "text"), WRONG.values(), ids=WRONG.keys())
def test_bad_input_is_told_and_sends_nothing(run: Run, arguments: list[str], code: int, text: str) -> None:
    """Bad input ends with 2 and one clear message on stderr, no traceback, nothing on stdout."""
    shown = run("generate", *arguments)
    assert code == shown.returncode, shown.stderr
    assert text in shown.stderr
    assert "Traceback" not in shown.stderr
    assert "" == shown.stdout


def test_a_folder_that_cannot_be_written_is_told_before_money(run: Run, folder: Path, served: Served) -> None:
    """The place for the files is tried before anything is sent."""
    sandbox, settings = served
    (folder / "file").touch()
    shown = run("generate", "a cat", "-o", "file/below", **settings)
    assert 2 == shown.returncode
    assert "cannot be written" in shown.stderr
    assert 0 == sandbox.submits


@pytest.mark.parametrize(
    ("prompt", "code", "text"),
    [
        ("a cat [[refused]]", 1, "ContentRejected"),
        ("a cat [[failed:no luck]]", 1, "no luck"),
        ("a cat [[lost]]", 1, "Money may have been spent"),
        ("a cat [[no_balance]]", 3, "InsufficientBalance"),
        ("a cat [[unauthorized]]", 3, "AuthenticationError"),
    ],
)
def test_exit_codes_tell_how_it_ended(run: Run, served: Served, prompt: str, code: int, text: str) -> None:
    """Failures are 1, keys and balances 3, each with its error on stderr."""
    _, settings = served
    shown = run("generate", prompt, **settings)
    assert code == shown.returncode
    assert text in shown.stderr
    assert "Traceback" not in shown.stderr


def test_running_out_of_time_is_4_and_keeps_the_id(run: Run, served: Served) -> None:
    """When the time is up, the id of what goes on is told."""
    sandbox, settings = served
    shown = run("generate", "a cat [[slow:1000]]", "--timeout", "3", **settings)
    assert 4 == shown.returncode, shown.stderr
    [entry] = sandbox.entries
    assert entry.id in shown.stderr


def test_models_lists_every_model(run: Run) -> None:
    """The list holds each provider's models, and one model's page its parameters with their sources."""
    shown = run("models")
    assert 0 == shown.returncode
    for provider in PROVIDERS.values():
        assert all(name in shown.stdout for name in provider.models)
    one = run("models", "kling-video-o1-std")
    for word in ("multi_prompt", "keep_original_sound", "documented", "inferred", "not published"):
        assert word in one.stdout
    entries = [json.loads(line) for line in run("models", "--json", "-p", "apiinone").stdout.splitlines()]
    assert {"kling-image-o1", "kling-3", "kling-3.0-std", "kling-3.0-pro"} == {entry["model"] for entry in entries}
    wrong = run("models", "kling-4")
    assert 2 == wrong.returncode
    assert "did you mean kling-4.0?" in wrong.stderr


def test_providers_show_capabilities_with_their_sources(run: Run) -> None:
    """Each capability is a row with a value for each provider; a provider's own page has each source written out."""
    shown = run("providers", GPTPROTO_API_KEY="sk-canary-7f3a9b", COLUMNS="200")
    assert 0 == shown.returncode, shown.stderr
    assert "GPTPROTO_API_KEY is set" in shown.stdout
    assert "set APIINONE_API_KEY" in shown.stdout
    rows = {line.strip().split("  ")[0]: line for line in shown.stdout.splitlines() if line.strip()}
    for name, fact in PROVIDERS["kling"].capabilities:
        assert ("?" if fact.value is None else "30 d" if name == "output_ttl" else str(fact)) in rows[
            name.replace("_", " ")
        ]
    assert "sk-canary" not in shown.stdout + shown.stderr


@pytest.mark.parametrize(("columns", "tables"), [(60, 3), (80, 2), (120, 1)])
def test_the_names_of_providers_are_whole(run: Run, columns: int, tables: int) -> None:
    """Where capabilities do not fit beside each other, they are several tables, and no word is broken."""
    shown = run("providers", COLUMNS=str(columns)).stdout
    heads = [line.split() for line in shown.splitlines() if line.strip().startswith("capability ")]
    assert tables == len(heads)
    assert [*PROVIDERS] == [name for _, *names in heads for name in names]
    assert max(map(len, shown.splitlines())) <= columns


@pytest.mark.parametrize("provider", PROVIDERS.values(), ids=list(PROVIDERS))
def test_a_provider_s_facts_have_their_sources(run: Run, provider: Provider) -> None:
    """With a name the command shows each fact with its certainty and its source."""
    shown = " ".join(run("providers", provider.name, COLUMNS="400").stdout.split())
    for name, fact in provider.capabilities:
        assert name.replace("_", " ") in shown
        assert " ".join(f"{fact.source.certainty} {fact.source.where}".split()) in shown
    assert 2 == run("providers", "nobody").returncode


def test_doctor_shows_no_key(run: Run) -> None:
    """Versions and settings, with where they come from, and never the key itself; 3 if no provider can be used."""
    shown = run("doctor", GPTPROTO_API_KEY="sk-canary-7f3a9b", APIINONE_BASE_URL="nonsense")
    assert 0 == shown.returncode
    assert "httpx" in shown.stdout
    assert "GPTPROTO_API_KEY is set (16 characters)" in shown.stdout
    assert "Malformed base URL" in shown.stdout
    assert "sk-canary" not in shown.stdout + shown.stderr
    assert 3 == run("doctor").returncode


def test_sandbox_tells_its_address_and_serves(folder: Path, run: Run) -> None:
    """The first line on stdout is the base URL; both providers answer there; Ctrl-C ends it with 130."""
    command = [
        sys.executable,
        "-m",
        "kling_async",
        "sandbox",
        "--port",
        "0",
        "--key",
        "sk-mine",
        "--time-scale",
        "0.01",
    ]
    with subprocess.Popen(
        command,
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"NO_COLOR": "1"},
    ) as process:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        assert url.startswith("http://127.0.0.1:")
        for provider in ("GPTPROTO", "APIINONE"):
            settings = {f"{provider}_BASE_URL": url, f"{provider}_API_KEY": "sk-mine"}
            shown = run("generate", "a cat", "-p", provider.lower(), **settings)
            assert 0 == shown.returncode, shown.stderr
        process.send_signal(signal.SIGINT)
        _, talk = process.communicate(timeout=200)
    assert 130 == process.returncode
    assert "export GPTPROTO_BASE_URL=" in talk
    assert f"export WAVESPEED_WEBHOOK_SECRET={Sandbox(key='sk-mine').webhook_secret('wavespeed')}" in talk
    assert "Traceback" not in talk


def test_sandbox_on_a_taken_port_says_so(run: Run, served: Served) -> None:
    """A port in use is a clear error."""
    port = served[1]["GPTPROTO_BASE_URL"].rpartition(":")[2]
    shown = run("sandbox", "--port", port)
    assert 2 == shown.returncode
    assert f"Cannot use port {port}" in shown.stderr


def test_sandbox_lists_its_faults(run: Run) -> None:
    """Whoever wants something to go wrong finds every name."""
    shown = run("sandbox", "--faults")
    assert all(name in shown.stdout for name in FAULTS)


def test_an_interrupted_generation_tells_its_id(folder: Path, served: Served) -> None:
    """Ctrl-C while waiting leaves with 130, after the id was told."""
    sandbox, settings = served
    command = [sys.executable, "-m", "kling_async", "generate", "a cat [[slow:1000]]"]
    with subprocess.Popen(
        command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ | settings
    ) as process:
        assert process.stderr is not None
        lines = [process.stderr.readline() for _ in range(2)]
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=200)
    [entry] = sandbox.entries
    assert entry.id in lines[1]
    assert 130 == process.returncode


STRIKES = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)

class Strike:
    def find_spec(self, name, *_):
        if name == struck:
            signal.raise_signal(signal.SIGINT)

struck = sys.argv.pop(1)
sys.meta_path.insert(0, Strike())
from kling_async.cli import main
main()
"""


@pytest.mark.parametrize("struck", ["cyclopts", "kling_async.cli.doctor", "rich.console", "anyio"])
def test_ctrl_c_while_it_is_loaded_is_130(folder: Path, struck: str) -> None:
    """Ctrl-C while Python still imports ends with 130, and without a traceback."""
    command = [sys.executable, "-c", STRIKES, struck, "doctor"]
    shown = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=60)
    assert (130, "") == (shown.returncode, shown.stdout)
    assert "Traceback" not in shown.stderr


def test_ctrl_c_while_the_report_is_written_is_130(folder: Path, served: Served) -> None:
    """Ctrl-C in the last step of a run ends with 130; the folder has what is needed to make the report anew."""
    settings = served[1]
    (folder / "jobs.jsonl").write_text('{"key": "a", "prompt": "a cat"}\n', encoding="utf-8")
    command = [sys.executable, "-c", STRIKES, "kling_async.runs.report.page", "batch", "jobs.jsonl"]
    shown = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, check=False, timeout=60, env=os.environ | settings
    )
    assert 130 == shown.returncode, shown.stderr
    assert "Traceback" not in shown.stderr


def test_ctrl_c_while_a_sheet_is_awaited_is_130(folder: Path) -> None:
    """Ctrl-C ends a command that waits for the rest of its sheet on stdin, at the first time."""
    command = [sys.executable, "-m", "kling_async", "plan", "-"]
    with subprocess.Popen(
        command, cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        process.stdin.write('{"prompt": "a cat"}\n' * 20_000)  # more than a pipe holds: it is being read
        process.stdin.flush()
        process.send_signal(signal.SIGINT)
        assert 130 == process.wait(20)
        assert process.stderr is not None
        assert "Traceback" not in process.stderr.read()
