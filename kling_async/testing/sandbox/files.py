"""Serves outputs the way object stores do: by address, without a key, whole or in ranges, until the address expires."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from email.utils import format_datetime
from hashlib import sha256

from attrs import evolve

from .http import Answer, Ending, Request, page, text
from .work import Task

__all__ = ["address_of", "is_expired", "serve", "strike_file", "task_id_of"]

_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")
_EXPIRES = re.compile(r"(?:^|&)expires=(-?\d{1,18})(?:&|$)")


def address_of(name: str, task: Task, *, origin: str, now: float, outputs_for: float | None) -> str:
    """Return the address of a file; it expires where the sandbox or the task says so."""
    lives_for = _lives_for(task, outputs_for)
    query = "" if lives_for is None else f"?expires={int((now + lives_for) * 1000)}"
    return f"{origin}/files/{name}{query}"


def task_id_of(path: str) -> str:
    """Return the id of the task that a file's path belongs to."""
    return path.removeprefix("/files/").rpartition("-")[0]


def is_expired(task: Task, request: Request, *, outputs_for: float | None) -> bool:
    """Tell whether an address is too old. One without its date is, where addresses have dates."""
    if _lives_for(task, outputs_for) is None:
        return False
    match = _EXPIRES.search(request.query)
    return match is None or request.now * 1000 >= int(match[1])


def _lives_for(task: Task, outputs_for: float | None) -> float | None:
    return float(task.faults["gone"] or 0) if "gone" in task.faults else outputs_for


def serve(request: Request, *, media_type: str, content: bytes, changed_at: datetime) -> Answer:
    """Answer GET and HEAD, with Range and If-Range (RFC 9110, 13 and 14)."""
    etag = f'"{sha256(content).hexdigest()[:32]}"'
    changed = format_datetime(changed_at, usegmt=True)
    headers = {"content-type": media_type, "etag": etag, "last-modified": changed, "accept-ranges": "bytes"}
    if request.method == "HEAD":
        return Answer(status=200, headers=headers, length=len(content))
    wanted = _range_of(request.headers, len(content), etag, changed)
    if wanted is None:
        return Answer(status=200, headers=headers, body=content)
    if not wanted:
        return Answer(status=416, headers={"content-range": f"bytes */{len(content)}"})
    headers["content-range"] = f"bytes {wanted.start}-{wanted.stop - 1}/{len(content)}"
    return Answer(status=206, headers=headers, body=content[wanted.start : wanted.stop])


def _range_of(headers: Mapping[str, str], size: int, etag: str, changed: str) -> range | None:
    """Return the bytes wanted, an empty range when there are none such, or None for all of them."""
    match = _RANGE.fullmatch(headers.get("range", "").strip())
    if match is None or match[0] == "bytes=-":
        return None
    if headers.get("if-range", etag).strip() not in {etag, changed}:
        return None
    if not match[1]:
        return range(max(0, size - int(match[2])), size)
    first = int(match[1])
    last = min(int(match[2]), size - 1) if match[2] else size - 1
    if match[2] and int(match[2]) < first:
        return None
    return range(first, last + 1)


def strike_file(name: str, good: Answer, *, retry_after: str | None) -> Answer:
    """Return what is sent in place of a file; `name` is a fault of a download without ``file_``."""
    if name == "lost":
        return good.ending_in(Ending.CUT)
    if name == "hang":
        return good.ending_in(Ending.NEVER)
    if name == "html":
        return page(200, "Please sign in")
    if name == "gone":
        return text("The file is gone.\n", status=410)
    if name == "rate_limited":
        answer = text("Slow down.\n", status=429)
        return answer if retry_after is None else evolve(answer, headers={**answer.headers, "retry-after": retry_after})
    return text("The store failed.\n", status=int(name.removeprefix("error_")))
