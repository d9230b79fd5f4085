"""`kling-async doctor`: show what a bug report needs, without any secret."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

from rich.table import Table

from ..journal.database_facts import read_facts
from ..journal.hidden_url import HiddenUrl
from ..providers import PROVIDERS, Provider
from ..runs.directory import RunDirectory
from ..runtime.api_keys import ApiKeys, default_provider, read_key
from ..runtime.timings import account_name
from ..scheduling.learning import AccountLimits
from ..scheduling.speed_limits import LimitOrigins, starting_limits
from ..transport.credentials import hash_key
from ..types.errors import InputError, KlingError
from ..types.limits import LimitOrigin
from .console import ExitCode, echo, escape, run, stdout
from .database import Database, database_given
from .learned import read_learned
from .providers import describe_key, describe_origin

__all__ = ["describe_clock", "doctor"]

_PACKAGES: Final = (
    "kling-async",
    "httpx",
    "httpcore",
    "anyio",
    "attrs",
    "cattrs",
    "backoff",
    "cyclopts",
    "dbos",
    "psycopg",
    "rich",
    "starlette",
    "uvicorn",
)
_MAX_SKEW: Final = 30.0
"""Seconds between the clocks of this machine and the database above which times in reports mislead."""
_ORIGINS: Final = (LimitOrigin.LEARNED, LimitOrigin.DOCUMENTED, LimitOrigin.GUESSED)
"""Origins of limits that a user has not set, the best known first."""


def doctor(directory: Path | None = None, /, *, database: Database = None) -> int:
    """Show versions, which keys are set, the settings in use, and the limits that a client starts with.

    It sends nothing and shows no key and no password.

    Args:
        directory: Run directory, to start with the limits that its run has learned.
        database: URL of a database, to show its version, its schema, its clock and its workers.
    """
    url = database_given(database)
    return run(lambda: _doctor(directory, url))


def _doctor(directory: Path | None, url: HiddenUrl | None) -> ExitCode:
    known = {} if directory is None else _known_limits(RunDirectory(directory))
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
        if length:
            table.add_row(f"{provider.title} limits", _describe_limits(provider, known))
    table.add_row("Default provider", _default())
    is_usable = url is None or _add_database(table, url)
    stdout.print(table)
    if not is_usable:
        echo("The database cannot be used: see above.")
        return ExitCode.FAILED
    if usable:
        echo("[dim]Limits: where a client without `limits` of its own starts; it learns the first two.[/]")
        return ExitCode.DONE
    echo("No provider can be used: set one of the keys above, or try `kling-async demo`, which needs no key.")
    return ExitCode.KEY_OR_BALANCE


def _add_database(table: Table, url: HiddenUrl) -> bool:
    """Add what is known of a database, and return whether it can be used."""
    try:
        facts = read_facts(url)
    except KlingError as error:
        table.add_row("Database", f"[red]{escape(str(error))}[/]")
        return False
    table.add_row("Database", f"{escape(facts.name)}: PostgreSQL {escape(facts.server)}, encoding {facts.encoding}")
    is_later, is_missing = facts.schema is not None and facts.schema > facts.latest, facts.schema is None
    schema = f"version {facts.schema}; this kling-async knows {facts.latest}"
    if is_missing:
        rights = "will be created" if facts.may_create else "[red]cannot be created: grant CREATE on the database[/]"
        schema = f"not there yet, {rights}"
    table.add_row("Database schema", f"[red]{schema}: install a later one[/]" if is_later else schema)
    table.add_row("Database clock", describe_clock(facts.skew_seconds))
    living = [one for one in facts.machines if one.seconds_left > 0]
    for one in living:
        table.add_row(f"Worker {escape(one.name)}", f"{', '.join(one.providers)}; {escape(one.facts)}")
    if not living:
        table.add_row("Workers", "none is living")
    return not is_later and facts.encoding == "UTF8" and (facts.may_create or not is_missing)


def describe_clock(skew_seconds: float) -> str:
    """Return by how many seconds this machine is ahead of the database, as markup; a warning beyond 30 s."""
    skew = f"this machine is {abs(skew_seconds):.1f} s {'ahead' if skew_seconds > 0 else 'behind'}"
    return f"[yellow]{skew}: set its clock[/]" if abs(skew_seconds) > _MAX_SKEW else skew


def _default() -> str:
    """Return the provider that is used when none is named, as markup, or why there is none."""
    try:
        return default_provider(ApiKeys())
    except InputError as error:
        return f"[yellow]{escape(error.message)}[/]"


def _known_limits(directory: RunDirectory) -> dict[str, AccountLimits]:
    directory.read_metadata()
    return read_learned(directory)[1]


def _describe_limits(provider: Provider, known: Mapping[str, AccountLimits]) -> str:
    """Return the limits that an account starts with, those of the same origin together."""
    account = account_name(provider.name, hash_key(read_key(provider, ApiKeys())))
    origins = LimitOrigins(provider=provider.name, set_by_user=False, sources=provider.limit_sources)
    amounts: dict[LimitOrigin, list[str]] = {origin: [] for origin in _ORIGINS}
    for limit in starting_limits(provider.limits, origins, known=known.get(account, AccountLimits())):
        amounts[limit.origin].append(limit.amount)
    return "; ".join(f"{', '.join(texts)} ({origin})" for origin, texts in amounts.items() if texts)


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "[yellow]not installed[/]"
