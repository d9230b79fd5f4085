"""A real kernel for cells. Without nbclient and ipykernel these tests are skipped."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from attrs import frozen

import kling_async

OPENING = """
import asyncio, httpx, kling_async
from kling_async import Client, ImageInput, Job, Limits, gallery, rows, show_progress
from kling_async.testing import Fixed, Sandbox, SandboxApp

sandbox = Sandbox(image_latency=Fixed(0.3))
settings = dict(api_keys={"gptproto": sandbox.key}, base_urls={"gptproto": "http://127.0.0.1:1"},
                limits=Limits(submit_per_second=40.0, poll_per_second=None, max_open=40),
                transport=httpx.ASGITransport(SandboxApp(sandbox)))
client = await Client(**settings).open()
jobs = [Job(ImageInput(f"a paper boat, study {n}"), key=f"boat-{n}") for n in range(30)]
"""
"""The first cell: a client in front of a sandbox in the kernel itself."""
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")


@frozen
class Shown:
    """What a cell has shown.

    Attributes:
        displays: the MIME types and texts that were displayed, and that are there at the end.
        result: the same for the last line of the cell, or nothing.
        streams: the text on stdout and stderr.
        traceback: the traceback, without colours, or "".
        updates: the displays that were replaced in place, the oldest first.
    """

    displays: tuple[Mapping[str, str], ...]
    result: Mapping[str, str]
    streams: Mapping[str, str]
    traceback: str
    updates: tuple[Mapping[str, str], ...]


RunCells = Callable[..., list[Shown]]


@pytest.fixture
def run_cells(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunCells:
    """Run cells in a kernel of this Python, after one that opens a client, and return what each has shown."""
    nbclient = pytest.importorskip("nbclient", reason="no nbclient here; `nox -s notebook` installs it")
    pytest.importorskip("ipykernel", reason="no ipykernel here; `nox -s notebook` installs it")
    nbformat = pytest.importorskip("nbformat")
    from jupyter_client.kernelspec import KernelSpec  # noqa: PLC0415 - installed by the session `notebook` only
    from jupyter_client.manager import AsyncKernelManager  # noqa: PLC0415

    class Manager(AsyncKernelManager):  # type: ignore[misc]
        @property
        def kernel_spec(self) -> Any:
            # As it is, a kernel that was installed for the user would run, with the user's packages.
            return KernelSpec(argv=[sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"])

    class Recorder(nbclient.NotebookClient):  # type: ignore[misc,name-defined]
        replaced: list[dict[str, Any]] = []  # noqa: RUF012 - of this class, which is made anew for each test

        def process_message(self, message: Any, cell: Any, index: int) -> Any:
            if message["msg_type"] == "update_display_data":
                self.replaced.append({"cell": index} | message["content"]["data"])
            return super().process_message(message, cell, index)

    def run(*cells: str) -> list[Shown]:
        # IPython's own files, and the files of a kernel, stay out of the home directory.
        for name in ("IPYTHONDIR", "JUPYTER_RUNTIME_DIR", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR"):
            monkeypatch.setenv(name, str(tmp_path / name.lower()))
        paths = [str(Path(kling_async.__file__).parents[1]), *filter(None, sys.path)]
        monkeypatch.setenv("PYTHONPATH", ":".join(dict.fromkeys(paths)))
        made = [nbformat.v4.new_code_cell(cell.strip()) for cell in (OPENING, *cells)]
        notebook = nbformat.v4.new_notebook(cells=made)
        runner = Recorder(
            notebook,
            timeout=120,
            allow_errors=True,
            kernel_manager_class=Manager,
            resources={"metadata": {"path": str(tmp_path)}},
        )
        runner.execute()
        opened, *shown = [_shown(cell, index, runner.replaced) for index, cell in enumerate(notebook.cells)]
        assert not opened.traceback, opened.traceback
        return shown

    return run


def _shown(cell: Any, index: int, replaced: list[dict[str, Any]]) -> Shown:
    by_kind: dict[str, list[Any]] = {"display_data": [], "execute_result": [], "stream": [], "error": []}
    for output in cell.outputs:
        by_kind[output.output_type].append(output)
    return Shown(
        displays=tuple(dict(output.data) for output in by_kind["display_data"]),
        result=dict(by_kind["execute_result"][0].data) if by_kind["execute_result"] else {},
        streams={output.name: output.text for output in by_kind["stream"]},
        traceback="\n".join(_COLOURS.sub("", line) for output in by_kind["error"] for line in output.traceback),
        updates=tuple(one for one in replaced if one["cell"] == index),
    )
