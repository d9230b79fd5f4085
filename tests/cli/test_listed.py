"""What goes to stdout: each result once, and nothing that the live display has shown."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from kling_async.testing import Sandbox

from .conftest import Type
from .test_runs import CALMLY, write


def test_a_resume_lists_what_is_new(typed: Type, sandbox: Sandbox, capfd: pytest.CaptureFixture[str]) -> None:
    """Results of earlier runs are listed again only on request; a file that was missing is new."""
    write("m.csv", {"a": "a cat", "b": "a dog [[failed:no luck]]", "c": "an owl"})
    assert 1 == typed("batch", "m.csv", "--limit", "2", *CALMLY)
    assert ["m/media/a-0.png"] == capfd.readouterr().out.split()
    assert 1 == typed("batch", "m.csv", "--json", *CALMLY)
    assert ["c"] == [json.loads(line)["key"] for line in capfd.readouterr().out.splitlines()]
    Path("m/media/c-0.png").unlink()
    assert 1 == typed("resume", "m", "--progress", "none")
    assert ["m/media/c-0.png"] == capfd.readouterr().out.split()
    assert 1 == typed("resume", "m", "--progress", "none", "--print", "all")
    assert ["m/media/a-0.png", "m/media/c-0.png"] == sorted(capfd.readouterr().out.split())
    assert 1 == typed("resume", "m", "--progress", "none", "--print", "none", "--retry-failed")
    assert "" == capfd.readouterr().out
    assert 4 == sandbox.submits


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
@pytest.mark.parametrize(("flags", "listed"), [((), 0), (("--print", "new"), 1), (("--progress", "plain"), 1)])
def test_a_terminal_shows_a_file_once(folder: Path, sandbox: Sandbox, flags: tuple[str, ...], listed: int) -> None:
    """With the live display no path is listed as well, unless it is asked for."""
    import pty  # noqa: PLC0415 - there is none on Windows

    write("m.csv", {"a": "a cat"})
    words = [sys.executable, "-m", "kling_async", "batch", "m.csv", "-p", "apiinone", *flags]
    leader, follower = pty.openpty()
    environment = {name: value for name, value in os.environ.items() if name != "CI"}
    environment |= {"TERM": "xterm", "COLUMNS": "100"}
    with subprocess.Popen(words, cwd=folder, env=environment, stdout=follower, stderr=follower) as process:
        os.close(follower)
        told = b""
        with suppress(OSError):  # the end, on Linux
            while chunk := os.read(leader, 65536):
                told += chunk
    os.close(leader)
    lines = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", told.decode()).splitlines()
    assert (0, 1) == (process.returncode, sandbox.submits), lines
    assert listed == [line.strip() for line in lines].count("m/media/a-0.png"), lines
