"""Which folder a sheet belongs to, and whether it belongs to the run that is there."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Final

from ..errors import InputError, InputFault
from ..folder import RunFolder
from ..inputs import Job
from ..naming import fingerprint
from .earlier import Earlier

__all__ = ["check_elsewhere", "check_rows", "folder_for"]

_FORMER: Final = Path("out")
"""The folder of stdin, and, before folders were named after sheets, of every sheet."""
_NAMED: Final = 3
"""Keys that a refusal names."""


def folder_for(file: str) -> Path:
    """Return the folder of a sheet where none was named."""
    sheet = Path(file)
    if file == "-" or not sheet.suffix:
        return _FORMER
    # A sheet such as failed.jsonl belongs to the run that made it.
    return sheet.parent if RunFolder(sheet.parent).holds_run else Path(sheet.stem)


def check_elsewhere(file: str, jobs: Sequence[Job], earlier: Earlier, folder: RunFolder) -> None:
    """Refuse to begin a run in the folder named after a sheet, where the former folder holds a run of that sheet.

    Raises:
        InputError: it does; to begin again would pay for all of it again.
    """
    if earlier.keys() or folder.path == _FORMER or not _FORMER.is_dir():
        return
    former = Earlier.of(RunFolder(_FORMER))
    known = former.keys()
    if Path(former.sheet or "").name == Path(file).name or any(job.key in known for job in jobs):
        fault = InputFault("FILE", file, f"has a run in the folder {_FORMER} already")
        advice = (
            f"Nothing was sent. -o {_FORMER} goes on with that run, and pays for nothing twice; "
            f"-o {folder.path} begins another one, and pays for all of it."
        )
        raise InputError.of("A second run of one sheet", [fault], advice=advice)


def check_rows(file: str, jobs: Sequence[Job], earlier: Earlier, folder: RunFolder) -> None:
    """Refuse a sheet with rows that the run of a folder does not know. Raises InputError, naming the first of them."""
    known = earlier.keys()
    unknown = [job for job in jobs if earlier.jobs and job.key not in known]
    if not unknown:
        return
    faults = [InputFault("key", job.key, "is no row of that run") for job in islice(unknown, _NAMED)]
    held = f"{folder.path} holds the run of {earlier.sheet or 'another sheet'}"
    what = f"{held}, which does not know {len(unknown):,} of the {len(jobs):,} jobs of {file}"
    advice = f"Nothing was sent. {_WAYS}"
    if any((job.key or "").startswith(fingerprint(job.input)[:12]) for job in unknown):
        advice += f" {_UNNAMED.format(failed=folder.failed)}"
    raise InputError.of(what, faults, advice=advice)


_WAYS: Final = (
    "If rows were added to the sheet, --merge adds them to the run. Otherwise name another folder with -o, "
    "and the sheet becomes a run of its own."
)
_UNNAMED: Final = (
    "A row without a key is known by its input, so it is a new one once it is mended: mend it in {failed}, where it "
    "has its key, and feed that back."
)
