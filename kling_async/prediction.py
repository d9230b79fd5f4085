"""The provider's record of one submission, in one shape for every provider. It knows no client."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from html import escape
from typing import Final, TypeAlias

from attrs import field, frozen

__all__ = ["Fault", "FaultKind", "Json", "Output", "OutputKind", "Prediction", "Status", "Timings"]

Json: TypeAlias = "Mapping[str, Json] | list[Json] | str | int | float | bool | None"
"""Anything that JSON can say."""


class Status(StrEnum):
    """Where a prediction stands. The provider's own word is kept in `Prediction.native_status`."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    UNCONFIRMED = "unconfirmed"
    """Submitted, but no usable answer came, so the provider may or may not have it."""

    @property
    def finished(self) -> bool:
        """Whether the provider will not change it any more."""
        return self in _FINISHED


_SHOWN: Final = 24
"""Outputs that a notebook shows."""
_FINISHED = frozenset({Status.SUCCEEDED, Status.FAILED, Status.CANCELLED, Status.EXPIRED})


class OutputKind(StrEnum):
    """What an output is, as far as its address or its model tells."""

    IMAGE = "image"
    VIDEO = "video"


@frozen(kw_only=True)
class Output:
    """One thing that was generated.

    Attributes:
        url: where it lies: an https address, or a `data:` URI. Addresses expire, and hold control codes only quoted.
        kind: image or video.
    """

    url: str = field(repr=lambda url: repr(url if len(url) <= 100 else url[:97] + "..."))
    kind: OutputKind


class FaultKind(StrEnum):
    """Why a prediction did not succeed."""

    CONTENT_REJECTED = "content_rejected"
    NO_OUTPUT = "no_output"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    FAILED = "failed"


@frozen(kw_only=True)
class Fault:
    """Why a prediction did not succeed.

    Attributes:
        kind: the cause, as far as the provider tells.
        code: the provider's own code, if it gave one.
        message: the provider's own words, as one printable line.
    """

    kind: FaultKind
    code: str | None = None
    message: str


@frozen(kw_only=True)
class Timings:
    """Durations that the provider reports, in seconds; None where it does not."""

    inference_for: float | None = None
    execution_for: float | None = None


@frozen(kw_only=True, weakref_slot=False)
class Prediction:
    """The provider's record of one submission.

    Provider, model and id are enough to take up one that was submitted earlier, or elsewhere.

    Attributes:
        provider: the provider's name.
        model: the model that was asked for.
        id: its id at the provider.
        key: our own name for the job, which also names its files.
        status: where it stands.
        native_status: the provider's own word for that, without codes that a terminal obeys.
        outputs: what was generated; empty until it succeeded. At most 8 more than the model can be asked for; where a
            provider names more, they are in `raw`.
        fault: why it did not succeed, or None.
        flagged: whether the provider marked an output as unsafe; None where it does not say.
        created_at: when the provider took it, in UTC, if it says so.
        timings: durations the provider reports.
        cost: its price in US dollars at the published rate; None where no price is published.
        raw: the reply it was read from, without the key.
    """

    provider: str
    model: str
    id: str
    key: str | None = None
    status: Status = Status.QUEUED
    native_status: str = ""
    outputs: tuple[Output, ...] = ()
    fault: Fault | None = None
    flagged: bool | None = None
    created_at: datetime | None = None
    timings: Timings = Timings()
    cost: Decimal | None = None
    raw: Json = field(default=None, repr=False, eq=False)

    def _repr_html_(self) -> str:
        """Return what a notebook shows: the first outputs, the number of the others, and no script."""
        fault = self.fault.message if self.fault is not None else None
        facts = [self.key, self.status.value, self.provider, self.model, self.id, fault]
        shown = "".join(map(_pictured, self.outputs[:_SHOWN]))
        more = f" and {len(self.outputs) - _SHOWN} more" if len(self.outputs) > _SHOWN else ""
        return f"<figure>{shown}<figcaption>{escape(', '.join(filter(None, facts)) + more)}</figcaption></figure>"


def _pictured(output: Output) -> str:
    if not output.url.startswith(("https://", "http://", "data:image/", "data:video/")):
        return escape(output.url[:100])
    if output.kind is OutputKind.VIDEO:
        return f'<video src="{escape(output.url)}" controls preload="metadata" height="180"></video>'
    return f'<img src="{escape(output.url)}" alt="" loading="lazy" height="180">'
