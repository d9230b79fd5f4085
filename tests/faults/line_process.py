"""A process that reads one command a line, as JSON, and answers each with one line."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping, Sequence
from typing import Any, Self

__all__ = ["LineProcess"]


class LineProcess:
    """The process; it ends with the `with` block, or when this process does.

    Args:
        command: the program.
        env: its environment; None for that of this process.
    """

    def __init__(self, command: Sequence[str], *, env: Mapping[str, str] | None = None) -> None:
        self._command = command
        self._env = env

    def __enter__(self) -> Self:
        self.process = subprocess.Popen(
            self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=self._env
        )
        return self

    def __exit__(self, *_: object) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        self.process.wait(60)
        self.process.stdout.close()

    def ask(self, command: Mapping[str, Any]) -> dict[str, Any]:
        """Give one command and return its answer."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(command) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        assert line, f"it has died: {self._command}"
        answer: dict[str, Any] = json.loads(line)
        return answer
