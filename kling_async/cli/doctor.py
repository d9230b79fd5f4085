"""`kling-async doctor`: what a bug report needs, without any secret."""

from __future__ import annotations

import os
import platform
import sys
from importlib.metadata import PackageNotFoundError, version
from typing import Final

from rich.table import Table

from ..effects.credentials import Keys, read_key, read_origin
from ..errors import InputError
from ..providers import PROVIDERS, Provider
from .talk import ExitCode, data, escape, run, say

__all__ = ["doctor"]

_PACKAGES: Final = (
    "kling-async",
    "httpx",
    "httpcore",
    "anyio",
    "attrs",
    "cattrs",
    "backoff",
    "cyclopts",
    "rich",
    "uvicorn",
)


def doctor() -> int:
    """Show versions, which keys are set, and which settings are in force. Nothing is sent, and no key is shown."""

    def command() -> ExitCode:
        table = Table("what", "is", show_header=False)
        table.add_row("Python", f"{platform.python_implementation()} {platform.python_version()} ({sys.platform})")
        for package in _PACKAGES:
            table.add_row(package, _version(package))
        usable = 0
        for provider in PROVIDERS.values():
            key, well = _key(provider)
            usable += well
            table.add_row(f"{provider.title} key", key)
            table.add_row(f"{provider.title} origin", _origin(provider))
        data.print(table)
        if usable:
            return ExitCode.DONE
        say("No provider can be used: set one of the keys above, or try `kling-async demo`, which needs none.")
        return ExitCode.KEY_OR_BALANCE

    return run(command)


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "[yellow]not installed[/]"


def _key(provider: Provider) -> tuple[str, bool]:
    try:
        key = read_key(provider, Keys())
    except InputError as error:
        return f"[yellow]{escape(error.faults[0].field)} {escape(error.faults[0].allowed)}[/]", False
    return f"set in {provider.key_variable} ({len(key)} characters)", True


def _origin(provider: Provider) -> str:
    try:
        origin = read_origin(provider, {}, allow_http=False)
    except InputError as error:
        return f"[red]{escape(str(error))}[/]"
    return (
        f"{escape(origin)} (from {provider.url_variable if os.environ.get(provider.url_variable) else 'the default'})"
    )
