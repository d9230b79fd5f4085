"""What predictions and outcomes look like in a notebook.

A prediction or an outcome shows itself, plainly and from the provider's addresses, which do not live long. Files on
the disk, causes and advice take a gallery, and lists are not ours to teach: so a gallery is asked for, or a notebook is
told once, by `%load_ext kling_async`, to make one of whatever it shows.
"""

from __future__ import annotations

import os.path
from collections.abc import Callable, Iterable
from pathlib import PurePath
from typing import Protocol

from attrs import evolve, frozen

from .errors import PredictionFailed
from .inputs import ImageInput, Job, VideoInput
from .outcome import Outcome
from .prediction import OutputKind, Prediction, Status
from .report import gallery as gallery_of
from .results import row_of_outcome

__all__ = ["Gallery", "gallery", "load_ipython_extension"]


@frozen
class Gallery:
    """Pictures and films, with keys, statuses and causes; notebooks show it.

    Attributes:
        html: as they show it, without any script.
    """

    html: str

    def __repr__(self) -> str:
        return f"Gallery of {len(self.html):,} characters"

    def _repr_html_(self) -> str:
        return self.html


def gallery(items: Iterable[Outcome | Prediction]) -> Gallery:
    """Show outcomes or predictions in a notebook: the first 24 as pictures, the others counted.

    Files are shown from the disk, below the notebook's folder; what has none is shown from the provider's address, as
    long as that lives.
    """
    found = (item if isinstance(item, Outcome) else _outcome(item) for item in items)
    return Gallery(gallery_of(row_of_outcome(_near(outcome), place) for place, outcome in enumerate(found)))


def _outcome(prediction: Prediction) -> Outcome:
    videos = any(output.kind is OutputKind.VIDEO for output in prediction.outputs)
    kind = VideoInput if videos else ImageInput
    job = Job(kind("", model=prediction.model), key=prediction.key or prediction.id or None)
    failed = prediction.status.finished and prediction.status is not Status.SUCCEEDED
    return Outcome(job=job, prediction=prediction, error=PredictionFailed(prediction) if failed else None)


def _near(outcome: Outcome) -> Outcome:
    """Name files as seen from the folder that the notebook runs in, from where its page is served."""
    return evolve(outcome, files=tuple(PurePath(_relative(path)) for path in outcome.files))


def _relative(path: PurePath) -> str:
    try:
        return os.path.relpath(path)
    except ValueError:  # another drive of Windows
        return str(path)


class _Formatter(Protocol):
    def for_type(self, kind: type, function: Callable[..., str | None]) -> object: ...


class _Display(Protocol):
    @property
    def formatters(self) -> dict[str, _Formatter]: ...


class _Shell(Protocol):
    @property
    def display_formatter(self) -> _Display: ...


def load_ipython_extension(shell: _Shell) -> None:
    """Show predictions, outcomes and lists of them as pictures from now on; `%load_ext kling_async` calls this."""
    html = shell.display_formatter.formatters["text/html"]
    for kind in (Outcome, Prediction):
        html.for_type(kind, _html_of)
    html.for_type(list, _html_of_list)


def _html_of(item: Outcome | Prediction) -> str:
    return gallery([item]).html


def _html_of_list(items: list[object]) -> str | None:
    """Return the gallery of a list; None, which leaves it to IPython, if anything else is in it."""
    ours = [item for item in items if isinstance(item, (Outcome, Prediction))]
    return gallery(ours).html if items and len(ours) == len(items) else None
