"""The metadata of a run's files as loaders of datasets read it: `metadata.jsonl` beside images, or beside videos.

A line has `file_name`, relative to its own folder, `text`, and further columns, the same in each line. Source: the
documentation of Hugging Face datasets on ImageFolder and VideoFolder, which read one kind of file each.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence
from typing import Final

from .jobfile import json_line
from .report import ReportRow

__all__ = ["METADATA_NAME", "metadata_lines", "other_files"]

METADATA_NAME: Final = "metadata.jsonl"
_VIDEO: Final = (".mp4", ".mov", ".webm")


def metadata_lines(rows: Sequence[ReportRow], *, present: Container[str] | None = None) -> Iterator[str]:
    """Yield a line for each image of a run, or for each video if it has no image, without its end.

    Args:
        rows: the jobs of the run.
        present: the names of the files that are there; None takes them all as there.
    """
    labels = dict.fromkeys(name for row in rows for name in row.labels)
    as_videos = not _has_images(rows, present)
    for row in rows:
        for name in _names_of(row, present):
            if _is_video(name) is as_videos:
                fields: dict[str, object] = {"file_name": name, "text": row.prompt, "key": row.key}
                fields |= {"provider": row.provider, "model": row.model, "id": row.id}
                yield json_line(fields | {f"label.{label}": row.labels.get(label) for label in labels})


def other_files(rows: Sequence[ReportRow], *, present: Container[str] | None = None) -> int:
    """Return how many videos have no line, since there are images."""
    if not _has_images(rows, present):
        return 0
    return sum(_is_video(name) for row in rows for name in _names_of(row, present))


def _has_images(rows: Sequence[ReportRow], present: Container[str] | None) -> bool:
    return any(not _is_video(name) for row in rows for name in _names_of(row, present))


def _names_of(row: ReportRow, present: Container[str] | None) -> Iterator[str]:
    for path in (*row.files, *row.objects):
        name = path.rpartition("/")[2]
        if present is None or name in present:
            yield name


def _is_video(name: str) -> bool:
    return name.lower().endswith(_VIDEO)
