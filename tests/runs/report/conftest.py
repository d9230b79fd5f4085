"""What the tests of the report share: rows, and a reader of HTML."""

from __future__ import annotations

from collections.abc import Callable
from html.parser import HTMLParser
from typing import Any

import pytest

from kling_async.runs.report import ReportRow
from kling_async.types.status import JobStatus

MakeRow = Callable[..., ReportRow]


@pytest.fixture(scope="session")
def make_row() -> MakeRow:
    """Make a row of an image that succeeded, or differs in what is given."""

    def making(**told: Any) -> ReportRow:
        usual: dict[str, Any] = {
            "key": "fox",
            "position": 0,
            "provider": "gptproto",
            "model": "kling-image-o1",
            "kind": "image",
            "prompt": "a red fox",
            "status": JobStatus.SUCCEEDED,
            "files": ("media/fox-0.png",),
        }
        row = usual | told
        return ReportRow(**row | {"status": JobStatus(row["status"])})

    return making


class Skeleton(HTMLParser):
    """The elements of a page with the names of their attributes, its addresses, and its text outside of scripts."""

    def __init__(self) -> None:
        super().__init__()
        self.elements: list[tuple[str, ...]] = []
        self.addresses: list[str] = []
        self.attributes: list[str] = []
        self.text = ""
        self.strange: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, *(name for name, _ in attrs)))
        self.addresses += [value or "" for name, value in attrs if name in ("href", "src")]
        self.attributes += [value or "" for _, value in attrs]

    def handle_data(self, data: str) -> None:
        if self.elements and self.elements[-1][0] not in ("script", "style"):
            self.text += data

    def handle_comment(self, data: str) -> None:
        self.strange.append(data)

    handle_pi = unknown_decl = handle_comment


@pytest.fixture(scope="session")
def read() -> Callable[[str], Skeleton]:
    """Read a page as a browser would."""

    def reading(page: str) -> Skeleton:
        skeleton = Skeleton()
        skeleton.feed(page)
        skeleton.close()
        return skeleton

    return reading
