"""The house rules, read from the source: who may import whom, what pure rooms may not touch, and how long things are.

Each rule is a function from sources to complaints. It is held against the package, and against a small source that
breaks it, which it must catch.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Mapping
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
    # `errors` names the values of `prediction`, which names nothing of ours: PredictionFailed carries a Prediction.
    ("prediction",),
    ("errors",),
    ("inputs", "media", "printable", "wire"),
    ("naming",),
    (
        *("outcome", "providers.decode", "providers.fields", "providers.rules"),
        *("planning.market", "planning.moves", "planning.pacing", "planning.slots"),
        *("planning.smoothing", "planning.staircase"),
    ),
    (
        *("matrices", "planning.cadence", "planning.deadlines", "planning.events", "planning.history"),
        *("planning.progress", "planning.redaction"),
    ),
    ("planning.submissions",),
    ("planning.durations", "planning.resume", "planning.submission_text"),
    ("providers.refusal", "providers.spec"),
    ("providers.check", "providers.record"),
    ("providers.base",),
    (
        *("providers.apiinone", "providers.gptproto", "report"),
        *("planning.line", "planning.lookout", "planning.money", "planning.retry"),
    ),
    ("planning", "planning.engine", "providers"),
    ("results",),
    ("notebook", "panel.view", "sheets"),
    ("panel.picture",),
    ("panel.screen",),
    (
        *("effects", "effects.clock", "effects.credentials", "effects.disk", "effects.journal.base"),
        *("effects.loops", "effects.turns"),
    ),
    ("effects.signals", "effects.threads"),
    ("effects.background", "effects.names"),
    ("effects.connecting",),
    (
        *("effects.addresses", "effects.aiohttp_polls", "effects.lanes", "effects.parts"),
        *("effects.journal.layout", "effects.journal.lifeboat", "effects.journal.memory", "effects.journal.ownership"),
    ),
    ("effects.journal.lost_log", "effects.journal.migration"),
    ("effects.journal.file", "effects.journal.reading"),
    ("effects.journal.sqlite",),
    ("effects.journal",),
    ("effects.receiving", "effects.shortcut"),
    ("effects.transport",),
    ("effects.files",),
    ("folder", "gateway", "recorder"),
    ("account", "orders", "pulling", "registry", "saver"),
    ("scheduler", "settings"),
    ("desk",),
    ("batch", "workshop"),
    ("client", "panel.panel"),
    ("panel",),
    ("testing",),
    ("cli",),
    ("__main__", ""),
)
"""From the ground up. A module imports from lower layers only; those of one layer know nothing of each other. Rooms
that are not built yet have their places already."""

HOUSES = ("cli", "report", "sheets", "testing")
"""Folders that count as one room, whose inside is their own business as long as it has no circle."""

PURE = (
    *("errors", "inputs", "matrices", "media", "naming", "outcome", "planning", "prediction", "providers", "report"),
    *("panel.picture", "panel.view", "printable", "results", "sheets", "wire"),
)
IMPURE = frozenset(
    {
        *("anyio", "asyncio", "httpcore", "httpx", "logging", "os", "random", "secrets", "socket", "sqlite3", "ssl"),
        *("subprocess", "threading", "time", "trio", "uuid"),
    }
)
CLOCKS = frozenset({"now", "today", "utcnow"})

HOMES: Mapping[str, frozenset[str]] = {
    "aiohttp": frozenset({"effects.aiohttp_polls"}),
    "httpcore": frozenset({"effects.connecting", "effects.lanes", "effects.transport"}),
    "httpx": frozenset({"effects.lanes", "effects.transport", "effects.files"}),
    "sqlite3": frozenset(
        {
            *("effects.journal.file", "effects.journal.layout", "effects.journal.migration"),
            *("effects.journal.reading", "effects.journal.sqlite"),
        }
    ),
    "backoff": frozenset({"planning.retry"}),
    "jinja2": frozenset({"report.page"}),
}
"""Libraries that are named in few rooms only."""

MOST_LINES, MOST_LINES_OF_A_FUNCTION = 400, 45
"""Hard caps; the rule of the house is about half of that."""


def name_of(path: str) -> str:
    """Return a module's name inside the package; the package's own is empty."""
    return path.removesuffix(".py").replace("/", ".").removesuffix("__init__").removesuffix(".")


def room_of(module: str) -> str:
    """Return the room that a module counts as."""
    top = module.partition(".")[0]
    return top if top in HOUSES else module


def imports(path: str, source: str, names: frozenset[str]) -> Iterator[str]:
    """Yield what a module imports, wherever in it: `.name` for a module of ours, the full name for any other."""
    package = path.rpartition("/")[0].replace("/", ".")
    for node in ast.walk(ast.parse(source)):
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
    """Return a module's layer, counted from the ground; -1 if it has no place."""
    return next((level for level, layer in enumerate(LAYERS) if room_of(module) in layer), -1)


def is_pure(module: str) -> bool:
    """Return whether a module stands in a pure room."""
    return module in PURE or module.partition(".")[0] in PURE


def modules_without_a_place(sources: Sources) -> list[str]:
    """Find modules that no layer names."""
    return [name for name in map(name_of, sources) if rank(name) < 0]


def imports_upwards(sources: Sources) -> list[str]:
    """Find imports that do not lead down."""
    return [
        f"{one} imports {other}"
        for one, other in edges(sources)
        if rank(one) <= rank(other) and not (room_of(one) == room_of(other) and room_of(one) in HOUSES)
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
    return [one for one, other in edges(sources) if other == "" and one.partition(".")[0] not in ("__main__", "cli")]


def imports_by_full_name(sources: Sources) -> list[str]:
    """Find neighbours that are named with the package's name, which would tie them to it."""
    return [
        path
        for path, source in sources.items()
        for node in ast.walk(ast.parse(source))
        if path != "__main__.py"
        and (
            (isinstance(node, ast.Import) and any(_ours(alias.name) for alias in node.names))
            or (isinstance(node, ast.ImportFrom) and node.level == 0 and _ours(node.module or ""))
        )
    ]


def imports_by_text(sources: Sources) -> list[str]:
    """Find imports that no reader of the source can see; only the package's own face loads its names by text."""
    return [
        path
        for path, source in sources.items()
        for node in ast.walk(ast.parse(source))
        if path != "__init__.py" and isinstance(node, ast.Name | ast.Attribute) and _word(node) in _BY_TEXT
    ]


_BY_TEXT = frozenset({"import_module", "__import__", "exec", "eval"})


def _word(node: ast.Name | ast.Attribute) -> str:
    return node.id if isinstance(node, ast.Name) else node.attr


def adapters_in_the_sandbox(sources: Sources) -> list[str]:
    """Find what the sandbox shares with an adapter, whose mistake it could then not show."""
    forbidden = ("providers", "gateway", "account", "client", "batch", "desk", "scheduler", "settings", "planning", "")
    return [
        f"{one} imports {other}"
        for one, other in edges(sources)
        if one.startswith("testing.sandbox") and other.partition(".")[0] in forbidden
    ]


def impure_imports(sources: Sources) -> list[str]:
    """Find pure rooms that import something that touches the world."""
    names = frozenset(map(name_of, sources))
    return [
        f"{name_of(path)} imports {name}"
        for path, source in sources.items()
        if is_pure(name_of(path))
        for name in imports(path, source, names)
        if name.partition(".")[0] in IMPURE
    ]


def clocks_read(sources: Sources) -> list[str]:
    """Find pure rooms that ask what time it is."""
    return [
        f"{name_of(path)} line {node.lineno}"
        for path, source in sources.items()
        if is_pure(name_of(path))
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Attribute) and node.attr in CLOCKS
    ]


def impure_neighbours(sources: Sources) -> list[str]:
    """Find pure rooms that import a room of ours that is not."""
    return [f"{one} imports {other}" for one, other in edges(sources) if is_pure(one) and not is_pure(other)]


def libraries_abroad(sources: Sources) -> list[str]:
    """Find libraries that are named outside the rooms that may."""
    names = frozenset(map(name_of, sources))
    return [
        f"{name_of(path)} imports {name}"
        for path, source in sources.items()
        for name in imports(path, source, names)
        if name_of(path) not in HOMES.get(name.partition(".")[0], {name_of(path)})
    ]


def long_modules(sources: Sources) -> list[str]:
    """Find modules that are too long."""
    lengths = {path: len(source.splitlines()) for path, source in sources.items()}
    return [f"{path}: {length} lines" for path, length in lengths.items() if length > MOST_LINES]


def long_functions(sources: Sources) -> list[str]:
    """Find functions that are too long, their docstrings aside."""
    return [
        f"{path}: {node.name} has {length} lines"
        for path, source in sources.items()
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (length := _lines(node) - (_lines(node.body[0]) if ast.get_docstring(node) else 0))
        > MOST_LINES_OF_A_FUNCTION
    ]


def _lines(node: ast.stmt) -> int:
    return (node.end_lineno or 0) - node.lineno + 1


Rule: TypeAlias = Callable[[Sources], list[str]]
RULES: Mapping[Rule, Mapping[str, Sources]] = {
    modules_without_a_place: {
        "a new room": {"utils.py": ""},
        "a new module in a room": {"providers/helpers.py": ""},
    },
    imports_upwards: {
        "plainly": {"planning/retry.py": "from ..effects.clock import Clock"},
        "of a neighbour": {"providers/gptproto.py": "from .apiinone import APIInOne"},
        "for types only": {
            "inputs.py": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from .providers.base import Provider"
        },
        "inside a function": {"errors.py": "def f():\n    from .client import Client"},
        "of the whole module": {"effects/clock.py": "from .. import gateway", "gateway.py": ""},
        "by the full name": {"wire.py": "import kling_async.client"},
        "of itself": {"media.py": "from .media import sniff"},
        "of the scheduler by an account": {"account.py": "from .scheduler import Scheduler"},
        "of the engine by its line": {"planning/line.py": "from .engine import Engine"},
        "of the learner by the cadence": {"planning/cadence.py": "from .durations import Learner"},
        "of the sandbox": {"gateway.py": "from .testing import Sandbox"},
        "of the sandbox's inside": {"client.py": "from .testing.sandbox.app import SandboxApp"},
    },
    circles: {
        "of two": {"cli/a.py": "from .b import x", "cli/b.py": "def f():\n    from .a import y"},
        "of three": {
            "testing/a.py": "from . import b",
            "testing/b.py": "from .sub.c import x",
            "testing/sub/c.py": "from ..a import y",
        },
    },
    imports_of_the_root: {
        "by its name": {"client.py": "import kling_async"},
        "from it": {"effects/files.py": "from kling_async import Client"},
        "by dots": {"testing/clock.py": "from .. import Client"},
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
        "the client": {"testing/sandbox/a.py": "def f():\n    from ...client import Client"},
        "the gateway": {"testing/sandbox/a.py": "from ...gateway import Gateway"},
        "an account": {"testing/sandbox/a.py": "from ...account import Account"},
        "the settings": {"testing/sandbox/a.py": "from ...settings import Settings"},
        "the planning": {"testing/sandbox/a.py": "from ...planning.engine import Engine"},
    },
    impure_imports: {
        **{f"of {name}": {"providers/a.py": f"import {name}"} for name in sorted(IMPURE)},
        "of a part": {"inputs.py": "from os.path import join"},
        "under another name": {"planning/a.py": "import time as t"},
        "inside a function": {"media.py": "def f():\n    from random import random"},
        "for types only": {"wire.py": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import httpx"},
    },
    clocks_read: {
        "now": {"providers/a.py": "from datetime import datetime\ndatetime.now()"},
        "today": {"inputs.py": "import datetime\ndatetime.date.today()"},
        "utcnow": {"planning/a.py": "from datetime import datetime as d\nd.utcnow()"},
        "as a value": {"planning/a.py": "from datetime import datetime\nclock = datetime.now"},
    },
    impure_neighbours: {
        "an effect": {"planning/a.py": "from ..effects.clock import Clock"},
        "the sandbox": {"providers/a.py": "from ..testing import Sandbox"},
    },
    libraries_abroad: {
        "httpx": {"gateway.py": "import httpx"},
        "a part of httpx": {"effects/parts.py": "from httpx._client import AsyncClient"},
        "aiohttp": {"effects/transport.py": "def f():\n    import aiohttp"},
        "backoff": {"gateway.py": "def f():\n    import backoff"},
        "sqlite3": {"effects/transport.py": "import sqlite3"},
        "jinja2 in what a notebook shows": {"report/notebook.py": "from jinja2 import Template"},
        "httpx in the sandbox": {"testing/sandbox/app.py": "import httpx"},
    },
    long_modules: {"one line too many": {"a.py": "\n" * (MOST_LINES + 1)}},
    long_functions: {
        "one line too many": {"a.py": "def f():\n" + "    pass\n" * MOST_LINES_OF_A_FUNCTION},
        "in a class, and asynchronous": {
            "a.py": "class A:\n  async def f():\n" + "    pass\n" * MOST_LINES_OF_A_FUNCTION
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
    "one step down": {"errors.py": "from .prediction import Prediction"},
    "many steps down": {"cli/demo.py": "from ..client import Client\nfrom ..prediction import Status"},
    "inside a house": {"testing/__init__.py": "from .clock import VirtualClock", "testing/clock.py": ""},
    "the clock's face in the sandbox": {"testing/sandbox/app.py": "from ...effects.clock import Clock"},
    "the command line": {"__main__.py": "from kling_async.cli import main", "cli/__init__.py": ""},
    "libraries at home": {
        "effects/transport.py": "import httpx",
        "effects/files.py": "import httpx",
        "effects/journal/sqlite.py": "import sqlite3",
        "planning/retry.py": "import backoff",
        "report/page.py": "import jinja2",
    },
    "dates in pure rooms": {"providers/fields.py": "from datetime import UTC, datetime\ndatetime.fromisoformat('x')"},
    "as long as may be": {
        "wire.py": "\n" * MOST_LINES,
        "media.py": "def f():\n" + "    pass\n" * (MOST_LINES_OF_A_FUNCTION - 1),
    },
}


@pytest.mark.parametrize("sources", WELL.values(), ids=list(WELL))
def test_what_is_allowed_is_not_accused(sources: Sources) -> None:
    """No rule complains about what the house allows."""
    assert {} == {rule.__name__: found for rule in RULES if (found := rule(sources))}


def test_the_whole_package_is_read() -> None:
    """The rules see every room; an empty list of sources would please them all."""
    rooms = {name_of(path).partition(".")[0] for path in PACKAGE}
    assert {"errors", "inputs", "providers", "planning", "report", "effects", "gateway", "client", "testing"} <= rooms
    assert 40 < len(PACKAGE)
    assert ("workshop", "gateway") in set(edges(PACKAGE))
    assert ("errors", "prediction") in set(edges(PACKAGE))


def test_prediction_stands_on_nothing() -> None:
    """The one value module that errors names imports nothing of ours."""
    assert [] == [other for one, other in edges(PACKAGE) if one == "prediction"]


@pytest.mark.parametrize(
    ("path", "source", "found"),
    [
        ("client.py", "from .errors import KlingError", ".errors"),
        ("client.py", "from . import errors", ".errors"),
        ("client.py", "from .providers import base", ".providers.base"),
        ("client.py", "from .providers import Provider", ".providers"),
        ("providers/base.py", "from ..errors import KlingError", ".errors"),
        ("providers/base.py", "from . import check", ".providers.check"),
        ("providers/__init__.py", "from .base import Provider", ".providers.base"),
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
    names = frozenset({"", "client", "errors", "providers", "providers.base", "providers.check"})
    assert [found] == list(imports(path, source, names))
