"""Runs whose jobs workers take from a database: their settings, and the ends of their jobs, as JSON and back."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, cast

from attrs import field, frozen

from ..journal.queue_values import EndedJob, QueueCounts, QueuedJob
from ..journal.stored_error import StoredError
from ..journal.submission import Submission
from ..providers.selection import Prefer
from ..transport.object_urls import is_store_url
from ..types.errors import BudgetExceeded, InputError, KlingError, NotSent, PredictionFailed, WaitTimeout
from ..types.jobs import Job, Outcome
from ..types.prediction import Prediction
from ..types.provenance import ProvenanceMode
from ..types.status import is_deferred, status_of
from .job_lines import jobs_in
from .jobfile import dump_job, read_jobfile
from .report.totals import Totals
from .results import cost_of

__all__ = ["RunSettings", "body_of", "ended_job", "job_of", "outcome_of", "totals_of"]


@frozen(kw_only=True)
class RunSettings:
    """The settings of a run that its workers follow; `Client.batch` describes them.

    Attributes:
        providers: the providers of jobs that name none.
        prefer: which of several is used.
        failover: whether a job may move on to the next of several.
        save_to: the directory, or the URL of the object store, where workers save files; None saves none.
        provenance: where the provenance of the files goes; None saves none.
        storage: the URL of the bucket that has the local media of the jobs; None without one.
        prices: US dollars per job by model, which take precedence over published prices.
        wait_timeout: seconds that one job may take.
        presign: seconds for which a report's links to objects are signed; None leaves them as they are.
    """

    providers: tuple[str, ...]
    prefer: Prefer = "least_loaded"
    failover: bool = False
    save_to: str | None = None
    provenance: ProvenanceMode | None = None
    storage: str | None = None
    prices: Mapping[str, Decimal] = field(factory=dict[str, Decimal])
    wait_timeout: float = 3600.0
    presign: float | None = None

    def to_json(self) -> str:
        """Return the settings as JSON; equal settings as equal text."""
        fields = {name: getattr(self, name) for name in _PLAIN}
        fields |= {"providers": list(self.providers)}
        fields |= {"prices": {model: str(price) for model, price in sorted(self.prices.items())}}
        return json.dumps(fields, sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> RunSettings:
        """Return the settings of a run. Raises InputError if they are damaged."""
        try:
            fields = cast("dict[str, Any]", json.loads(text))
            prices = {model: Decimal(price) for model, price in fields.get("prices", {}).items()}
            plain = {name: fields[name] for name in _PLAIN if name in fields}
            return cls(providers=tuple(fields["providers"]), prices=prices, **plain)
        except (ArithmeticError, AttributeError, KeyError, TypeError, ValueError) as error:
            raise InputError(f"The settings of the run cannot be read: {error}") from error

    def for_report(self) -> dict[str, str]:
        """Return the settings as a report shows them."""
        shown = {"provider": ", ".join(self.providers), "save to": self.save_to, "storage": self.storage}
        return {name: value for name, value in shown.items() if value}


_PLAIN: Final = ("prefer", "failover", "save_to", "provenance", "storage", "wait_timeout", "presign")
_SURROGATE: Final = re.compile("[\ud800-\udfff]")


def body_of(job: Job) -> str:
    """Return a job as the database stores it: a line of a job file, without what UTF-8 cannot encode."""
    return _SURROGATE.sub(lambda found: f"\\u{ord(found[0]):04x}", dump_job(job))


def job_of(body: str) -> Job:
    """Return a stored job. Raises InputError if it is damaged."""
    [job] = jobs_in(read_jobfile([body], name="jobs"))
    return job


def ended_job(outcome: Outcome, *, chunk: int) -> EndedJob | None:
    """Return what is stored of an outcome; None if the job has not ended: it was not sent, or the account was refused.

    A job that was not sent because of itself, such as one whose media cannot be uploaded, has not ended either.

    Args:
        outcome: the outcome.
        chunk: the number of the chunk in which the job was done.
    """
    error, prediction = outcome.error, outcome.prediction
    if error is not None and (is_deferred(error) or isinstance(error, BudgetExceeded)):
        return None
    result: dict[str, object] = {"files": [str(file) for file in outcome.files]}
    if error is not None:
        stored = StoredError.from_error(error)
        facts: dict[str, object] = {"kind": stored.kind, "message": stored.message, "advice": error.advice or None}
        facts |= {"http_status": stored.http_status, "code": stored.code, "may_be_billed": stored.may_be_billed}
        facts |= {"waited_for": error.waited_for} if isinstance(error, WaitTimeout) else {}
        facts |= {"reason": error.reason} if isinstance(error, NotSent) else {}
        result["error"] = {name: value for name, value in facts.items() if value is not None}
    status = status_of(prediction, error)
    return EndedJob(key=outcome.job.key or "", chunk=chunk, status=status, result=json.dumps(result))


def outcome_of(job: QueuedJob, attempts: Sequence[Submission]) -> Outcome:
    """Return the outcome of a job that has ended.

    Args:
        job: the job with its result.
        attempts: its submissions, the oldest first.
    """
    newest = attempts[-1] if attempts else None
    prediction = None if newest is None else newest.prediction
    result = cast("dict[str, Any]", json.loads(job.result or "{}"))
    files = tuple(file if is_store_url(file) else Path(file) for file in result.get("files", ()))
    error = _error(result.get("error"), newest, prediction)
    if error is not None:
        error.key = error.key or job.key
    return Outcome(
        job=job_of(job.body),
        prediction=prediction,
        files=files,
        error=error,
        cost=cost_of(attempts),
        sent_at=_time(attempts[0].sent_at if attempts else None),
        finished_at=_time(None if newest is None else newest.finished_at),
    )


def _time(at: float | None) -> datetime | None:
    return None if at is None else datetime.fromtimestamp(at, UTC)


def _error(
    stored: Mapping[str, Any] | None, newest: Submission | None, prediction: Prediction | None
) -> KlingError | None:
    if stored is None:
        return None
    if stored["kind"] == "PredictionFailed" and prediction is not None:
        return PredictionFailed(prediction)
    if stored["kind"] == "WaitTimeout" and prediction is not None:
        return WaitTimeout(prediction, waited_for=float(stored.get("waited_for", 0.0)))
    known = newest.error() if newest is not None else None
    if known is not None and type(known).__name__ == stored["kind"]:
        return known
    facts = {name: stored.get(name) for name in ("http_status", "code")}
    error = StoredError(stored["kind"], stored["message"], may_be_billed=bool(stored.get("may_be_billed")), **facts)
    made = error.to_error()
    made.advice = stored.get("advice") or made.advice
    if isinstance(made, NotSent):
        made.reason = stored.get("reason", made.reason)
    if newest is not None:
        made.provider, made.key = newest.provider, newest.key
    return made


def totals_of(counts: QueueCounts, *, began_at: float) -> Totals:
    """Return the counts of a run as totals; `began_at` is when it was written, in Unix seconds."""
    return Totals(
        jobs=sum(counts.statuses.values()),
        statuses=counts.statuses,
        spent=counts.spent,
        at_risk=counts.at_risk,
        unpriced=counts.unpriced,
        took=None,
        began_at=began_at,
        ended_at=None,
    )
