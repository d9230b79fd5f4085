"""Every command line of the pages is run in the order of its page, and prints what the page shows."""

from __future__ import annotations

import re
import shutil
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from kling_async.providers import PROVIDERS
from kling_async.testing import Fixed, Sandbox, SandboxServer

from ..conftest import load_from_docs
from ..ports import free_port
from ..postgres import PostgresServer
from ..s3 import Bucket
from .shell import ROOT, Command, Session, differences, parse_commands, run_session, shell_pages
from .shell_sessions import INSTALLS, NOT_RUN, NOX, SESSIONS

PAGES = shell_pages()
USAGE = "docs/reference/commands.md"
"""Its blocks are the usage of each command, which the program writes."""


def runnable(page: str) -> list[Command]:
    """Return the commands of a page that are run."""
    return [command for command in PAGES[page] if (page, command.text.splitlines()[0]) not in NOT_RUN]


def test_each_page_is_run_or_each_of_its_commands_is_listed() -> None:
    """A page with commands to run has a session, and a session has commands to run: none is forgotten or left over."""
    assert set(SESSIONS) == {page for page in PAGES if page != USAGE and runnable(page)}


def test_what_is_not_run_exists_and_has_a_reason() -> None:
    """Each command that is listed as not run is still on its page."""
    first_lines = {(page, one.text.splitlines()[0]) for page, commands in PAGES.items() for one in commands}
    assert [listed for listed in NOT_RUN if listed not in first_lines] == []
    assert all(len(reason.split()) > 5 for reason in NOT_RUN.values())


@pytest.mark.parametrize("page", SESSIONS)
def test_a_session_names_what_its_page_has(page: str) -> None:
    """What a session says of a command is about a command of its page, and what it replaces is on the page."""
    session, typed = SESSIONS[page], {command.text for command in runnable(page)}
    shown = [line for command in runnable(page) for line in command.shown]
    assert {*session.before, *session.varies, *session.serving, *session.interrupted, *session.codes} <= typed
    assert all(any(text in one for one in (*typed, *shown)) for text in session.instead)


def test_sessions_of_nox_and_their_files_exist() -> None:
    """A command that names sessions of nox, or extras to install, names those that are there."""
    sessions = set(re.findall(r"^@nox\.session.*\n(?:@.*\n)*def (\w+)", read("noxfile.py"), re.MULTILINE))
    extras = set(tomllib.loads(read("pyproject.toml"))["project"]["optional-dependencies"])
    checked = 0
    for _, text in NOT_RUN:
        named, _, files = text.partition(" -- ")
        if "noxfile.py -s " in named:
            assert set(named.partition("-s ")[2].split()) <= sessions, text
            assert all((ROOT / name).is_file() for name in files.split()), text
            checked += 1
        for names in re.findall(r"(?:kling-async|'\.)\[([a-z,]+)\]", text):
            assert set(names.split(",")) <= extras, text
            checked += 1
    assert checked == len([reason for reason in NOT_RUN.values() if reason in (INSTALLS, NOX)])


def read(path: str) -> str:
    """Read a file of this repository."""
    return (ROOT / path).read_text(encoding="utf-8")


def test_the_page_of_usages_is_the_programs_own(tmp_path: Path) -> None:
    """The page of commands, whose blocks are usages and not commands, is what the program writes, however started."""
    load_from_docs("commands_page.py").write_commands_page(tmp_path / "commands.md")
    assert (tmp_path / "commands.md").read_text(encoding="utf-8") == read(USAGE)


GUIDE = """
```console
$ make tea \\
    --hot
1 cup at 2026-05-01 09:30
...
ready
$ drink
```

1. So:

   ```bash
   pour milk
   stir
   ```

```text
$ not a command
```
"""


def test_commands_and_their_output_are_told_apart() -> None:
    """A prompt begins a command, which a backslash continues; without a prompt each line is one."""
    [made, drunk, poured, stirred] = parse_commands(GUIDE)
    assert (3, "make tea \\\n    --hot") == (made.line, made.text)
    assert ("1 cup at 2026-05-01 09:30", "...", "ready") == made.shown
    assert ["drink", "pour milk", "stir"] == [one.text for one in (drunk, poured, stirred)]
    assert () == drunk.shown == poured.shown


@pytest.mark.parametrize(
    ("output", "is_shown"),
    [
        ("1 cup at 2026-06-02 10:31\nboiling\nready\n", True),
        ("1 cup at 2026-06-02 10:31\nready\n", True),
        ("2 cups at 2026-06-02 10:31\nready\n", False),
        ("1 cup at 2026-06-02 10:31\n", False),
        ("1 cup at 2026-06-02 10:31\nready\nor not\n", False),
        ("1 cup at noon\nready\n", False),
    ],
)
def test_output_that_differs_is_noticed(output: str, is_shown: bool) -> None:
    """Times may differ, and `...` is any number of lines; another number, a line less or a line more is told."""
    [made, *_] = parse_commands(GUIDE)
    assert is_shown is (not differences(made.shown, output))


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")
def test_a_session_is_one_shell(tmp_path: Path) -> None:
    """Variables and files of one command are there for the next one; exit codes and errors are its own."""
    texts = (
        "export TEA=green",
        "echo $TEA >cup",
        "cat cup; echo 'too hot' >&2",
        "false",
        "echo up; sleep 99",
        "cat cup",
    )
    session = Session(
        serving={"echo up; sleep 99": "up"}, before={"false": "echo black >cup"}, instead={"green": "{LEAVES}"}
    )
    commands = [Command(line=1, text=text) for text in texts]
    done = list(run_session(commands, session, folder=tmp_path, settings={"LEAVES": "white"}))
    assert [0, 0, 0, 1, 0, 0] == [code for _, code, _ in done]
    assert ["white\ntoo hot\n", "", "up\n", "black\n"] == [output for *_, output in done][2:]


@contextmanager
def served() -> Iterator[dict[str, str]]:
    """Serve a quick sandbox, and yield the settings that lead to it."""
    sandbox = Sandbox(image_latency=Fixed(0.05), video_latency=Fixed(0.05))
    with SandboxServer(sandbox) as server:
        settings = dict[str, str]()
        for name, provider in PROVIDERS.items():
            settings |= {provider.base_url_env: server.url, provider.api_key_env: sandbox.key_for(name)}
        settings |= {"TEST_PORT": str(free_port()), "TEST_PORT_2": str(free_port())}
        yield {**settings, "TEST_WEBHOOK_SECRET": sandbox.webhook_secret("wavespeed")}


def settings_for(needs: tuple[str, ...], request: pytest.FixtureRequest) -> dict[str, str]:
    """Return settings that lead to a database and a bucket, if they are needed; skips where a library is missing."""
    for library in needs:
        pytest.importorskip(library)
    settings = dict[str, str]()
    if "psycopg" in needs:
        server: PostgresServer = request.getfixturevalue("postgres")
        settings["TEST_DATABASE"] = server.url(server.database())
    if "obstore" in needs:
        bucket: Bucket = request.getfixturevalue("bucket")
        settings |= {"TEST_BUCKET": bucket.name, **bucket.environ}
    return settings


@pytest.mark.parametrize("page", SESSIONS)
def test_the_commands_of_a_page_do_what_it_shows(page: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    """Typed in their order, the commands of a page end as they should, and print what is shown below them."""
    session, wrong = SESSIONS[page], list[str]()
    if missing := [name for name in session.programs if shutil.which(name) is None]:
        pytest.skip(f"not installed: {', '.join(missing)}")
    given = settings_for(session.needs, request)
    with served() as pointed:
        settings = {**pointed, **given}
        for command, code, output in run_session(runnable(page), session, folder=tmp_path, settings=settings):
            shown = tuple(session.stand_in(line, settings) for line in command.shown)
            if code != session.codes.get(command.text, 0):
                found = f"exit code {code}\n{output}"
            else:
                found = differences(shown, output, varies=command.text in session.varies) if shown else ""
            if found:
                wrong.append(f"{page}:{command.line}: $ {command.text}\n{found}")
    assert not wrong, "\n\n".join(wrong)
