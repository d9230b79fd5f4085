"""Show predictions and outcomes in a notebook.

By itself a prediction or an outcome shows its outputs from the provider's URLs, which expire. A gallery shows files on
disk, causes and advice, and takes several at once. Call `gallery`, or run `%load_ext kling_async` once, and the
notebook shows predictions, outcomes and lists of them as galleries.
"""

from __future__ import annotations

import os.path
from collections.abc import Callable, Iterable
from pathlib import PurePath
from typing import Protocol

from attrs import evolve, frozen

from ..types.errors import PredictionFailed
from ..types.inputs import ImageInput, VideoInput
from ..types.jobs import Job, Outcome
from ..types.prediction import OutputKind, Prediction, Status
from .report import gallery as gallery_of
from .results import row_from_outcome

__all__ = ["Gallery", "gallery", "load_ipython_extension"]


@frozen
class Gallery:
    """Images and videos with keys, statuses and causes, shown by notebooks.

    Attributes:
        html: the HTML, without any script.
    """

    html: str

    def __repr__(self) -> str:
        return f"Gallery of {len(self.html):,} characters"

    def _repr_html_(self) -> str:
        return self.html


def gallery(items: Iterable[Outcome | Prediction]) -> Gallery:
    """Show outcomes or predictions in a notebook: the first 24, and the number of the others.

    Files are shown from disk, below the notebook's directory. Outputs without a file are shown from the provider's URL
    until it expires.
    """
    found = (item if isinstance(item, Outcome) else _outcome(item) for item in items)
    return Gallery(
        gallery_of(row_from_outcome(_with_relative_files(outcome), index) for index, outcome in enumerate(found))
    )


def _outcome(prediction: Prediction) -> Outcome:
    videos = any(output.kind is OutputKind.VIDEO for output in prediction.outputs)
    kind = VideoInput if videos else ImageInput
    job = Job(kind(prediction.prompt or "", model=prediction.model), key=prediction.key or prediction.id or None)
    failed = prediction.status.is_terminal and prediction.status is not Status.SUCCEEDED
    return Outcome(job=job, prediction=prediction, error=PredictionFailed(prediction) if failed else None)


def _with_relative_files(outcome: Outcome) -> Outcome:
    """Make paths of files relative to the directory of the notebook, from which its page is served."""
    return evolve(outcome, files=tuple(map(_relative, outcome.files)))


def _relative(file: PurePath | str) -> PurePath | str:
    if isinstance(file, str):  # the URL of an object
        return file
    try:
        return PurePath(os.path.relpath(file))
    except ValueError:  # another drive on Windows
        return file


class _Formatter(Protocol):
    def for_type(self, kind: type, function: Callable[..., str | None]) -> object: ...


class _Display(Protocol):
    @property
    def formatters(self) -> dict[str, _Formatter]: ...


class _Shell(Protocol):
    @property
    def display_formatter(self) -> _Display: ...


def load_ipython_extension(shell: _Shell) -> None:
    """Show predictions, outcomes and lists of them as galleries from now on; `%load_ext kling_async` calls this."""
    html = shell.display_formatter.formatters["text/html"]
    for kind in (Outcome, Prediction):
        html.for_type(kind, _html_of)
    html.for_type(list, _html_of_list)


def _html_of(item: Outcome | Prediction) -> str:
    return gallery([item]).html


def _html_of_list(items: list[object]) -> str | None:
    """Return the gallery of a list, or None, which leaves it to IPython, if the list has anything else."""
    ours = [item for item in items if isinstance(item, (Outcome, Prediction))]
    return gallery(ours).html if items and len(ours) == len(items) else None
