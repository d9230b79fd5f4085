"""Compare targets: the totals of the same jobs at several providers or models.

The jobs are those whose labels `provider` and `model` say where they ran, as a matrix with axes of these names and
`kling-async compare` write them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Final

from attrs import frozen

from ...providers import PROVIDERS
from ...types.formatting import format_count, format_duration, format_money
from ...types.status import JobStatus
from .rows import ReportRow, Tone, tone_of
from .totals import Totals, TotalsCounter

__all__ = ["TargetCounter", "TargetTotals", "compare_targets", "figures", "prompt_of", "target_of"]

_LABELS: Final = ("provider", "model")
_NONE: Final = "\N{EN DASH}"
_OPTIONAL: Final = ("failed", "unfinished")
"""Figures that are left out where no target has one."""


@frozen(kw_only=True)
class TargetTotals:
    """The totals of one target.

    Attributes:
        target: the provider, the model, or both with a colon.
        totals: the totals of its jobs.
        failures: number of jobs that did not succeed, by kind of failure.
        causes: why jobs did not succeed or were not sent, with the number of jobs, the most frequent first.
    """

    target: str
    totals: Totals
    failures: Mapping[str, int]
    causes: Mapping[str, int]

    @property
    def per_success(self) -> Decimal | None:
        """US dollars spent per job that succeeded; None without one, or if a price is unknown."""
        succeeded = self.totals.of(Tone.GOOD)
        return self.totals.spent / succeeded if succeeded and not self.totals.unpriced else None

    def facts(self) -> dict[str, str]:
        """Return its figures as text, by name, in the order in which they are shown."""
        totals, took, each = self.totals, self.totals.took, self.per_success
        return {
            "succeeded": f"{totals.of(Tone.GOOD):,} of {totals.jobs:,}",
            "failed": _counted(self.failures),
            "unfinished": _counted(totals.kinds(Tone.OPEN)),
            "median time": _NONE if took is None else format_duration(took),
            "spent": _spent(totals),
            "per success": _NONE if each is None else format_money(each),
        }


class TargetCounter:
    """Counts the jobs of each target; it keeps no row."""

    def __init__(self) -> None:
        self._members: dict[str, _Members] = {}

    def add(self, row: ReportRow) -> None:
        """Count a job, if it has a target."""
        if (target := target_of(row)) is not None:
            self._members.setdefault(target, _Members()).add(row)

    def targets(self) -> list[TargetTotals]:
        """Return the totals of each target, in the order of the jobs; empty unless there are two targets or more."""
        if len(self._members) < 2:
            return []
        return [own.totals_of(target) for target, own in self._members.items()]


class _Members:
    """Counts the jobs of one target."""

    def __init__(self) -> None:
        self._totals = TotalsCounter()
        self._failures, self._causes = Counter[str](), Counter[str]()

    def add(self, row: ReportRow) -> None:
        self._totals.add(row)
        tone = tone_of(row.status)
        if tone in (Tone.BAD, Tone.DOUBT):
            self._failures[row.failure or row.status.value] += 1
        if row.cause and tone is not Tone.GOOD:
            self._causes[row.cause] += 1

    def totals_of(self, target: str) -> TargetTotals:
        failures, causes = dict(self._failures.most_common()), dict(self._causes.most_common())
        return TargetTotals(target=target, totals=self._totals.totals(), failures=failures, causes=causes)


def compare_targets(rows: Iterable[ReportRow]) -> list[TargetTotals]:
    """Return the totals of each target, in the order of the jobs; empty unless there are two targets or more."""
    counter = TargetCounter()
    for row in rows:
        counter.add(row)
    return counter.targets()


def figures(targets: Sequence[TargetTotals]) -> dict[str, list[str]]:
    """Return the figures of targets as text: for each name those of all targets, without a line that has none."""
    table = {name: [one.facts()[name] for one in targets] for name in (targets[0].facts() if targets else ())}
    return {name: texts for name, texts in table.items() if name not in _OPTIONAL or set(texts) != {_NONE}}


def target_of(row: ReportRow) -> str | None:
    """Return the target of a job; None unless its labels name one, and it is where the job runs.

    A label of the same name may mean something else, such as the model of a car.
    """
    named = [row.labels[name] for name in _LABELS if name in row.labels]
    provider, model = row.labels.get("provider", row.provider), row.labels.get("model", row.model)
    if not named or provider != row.provider or not (model == row.model or _is_name_of(row, model)):
        return None
    return ":".join(named)


def prompt_of(row: ReportRow) -> Hashable:
    """Return what jobs at several targets share: the row of a job file, or else the prompt and the other labels."""
    if "row" in row.labels:
        return row.labels["row"]
    return row.prompt, tuple((name, text) for name, text in row.labels.items() if name not in _LABELS)


def _is_name_of(row: ReportRow, model: str) -> bool:
    provider = PROVIDERS.get(row.provider)
    spec = None if provider is None else provider.find_model(model)
    return spec is not None and spec.name == row.model


def _counted(counts: Mapping[str, int] | Mapping[JobStatus, int]) -> str:
    return ", ".join(f"{count:,} {name}" for name, count in counts.items()) or _NONE


def _spent(totals: Totals) -> str:
    risk = f", possibly {format_money(totals.at_risk)} more" if totals.at_risk else ""
    if totals.unpriced and not totals.spent:
        return f"unknown{risk}"
    unpriced = f", {format_count(totals.unpriced, 'job')} without a price" if totals.unpriced else ""
    return f"{format_money(totals.spent)}{risk}{unpriced}"
