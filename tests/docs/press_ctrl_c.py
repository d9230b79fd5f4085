"""Run a command, and press Ctrl-C after so many lines of its output: `python press_ctrl_c.py LINES COMMAND...`."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys


def main() -> int:
    """Pass its output on, and return its exit code."""
    left, command = int(sys.argv[1]), sys.argv[2:]
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell lets what is in the background ignore it
    words = [shutil.which(command[0]) or command[0], *command[1:]]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            sys.stdout.write(line)
            left -= 1
            if left == 0:
                process.send_signal(signal.SIGINT)
    return process.returncode


if __name__ == "__main__":
    sys.exit(main())
