"""Status words that several providers share; a word of one provider alone is in that provider's file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from ...types.prediction import Status

__all__ = ["COMMON_STATUSES"]

COMMON_STATUSES: Final[Mapping[str, Status]] = {
    "pending": Status.QUEUED,
    "queued": Status.QUEUED,
    "in_progress": Status.RUNNING,
    "processing": Status.RUNNING,
    "running": Status.RUNNING,
    "completed": Status.SUCCEEDED,
    "success": Status.SUCCEEDED,
    "succeeded": Status.SUCCEEDED,
    "failed": Status.FAILED,
    "error": Status.FAILED,
    "timeout": Status.FAILED,
    "cancelled": Status.CANCELLED,
    "canceled": Status.CANCELLED,
    "expired": Status.EXPIRED,
}
"""Status words in lower case that have the same meaning in every API. Each provider says which ones it documents."""
