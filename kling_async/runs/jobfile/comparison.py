"""Rows of a comparison: the same row at each target, with a key that depends on the row and on the target only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, TypeAlias

from attrs import evolve

from ...providers import PROVIDERS
from ...types.errors import InputError, InputFault
from ...types.jobs import Job, JobKeyGenerator
from ..matrix import slug
from ..targets import Target, name_faults

__all__ = ["ROW", "compared"]

ROW: Final = "row"
"""The label that has the key of the row, which its jobs at all targets share."""
_Made: TypeAlias = Mapping[Target, tuple[Job | None, Sequence[InputFault]]]


def compared(
    made: _Made, *, key: str | None, model: object, keys: JobKeyGenerator
) -> tuple[list[Job], list[InputFault]]:
    """Return the jobs of a row at its targets, with keys and labels, or the faults of the row.

    Args:
        made: the job of the row at each target, without a key, and its faults.
        key: the row's key; None makes one of its input.
        model: the model that the row itself names, if any: a key made of the input must not depend on the targets.
        keys: makes these keys, for all rows.
    """
    jobs = {target: job for target, (job, _) in made.items() if job is not None}
    faults = name_faults({target: own for target, (_, own) in made.items()})
    if not faults:
        faults = [*_kind_faults(jobs), *_same_faults(jobs)]
    if faults:
        return [], faults
    named: list[Job] = []
    first = next(iter(jobs.values()))
    own = evolve(first, input=evolve(first.input, model=model if isinstance(model, str) else None))
    row = key or keys.with_key(own).key or ""
    for target, job in jobs.items():
        try:
            named.append(evolve(job, key=f"{row}-{slug(str(target))}", labels={ROW: row, **target.labels}))
        except InputError as error:
            faults += error.faults
    return named, faults


def _kind_faults(jobs: Mapping[Target, Job]) -> list[InputFault]:
    kinds = {job.input.kind: target for target, job in jobs.items()}
    if len(kinds) < 2:
        return []
    where = " and ".join(f"{kind} at {target}" for kind, target in sorted(kinds.items()))
    return [InputFault("kind", None, f"must be the same at all targets, but it is {where}; name it, or other models")]


def _same_faults(jobs: Mapping[Target, Job]) -> list[InputFault]:
    """Return a fault for each target whose job is that of another target: it would be paid twice."""
    seen: dict[tuple[str | None, str], Target] = {}
    faults: list[InputFault] = []
    for target, job in jobs.items():
        place = (job.provider, _model_at(job))
        first = seen.setdefault(place, target)
        if first != target:
            faults.append(InputFault("model", job.input.model, f"makes the same job at {first} and at {target}"))
    return faults


def _model_at(job: Job) -> str:
    """Return the name that a job's provider has for its model, or the name given where that is not known."""
    try:
        return PROVIDERS[job.provider].spec(job.input).name if job.provider else job.input.model or ""
    except InputError:
        return job.input.model or ""
