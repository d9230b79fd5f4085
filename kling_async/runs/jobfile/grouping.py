"""Group the faults of a job file: ten rows with the same one are one sentence."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Final

from .rows import JobfileFault

__all__ = ["grouped_faults"]

_VALUE: Final = re.compile(r" \((is .*)\)$", re.DOTALL)
"""The wrong value at the end of a problem, which differs from row to row."""
_MAX_RANGES: Final = 12
"""Ranges of lines that are named for one fault."""


def grouped_faults(faults: Iterable[JobfileFault]) -> Iterator[str]:
    """Yield a sentence for each kind of fault, in the order in which they first occur, with all its lines."""
    groups: dict[tuple[str, str, str], list[JobfileFault]] = {}
    for fault in faults:
        kind = (fault.name, fault.field, fault.problem if fault.is_complete else _VALUE.sub("", fault.problem))
        groups.setdefault(kind, []).append(fault)
    for group in groups.values():
        first = group[0]
        lines = sorted({fault.line for fault in group})
        if len(lines) == 1:
            yield from map(str, group)
            continue
        what = first.problem if first.is_complete else f"{first.field}: {first.problem}"
        value, rows = _VALUE.search(what), f"{len(lines)} rows"
        if value is not None and len({fault.problem for fault in group}) > 1:
            what, rows = _VALUE.sub("", what), f"{rows}; in the first it {value[1]}"
        yield f"{first.name}:{_ranges(lines)}: {what} ({rows})"


def _ranges(lines: Sequence[int]) -> str:
    """Write line numbers as `2-11, 14`."""
    starts = [lines[0], *(after for before, after in pairwise(lines) if after != before + 1)]
    ends = [*(before for before, after in pairwise(lines) if after != before + 1), lines[-1]]
    texts = [str(start) if start == end else f"{start}-{end}" for start, end in zip(starts, ends, strict=True)]
    more = len(texts) - _MAX_RANGES
    return ", ".join(texts[:_MAX_RANGES]) + (f" and {more} more" if more > 0 else "")
