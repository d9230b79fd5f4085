"""Generate Kling images and videos from asyncio or trio, through any provider you have a key for.

async with Client() as client:
    prediction = await client.generate(ImageInput(prompt="a cat"))
    files = await client.download(prediction, "out")
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .batch import Batch
    from .client import Client
    from .effects.journal import Journal, MemoryJournal, SqliteJournal
    from .errors import (
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
        NotSent,
        PermissionDenied,
        PredictionFailed,
        ProviderUnavailable,
        RateLimited,
        Refused,
        UnexpectedReply,
        WaitTimeout,
    )
    from .inputs import ImageInput, Input, Job, Scene, Shot, VideoInput
    from .matrices import matrix
    from .notebook import Gallery, gallery, load_ipython_extension
    from .outcome import Outcome
    from .panel import progress
    from .planning.money import Estimate
    from .planning.moves import Event, EventKind, State
    from .planning.progress import Progress
    from .planning.submissions import Decision, Submission, Trouble
    from .prediction import Fault, FaultKind, Output, OutputKind, Prediction, Status, Timings
    from .providers.spec import Limits
    from .results import rows

__all__ = [
    "AnswerLost",
    "AuthenticationError",
    "BadRequest",
    "Batch",
    "BudgetExceeded",
    "Client",
    "ContentRejected",
    "Decision",
    "DownloadError",
    "Estimate",
    "Event",
    "EventKind",
    "Fault",
    "FaultKind",
    "Gallery",
    "ImageInput",
    "Input",
    "InputError",
    "InputFault",
    "InsufficientBalance",
    "Job",
    "Journal",
    "JournalError",
    "KlingError",
    "Limits",
    "MemoryJournal",
    "NotSent",
    "Outcome",
    "Output",
    "OutputKind",
    "PermissionDenied",
    "Prediction",
    "PredictionFailed",
    "Progress",
    "ProviderUnavailable",
    "RateLimited",
    "Refused",
    "Scene",
    "Shot",
    "SqliteJournal",
    "State",
    "Status",
    "Submission",
    "Timings",
    "Trouble",
    "UnexpectedReply",
    "VideoInput",
    "WaitTimeout",
    "gallery",
    "load_ipython_extension",
    "matrix",
    "progress",
    "rows",
]

_HOMES = {
    ".batch": ("Batch",),
    ".client": ("Client",),
    ".effects.journal": ("Journal", "MemoryJournal", "SqliteJournal"),
    ".inputs": ("ImageInput", "Input", "Job", "Scene", "Shot", "VideoInput"),
    ".matrices": ("matrix",),
    ".notebook": ("Gallery", "gallery", "load_ipython_extension"),
    ".outcome": ("Outcome",),
    ".panel": ("progress",),
    ".planning.money": ("Estimate",),
    ".planning.moves": ("Event", "EventKind", "State"),
    ".planning.progress": ("Progress",),
    ".planning.submissions": ("Decision", "Submission", "Trouble"),
    ".prediction": ("Fault", "FaultKind", "Output", "OutputKind", "Prediction", "Status", "Timings"),
    ".providers.spec": ("Limits",),
    ".results": ("rows",),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}


if not TYPE_CHECKING:  # a type checker that sees this function believes in any name

    def __getattr__(name: str) -> object:
        # Loaded on first use (PEP 562): a command line that prints its help needs none of the heavy libraries.
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = getattr(import_module(_HOME_OF.get(name, ".errors"), __name__), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
