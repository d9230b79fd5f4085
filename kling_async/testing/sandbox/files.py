"""Serves outputs like an object store: by URL, without a key, complete or in ranges, until the URL expires."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from email.utils import format_datetime
from hashlib import sha256

from attrs import evolve

from .http import Delivery, Request, Response, html_response, text_response
from .tasks import Task

__all__ = ["apply_file_fault", "is_expired", "serve", "task_id_of", "url_of"]

_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")
_EXPIRES = re.compile(r"(?:^|&)expires=(-?\d{1,18})(?:&|$)")


def url_of(name: str, task: Task, *, origin: str, now: float, output_ttl: float | None) -> str:
    """Return the URL of a file; it expires if the sandbox or the task has a time to live."""
    ttl = _ttl_of(task, output_ttl)
    query = "" if ttl is None else f"?expires={int((now + ttl) * 1000)}"
    return f"{origin}/files/{name}{query}"


def task_id_of(path: str) -> str:
    """Return the id of the task of a file's path."""
    return path.removeprefix("/files/").rpartition("-")[0]


def is_expired(task: Task, request: Request, *, output_ttl: float | None) -> bool:
    """Return whether a URL has expired; one without its date has, where URLs have dates."""
    if _ttl_of(task, output_ttl) is None:
        return False
    match = _EXPIRES.search(request.query)
    return match is None or request.now * 1000 >= int(match[1])


def _ttl_of(task: Task, output_ttl: float | None) -> float | None:
    return float(task.faults["gone"] or 0) if "gone" in task.faults else output_ttl


def serve(request: Request, *, media_type: str, content: bytes, changed_at: datetime) -> Response:
    """Answer GET and HEAD, with Range and If-Range (RFC 9110, 13 and 14)."""
    etag = f'"{sha256(content).hexdigest()[:32]}"'
    changed = format_datetime(changed_at, usegmt=True)
    headers = {"content-type": media_type, "etag": etag, "last-modified": changed, "accept-ranges": "bytes"}
    if request.method == "HEAD":
        return Response(status=200, headers=headers, length=len(content))
    requested = _range_of(request.headers, len(content), etag, changed)
    if requested is None:
        return Response(status=200, headers=headers, body=content)
    if not requested:
        return Response(status=416, headers={"content-range": f"bytes */{len(content)}"})
    headers["content-range"] = f"bytes {requested.start}-{requested.stop - 1}/{len(content)}"
    return Response(status=206, headers=headers, body=content[requested.start : requested.stop])


def _range_of(headers: Mapping[str, str], size: int, etag: str, changed: str) -> range | None:
    """Return the requested bytes, an empty range if there are none such, or None for all."""
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


def apply_file_fault(name: str, good: Response, *, retry_after: str | None) -> Response:
    """Return the response in place of a file; `name` is a fault of a download without ``file_``."""
    if name == "lost":
        return good.with_delivery(Delivery.CUT)
    if name == "hang":
        return good.with_delivery(Delivery.NEVER)
    if name == "html":
        return html_response(200, "Please sign in")
    if name == "gone":
        return text_response("The file is gone.\n", status=410)
    if name == "rate_limited":
        answer = text_response("Slow down.\n", status=429)
        return answer if retry_after is None else evolve(answer, headers={**answer.headers, "retry-after": retry_after})
    return text_response("The store failed.\n", status=int(name.removeprefix("error_")))
