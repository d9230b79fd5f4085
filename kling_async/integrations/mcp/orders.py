"""Jobs that an agent orders: the fields of a job file, with local media from one directory only."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, cast

from ...runs.jobfile import json_line, read_jobfile
from ...runs.local_files import LocalFiles
from ...types.errors import InputError
from ...types.jobs import Job
from ...types.media_values import MEDIA_FIELDS, media_in

__all__ = ["read_orders"]

_SHOWN: Final = 20
"""Maximum number of faults in a message."""


def read_orders(rows: Sequence[Mapping[str, object]], *, media: Path | None) -> list[Job]:
    """Return the jobs of rows with the fields of a job file.

    Args:
        rows: the rows; a field that is None is not given.
        media: the directory that local media may come from, with those below it; None allows none, since what an agent
            was told to do may come from a stranger's text.

    Raises:
        InputError: a row is wrong; its message names the rows from 1.
    """
    given = [{name: value for name, value in row.items() if value is not None} for row in rows]
    faults = [fault for line, row in enumerate(given, 1) for fault in _shape_faults(line, row)]
    jobs = list[Job]()
    for row in read_jobfile(map(json_line, given) if not faults else (), name="job", format="jsonl", folder=media):
        faults += map(str, row.faults)
        for job in row.jobs:
            faults += _path_faults(row.line, job, media)
            jobs.append(job)
    if faults:
        more = f"; and {len(faults) - _SHOWN} more" if len(faults) > _SHOWN else ""
        raise InputError(f"The order cannot be used: {'; '.join(faults[:_SHOWN])}{more}")
    return [*map(LocalFiles().read, jobs)]


def _shape_faults(line: int, row: Mapping[str, object]) -> Iterator[str]:
    """Yield the faults of media that are objects: a stored job has such ones, which name files by their paths."""
    for name in MEDIA_FIELDS:
        value = row.get(name)
        values = cast("list[object]", value) if isinstance(value, list) else [value]
        if any(isinstance(one, Mapping) for one in values):
            yield f"job:{line}: {name}: must be text, a URL or the path of a file"


def _path_faults(line: int, job: Job, media: Path | None) -> Iterator[str]:
    for name, value in media_in(job.input):
        if not isinstance(value, Path):
            continue
        if media is None:
            yield f"job:{line}: {name}: {str(value)!r} must be a URL; this server reads no local files"
        elif not value.expanduser().resolve().is_relative_to(media.resolve()):
            yield f"job:{line}: {name}: {str(value)!r} must be a URL, or a file in {media.resolve()}"
