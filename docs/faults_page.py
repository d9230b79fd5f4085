"""Write the page of faults from the tests' own table, and from the docstrings of the tests that prove it."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType

__all__ = ["write_faults_page"]

FAULTS = Path(__file__).resolve().parents[1] / "tests" / "faults"

_INTRO = """\
# Faults

Faults that are injected on purpose, what must hold all the same, and the tests that prove it. This page is generated
from the table and the tests; {proven} of {all} rows are proven by {tests} tests.

The tests use a scripted provider: a process of its own on raw sockets, which can fail in every way in which a network,
a gateway or a provider can. It charges a job once its whole submission has arrived, whatever happens to the answer, and
its ledger is compared with the client's result. Each test also checks that

- every call ends by its deadline and one second,
- memory stays bounded: one API reply of 4 MiB, and 8 MiB over that,
- a failed call raises an error of this package,
- the key is in no error, traceback, log, pickle, output or file.

Negative controls prove that the tests can fail: the same checks run against a client that repeats submissions, follows
redirects, writes under the final name, or reads without a limit, and each of them catches it.

```console
$ python3 noxfile.py -s faults
```

runs all of them; the quick ones are among the ordinary tests.
"""


def write_faults_page(path: Path) -> None:
    """Write the page about every row of the table."""
    table = _load(FAULTS / "rows.py")
    proofs = table.proofs(FAULTS)
    proven = [row for row in table.ROWS if not row.missing]
    tests = sum(not proof.pending for row in proven for proof in proofs[row.number])
    parts = [_INTRO.format(proven=len(proven), all=len(table.ROWS), tests=tests)]
    for row in table.ROWS:
        parts += _row(row, proofs.get(row.number, ()))
    path.write_text("\n".join(parts), encoding="utf-8")


def _row(row: object, proofs: Sequence[object]) -> Iterator[str]:
    number, fault, holds, missing = (getattr(row, name) for name in ("number", "fault", "holds", "missing"))
    yield f"(fault-{number})="
    yield f"## {number}. {fault}\n"
    yield f"**Must hold:** {holds}\n"
    if missing:
        yield f"**Not proven here:** {missing}\n"
    for proof in proofs:
        name, says, pending = (getattr(proof, name) for name in ("name", "says", "pending"))
        # A known failure is listed with its reason, never left out.
        yield f"- {' '.join(says.split())}" + (f" *Not yet: {pending}.*" if pending else "") + f" (`{name}`)"
    yield ""


def _load(path: Path) -> ModuleType:
    found = importlib.util.spec_from_file_location("fault_rows", path)
    if found is None or found.loader is None:
        raise ImportError(f"{path} cannot be loaded")
    module = importlib.util.module_from_spec(found)
    sys.modules[found.name] = module  # attrs looks a class's module up
    found.loader.exec_module(module)
    return module
