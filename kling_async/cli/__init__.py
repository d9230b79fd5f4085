"""The command line `kling-async`: results on stdout, messages on stderr, and an exit code for the result."""

from __future__ import annotations

import signal
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from cyclopts import App, ArgumentCollection

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
_RETRY = """Run jobs of a run again, as they are or edited (billed again).

Without keys, all that failed. `--set` changes a field of them; the changed input is stored in the run beside the first
one, so that the job file still fits: a row of it that was changed here stays as it is, and is not paid again. A job
that succeeded needs a change, and its files are replaced. Jobs that are running or unconfirmed are refused.
"""
_CANCEL = """Stop a run, and cancel what is running at providers that can cancel.

A process that runs it on this machine stops submitting, as at its first Ctrl-C. Jobs that were not submitted stay in
the run, and `kling-async resume` submits them; those that are named by their keys are taken out of it. Whether a
cancelled job is billed is for its provider to say. The code is 1 if a job could not be cancelled.
"""
_WAIT = """Wait until a run that another process does has ended, and exit with its code.

The journal is read, and no provider is asked. The codes are those of `kling-async batch`: 130 if the run was
interrupted. A run whose process was killed ends with 1, unless all of its jobs have succeeded.
"""
_SERVE = """Serve a live page of a run until interrupted, also while the run goes on in another process.

It is the report as it fills, with the decisions about unconfirmed submissions and retries with an edited prompt. The
first line on stdout is its URL, which has a secret token.
"""
_UNCONFIRMED = """List or resolve submissions with unknown outcome.

A submission is unconfirmed if it was sent and its answer was lost. Look for it in the provider's own history first.

`attach KEY ID` records the id that the provider has for it. `resubmit KEY` submits it again, which may pay for it
twice. `abandon KEY` gives it up. A decision is stored and needs no API key; `kling-async resume` applies it.
"""
_ENQUEUE = """Write the jobs of a job file into a PostgreSQL database, where workers on any machines take them.

All jobs are checked before the first is written, and nothing is sent to a provider. A run that is there with the same
jobs goes on; a name that other jobs have is refused. `status`, `report`, `unconfirmed` and `resume` take the name of
such a run, with `--database` or KLING_DATABASE.
"""
_WORKER = """Do the jobs of the runs in a PostgreSQL database, beside any number of other workers, until it is stopped.

It takes jobs of the providers that it has an API key for in its environment. Start as many as you like, on any
machines; each job is paid once. SIGTERM and Ctrl-C let it finish the jobs in flight and give back the rest; the second
one quits at once. Each change of a job is a line on stderr.
"""

_COMMANDS = (
    ("demo", "demo:demo", "Generate a dozen images and videos in a sandbox."),
    ("generate", "generate:generate", "Generate one image or video and save its files."),
    ("plan", "batch:plan", "Check and price a job file without sending anything."),
    ("batch", "batch:batch", _BATCH),
    ("compare", "compare:compare", _COMPARE),
    ("resume", "batch:resume", _RESUME),
    ("retry", "retry:retry", _RETRY),
    ("runs", "run_list:runs", "List the runs below a folder, or in a database."),
    ("costs", "costs:costs", "Sum up what runs have cost, by model, provider and day."),
    ("status", "status:status", "Show the status of a run."),
    ("cancel", "cancel:cancel", _CANCEL),
    ("watch", "watch:watch", "Show the progress of a run that another process does."),
    ("wait", "watch:wait", _WAIT),
    ("get", "get:get", "Show one job of a run: status, input, times, cost, files, and what to do."),
    ("report", "status:report", "Regenerate the HTML report."),
    ("open", "open_report:open_report", "Open the report of a run in the browser."),
    ("serve", "serve:serve", _SERVE),
    ("contact-sheet", "contact_sheet:contact_sheet", "Draw the pictures of a run on one picture."),
    ("enqueue", "enqueue:enqueue", _ENQUEUE),
    ("worker", "worker:worker", _WORKER),
    ("unconfirmed", "status:unconfirmed", _UNCONFIRMED),
    ("explain", "explain:explain", "Explain an error or a sandbox fault."),
    ("models", "models:models", "List models, parameters, prices and sources."),
    ("schema", "schema:schema", "Print the JSON Schema of a job file or of an input, or a CSV job file to begin with."),
    ("providers", "providers:providers", "List providers, keys, base URLs, limits and capabilities."),
    ("mcp", "mcp:mcp", "Serve tools for agents, within a budget."),
    ("skill", "skill:skill", "Print a SKILL.md for agents."),
    ("sandbox", "sandbox:sandbox", "Serve the providers on this machine."),
    ("doctor", "doctor:doctor", "Show versions, keys, settings and starting limits."),
)
"""In the order in which a new user needs them. Each is imported when it is called."""


def build_app() -> App:
    """Build the command line. Raises ImportError without the extra `cli`."""
    from cyclopts import App  # noqa: PLC0415 - a missing extra becomes a message, not a traceback

    # Plain text, for the overview: to load what draws Markdown takes a quarter of the time until it is printed.
    app = App(
        name="kling-async",
        help=_HELP,
        help_epilogue=_CODES,
        help_format="plaintext",
        version=_version,
        config=_configure,
    )
    for order, (name, function, text) in enumerate(_COMMANDS):
        app.command(f"kling_async.cli.{function}", name=name, help=text, help_format="markdown", sort_key=order)
    app.register_install_completion_command(  # pyright: ignore[reportUnknownMemberType] - cyclopts does not type all of it
        help="Install completion of commands and options for bash, zsh or fish."
    )
    return app


def _configure(app: App, commands: tuple[str, ...], arguments: ArgumentCollection) -> None:
    from .config import configure  # noqa: PLC0415 - not needed for the overview

    configure(app, commands, arguments)


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
