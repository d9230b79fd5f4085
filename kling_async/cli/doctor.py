"""`kling-async doctor`: show what a bug report needs, without any secret."""

from __future__ import annotations

import os
import platform
import sys
from importlib.metadata import PackageNotFoundError, version
from typing import Final

from rich.table import Table

from ..providers import PROVIDERS
from ..runtime.api_keys import ApiKeys, default_provider
from ..types.errors import InputError
from .console import ExitCode, echo, escape, run, stdout
from .providers import describe_key, describe_origin

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
    """Show versions, which keys are set, and the settings in use. It sends nothing and shows no key."""
    return run(_doctor)


def _doctor() -> ExitCode:
    table = Table("name", "value", show_header=False)
    table.add_row("Python", f"{platform.python_implementation()} {platform.python_version()} ({sys.platform})")
    for package in _PACKAGES:
        table.add_row(package, _version(package))
    usable = 0
    for provider in PROVIDERS.values():
        key, length = describe_key(provider)
        usable += length > 0
        source = provider.base_url_env if os.environ.get(provider.base_url_env) else "default"
        table.add_row(f"{provider.title} key", f"{key} ({length} characters)" if length else key)
        table.add_row(f"{provider.title} origin", f"{describe_origin(provider)} ({source})")
    table.add_row("Default provider", _default())
    stdout.print(table)
    if usable:
        return ExitCode.DONE
    echo("No provider can be used: set one of the keys above, or try `kling-async demo`, which needs no key.")
    return ExitCode.KEY_OR_BALANCE


def _default() -> str:
    """Return the provider that is used when none is named, as markup, or why there is none."""
    try:
        return default_provider(ApiKeys())
    except InputError as error:
        return f"[yellow]{escape(error.message)}[/]"


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "[yellow]not installed[/]"
