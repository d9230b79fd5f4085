"""Settings of a project: `kling.toml`, or the table `tool.kling-async` of a pyproject.toml, with profiles.

An option on the command line comes first, then what a run in the directory has stored, then the profile, then the rest
of the file. Nothing that pays again can be set there, and no API key.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, TypeGuard

from cyclopts import App, ArgumentCollection, CycloptsError
from cyclopts.config import Dict, Toml

__all__ = ["configure"]

_NAME: Final = "kling.toml"
_PROFILES: Final = "profiles"
_VARIABLE: Final = "KLING_PROFILE"
_COMMANDS: Final = ("batch", "compare", "plan", "resume", "retry")
_SETTINGS: Final = (
    "provider",
    "prefer",
    "failover",
    "max-open",
    "rate",
    "concurrency",
    "max-cost",
    "price",
    "storage",
    "timeout",
    "download",
    "provenance",
    "dataset",
    "presign",
    "copy-run",
    "fail-fast",
    "progress",
    "verbose",
)
"""The options that can be set."""

Table = Mapping[str, Any]
"""A table of TOML."""


def configure(app: App, commands: tuple[str, ...], arguments: ArgumentCollection) -> None:
    """Set the options of a command that were not given from the settings of the project.

    Raises:
        CycloptsError: the settings cannot be read, one is unknown, or the profile is missing.
    """
    if not commands or commands[0] not in _COMMANDS:
        return
    [*given] = (token.value for token in arguments.match("--profile")[0].tokens)
    profile = given[-1] if given else os.environ.get(_VARIABLE, "")
    settings = _settings(profile)
    # They are named to the command, since a setting that a run has stored comes before them.
    names = [name for name in settings if _is_free(name, arguments)]
    data = {name: settings[name] for name in names} | ({"configured": names} if names else {})
    Dict(data, use_commands_as_keys=False, allow_unknown=True)(app, commands, arguments)


def _is_free(name: str, arguments: ArgumentCollection) -> bool:
    """Whether a command has an option, and it was not given."""
    try:
        return not arguments.match(f"--{name}")[0].tokens
    except ValueError:
        return False


def _settings(profile: str) -> dict[str, object]:
    """Return the settings of the project by the names of their options, with those of a profile in place of others."""
    found = _find()
    if found is None:
        if profile:
            raise CycloptsError(msg=f'No settings have the profile "{profile}": there is no {_NAME}.')
        return {}
    path, table = found
    profiles = table.get(_PROFILES, {})
    known = ", ".join(profiles) if _is_table(profiles) else ""
    if profile and not (_is_table(profiles) and _is_table(profiles.get(profile))):
        raise CycloptsError(msg=f'{path} has no profile "{profile}"; its profiles: {known or "none"}.')
    own = {name: value for name, value in table.items() if name != _PROFILES}
    every = own | (dict(profiles[profile]) if profile else {})
    settings = {name.replace("_", "-"): value for name, value in every.items()}
    for name in settings:
        if name not in _SETTINGS:
            raise CycloptsError(msg=f'{path}: unknown setting "{name}"; settings are {", ".join(_SETTINGS)}.')
    return settings


def _find() -> tuple[Path, Table] | None:
    """Return the nearest settings, in the working directory or above it; of two beside each other, kling.toml."""
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (path := folder / _NAME).is_file():
            return path, Toml(path).config
        if (path := folder / "pyproject.toml").is_file():
            tools = Toml(path).config.get("tool")
            table = tools.get("kling-async") if _is_table(tools) else None
            if _is_table(table):
                return path, table
    return None


def _is_table(value: object) -> TypeGuard[Table]:
    return isinstance(value, Mapping)
