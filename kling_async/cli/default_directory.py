"""Choose the run directory of a job file, and check that the two belong together."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from attrs import define, field

from ..runs.directory import RunDirectory
from ..types.errors import InputError, InputFault
from ..types.jobs import Job, fingerprint
from .earlier_run import EarlierRun
from .plan import RunPlan

__all__ = ["RowCheck", "SecondRunCheck", "directory_for"]

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


@define
class SecondRunCheck:
    """Finds a run of the same job file in `out`, where a new run is about to begin in its default directory.

    Attributes:
        file: the job file.
        directory: its default directory.
        plan: its plan.
    """

    file: str
    directory: RunDirectory
    plan: RunPlan

    def add(self, job: Job) -> None:
        """Leave a job to the plan, which knows its key."""

    def finish(self) -> None:
        """Refuse a second run. Raises InputError: it would pay for all jobs again."""
        if self.plan.earlier or self.directory.path == _FALLBACK or not _FALLBACK.is_dir():
            return
        with EarlierRun.open(RunDirectory(_FALLBACK)) as existing:
            same = Path(existing.job_file or "").name == Path(self.file).name
            if not same and not any(map(self.plan.has_key, existing.keys())):
                return
        advice = (
            f"Nothing was sent. Use -o {_FALLBACK} to continue that run, which pays for nothing twice, "
            f"or -o {self.directory.path} to start another one, which pays for all jobs again."
        )
        raise InputError(f'"{_FALLBACK}" already has a run of {self.file}', advice=advice)


@define
class RowCheck:
    """Finds the jobs of a job file that do not belong to the run in a directory.

    Attributes:
        file: the job file.
        directory: that of the run.
        earlier: the run.
        jobs: number of jobs that were checked.
        unknown: number of jobs with keys that the run does not have.
        first: the first of these.
        without_key: whether one of these has a generated key.
    """

    file: str
    directory: RunDirectory
    earlier: EarlierRun
    jobs: int = field(default=0, init=False)
    unknown: int = field(default=0, init=False)
    first: list[Job] = field(factory=list[Job], init=False)
    without_key: bool = field(default=False, init=False)

    def add(self, job: Job) -> None:
        """Check a job."""
        self.jobs += 1
        if not self.earlier.stored or self.earlier.has_key(job.key or ""):
            return
        self.unknown += 1
        if len(self.first) < _SHOWN:
            self.first.append(job)
        self.without_key = self.without_key or (job.key or "").startswith(fingerprint(job.input)[:12])

    def finish(self) -> None:
        """Reject a job file with keys that the run does not have. Raises InputError with the first of them."""
        if not self.unknown:
            return
        faults = [InputFault("key", job.key, "is not in that run") for job in self.first]
        what = (
            f'"{self.directory.path}" has the run of {self.earlier.job_file or "another job file"}, which does not '
            f"have {self.unknown:,} of the {self.jobs:,} jobs in {self.file}"
        )
        advice = f"Nothing was sent. {_CHOICES}"
        if self.without_key:
            advice += f" {_WITHOUT_KEY.format(failed=self.directory.failed)}"
        raise InputError.of(what, faults, advice=advice)


_CHOICES: Final = (
    "If you added rows to the job file, --merge adds them to the run. To start a separate run, choose another "
    "directory with -o."
)
_WITHOUT_KEY: Final = (
    "A row without a key is identified by its input, so editing it makes it a new job. Edit it in {failed}, where it "
    "has its key, and run that file."
)
