"""Workers as a person starts them: processes of their own, in front of a sandbox and a database."""

from __future__ import annotations

import io
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import chdir, contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path

import pytest
from attrs import define, field, frozen

from kling_async.cli import build_app
from kling_async.testing import Sandbox, SandboxServer

__all__ = ["Done", "Machines", "WorkerProcess"]

PROVIDER = "gptproto"


@frozen
class Done:
    """A command that was run."""

    code: int
    out: str
    err: str


@define
class WorkerProcess:
    """A worker.

    Attributes:
        name: its name.
        log: the file that has what it prints.
        process: the process.
    """

    name: str
    log: Path
    process: subprocess.Popen[bytes]

    @property
    def text(self) -> str:
        """What it has printed so far."""
        return self.log.read_text(encoding="utf-8")

    def wait_for(self, pattern: str, *, count: int = 1, within: float = 30.0) -> float:
        """Wait until it has printed a pattern so many times, and return the seconds that it took."""
        began = time.monotonic()
        while len(re.findall(pattern, self.text)) < count:
            assert self.process.poll() is None, self.text
            assert time.monotonic() - began < within, self.text
            time.sleep(0.02)
        return time.monotonic() - began

    def kill(self) -> None:
        """Kill it as the kernel does when memory is short."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def terminate(self, *, within: float = 30.0) -> int:
        """Ask it to stop, and return its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=within)

    def end(self, *, within: float = 30.0) -> int:
        """Wait for it to end by itself, and return its exit code."""
        return self.process.wait(timeout=within)


@define
class Machines:
    """A database, a sandbox, and the workers of a test.

    Attributes:
        url: that of the database.
        folder: where commands run.
        sandbox: the provider.
        origin: that of the sandbox.
    """

    url: str
    folder: Path
    sandbox: Sandbox
    origin: str
    started: list[WorkerProcess] = field(factory=list)

    @classmethod
    @contextmanager
    def running(cls, url: str, folder: Path, sandbox: Sandbox) -> Iterator[Machines]:
        """Serve a sandbox, and leave no worker behind."""
        with SandboxServer(sandbox) as server:
            made = cls(url, folder, sandbox, server.url)
            try:
                yield made
            finally:
                for one in made.started:
                    one.process.kill()
                    one.process.wait()

    @property
    def environment(self) -> dict[str, str]:
        """What the environment of a worker holds."""
        return {
            **os.environ,
            "COLUMNS": "200",
            "NO_COLOR": "1",
            "KLING_DATABASE": self.url,
            "GPTPROTO_BASE_URL": self.origin,
            "GPTPROTO_API_KEY": self.sandbox.key_for(PROVIDER),
        }

    def start(
        self, name: str, *words: str, program: Sequence[str] = ("-m", "kling_async"), **settings: str
    ) -> WorkerProcess:
        """Start a worker; another program than the command line is one that breaks a promise."""
        log = self.folder / f"{name}-{len(self.started)}.log"
        command = [sys.executable, *program, "worker", "--name", name, *words]
        with log.open("wb") as file:
            process = subprocess.Popen(command, cwd=self.folder, env=self.environment | settings, stderr=file)
        self.started.append(WorkerProcess(name, log, process))
        return self.started[-1]

    def run(self, *words: str, **settings: str) -> Done:
        """Run a command in this process, to its end; it starts in a fraction of the time."""
        out, err = io.StringIO(), io.StringIO()
        with (
            pytest.MonkeyPatch.context() as patch,
            chdir(self.folder),
            redirect_stdout(out),
            redirect_stderr(err),
        ):
            for name, value in (self.environment | settings).items():
                patch.setenv(name, value)
            code = int(build_app()(words, exit_on_error=False, result_action="return_value"))
        return Done(code, out.getvalue(), err.getvalue())
