"""Names: what the package shows, and what it loads for that."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from importlib import import_module
from importlib.metadata import version
from pathlib import Path

import pytest

import kling_async
from kling_async import errors
from kling_async.types import errors as types_errors
from kling_async.types import inputs, prediction
from kling_async.types import jobs as outcome

ROOT = Path(kling_async.__file__).parent
NOT_SHOWN = {
    "JobKeyGenerator",
    "Json",
    "RefusedPart",
    "as_job",
    "fingerprint",
    "is_str_map",
    "unique_key",
    "validate_common",
}
"""Names that modules share with each other, and users have no use for."""

MODULES = sorted(
    ".".join(("kling_async", *path.relative_to(ROOT).with_suffix("").parts))
    for path in ROOT.rglob("*.py")
    if not path.name.startswith("_") and "testing" not in path.parts and "cli" not in path.parts
)
FOLDERS = ["kling_async.providers", "kling_async.testing"]

OWN_BUSINESS = {"kling_async.types.errors": {"ErrorContext"}}
"""Names without an underscore that are not public: `ErrorContext` types keyword arguments only."""


REEXPORTED = {"kling_async.types.errors": {"InputFault", "KlingError"}, "kling_async.machines": {"EnqueuedRun"}}
"""Names of another module: the root of the tree of errors has a module of its own, beside what makes its text; and what
a public function returns is public with it."""


def public_names(module: str) -> set[str]:
    """Return what a module defines at its top without an underscore, type variables aside."""
    found: set[str] = set()
    for node in ast.parse(Path(import_module(module).__file__ or "").read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            found.add(node.target.id)
        elif isinstance(node, ast.Assign) and not ast.unparse(node.value).startswith("TypeVar("):
            found.update(target.id for target in node.targets if isinstance(target, ast.Name))
    return {name for name in found if not name.startswith("_")} - OWN_BUSINESS.get(module, set())


def test_the_face_is_sorted() -> None:
    """The names of the package stand in order, each once."""
    assert sorted(set(kling_async.__all__)) == kling_async.__all__


@pytest.mark.parametrize("name", kling_async.__all__)
def test_every_name_can_be_imported(name: str) -> None:
    """Each name that is promised is there, and is remembered once it was asked for."""
    value = getattr(kling_async, name)
    assert value is vars(kling_async)[name]
    assert name in dir(kling_async)


def test_nothing_public_is_missing() -> None:
    """Every error, every input and every value that a user meets is a name of the package."""
    shown = {*errors.__all__, *inputs.__all__, *outcome.__all__, *prediction.__all__}
    shown |= {
        "Batch",
        "Capabilities",
        "Client",
        "Estimate",
        "Event",
        "EventKind",
        "LimitKind",
        "LimitOrigin",
        "Limits",
        "Media",
        "MediaFile",
        "Progress",
        "QueueStatus",
        "SpeedLimit",
        "WebhookAction",
        "WebhookReceiver",
        "WebhookResult",
        "matrix",
        "show_progress",
    }
    shown |= {"Decision", "JobStatus", "Journal", "MemoryJournal", "PostgresJournal", "SqliteJournal"}
    shown |= {"StoredError", "Submission"}
    shown |= {"Gallery", "gallery", "load_ipython_extension", "rows"}
    assert shown - NOT_SHOWN == set(kling_async.__all__)


def test_type_checkers_see_the_same_names() -> None:
    """What is loaded on first use is what type checkers are told, from the same modules."""
    told: dict[str, str] = {}
    for node in ast.walk(ast.parse((ROOT / "__init__.py").read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.level == 1:
            told |= {alias.name: f"kling_async.{node.module}" for alias in node.names}
    assert set(kling_async.__all__) == set(told)
    homes = {name: import_module(home) for name, home in told.items()}
    assert [] == [name for name, home in homes.items() if getattr(home, name) is not getattr(kling_async, name)]


def test_no_name_is_the_name_of_a_module() -> None:
    """Importing a module of ours puts it into the package under its name, where it would hide what stands there."""
    modules = {path.stem for path in ROOT.iterdir()}
    assert set() == modules & set(kling_async.__all__)


def test_the_version_is_that_of_the_installed_package() -> None:
    """`kling_async.__version__` is what the package's metadata says."""
    assert version("kling-async") == kling_async.__version__


def test_an_unknown_name_is_an_attribute_error() -> None:
    """A name that is not there is missing in the usual way."""
    with pytest.raises(AttributeError, match="module 'kling_async' has no attribute 'Klient'"):
        kling_async.Klient  # noqa: B018
    assert not hasattr(kling_async, "import_module_of")


def test_the_public_errors_are_all_errors() -> None:
    """`kling_async.errors` has each error of the package under its own name, and defines none itself."""
    assert [] == [name for name in errors.__all__ if getattr(errors, name) is not getattr(types_errors, name)]
    assert sorted(types_errors.__all__) == sorted(errors.__all__)
    assert set() == public_names("kling_async.errors")


@pytest.mark.parametrize("module", [module for module in MODULES if module != "kling_async.errors"])
def test_a_module_shows_what_it_defines(module: str) -> None:
    """A module's `__all__` holds exactly what it defines without an underscore."""
    assert public_names(module) | REEXPORTED.get(module, set()) == set(import_module(module).__all__)


@pytest.mark.parametrize("module", MODULES + FOLDERS)
def test_no_name_is_shown_twice_or_in_vain(module: str) -> None:
    """Each name of `__all__` is there, once."""
    shown = import_module(module).__all__
    assert len(set(shown)) == len(shown)
    assert [] == [name for name in shown if not hasattr(import_module(module), name)]


def test_modules_are_found() -> None:
    """The rules above see modules at all."""
    assert {"kling_async.types.errors", "kling_async.client.client", "kling_async.providers.base"} <= set(MODULES)
    assert {"kling_async.runtime.batch", "kling_async.scheduling.engine", "kling_async.scheduling.progress"} <= set(
        MODULES
    )
    assert {"Provider"} == public_names("kling_async.providers.base")
    assert {"decode", "excerpt", "json_body", "read_json"} == public_names("kling_async.providers.codec.strict_json")


HEAVY = frozenset(
    (
        *("aiohttp", "anyio", "asyncio", "attr", "attrs", "backoff", "cattrs", "httpcore", "httpx", "psycopg"),
        *("sqlite3", "ssl", "trio"),
    )
)


def loaded_by(code: str) -> set[str]:
    """Return which heavy libraries a fresh interpreter has loaded after some code."""
    program = f"import sys, json\n{code}\nprint(json.dumps(sorted(set(sys.modules) & set({sorted(HEAVY)!r}))))"
    done = subprocess.run(
        [sys.executable, "-c", program],
        # Coverage would load libraries of its own, to measure this process too.
        env={name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")}
        | {"PYTHONPATH": str(ROOT.parent)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "" == done.stderr
    return set(json.loads(done.stdout))


def test_importing_the_package_loads_nothing_heavy() -> None:
    """A program that imports the package pays for it only when it uses it."""
    assert set() == loaded_by("import kling_async; dir(kling_async); kling_async.__all__")


@pytest.mark.parametrize("word", ["--help", "--version"])
def test_help_loads_no_network_library(word: str) -> None:
    """The command line says what it can do without loading what does it; attrs is part of what parses its words."""
    code = f"""
import contextlib, io
from kling_async.cli import main
sys.argv = ["kling-async", {word!r}]
with contextlib.suppress(SystemExit), contextlib.redirect_stdout(io.StringIO()):
    main()
"""
    assert loaded_by(code) <= {"attr", "attrs"}


def test_errors_are_light() -> None:
    """Whoever only catches errors loads no network library."""
    assert set() == loaded_by("from kling_async import KlingError, RateLimited")


def test_a_client_loads_the_http_libraries_when_it_is_opened() -> None:
    """A client that is never opened needs no HTTP library; once it is open, its first request waits for none."""
    made = "import asyncio; from kling_async import Client; client = Client(api_key='sk-12345678')"
    opened = f"{made}\nasync def main():\n    async with client: pass\nasyncio.run(main())"
    assert {"attrs", "cattrs", "anyio", "backoff"} <= (light := loaded_by(made))
    assert not light & {"httpx", "httpcore", "sqlite3", "trio"}
    assert {"httpx", "httpcore"} <= loaded_by(opened)
