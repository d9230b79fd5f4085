"""Find the run directories below a folder."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from .directory import RunDirectory

__all__ = ["find_runs"]


def find_runs(folders: Iterable[Path]) -> Iterator[RunDirectory]:
    """Yield the run directories below some folders, themselves included, each once and by name within its folder.

    Hidden folders, links to folders and what is inside a run are not searched; a folder that cannot be read has no run.
    """
    seen = set[str]()
    for folder in folders:
        for path, names, _ in os.walk(folder):
            names[:] = sorted(name for name in names if not name.startswith("."))
            directory = RunDirectory(Path(path))
            if directory.holds_run:
                names.clear()
                if (place := os.path.realpath(path)) not in seen:
                    seen.add(place)
                    yield directory
