"""The command line `kling-async`: results on stdout, all talk on stderr, and an exit code that says how it ended."""

from __future__ import annotations

import sys

__all__ = ["main"]

_HELP = """Generate Kling images and videos through any provider you have a key for.

New here? `kling-async demo` shows everything on this machine, without a key and without cost.

Exit codes: 0 all done, 1 something failed, 2 bad input (nothing was sent), 3 key or balance refused, 4 still running
when the time was up, 130 interrupted.
"""


def main() -> None:
    """Run the command line, and leave with its exit code."""
    try:
        from cyclopts import App  # noqa: PLC0415 - its absence is explained, not shown as a traceback
    except ImportError:
        sys.exit("kling-async: the command line needs its extra: pip install 'kling-async[cli]'")
    from importlib.metadata import version  # noqa: PLC0415 - only the command line asks for it

    app = App(name="kling-async", help=_HELP, version=version("kling-async"))
    app.command("kling_async.cli.demo:demo", name="demo", help="Generate a dozen images and videos in a sandbox.")
    app.command("kling_async.cli.generate:generate", name="generate", help="Generate one input and save its files.")
    app.command("kling_async.cli.models:models", name="models", help="List models, parameters, prices and sources.")
    app.command("kling_async.cli.sandbox:sandbox", name="sandbox", help="Serve both providers on this machine.")
    app.command("kling_async.cli.doctor:doctor", name="doctor", help="Show versions, keys and settings.")
    app.register_install_completion_command(  # pyright: ignore[reportUnknownMemberType] - cyclopts leaves a part untyped
        help="Let the Tab key complete commands and options, in bash, zsh or fish."
    )
    app()
