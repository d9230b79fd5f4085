"""The command lines of the pages: found, run in a shell page by page, and compared with the output that is shown."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from attrs import field, frozen

__all__ = ["ROOT", "Command", "Session", "differences", "normalised", "parse_commands", "run_session", "shell_pages"]

ROOT = Path(__file__).resolve().parents[2]
_BLOCK = re.compile(r"^(?P<indent> *)```(?:console|bash|sh|shell)\n(?P<text>.*?)^ *```$", re.MULTILINE | re.DOTALL)
_MADE = ("docs/reference/faults.md", "docs/reference/models.md")
"""Pages that a build of the docs leaves here, from tables whose tests are elsewhere."""
_PRESS_CTRL_C = Path(__file__).with_name("press_ctrl_c.py")
_SECONDS = 300.0
"""For so long a page may run: a command that hangs ends its test."""

PATTERNS = (
    (re.compile(r"http://127\.0\.0\.1:\d+"), "http://127.0.0.1:PORT"),
    (re.compile(r"\b(image|video)-[0-9a-f]{8}-[0-9a-f]{12}\b"), r"\1-KEY"),
    (re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b|\b[0-9a-f]{24,64}\b"), "ID"),
    (re.compile(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d(:\d\d)?(\.\d+)?(Z|\+00:00)?"), "TIME"),
    (re.compile(r"\d{4}-\d\d-\d\d"), "DATE"),
    (re.compile(r"^took +\d+(\.\d+)? s$"), "took SECONDS"),
    (re.compile(r"\^C"), ""),
    (re.compile(r"process \d+ on \S+,"), "process PID on HOST,"),
    (re.compile(r" \[\[\w+\]\]"), ""),
    (re.compile(r"[─━]+"), ""),
    (re.compile(r"[ \t]+"), " "),
)
"""What differs from run to run, and what stands for it: ports, keys, ids, times and durations, what a terminal shows of
Ctrl-C, processes, the sandbox's markers in a prompt, and the lines of a table, of which a terminal has more."""
_NUMBER = re.compile(r"\d+(\.\d+)?")
_PASSING = re.compile(r"\d+ of \d+ \(\d+%\) done: ")
"""Lines of progress that go into a log; in a terminal they give way to what is printed after them."""


@frozen(kw_only=True)
class Command:
    """A command line of a page.

    Attributes:
        line: where it is on the page, from 1.
        text: what is typed, in one or more lines.
        shown: the lines of output below it; none says nothing about the output.
    """

    line: int
    text: str
    shown: tuple[str, ...] = ()


@frozen(kw_only=True)
class Session:
    """What a page needs to be run.

    Attributes:
        files: the contents of the files that a reader has, by their paths.
        before: shell lines that bring about the state of a reader, by the command that they come before, where that
            comes first.
        settings: more of the environment.
        instead: texts of the page that are the reader's own, and what stands in for them; `{name}` is a setting.
        varies: commands whose numbers depend on the machine's speed.
        serving: commands that run until they are stopped, and what they print once the next one may run beside them.
        interrupted: commands that get Ctrl-C where they come first, after so many lines of output.
        codes: exit codes other than 0.
        needs: libraries without which the page is skipped.
        programs: programs without which it is skipped.
    """

    files: Mapping[str, str] = field(factory=dict[str, str])
    before: Mapping[str, str] = field(factory=dict[str, str])
    settings: Mapping[str, str] = field(factory=dict[str, str])
    instead: Mapping[str, str] = field(factory=dict[str, str])
    varies: frozenset[str] = frozenset()
    serving: Mapping[str, str] = field(factory=dict[str, str])
    interrupted: Mapping[str, int] = field(factory=dict[str, int])
    codes: Mapping[str, int] = field(factory=dict[str, int])
    needs: tuple[str, ...] = ()
    programs: tuple[str, ...] = ("bash",)

    def stand_in(self, text: str, settings: Mapping[str, str]) -> str:
        """Return a text of the page with what stands in for the reader's own."""
        for own, stand_in in self.instead.items():
            text = text.replace(own, stand_in.format_map(settings))
        return text


def shell_pages() -> dict[str, list[Command]]:
    """Return the commands of each page that has some, by its path from the root of the repository."""
    paths = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]
    pages = {path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8") for path in paths}
    written = {name: text for name, text in pages.items() if name not in _MADE and "_build" not in name}
    found = {name: list(parse_commands(text)) for name, text in written.items()}
    return {name: commands for name, commands in found.items() if commands}


def parse_commands(text: str) -> Iterator[Command]:
    """Yield the commands of a page, in their order; a block without a prompt consists of commands alone."""
    for block in _BLOCK.finditer(text):
        lines = [line.removeprefix(block["indent"]) for line in block["text"].splitlines()]
        prompted = any(line.startswith("$ ") for line in lines)
        first = text.count("\n", 0, block.start()) + 2
        typed, line, shown = list[str](), first, list[str]()
        for at, content in enumerate(lines, first):
            if typed and typed[-1].endswith("\\"):
                typed.append(content)
            elif content.startswith("$ ") or not prompted:
                if typed:
                    yield Command(line=line, text="\n".join(typed), shown=tuple(shown))
                typed, line, shown = [content.removeprefix("$ ")], at, []
            else:
                shown.append(content)
        if typed:
            yield Command(line=line, text="\n".join(typed), shown=tuple(shown))


# Running.


def run_session(
    commands: list[Command], session: Session, *, folder: Path, settings: Mapping[str, str]
) -> Iterator[tuple[Command, int, str]]:
    """Run commands in one shell, and yield each with its exit code and its output, both streams of it.

    Args:
        commands: in their order.
        session: what they need.
        folder: an empty one. They run in `here` in it.
        settings: of the environment, beside those of the session.
    """
    here = folder / "here"
    here.mkdir()
    for name, content in session.files.items():
        (here / name).parent.mkdir(parents=True, exist_ok=True)
        (here / name).write_text(content, encoding="utf-8")
    _write_programs(folder / "bin")
    environ = {**os.environ, "COLUMNS": "120", "NO_COLOR": "1", "PYTHONUNBUFFERED": "1", **settings, **session.settings}
    (folder / ".curlrc").write_text("silent\nshow-error\n", encoding="ascii")  # in a terminal it shows no progress
    environ |= {"CURL_HOME": str(folder)}
    environ["PATH"] = f"{folder / 'bin'}{os.pathsep}{environ['PATH']}"
    script = _script(commands, session, folder, environ)
    (folder / "script.sh").write_text(script, encoding="utf-8")
    _run_shell(folder / "script.sh", here, environ)
    for number, command in enumerate(commands):
        code, output = folder / f"{number}.code", folder / f"{number}.out"
        assert code.is_file(), f"the shell ended at: {command.text}"
        yield command, int(code.read_text(encoding="ascii")), output.read_text(encoding="utf-8", errors="replace")


def _write_programs(folder: Path) -> None:
    """Put the programs of the package, of this Python, on the way of the shell."""
    folder.mkdir()
    module = {"kling-async": "-m kling_async ", "uvicorn": "-m uvicorn ", "python": "", "python3": ""}
    for name, words in module.items():
        (folder / name).write_text(f'#!/bin/sh\nexec "{sys.executable}" {words}"$@"\n', encoding="utf-8")
        (folder / name).chmod(0o755)


def _script(commands: list[Command], session: Session, folder: Path, environ: Mapping[str, str]) -> str:
    """Return a shell script that leaves the output and the exit code of each command in files."""
    lines, seen = list[str](), set[str]()
    for number, command in enumerate(commands):
        output, code, is_first = f"'{folder}/{number}.out'", f"'{folder}/{number}.code'", command.text not in seen
        seen.add(command.text)
        typed = session.stand_in(command.text, environ)
        if is_first and command.text in session.before:
            lines.append(f"{{ {session.before[command.text]}\n}} >'{folder}/{number}.before' 2>&1 </dev/null")
        if is_first and command.text in session.interrupted:
            typed = f"python '{_PRESS_CTRL_C}' {session.interrupted[command.text]} {typed}"
        if command.text in session.serving:
            ready = session.serving[command.text]
            lines.append(f"{{ {typed}\n}} >{output} 2>&1 </dev/null &")
            lines.append(f"for i in $(seq 400); do grep -q '{ready}' {output} && break; sleep 0.05; done")
            lines.append(f"grep -q '{ready}' {output}; echo $? >{code}")
        else:
            lines.append(f"{{ {typed}\n}} >{output} 2>&1 </dev/null; echo $? >{code}")
    return "\n".join([*lines, ""])


def _run_shell(script: Path, folder: Path, environ: Mapping[str, str]) -> None:
    """Run a script in a group of processes of its own, and leave none of them behind."""
    command = [shutil.which("bash") or "bash", str(script)]
    shell = subprocess.Popen(command, cwd=folder, env=environ, start_new_session=True)
    try:
        shell.wait(timeout=_SECONDS)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(shell.pid, signal.SIGKILL)
        shell.wait()


# Comparing.


def normalised(line: str, *, varies: bool = False) -> str:
    """Return a line of output with a fixed text for each thing that differs from run to run."""
    for pattern, fixed in PATTERNS:
        line = pattern.sub(fixed, line)
    return (_NUMBER.sub("N", line) if varies else line).strip()


def differences(shown: tuple[str, ...], output: str, *, varies: bool = False) -> str:
    """Return why output is not what is shown; an empty text if it is. A line `...` stands for any number of lines."""
    wanted = [*filter(None, (normalised(line, varies=varies) for line in shown))]
    printed = (line for line in output.splitlines() if not _PASSING.match(line))
    found = [*filter(None, (normalised(line, varies=varies) for line in printed))]
    pattern = "".join(r"(?:.*\n)*?" if line == "..." else f"{_line_pattern(line)}\n" for line in wanted)
    if re.fullmatch(pattern, "".join(f"{line}\n" for line in found)):
        return ""
    return "\n".join(["shown:", *wanted, "", "printed:", *found])


def _line_pattern(line: str) -> str:
    """Return a pattern of a line, in which `...` stands for any text."""
    return ".*".join(re.escape(part) for part in line.split("..."))
