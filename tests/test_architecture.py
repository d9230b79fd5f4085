"""The rules of the structure, read from the source: who may import what, what pure modules leave alone, and lengths.

Each rule is a function from sources to complaints. It is held against the package, and against small sources that break
it, which it must catch.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import TypeAlias

import pytest

import kling_async

ROOT = Path(kling_async.__file__).parent
Sources: TypeAlias = Mapping[str, str]
"""Python text by path inside the package, such as `providers/base.py`."""

PACKAGE: Sources = {
    path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8") for path in sorted(ROOT.rglob("*.py"))
}

LAYERS = (
    ("types", "system"),
    ("scheduling", "providers", "journal", "transport"),
    ("runtime", "testing"),
    ("client", "runs"),
    ("integrations", "blocking", "machines"),
    ("cli",),
)
"""From the bottom up. A layer imports only layers below it, and packages of one layer do not import each other."""
ABOVE = ("", "__main__", "errors")
"""The public names and the way in. They import layers, and no layer imports them."""

PURE = (
    *("types", "scheduling", "providers"),
    *(
        "journal.claims",
        "journal.gate",
        "journal.encoding",
        "journal.redaction",
        "journal.refusals",
        "journal.resume",
        "journal.serialization",
        "journal.stored_error",
        "journal.stored_media",
        "journal.submission",
    ),
    *("runs.jobfile", "runs.matrix", "runs.report", "runs.results", "runs.targets"),
    *("runs.display.render", "runs.display.snapshot", "runs.display.text"),
)
"""Packages and modules whose results follow from their arguments: time and randomness are given to them."""
IMPURE = frozenset(
    {
        *("aiohttp", "anyio", "asyncio", "httpcore", "httpx", "logging", "os", "random", "secrets", "shutil", "signal"),
        *("socket", "sqlite3", "ssl", "subprocess", "tempfile", "threading", "time", "trio", "uuid"),
    }
)
CLOCKS = frozenset({"now", "today", "utcnow"})
FILES = frozenset(
    {
        *("exists", "glob", "is_dir", "is_file", "iterdir", "mkdir", "open", "read_bytes", "read_text", "rglob"),
        *("stat", "touch", "unlink", "write_bytes", "write_text"),
    }
)
"""Methods of a `Path` that ask the disk."""

HOMES: Mapping[str, frozenset[str]] = {
    "h11": frozenset({"transport.complete_parser"}),
    "httpcore": frozenset(
        f"transport.{name}"
        for name in ("failures", "connections", "happy_eyeballs", "httpcore_exchanges", "output_connections")
    ),
    "httpx": frozenset(
        f"transport.{name}"
        for name in (
            *("api", "failures", "connections", "fetcher", "foreign", "output_connections", "output_requests"),
            *("tls", "uploads"),
        )
    ),
    "obstore": frozenset({"transport"}),
    "sqlite3": frozenset(
        f"journal.{name}" for name in ("file", "migration", "reader", "schema", "seal", "sqlite_connection")
    ),
    "psycopg": frozenset({"journal"}),
    "backoff": frozenset({"scheduling.retry"}),
    "cryptography": frozenset({"providers.codec.ed25519", "testing.deliveries", "testing.sandbox.callbacks"}),
    **dict.fromkeys(("dbos", "mcp", "opentelemetry", "starlette"), frozenset({"integrations"})),
    "jinja2": frozenset({"runs.report.page"}),
    **dict.fromkeys(("PIL", "python_calamine"), frozenset({"runs"})),
}
"""Libraries that only these modules, and those below these packages, name."""

MAX_LINES, MAX_FUNCTION_LINES = 300, 40
"""About 200 and 20 are the habit."""
DESIGN = Path(__file__).parents[1] / "docs" / "explanation" / "design.md"


@cache
def nodes(source: str) -> tuple[ast.AST, ...]:
    """Parse a module, once for all rules, and return each of its nodes."""
    return tuple(ast.walk(ast.parse(source)))


def name_of(path: str) -> str:
    """Return a module's name inside the package; the package's own is empty."""
    return path.removesuffix(".py").replace("/", ".").removesuffix("__init__").removesuffix(".")


def package_of(module: str) -> str:
    """Return the package of a layer that a module belongs to."""
    return module.partition(".")[0]


def is_in(module: str, names: frozenset[str] | tuple[str, ...]) -> bool:
    """Return whether a module is one of these, or below one of these packages."""
    return any(module == name or module.startswith(f"{name}.") for name in names)


def imports(path: str, source: str, names: frozenset[str]) -> Iterator[str]:
    """Yield what a module imports, wherever in it: `.name` for a module of ours, the full name for any other."""
    package = path.rpartition("/")[0].replace("/", ".")
    for node in nodes(source):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield _ours(alias.name) or alias.name
        elif isinstance(node, ast.ImportFrom):
            base = _base(package, node)
            for alias in node.names:
                full = f"{base}.{alias.name}".replace("..", ".")
                yield full if full.removeprefix(".") in names and base.startswith(".") else base


def _base(package: str, node: ast.ImportFrom) -> str:
    if node.level == 0:
        return _ours(node.module or "") or node.module or ""
    parts = package.split(".") if package else []
    parts = parts[: len(parts) - node.level + 1]
    return "." + ".".join([*parts, *([node.module] if node.module else [])])


def _ours(name: str) -> str:
    return "." + name.removeprefix("kling_async").removeprefix(".") if name.partition(".")[0] == "kling_async" else ""


def edges(sources: Sources) -> Iterator[tuple[str, str]]:
    """Yield each import between two modules of ours."""
    names = frozenset(map(name_of, sources))
    for path, source in sources.items():
        for name in imports(path, source, names):
            if name.startswith("."):
                yield name_of(path), name.removeprefix(".")


def rank(module: str) -> int:
    """Return a module's layer, counted from the bottom; that of the public names is above all, and -1 is nowhere."""
    if module in ABOVE:
        return len(LAYERS)
    return next((level for level, layer in enumerate(LAYERS) if package_of(module) in layer), -1)


def is_pure(module: str) -> bool:
    """Return whether a module is pure."""
    return is_in(module, PURE)


def modules_without_a_place(sources: Sources) -> list[str]:
    """Find modules that are in no package of a layer."""
    return [name for name in map(name_of, sources) if rank(name) < 0]


def imports_upwards(sources: Sources) -> list[str]:
    """Find imports that lead neither to a layer below nor into the same package."""
    return [
        f"{one} imports {other}"
        for one, other in edges(sources)
        if rank(other) >= rank(one) and (package_of(one) != package_of(other) or rank(one) == len(LAYERS))
    ]


def circles(sources: Sources) -> list[str]:
    """Find modules from which imports lead back to themselves."""
    graph: dict[str, set[str]] = {}
    for one, other in edges(sources):
        graph.setdefault(one, set()).add(other)

    def reached(start: str) -> set[str]:
        seen: set[str] = set()
        todo = list(graph.get(start, ()))
        while todo:
            name = todo.pop()
            if name not in seen:
                seen.add(name)
                todo.extend(graph.get(name, ()))
        return seen

    return [name for name in graph if name in reached(name)]


def imports_of_the_root(sources: Sources) -> list[str]:
    """Find modules that import the package itself; only what is started from outside may."""
    return [one for one, other in edges(sources) if other == "" and one != "__main__"]


def imports_by_full_name(sources: Sources) -> list[str]:
    """Find neighbours that are named with the package's name, which would tie them to it."""
    return [
        path
        for path, source in sources.items()
        for node in nodes(source)
        if path != "__main__.py"
        and (
            (isinstance(node, ast.Import) and any(_ours(alias.name) for alias in node.names))
            or (isinstance(node, ast.ImportFrom) and node.level == 0 and _ours(node.module or ""))
        )
    ]


def imports_by_text(sources: Sources) -> list[str]:
    """Find imports that no reader of the source can see; only the public names are loaded by text."""
    return [
        path
        for path, source in sources.items()
        for node in nodes(source)
        if path != "__init__.py" and isinstance(node, ast.Name | ast.Attribute) and _word(node) in _BY_TEXT
    ]


_BY_TEXT = frozenset({"import_module", "__import__", "exec", "eval"})


def _word(node: ast.Name | ast.Attribute) -> str:
    return node.id if isinstance(node, ast.Name) else node.attr


def adapters_in_the_sandbox(sources: Sources) -> list[str]:
    """Find what the sandbox shares with an adapter, whose mistake it could then not show."""
    return [
        f"{one} imports {other}"
        for one, other in edges(sources)
        if is_in(one, ("testing.sandbox",)) and not is_in(other, ("types", "system", "testing"))
    ]


def impure_imports(sources: Sources) -> list[str]:
    """Find pure modules that import something that touches the world."""
    names = frozenset(map(name_of, sources))
    return [
        f"{name_of(path)} imports {name}"
        for path, source in sources.items()
        if is_pure(name_of(path))
        for name in imports(path, source, names)
        if name.partition(".")[0] in IMPURE
    ]


def clocks_read(sources: Sources) -> list[str]:
    """Find pure modules that ask what time it is."""
    return [
        f"{name_of(path)} line {node.lineno}"
        for path, source in sources.items()
        if is_pure(name_of(path))
        for node in nodes(source)
        if isinstance(node, ast.Attribute) and node.attr in CLOCKS
    ]


def files_asked_for(sources: Sources) -> list[str]:
    """Find pure modules that ask the disk; what the package itself brings may be read."""
    return [
        f"{name_of(path)} line {node.lineno}"
        for path, source in sources.items()
        if is_pure(name_of(path))
        for node in nodes(source)
        if (isinstance(node, ast.Attribute) and node.attr in FILES and not _is_ours(node.value))
        or (isinstance(node, ast.Name) and node.id == "open")
    ]


def _is_ours(value: ast.expr) -> bool:
    called = (node.func for node in ast.walk(value) if isinstance(node, ast.Call))
    return any(isinstance(function, ast.Name) and function.id == "files" for function in called)


def impure_neighbours(sources: Sources) -> list[str]:
    """Find pure modules that import a module of ours that is not."""
    return [f"{one} imports {other}" for one, other in edges(sources) if is_pure(one) and not is_pure(other)]


def libraries_abroad(sources: Sources) -> list[str]:
    """Find libraries that are named outside the modules that may."""
    names = frozenset(map(name_of, sources))
    return [
        f"{name_of(path)} imports {name}"
        for path, source in sources.items()
        for name in imports(path, source, names)
        if (homes := HOMES.get(name.partition(".")[0])) is not None and not is_in(name_of(path), homes)
    ]


def long_modules(sources: Sources) -> list[str]:
    """Find modules that are too long."""
    lengths = {path: len(source.splitlines()) for path, source in sources.items()}
    return [f"{path}: {length} lines" for path, length in lengths.items() if length > MAX_LINES]


def long_functions(sources: Sources) -> list[str]:
    """Find functions that are too long, their docstrings aside."""
    return [
        f"{path}: {node.name} has {length} lines"
        for path, source in sources.items()
        for node in nodes(source)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (length := _lines(node) - (_lines(node.body[0]) if ast.get_docstring(node) else 0)) > MAX_FUNCTION_LINES
    ]


def _lines(node: ast.stmt) -> int:
    return (node.end_lineno or 0) - node.lineno + 1


Rule: TypeAlias = Callable[[Sources], list[str]]
RULES: Mapping[Rule, Mapping[str, Sources]] = {
    modules_without_a_place: {
        "a new module beside the packages": {"utils.py": ""},
        "a new package": {"helpers/text.py": ""},
    },
    imports_upwards: {
        "plainly": {"scheduling/retry.py": "from ..runtime.settings import Settings"},
        "for types only": {
            "types/inputs.py": "from typing import TYPE_CHECKING\n"
            "if TYPE_CHECKING:\n    from ..providers.base import Provider"
        },
        "inside a function": {"types/errors.py": "def f():\n    from ..client import Client"},
        "of a whole module": {"system/clock.py": "from .. import client", "client.py": ""},
        "of a whole package": {"providers/base.py": "from .. import runtime", "runtime/__init__.py": ""},
        "by the full name": {"types/http.py": "import kling_async.client"},
        "of the command line by what it runs": {"runs/directory.py": "from ..cli.console import echo"},
        "of an integration by the client": {"client.py": "from .integrations.mcp import serve"},
        "of the command line by an integration": {"integrations/mcp.py": "from ..cli.console import echo"},
        **{
            f"of {other} by {one}, which is beside it": {f"{one}/a.py": f"from ..{other}.b import x"}
            for layer in LAYERS
            for one in layer
            for other in layer
            if one != other
        },
        "of the client by the runs, from their package": {"runs/__init__.py": "from ..client import Client"},
        "of the runs by the client": {"client.py": "from .runs.directory import RunDirectory"},
        "of the public errors": {"runtime/batch.py": "from ..errors import KlingError"},
        "of the public names": {"cli/demo.py": "from .. import Client"},
        "of the public errors by the public names": {"__init__.py": "from .errors import KlingError"},
    },
    circles: {
        "of two": {"cli/a.py": "from .b import x", "cli/b.py": "def f():\n    from .a import y"},
        "of three": {
            "testing/a.py": "from . import b",
            "testing/b.py": "from .sub.c import x",
            "testing/sub/c.py": "from ..a import y",
        },
        "for types only": {
            "types/errors.py": "from typing import TYPE_CHECKING\n"
            "if TYPE_CHECKING:\n    from .prediction import Prediction",
            "types/prediction.py": "from .errors import KlingError",
        },
        "of one": {"types/media.py": "from .media import sniff"},
    },
    imports_of_the_root: {
        "by its name": {"client.py": "import kling_async"},
        "from it": {"transport/fetcher.py": "from kling_async import Client"},
        "by dots": {"testing/clock.py": "from .. import Client"},
        "by the command line": {"cli/demo.py": "from .. import Client"},
    },
    imports_by_full_name: {
        "from a module": {"client.py": "from kling_async.errors import KlingError"},
        "of a module": {"cli/demo.py": "import kling_async.errors"},
    },
    imports_by_text: {
        "with a function": {"client.py": "from importlib import import_module\nimport_module('httpx')"},
        "with its module": {"client.py": "import importlib\nimportlib.import_module('httpx')"},
        "with the builtin": {"client.py": "__import__('httpx')"},
    },
    adapters_in_the_sandbox: {
        "an adapter": {"testing/sandbox/gptproto.py": "from ...providers.gptproto import GPTProto"},
        "the registry": {"testing/sandbox/a.py": "from ... import providers", "providers/__init__.py": ""},
        "the codecs": {"testing/sandbox/a.py": "from ...providers.codec.decode import decode"},
        "the client": {"testing/sandbox/a.py": "def f():\n    from ...client import Client"},
        "the API of a provider": {"testing/sandbox/a.py": "from ...runtime.provider_api import ProviderAPI"},
        "an account": {"testing/sandbox/a.py": "from ...runtime.account import Account"},
        "the settings": {"testing/sandbox/a.py": "from ...runtime.settings import Settings"},
        "the transport": {"testing/sandbox/a.py": "from ...transport.api import ApiTransport"},
        "the journal": {"testing/sandbox/a.py": "from ...journal.sqlite import SqliteJournal"},
        "the scheduling": {"testing/sandbox/a.py": "from ...scheduling.engine import Engine"},
    },
    impure_imports: {
        **{f"of {name}": {"providers/a.py": f"import {name}"} for name in sorted(IMPURE)},
        **{f"in {name}": {f"{name.replace('.', '/')}.py": "import os"} for name in PURE},
        "of a part": {"types/inputs.py": "from os.path import join"},
        "under another name": {"scheduling/a.py": "import time as t"},
        "inside a function": {"types/media.py": "def f():\n    from random import random"},
        "for types only": {"types/http.py": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import httpx"},
    },
    clocks_read: {
        "now": {"providers/a.py": "from datetime import datetime\ndatetime.now()"},
        "today": {"types/inputs.py": "import datetime\ndatetime.date.today()"},
        "utcnow": {"scheduling/a.py": "from datetime import datetime as d\nd.utcnow()"},
        "as a value": {"scheduling/a.py": "from datetime import datetime\nclock = datetime.now"},
    },
    files_asked_for: {
        **{f"with {name}": {"types/media.py": f"def f(path): return path.{name}()"} for name in sorted(FILES)},
        "with the builtin": {"providers/a.py": "open('x')"},
        "as a value": {"runs/matrix.py": "from pathlib import Path\nread = Path.read_text"},
    },
    impure_neighbours: {
        "the system": {"scheduling/a.py": "from ..system.clock import Clock"},
        "a journal": {"journal/submission.py": "from .sqlite import SqliteJournal"},
        "the directory of a run": {"runs/results.py": "from .directory import RunDirectory"},
        "the sandbox": {"providers/a.py": "from ..testing import Sandbox"},
    },
    libraries_abroad: {
        **{f"{name} in the runtime": {"runtime/a.py": f"import {name}"} for name in HOMES},
        "a part of httpx": {"transport/partial_file.py": "from httpx._client import AsyncClient"},
        "backoff": {"scheduling/engine.py": "def f():\n    import backoff"},
        "sqlite3": {"transport/api.py": "import sqlite3"},
        "jinja2 in what a notebook shows": {"runs/report/gallery.py": "from jinja2 import Template"},
        "httpx in the sandbox": {"testing/sandbox/app.py": "import httpx"},
        "a web framework in the command line": {"cli/sandbox.py": "import starlette.routing"},
    },
    long_modules: {
        "one line too many": {"cli/a.py": "\n" * (MAX_LINES + 1)},
    },
    long_functions: {
        "one line too many": {"cli/a.py": "def f():\n" + "    pass\n" * MAX_FUNCTION_LINES},
        "in a class, and asynchronous": {
            "cli/a.py": "class A:\n  async def f():\n" + "    pass\n" * MAX_FUNCTION_LINES
        },
    },
}
BROKEN = {(rule, case): sources for rule, cases in RULES.items() for case, sources in cases.items()}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_package_keeps_the_rule(rule: Rule) -> None:
    """No module of the package breaks the rule."""
    assert [] == rule(PACKAGE)


@pytest.mark.parametrize(
    ("rule", "sources"),
    [(rule, sources) for (rule, _), sources in BROKEN.items()],
    ids=[f"{rule.__name__}, {case}" for rule, case in BROKEN],
)
def test_a_breach_is_caught(rule: Rule, sources: Sources) -> None:
    """The rule finds what breaks it, so that its silence about the package means something."""
    assert rule(sources)


WELL: Mapping[str, Sources] = {
    "one layer down": {"runtime/account.py": "from ..scheduling.engine import Engine"},
    "many layers down": {"cli/demo.py": "from ..client import Client\nfrom ..types.prediction import Status"},
    "inside a package": {"testing/__init__.py": "from .clock import VirtualClock", "testing/clock.py": ""},
    "inside a package of packages": {
        "scheduling/engine.py": "from .polling.policy import PollPolicy",
        "scheduling/polling/policy.py": "from ..slots import Slots",
        "scheduling/slots.py": "",
    },
    "the clock in the sandbox": {"testing/sandbox/app.py": "from ...system.clock import Clock"},
    "the command line": {"__main__.py": "from kling_async.cli import main", "cli/__init__.py": ""},
    "the public errors": {"errors.py": "from .types.errors import KlingError"},
    "the public names": {"__init__.py": "from .client import Client\nfrom .runs.matrix import matrix"},
    "libraries at home": {
        "transport/api.py": "import httpx",
        "transport/fetcher.py": "import httpx",
        "transport/uploads.py": "import obstore",
        "journal/file.py": "import sqlite3",
        "scheduling/retry.py": "import backoff",
        "runs/report/page.py": "import jinja2",
        "integrations/mcp.py": "import mcp",
    },
    "dates in pure modules": {
        "providers/codec/fields.py": "from datetime import UTC, datetime\ndatetime.fromisoformat('x')"
    },
    "what the package brings": {
        "runs/report/page.py": "from importlib.resources import files\n(files('a.b') / 'x.css').read_text()"
    },
    "as long as may be": {
        "types/http.py": "\n" * MAX_LINES,
        "types/media.py": "def f():\n" + "    pass\n" * (MAX_FUNCTION_LINES - 1),
    },
}


@pytest.mark.parametrize("sources", WELL.values(), ids=list(WELL))
def test_what_is_allowed_is_not_accused(sources: Sources) -> None:
    """No rule complains about what is allowed."""
    assert {} == {rule.__name__: found for rule in RULES if (found := rule(sources))}


def test_the_whole_package_is_read() -> None:
    """The rules see every package; an empty list of sources would please them all."""
    later = {"integrations"}
    packages = {package_of(name_of(path)) for path in PACKAGE}
    assert {name for layer in LAYERS for name in layer} - later <= packages
    assert 100 < len(PACKAGE)
    assert ("runtime.provider_api", "providers") in set(edges(PACKAGE))
    assert ("types.errors", "types.prediction") in set(edges(PACKAGE))


def test_prediction_stands_on_nothing() -> None:
    """The one value module that errors names imports nothing of ours."""
    assert [] == [other for one, other in edges(PACKAGE) if one == "types.prediction"]


def drawn(page: str) -> tuple[tuple[str, ...], ...]:
    """Read the picture of the layers from a page: from the bottom up, the packages of each."""
    [block] = re.findall(r"^```text\n((?:   .*\n)+)```$", page, re.MULTILINE)
    rows = [re.split(r" {2,}", line.strip()) for line in block.splitlines()]
    return tuple(tuple(packages) for *packages, _ in reversed(rows))


def test_the_picture_shows_what_is_held() -> None:
    """The page about the design draws exactly the layers of this test, and says the rule in the same words."""
    page = DESIGN.read_text(encoding="utf-8")
    assert drawn(page) == LAYERS
    said = " ".join(page.split())
    assert (
        "A layer imports only layers below it, packages of one layer do not import each other, "
        "and inside a package there is no import circle." in said
    )


def test_another_picture_is_noticed() -> None:
    """A package that is drawn on another layer, or not at all, is a difference."""
    page = "```text\n   cli                the commands\n   types   system     values · the clock\n```\n"
    assert (("types", "system"), ("cli",)) == drawn(page)
    assert (("types",), ("cli",)) == drawn(page.replace("system ", "       "))


@pytest.mark.parametrize(
    ("path", "source", "found"),
    [
        ("client.py", "from .errors import KlingError", ".errors"),
        ("client.py", "from . import errors", ".errors"),
        ("client.py", "from .providers import base", ".providers.base"),
        ("client.py", "from .providers import Provider", ".providers"),
        ("providers/base.py", "from ..errors import KlingError", ".errors"),
        ("providers/base.py", "from . import validation", ".providers.validation"),
        ("providers/__init__.py", "from .base import Provider", ".providers.base"),
        ("providers/codec/strict_json.py", "from ..base import Provider", ".providers.base"),
        ("testing/sandbox/app.py", "from ... import errors", ".errors"),
        ("testing/sandbox/app.py", "from ... import Client", "."),
        ("client.py", "import kling_async.errors as e", ".errors"),
        ("client.py", "import kling_async", "."),
        ("client.py", "from kling_async import errors", ".errors"),
        ("client.py", "import os.path", "os.path"),
        ("client.py", "from os import path", "os"),
        ("client.py", "import kling_async_other", "kling_async_other"),
    ],
)
def test_imports_are_understood(path: str, source: str, found: str) -> None:
    """Every way to write an import leads to the module that it means."""
    names = frozenset({"", "client", "errors", "providers", "providers.base", "providers.validation"})
    assert [found] == list(imports(path, source, names))
