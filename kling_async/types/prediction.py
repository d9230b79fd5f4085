"""The provider's record of one submission, in one form for every provider. It holds no client."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from html import escape
from itertools import count
from typing import Final, Literal, TypeAlias

from attrs import evolve, field, frozen

__all__ = [
    "Failure",
    "FailureKind",
    "Json",
    "Output",
    "OutputKind",
    "OutputSource",
    "Prediction",
    "RefusedPart",
    "Status",
    "Timings",
]

Json: TypeAlias = "Mapping[str, Json] | list[Json] | str | int | float | bool | None"
"""Any JSON value."""
RefusedPart: TypeAlias = Literal["prompt", "image", "video", "audio", "output"]
"""What a content policy refused, as far as a provider says it."""


class Status(StrEnum):
    """The provider's view of a prediction. Its own word is kept in `Prediction.native_status`."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    UNCONFIRMED = "unconfirmed"
    """Submitted, but the answer was lost: the provider may or may not have it."""

    @property
    def is_terminal(self) -> bool:
        """Whether the status is final at the provider."""
        return self in _TERMINAL


_MAX_SHOWN: Final = 24
"""Maximum number of outputs that a notebook shows."""
_MAX_CAPTION: Final = 200
"""Maximum number of characters of a prompt that a notebook shows."""
_TERMINAL = frozenset({Status.SUCCEEDED, Status.FAILED, Status.CANCELLED, Status.EXPIRED})


class OutputKind(StrEnum):
    """Image or video, by the output's URL or its model."""

    IMAGE = "image"
    VIDEO = "video"


@frozen(kw_only=True)
class OutputSource:
    """The prediction that an output belongs to, and its index there; URLs change, and this does not.

    Attributes:
        provider: the provider's name.
        model: the prediction's model.
        id: the prediction's id at the provider.
        index: the output's index among those of the prediction, from 0.
        key: our own name for the job, which also names its files.
        created_at: when the provider accepted the prediction, in UTC, or None.
    """

    provider: str
    model: str
    id: str
    index: int
    key: str | None = None
    created_at: datetime | None = None

    @property
    def place(self) -> tuple[str, str, int]:
        """What stays the same however often the prediction is read: provider, id and index."""
        return (self.provider, self.id, self.index)

    @property
    def prediction(self) -> Prediction:
        """The prediction as far as it is known by this: enough to poll it again."""
        return Prediction(provider=self.provider, model=self.model, id=self.id, key=self.key)


def _show_url(url: str) -> str:
    # The query of a signed URL opens the file to everybody who reads it, and a `data:` URI may be megabytes long.
    place, mark, _ = url.partition("?")
    return repr((place if len(place) <= 100 else place[:97] + "...") + (f"{mark}..." if mark else ""))


@frozen(kw_only=True)
class Output:
    """One generated image or video.

    Attributes:
        url: an https URL, or a `data:` URI. URLs expire; control codes in them are percent-encoded.
        kind: image or video.
        source: the prediction that it belongs to, which sets it; None for an output of none.
        is_fetchable: whether the URL is whole; a journal keeps no signatures, and the provider gives a new URL.
    """

    url: str = field(repr=_show_url)
    kind: OutputKind
    source: OutputSource | None = field(default=None, repr=False, eq=False)
    is_fetchable: bool = field(default=True, repr=False, eq=False)


class FailureKind(StrEnum):
    """The cause of a failure."""

    CONTENT_REJECTED = "content_rejected"
    NO_OUTPUT = "no_output"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    FAILED = "failed"


@frozen(kw_only=True)
class Failure:
    """The reason why a prediction did not succeed.

    Attributes:
        kind: the cause, as far as the provider reports it.
        code: the provider's own code, or None.
        message: the provider's own text, as one printable line.
        part: what the content policy refused; None where the provider does not say it.
    """

    kind: FailureKind
    code: str | None = None
    message: str
    part: RefusedPart | None = None


@frozen(kw_only=True)
class Timings:
    """Durations that the provider reports, in seconds; None where it reports none."""

    inference_seconds: float | None = None
    execution_seconds: float | None = None


@frozen(kw_only=True, weakref_slot=False)
class Prediction:
    """The provider's record of one submission.

    Provider, model and id suffice to poll one that was submitted earlier, or elsewhere.

    Attributes:
        provider: the provider's name.
        model: the requested model.
        id: its id at the provider.
        key: our own name for the job, which also names its files.
        status: its status.
        native_status: the provider's own word for it, without control codes.
        outputs: the generated files; empty until it succeeded. At most 8 more than the model can be asked for; where a
            provider names more, they are in `raw`.
        failure: why it did not succeed, or None.
        nsfw: whether the provider marked an output as unsafe; None where it does not report it.
        created_at: when the provider accepted it, in UTC, or None.
        timings: durations that the provider reports.
        cost: its price in US dollars at the published rate; None where no price is published.
        prompt: what it was made from, where `generate` returned it; it is kept nowhere else.
        raw: the response that it was parsed from, without the API key.
    """

    provider: str
    model: str
    id: str
    key: str | None = None
    status: Status = Status.QUEUED
    native_status: str = ""
    outputs: tuple[Output, ...] = ()
    failure: Failure | None = None
    nsfw: bool | None = None
    created_at: datetime | None = None
    timings: Timings = Timings()
    cost: Decimal | None = None
    prompt: str | None = field(default=None, repr=False, eq=False)
    raw: Json = field(default=None, repr=False, eq=False)

    def __attrs_post_init__(self) -> None:
        if self.outputs:
            # An output alone is enough to fetch it, also with the provider's key, and after its URL has expired; and as
            # the input of another job it is recognised by where it comes from.
            object.__setattr__(self, "outputs", tuple(map(self._with_source, self.outputs, count())))

    def _with_source(self, output: Output, index: int) -> Output:
        source = OutputSource(
            provider=self.provider, model=self.model, id=self.id, index=index, key=self.key, created_at=self.created_at
        )
        return output if output.source == source else evolve(output, source=source)

    @property
    def succeeded(self) -> bool:
        """Whether it finished with success."""
        return self.status is Status.SUCCEEDED

    def __repr__(self) -> str:
        facts: dict[str, object] = {"provider": self.provider, "model": self.model, "id": self.id, "key": self.key}
        shown = [f"{name}={value!r}" for name, value in facts.items() if value is not None]
        shown.append(f"status={self.status.value}")
        if self.outputs:
            kinds = Counter(output.kind.value for output in self.outputs)
            counted = [f"{number} {kind}{'s' if number > 1 else ''}" for kind, number in kinds.items()]
            shown.append(f"outputs={' and '.join(counted)}")
        shown += [f"failure={self.failure!r}"] if self.failure is not None else []
        shown += [f"nsfw={self.nsfw}"] if self.nsfw else []
        if self.cost is not None:
            cents = round(self.cost, 2)
            shown.append(f"cost=${cents if cents == self.cost else self.cost.normalize():f}")
        return f"Prediction({', '.join(shown)})"

    def _repr_html_(self) -> str:
        """Return HTML for a notebook: the first outputs, the number of the others, and no script."""
        reason = self.failure.message if self.failure is not None else None
        prompt = (self.prompt or "")[:_MAX_CAPTION]
        facts = [prompt, self.key, self.status.value, self.provider, self.model, self.id, reason]
        shown = "".join(map(_output_html, self.outputs[:_MAX_SHOWN]))
        more = f" and {len(self.outputs) - _MAX_SHOWN} more" if len(self.outputs) > _MAX_SHOWN else ""
        return f"<figure>{shown}<figcaption>{escape(', '.join(filter(None, facts)) + more)}</figcaption></figure>"


def _output_html(output: Output) -> str:
    if not output.url.startswith(("https://", "http://", "data:image/", "data:video/")):
        return escape(output.url[:100])
    if output.kind is OutputKind.VIDEO:
        return f'<video src="{escape(output.url)}" controls preload="metadata" height="180"></video>'
    return f'<img src="{escape(output.url)}" alt="" loading="lazy" height="180">'
