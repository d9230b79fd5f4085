"""Jobs, their keys and fingerprints, and their outcomes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from html import escape
from pathlib import PurePath
from typing import Final, Self, TypeGuard

from attrs import asdict, evolve, field, frozen

from .errors import InputError, InputFault, KlingError, PredictionFailed
from .field_checks import is_str_map
from .formatting import format_price
from .hash_table import IntTable
from .inputs import ImageInput, Input, VideoInput
from .media_values import MEDIA_FIELDS, Media, media_identity
from .prediction import Prediction
from .reprs import short_repr

__all__ = ["Job", "JobKeyGenerator", "Outcome", "as_job", "fingerprint", "unique_key"]


@frozen
class Job:
    """An input with a key.

    Attributes:
        input: the image or video input.
        key: names the job in messages and in its files; None derives it from the input and its position.
        provider: the provider's name; None is the client's default.
        labels: further facts, such as its value on each axis of a matrix; the journal and the report keep them.

    Raises:
        InputError: the input is neither an ImageInput nor a VideoInput; the key is empty, longer than 200 characters,
            or holds control characters; or a label is no str.
    """

    input: Input
    key: str | None = field(default=None, kw_only=True)
    provider: str | None = field(default=None, kw_only=True)
    labels: Mapping[str, str] = field(factory=dict[str, str], kw_only=True, eq=False)

    def __attrs_post_init__(self) -> None:
        # Callers without a type checker get an error before money is spent, too.
        if not _is_input(self.input):
            fault = InputFault("input", self.input, "must be an ImageInput or a VideoInput")
            raise InputError.of("Invalid job", [fault])
        if not is_str_map(self.labels):
            raise InputError.of("Invalid job", [InputFault("labels", self.labels, "must be a mapping of str to str")])
        if self.key is not None and not _is_key(self.key):
            fault = InputFault("key", self.key, "must be 1 to 200 printable characters")
            raise InputError.of("Invalid job key", [fault])

    def __repr__(self) -> str:
        return short_repr(self)


def as_job(item: object, *, position: int) -> Job:
    """Return a job, or an input as a job. Raises InputError, which names the position, if the item is neither."""
    if isinstance(item, Job):
        return item
    if _is_input(item):
        return Job(item)
    fault = InputFault(f"jobs[{position}]", item, "must be Job, ImageInput or VideoInput")
    raise InputError.of(f"The item at position {position} is not a job", [fault])


def _is_input(value: object) -> TypeGuard[Input]:
    return isinstance(value, (ImageInput, VideoInput))


def _is_key(value: object) -> bool:
    return isinstance(value, str) and 0 < len(value) <= 200 and value.isprintable()


def _show_files(files: tuple[PurePath | str, ...]) -> str:
    shown = [*map(str, files[:_MAX_FILES]), *([f"+{len(files) - _MAX_FILES}"] if len(files) > _MAX_FILES else [])]
    return f"({', '.join(shown)})"


_MAX_FILES: Final = 2
"""Files that the repr of an outcome names."""


@frozen(kw_only=True)
class Outcome:
    """The result of one job of a batch.

    Attributes:
        job: the job, with the input that was submitted last.
        prediction: the provider's last record; None if nothing was accepted.
        files: the saved files; URLs as `str` where they were saved in an object store.
        error: the error that ended the job or its download, or None.
        cost: what its submission has cost in US dollars, at the published or the given price; if it is unconfirmed or
            abandoned, its possible cost. None where nothing was billed, or no price is known.
        sent_at: when it was sent first, in UTC, or None.
        finished_at: when its end was first seen, in UTC, or None.
        refused: the job's own input, if it was refused and that of `job` took its place; None without one, and for what
            an earlier run has left and this one was not asked for.
    """

    job: Job
    prediction: Prediction | None = None
    files: tuple[PurePath | str, ...] = field(default=(), repr=_show_files)
    error: KlingError | None = None
    cost: Decimal | None = field(default=None, eq=False, repr=format_price)
    sent_at: datetime | None = field(default=None, eq=False, repr=False)
    finished_at: datetime | None = field(default=None, eq=False, repr=False)
    refused: Input | None = None

    @classmethod
    def from_job(
        cls,
        job: Job,
        prediction: Prediction | None,
        error: KlingError | None,
        *,
        cost: Decimal | None = None,
        sent_at: datetime | None = None,
        finished_at: datetime | None = None,
        refused: Input | None = None,
    ) -> Self:
        """Make an outcome; a prediction that did not succeed becomes a `PredictionFailed`."""
        if error is None and prediction is not None and not prediction.succeeded:
            error = PredictionFailed(prediction)
        return cls(
            job=job,
            prediction=prediction,
            error=error,
            cost=cost,
            sent_at=sent_at,
            finished_at=finished_at,
            refused=refused,
        )

    def __repr__(self) -> str:
        return short_repr(self)

    @property
    def ok(self) -> bool:
        """Whether the prediction succeeded and no error followed."""
        return self.error is None and self.prediction is not None and self.prediction.succeeded

    @property
    def took(self) -> float | None:
        """Seconds from its first submission to its end, or None."""
        if self.sent_at is None or self.finished_at is None:
            return None
        return max(0.0, (self.finished_at - self.sent_at).total_seconds())

    def result(self) -> Prediction:
        """Return the prediction of a job that is `ok`.

        Raises:
            KlingError: the job's error.
            RuntimeError: there is neither a result nor an error.
        """
        if self.error is not None:
            raise self.error
        if self.prediction is None or not self.prediction.succeeded:
            raise RuntimeError(f"The job {self.job.key!r} has neither a result nor an error")
        return self.prediction

    def _repr_html_(self) -> str:
        """Return HTML for a notebook: the prediction with the prompt, and the job's key with its error."""
        known = evolve(self.prediction, prompt=self.job.input.prompt) if self.prediction else None
        shown = known._repr_html_() if known else ""  # pyright: ignore[reportPrivateUsage] - the name is IPython's
        text = "" if self.error is None else f"{self.job.key or self.job.input.prompt}: {self.error}"
        return f"{shown}<p>{escape(text)}</p>" if text else shown


class JobKeyGenerator:
    """Default keys of jobs: from the input's fingerprint and the number of equal inputs before it."""

    def __init__(self) -> None:
        self._counts = IntTable()

    def with_key(self, job: Job) -> Job:
        """Return a job with a key: its own, or a generated one."""
        if job.key is not None:
            return job
        digest = fingerprint(job.input)[:12]
        earlier = self._counts.increment(int(digest, 16) + 1)
        return Job(job.input, key=f"{digest}-{earlier}", provider=job.provider, labels=job.labels)


def unique_key(input: Input, *, random: float) -> str:
    """Return a key for one call: of a thousand calls with one input no two may have the same.

    Args:
        input: the call's input.
        random: a random number from 0 up to 1.
    """
    return f"{input.kind}-{fingerprint(input)[:8]}-{int(random * 16**12):012x}"


def fingerprint(input: Input) -> str:
    """Return a hash of all fields of an input, the same on every machine and in every version.

    Fields that 0.1 did not have are left out at their default, so that its inputs keep their fingerprints. Signatures
    in URLs are left out: they change daily while the input stays the same. So do the addresses of local media and of
    outputs; `media_identity` stands for these.

    Raises:
        InputError: a file among the media was not read yet.
    """
    fields = {"kind": type(input).__name__} | asdict(
        input, filter=lambda attribute, _: attribute.name not in MEDIA_FIELDS
    )
    fields |= {name: getattr(input, name) for name in MEDIA_FIELDS if hasattr(input, name)}
    fields["model"] = input.model or _HASHED_MODELS[input.kind]
    if isinstance(input, VideoInput):
        for name in _LATER_FIELDS:
            if getattr(input, name) in (None, ()):
                del fields[name]
        if len(input.all_videos) == 1:  # one video is the same one, whichever field has it
            fields["video"] = input.all_videos[0]
            fields.pop("videos", None)
    for name in MEDIA_FIELDS:
        if name in fields:
            fields[name] = _identities(fields[name])
    text = json.dumps(fields, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


_HASHED_MODELS: Final = {"image": "kling-image-o1", "video": "kling-video-o1-std"}
"""What is hashed for an input without a model: the defaults of 0.1, so that its keys and fingerprints stay the same."""

_LATER_FIELDS: Final = ("audios", "keyframes", "negative_prompt", "resolution", "sound", "videos")
"""Fields of a VideoInput that 0.1 did not have."""

_SIGNING: Final = frozenset(
    {
        *("awsaccesskeyid", "auth_key", "expires", "googleaccessid", "key-pair-id", "ossaccesskeyid", "policy"),
        *("se", "security-token", "sig", "signature", "sip", "skoid", "sks", "skt", "ske", "sktid", "skv", "sp", "spr"),
        *("sr", "st", "sv", "token"),
    }
)
"""Query parameters of signed URLs at S3, Google, Azure, Alibaba and CloudFront, beside those of `_SIGNING_PREFIXES`."""
_SIGNING_PREFIXES: Final = ("x-amz-", "x-goog-", "x-oss-", "x-cos-", "q-")


def _identities(media: Media | tuple[Media, ...] | None) -> str | list[str] | None:
    if isinstance(media, tuple):
        return [_strip_signature(media_identity(one)) for one in media]
    return None if media is None else _strip_signature(media_identity(media))


def _strip_signature(url: str) -> str:
    before, mark, query = url.partition("?")
    if not mark or url.startswith("data:"):
        return url
    kept = [part for part in query.split("&") if not _is_signature(part.partition("=")[0].lower())]
    return before + ("?" + "&".join(kept) if kept else "")


def _is_signature(name: str) -> bool:
    return name in _SIGNING or name.startswith(_SIGNING_PREFIXES)
