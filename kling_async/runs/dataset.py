"""The metadata of a run's files as loaders of datasets read it: `metadata.jsonl` beside images, or beside videos.

A line has `file_name`, relative to its own folder, `text`, and further columns, the same in each line. Source: the
documentation of Hugging Face datasets on ImageFolder and VideoFolder, which read one kind of file each.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator
from typing import Final, Self

from attrs import define, field

from .jobfile import json_line
from .report import ReportRow

__all__ = ["METADATA_NAME", "DatasetFiles", "metadata_lines"]

METADATA_NAME: Final = "metadata.jsonl"
_VIDEO: Final = (".mp4", ".mov", ".webm")


@define
class DatasetFiles:
    """What the files of a run are, counted row by row.

    Attributes:
        present: the names of the files that are there; None takes them all as there.
        labels: the names of all labels.
        images: number of images.
        videos: number of videos.
    """

    present: Container[str] | None = None
    labels: dict[str, None] = field(factory=dict[str, None])
    images: int = 0
    videos: int = 0

    @classmethod
    def of(cls, rows: Iterable[ReportRow], *, present: Container[str] | None = None) -> Self:
        """Count the files of jobs."""
        files = cls(present)
        for row in rows:
            files.labels.update(dict.fromkeys(row.labels))
            for name in _names_of(row, present):
                files.videos += _is_video(name)
                files.images += not _is_video(name)
        return files

    @property
    def others(self) -> int:
        """Number of videos that have no line, since there are images."""
        return self.videos if self.images else 0


def metadata_lines(rows: Iterable[ReportRow], files: DatasetFiles) -> Iterator[str]:
    """Yield a line for each image of a run, or for each video if it has no image, without its end.

    Args:
        rows: the jobs of the run.
        files: what their files are.
    """
    as_videos = not files.images
    for row in rows:
        for name in _names_of(row, files.present):
            if _is_video(name) is as_videos:
                fields: dict[str, object] = {"file_name": name, "text": row.prompt, "key": row.key}
                fields |= {"provider": row.provider, "model": row.model, "id": row.id}
                yield json_line(fields | {f"label.{label}": row.labels.get(label) for label in files.labels})


def _names_of(row: ReportRow, present: Container[str] | None) -> Iterator[str]:
    for path in (*row.files, *row.objects):
        name = path.rpartition("/")[2]
        if present is None or name in present:
            yield name


def _is_video(name: str) -> bool:
    return name.lower().endswith(_VIDEO)
