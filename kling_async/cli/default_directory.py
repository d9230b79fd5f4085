"""Choose the run directory of a job file, and check that the two belong together."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Final

from ..runs.directory import RunDirectory
from ..types.errors import InputError, InputFault
from ..types.jobs import Job, fingerprint
from .earlier_run import EarlierRun
from .plan import RunPlan

__all__ = ["check_rows", "check_second_run", "directory_for"]

_FALLBACK: Final = Path("out")
"""The directory for stdin. Versions that did not name directories after job files used it for all of them."""
_SHOWN: Final = 3
"""Maximum number of keys in a message."""


def directory_for(file: str) -> Path:
    """Return the default directory of a job file."""
    path = Path(file)
    if file == "-" or not path.suffix:
        return _FALLBACK
    # A job file such as failed.jsonl belongs to the run that wrote it.
    return path.parent if RunDirectory(path.parent).holds_run else Path(path.stem)


def check_second_run(file: str, plan: RunPlan, directory: RunDirectory) -> None:
    """Refuse to start a run in its default directory if `out` already has a run of the same job file.

    Raises:
        InputError: it has; a second run would pay for all jobs again.
    """
    if plan.earlier.keys() or directory.path == _FALLBACK or not _FALLBACK.is_dir():
        return
    existing = EarlierRun.of(RunDirectory(_FALLBACK))
    keys = existing.keys()
    if Path(existing.job_file or "").name == Path(file).name or any(map(plan.has_key, keys)):
        advice = (
            f"Nothing was sent. Use -o {_FALLBACK} to continue that run, which pays for nothing twice, "
            f"or -o {directory.path} to start another one, which pays for all jobs again."
        )
        raise InputError(f'"{_FALLBACK}" already has a run of {file}', advice=advice)


def check_rows(file: str, jobs: Sequence[Job], earlier: EarlierRun, directory: RunDirectory) -> None:
    """Reject a job file with keys that the run does not have. Raises InputError with the first of them."""
    keys = earlier.keys()
    unknown = [job for job in jobs if earlier.jobs and job.key not in keys]
    if not unknown:
        return
    faults = [InputFault("key", job.key, "is not in that run") for job in islice(unknown, _SHOWN)]
    what = (
        f'"{directory.path}" has the run of {earlier.job_file or "another job file"}, which does not have '
        f"{len(unknown):,} of the {len(jobs):,} jobs in {file}"
    )
    advice = f"Nothing was sent. {_CHOICES}"
    if any((job.key or "").startswith(fingerprint(job.input)[:12]) for job in unknown):
        advice += f" {_WITHOUT_KEY.format(failed=directory.failed)}"
    raise InputError.of(what, faults, advice=advice)


_CHOICES: Final = (
    "If you added rows to the job file, --merge adds them to the run. To start a separate run, choose another "
    "directory with -o."
)
_WITHOUT_KEY: Final = (
    "A row without a key is identified by its input, so editing it makes it a new job. Edit it in {failed}, where it "
    "has its key, and run that file."
)
