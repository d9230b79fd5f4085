"""The command line `kling-async`: results on stdout, messages on stderr, and an exit code for the result."""

from __future__ import annotations

import signal
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from cyclopts import App

__all__ = ["build_app", "main"]

_INTERRUPTED: Final = 130

_HELP = """Generate Kling images and videos through any provider you have a key for.

New here? `kling-async demo` runs a tour on this machine, without a key and without cost.
"""
_CODES = (
    "Exit codes: 0 success, 1 a job failed, 2 bad input (nothing was sent), 3 key or balance refused, "
    "4 stopped by --max-cost or --timeout, 130 interrupted."
)
_BATCH = """Run every job of a job file, and save files, results and a report in a directory.

All rows are checked before the first job is submitted. The directory records every job, so that the same command, or
`kling-async resume`, continues where the run stopped and pays for nothing twice. The paths of the files are printed on
stdout as they are saved.

If the directory already has a run, a job file with keys of that run only replaces these rows; the other rows and the
run's settings stay. A job file with new keys is rejected unless `--merge` is given.

The first Ctrl-C stops submitting and finishes the jobs in flight. The second one quits.
"""
_COMPARE = """Run every row of a job file at several providers or models, and compare price, time and failures.

Each row becomes a job at each `--on`. All jobs are checked before the first is submitted. The last lines and the report
have the figures of each target, and the report has a column of results for each.

The directory is that of a run: the same command, or `kling-async resume`, continues it and pays for nothing twice. A
further `--on` adds a column, and pays only for that one. Ctrl-C is as in `kling-async batch`.
"""
_RESUME = """Resume a run.

Jobs in flight are waited for, jobs that were not submitted are submitted, missing files are downloaded, and decisions
made with `kling-async unconfirmed` are applied. The settings of the first run apply; flags override them.
"""
_UNCONFIRMED = """List or resolve submissions with unknown outcome.

A submission is unconfirmed if it was sent and its answer was lost. Look for it in the provider's own history first.

`attach KEY ID` records the id that the provider has for it. `resubmit KEY` submits it again, which may pay for it
twice. `abandon KEY` gives it up. A decision is stored and needs no API key; `kling-async resume` applies it.
"""

_COMMANDS = (
    ("demo", "demo:demo", "Generate a dozen images and videos in a sandbox."),
    ("generate", "generate:generate", "Generate one image or video and save its files."),
    ("plan", "batch:plan", "Check and price a job file without sending anything."),
    ("batch", "batch:batch", _BATCH),
    ("compare", "compare:compare", _COMPARE),
    ("resume", "batch:resume", _RESUME),
    ("status", "status:status", "Show the status of a run."),
    ("report", "status:report", "Regenerate the HTML report."),
    ("contact-sheet", "contact_sheet:contact_sheet", "Draw the pictures of a run on one picture."),
    ("unconfirmed", "status:unconfirmed", _UNCONFIRMED),
    ("explain", "explain:explain", "Explain an error or a sandbox fault."),
    ("models", "models:models", "List models, parameters, prices and sources."),
    ("schema", "schema:schema", "Print the JSON Schema of a job file or of an input."),
    ("providers", "providers:providers", "List providers, keys, base URLs, limits and capabilities."),
    ("sandbox", "sandbox:sandbox", "Serve the providers on this machine."),
    ("doctor", "doctor:doctor", "Show versions, keys, settings and starting limits."),
)
"""In the order in which a new user needs them. Each is imported when it is called."""


def build_app() -> App:
    """Build the command line. Raises ImportError without the extra `cli`."""
    from cyclopts import App  # noqa: PLC0415 - a missing extra becomes a message, not a traceback

    # Plain text, for the overview: to load what draws Markdown takes a quarter of the time until it is printed.
    app = App(name="kling-async", help=_HELP, help_epilogue=_CODES, help_format="plaintext", version=_version)
    for order, (name, function, text) in enumerate(_COMMANDS):
        app.command(f"kling_async.cli.{function}", name=name, help=text, help_format="markdown", sort_key=order)
    app.register_install_completion_command(  # pyright: ignore[reportUnknownMemberType] - cyclopts does not type all of it
        help="Install completion of commands and options for bash, zsh or fish."
    )
    return app


def _version() -> str:
    from importlib.metadata import version  # noqa: PLC0415 - slow to load, and only needed for this

    return version("kling-async")


def main() -> None:
    """Run the command line and exit with its code: 130 after Ctrl-C at any time, also during imports."""
    code: int | str | None = _INTERRUPTED
    with suppress(KeyboardInterrupt):
        code = _run()
    # A further Ctrl-C while Python exits would print a traceback.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    sys.exit(code)


def _run() -> int | str | None:
    try:
        app = build_app()
    except ImportError:
        return "kling-async: the command line needs the extra `cli`: pip install 'kling-async[cli]'"
    try:
        app()
    except SystemExit as exited:
        return exited.code
    return None
