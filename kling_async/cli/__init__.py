"""The command line `kling-async`: results on stdout, all talk on stderr, and an exit code that says how it ended."""

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

New here? `kling-async demo` shows everything on this machine, without a key and without cost.
"""
_CODES = (
    "Exit codes: 0 all done, 1 something failed, 2 bad input (nothing was sent), 3 key or balance refused, "
    "4 stopped by --max-cost or --timeout, 130 interrupted."
)
_BATCH = """Generate every job of a sheet into a folder.

Every row is checked before the first one is sent. What has come of each job is kept in the folder, so that the same
command, or `kling-async resume`, goes on where it stands; nothing is paid twice. The paths of the files are put on
stdout as they come.

In a folder that holds a run, a sheet whose keys that run all knows corrects these rows, and leaves the others and the
run's settings as they are. A sheet with other keys is refused without `--merge`.

The first Ctrl-C stops submitting, and finishes what is paid for. The second one leaves.
"""
_RESUME = """Go on with the run of a folder.

What was accepted is waited for, what was not sent is sent, files that are missing are fetched, and what was decided
with `kling-async unconfirmed` is put into effect. The settings are those that it was begun with; flags replace them.
"""
_UNCONFIRMED = """List and decide what nobody knows.

A submission is unconfirmed if it left, and no answer came. Look for it in the provider's own history first.

`attach KEY ID` says under which id the provider has it. `resubmit KEY` lets it be submitted once more, which may pay
for it twice. `abandon KEY` gives it up. A decision is written down, and needs no API key; `kling-async resume` puts it
into effect.
"""

_COMMANDS = (
    ("demo", "demo:demo", "Generate a dozen images and videos in a sandbox."),
    ("generate", "generate:generate", "Generate one input and save its files."),
    ("plan", "batch:plan", "Check and price a sheet of jobs; nothing is sent."),
    ("batch", "batch:batch", _BATCH),
    ("resume", "batch:resume", _RESUME),
    ("status", "folders:status", "Show how a run stands."),
    ("report", "folders:report", "Make the report of a run anew."),
    ("unconfirmed", "folders:unconfirmed", _UNCONFIRMED),
    ("models", "models:models", "List models, parameters, prices and sources."),
    ("providers", "providers:providers", "List providers, keys, base URLs and limits."),
    ("sandbox", "sandbox:sandbox", "Serve both providers on this machine."),
    ("doctor", "doctor:doctor", "Show versions, keys and settings."),
)
"""In the order in which somebody meets them. Each is loaded when it is called."""


def build_app() -> App:
    """Put the commands together. Raises ImportError without the extra `cli`."""
    from importlib.metadata import version  # noqa: PLC0415 - only the command line asks for it

    from cyclopts import App  # noqa: PLC0415 - its absence is explained, not shown as a traceback

    app = App(name="kling-async", help=_HELP, help_epilogue=_CODES, version=version("kling-async"))
    for order, (name, place, told) in enumerate(_COMMANDS):
        app.command(f"kling_async.cli.{place}", name=name, help=told, sort_key=order)
    app.register_install_completion_command(  # pyright: ignore[reportUnknownMemberType] - cyclopts leaves a part untyped
        help="Let the Tab key complete commands and options, in bash, zsh or fish."
    )
    return app


def main() -> None:
    """Run the command line, and leave with its exit code; with 130 wherever Ctrl-C strikes, also while it is loaded."""
    code: int | str | None = _INTERRUPTED
    with suppress(KeyboardInterrupt):
        code = _run()
    # While Python ends, another one would end in a traceback.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    sys.exit(code)


def _run() -> int | str | None:
    try:
        app = build_app()
    except ImportError:
        return "kling-async: the command line needs its extra: pip install 'kling-async[cli]'"
    try:
        app()
    except SystemExit as ended:
        return ended.code
    return None
