"""Generate Kling images and videos from asyncio or trio, through any provider you have a key for.

async with Client() as client:
    prediction = await client.generate(ImageInput(prompt="a cat"))
    files = await client.download(prediction, "out")
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .client import Client
    from .journal.base import Journal
    from .journal.memory import MemoryJournal
    from .journal.postgres import PostgresJournal
    from .journal.sqlite import SqliteJournal
    from .journal.stored_error import StoredError
    from .journal.submission import Decision, Submission
    from .providers.pricing import Estimate
    from .runs.display import show_progress
    from .runs.matrix import matrix
    from .runs.notebook import Gallery, gallery, load_ipython_extension
    from .runs.results import rows
    from .runtime.batch import Batch
    from .runtime.webhooks import WebhookReceiver
    from .scheduling.progress import Progress
    from .types.capabilities import Capabilities
    from .types.errors import (
        AnswerLost,
        AuthenticationError,
        BadRequest,
        BudgetExceeded,
        ContentRejected,
        DownloadError,
        InputError,
        InputFault,
        InsufficientBalance,
        JournalError,
        KlingError,
        MissingAPIKey,
        NotSent,
        PermissionDenied,
        PredictionFailed,
        ProviderUnavailable,
        RateLimited,
        Refused,
        Unconfirmed,
        UnexpectedReply,
        Unsupported,
        WaitTimeout,
    )
    from .types.events import Event, EventKind
    from .types.inputs import ImageInput, Input, Scene, Shot, VideoInput
    from .types.jobs import Job, Outcome
    from .types.limits import LimitKind, LimitOrigin, Limits, SpeedLimit
    from .types.media_values import Media, MediaFile
    from .types.prediction import Failure, FailureKind, Output, OutputKind, OutputSource, Prediction, Status, Timings
    from .types.queue import QueueStatus
    from .types.status import JobStatus
    from .types.webhooks import WebhookAction, WebhookResult

__version__: str
"""The version of the installed package."""

__all__ = [
    "AnswerLost",
    "AuthenticationError",
    "BadRequest",
    "Batch",
    "BudgetExceeded",
    "Capabilities",
    "Client",
    "ContentRejected",
    "Decision",
    "DownloadError",
    "Estimate",
    "Event",
    "EventKind",
    "Failure",
    "FailureKind",
    "Gallery",
    "ImageInput",
    "Input",
    "InputError",
    "InputFault",
    "InsufficientBalance",
    "Job",
    "JobStatus",
    "Journal",
    "JournalError",
    "KlingError",
    "LimitKind",
    "LimitOrigin",
    "Limits",
    "Media",
    "MediaFile",
    "MemoryJournal",
    "MissingAPIKey",
    "NotSent",
    "Outcome",
    "Output",
    "OutputKind",
    "OutputSource",
    "PermissionDenied",
    "PostgresJournal",
    "Prediction",
    "PredictionFailed",
    "Progress",
    "ProviderUnavailable",
    "QueueStatus",
    "RateLimited",
    "Refused",
    "Scene",
    "Shot",
    "SpeedLimit",
    "SqliteJournal",
    "Status",
    "StoredError",
    "Submission",
    "Timings",
    "Unconfirmed",
    "UnexpectedReply",
    "Unsupported",
    "VideoInput",
    "WaitTimeout",
    "WebhookAction",
    "WebhookReceiver",
    "WebhookResult",
    "gallery",
    "load_ipython_extension",
    "matrix",
    "rows",
    "show_progress",
]

_HOMES = {
    ".client": ("Client",),
    ".journal.base": ("Journal",),
    ".journal.memory": ("MemoryJournal",),
    ".journal.postgres": ("PostgresJournal",),
    ".journal.sqlite": ("SqliteJournal",),
    ".journal.submission": (
        "Decision",
        "StoredError",
        "Submission",
    ),
    ".providers.pricing": ("Estimate",),
    ".runs.display": ("show_progress",),
    ".runs.matrix": ("matrix",),
    ".runs.notebook": (
        "Gallery",
        "gallery",
        "load_ipython_extension",
    ),
    ".runs.results": ("rows",),
    ".runtime.batch": ("Batch",),
    ".runtime.webhooks": ("WebhookReceiver",),
    ".scheduling.progress": ("Progress",),
    ".types.capabilities": ("Capabilities",),
    ".types.events": (
        "Event",
        "EventKind",
    ),
    ".types.inputs": (
        "ImageInput",
        "Input",
        "Scene",
        "Shot",
        "VideoInput",
    ),
    ".types.jobs": (
        "Job",
        "JobStatus",
        "Outcome",
    ),
    ".types.limits": (
        "LimitKind",
        "LimitOrigin",
        "Limits",
        "SpeedLimit",
    ),
    ".types.queue": ("QueueStatus",),
    ".types.media_values": (
        "Media",
        "MediaFile",
    ),
    ".types.status": ("JobStatus",),
    ".types.webhooks": (
        "WebhookAction",
        "WebhookResult",
    ),
    ".types.prediction": (
        "Failure",
        "FailureKind",
        "Output",
        "OutputKind",
        "OutputSource",
        "Prediction",
        "Status",
        "Timings",
    ),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}


if not TYPE_CHECKING:  # a type checker that sees this function believes in any name

    def __getattr__(name: str) -> object:
        # Loaded on first use (PEP 562): a command line that prints its help needs none of the heavy libraries.
        if name == "__version__":
            from importlib.metadata import version  # noqa: PLC0415  it takes longer to import than all of this

            globals()[name] = version("kling-async")
            return globals()[name]
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = getattr(import_module(_HOME_OF.get(name, ".types.errors"), __name__), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
