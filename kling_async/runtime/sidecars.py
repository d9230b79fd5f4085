"""Sidecars: the provenance of saved files, as JSON beside them.

Theory of operation. Files come first, then their entry in the journal, then their sidecars. A run that ends in between
leaves files without sidecars, which the next one writes from the journal and the files as they lie there: nothing is
downloaded. A sidecar that is there is not written again.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Final, cast, get_args

from attrs import field, frozen

from ..journal.submission import Submission
from ..types.errors import DownloadError, InputError, InputFault
from ..types.inputs import Input, VideoInput
from ..types.prediction import Json, OutputKind, Prediction
from ..types.provenance import FileFacts, Provenance, ProvenanceMode, sidecar, sidecar_name
from .destinations import Destination
from .saved_files import SavedFile, Saving

__all__ = ["ProvenanceRequest", "check_mode", "complete_sidecars", "write_sidecars"]


_MODES: Final = ", ".join(get_args(ProvenanceMode))


@frozen(kw_only=True)
class ProvenanceRequest:
    """A request to save the provenance of files.

    Attributes:
        mode: where it goes.
        input: what they were made from; None takes it from the journal.
        labels: the labels of the job.
    """

    mode: ProvenanceMode
    input: Input | None = field(default=None, repr=False)
    labels: Mapping[str, str] = field(factory=dict[str, str], repr=False)

    def record(self, prediction: Prediction, known: Submission | None) -> Provenance:
        """Return the provenance of a prediction's files.

        Args:
            prediction: the prediction.
            known: its submission in the journal, or None.
        """
        from importlib.metadata import version  # noqa: PLC0415  slow to load, and few clients need it

        created_at = None if prediction.created_at is None else prediction.created_at.timestamp()
        kinds = [output.kind for output in prediction.outputs]
        return Provenance(
            prompt=_prompt_of(self.input, known),
            kind=(kinds[0] if kinds else OutputKind.IMAGE).value,
            model=prediction.model,
            provider=prediction.provider,
            id=prediction.id,
            key=prediction.key,
            labels=self.labels or ({} if known is None else known.labels),
            accepted_at=created_at if known is None else known.accepted_at or created_at,
            software=f"kling_async {version('kling-async')}",
        )

    def saving(self, record: Provenance) -> Saving:
        """Return what is done beside saving a file."""
        return Saving(inspects=True, embedded=record if self.mode == "embed" else None)


def check_mode(mode: object, *, saves: bool = True) -> None:
    """Raise InputError if a value is no mode of provenance, or if no files are saved that it could describe."""
    if mode is None:
        return
    if mode not in get_args(ProvenanceMode):
        raise InputError.of("Wrong setting", [InputFault("provenance", mode, f"must be one of {_MODES}")])
    if not saves:
        raise InputError.of("Wrong setting", [InputFault("provenance", mode, "is for files that are saved (save_to)")])


async def write_sidecars(
    place: Destination, saved: Sequence[SavedFile], record: Provenance, *, saved_at: float, overwrite: bool
) -> None:
    """Write the sidecars of files that were just saved; one that says the same of the same file is left as it is.

    Raises:
        DownloadError: one could not be written, or another file has its name.
    """
    for file in saved:
        if file.facts is None:
            continue
        name = sidecar_name(file.name)
        known = await place.read_sidecar(name)
        if known is not None and not overwrite:
            fields = _fields(known)
            if fields is None:
                raise DownloadError(
                    "Another file has the sidecar's name",
                    provider=record.provider,
                    key=record.key,
                    id=record.id,
                    path=name,
                    advice="The output itself is saved. Rename that file, or save into another directory.",
                )
            if (fields.get("sha256"), fields.get("id")) == (file.facts.sha256, record.id):
                continue
        await place.write_sidecar(name, sidecar(record, file.name, file.facts, saved_at=saved_at))


async def complete_sidecars(place: Destination, names: Sequence[str], record: Provenance, *, saved_at: float) -> None:
    """Write the sidecars that are missing beside files that an earlier run has saved. Raises DownloadError."""
    if await place.find([sidecar_name(name) for name in names]) is not None:
        return
    for name in names:
        if await place.find([sidecar_name(name)]) is None:
            facts: FileFacts = await place.inspect(name)
            await place.write_sidecar(sidecar_name(name), sidecar(record, name, facts, saved_at=saved_at))


def _prompt_of(input: Input | None, known: Submission | None) -> str | None:
    if input is not None:
        shots = input.shots if isinstance(input, VideoInput) else ()
        return input.prompt or "\n".join(shot.prompt for shot in shots)
    if known is None:
        return None
    shots_known = known.input.get("shots")
    prompts = (
        [one.get("prompt") for one in shots_known if isinstance(one, Mapping)] if isinstance(shots_known, list) else []
    )
    return _text(known.input.get("prompt")) or "\n".join(map(_text, prompts))


def _text(value: Json) -> str:
    return value if isinstance(value, str) else ""


def _fields(content: bytes) -> Mapping[str, object] | None:
    """Return what a sidecar of ours says; None if it is another file."""
    try:
        fields: object = json.loads(content)
    except ValueError:
        return None
    found = cast("dict[str, object]", fields) if isinstance(fields, dict) else {}
    return found if {"sha256", "software"} <= found.keys() else None
