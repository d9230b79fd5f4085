"""A headless Chromium for pages that lie on a disk. Without one, or without its driver, these tests are skipped."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from attrs import define, field

from kling_async.runs.report import ReportRow
from kling_async.runs.report.page import render
from kling_async.runs.report.summary import RunSummary

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

MADE_AT = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)


# For one module at a time: the driver's loop runs as long as the browser is open, and other tests want their own.
@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """Start the Chromium of this machine."""
    driver = pytest.importorskip("playwright.sync_api", reason="no playwright here; `nox -s browser` installs it")
    executable = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if executable is None:
        pytest.skip("no Chromium on this machine; Debian's package is called chromium")
    with driver.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable)
        yield browser
        browser.close()


@define
class Opened:
    """A page in the browser, and what it asked for and complained about since it was opened."""

    page: Page
    complaints: list[str] = field(factory=list)
    requests: list[str] = field(factory=list)

    def cards(self) -> list[str]:
        """Return the keys of the jobs that can be seen."""
        # Text content, as a card outside the view is not laid out, and what is not laid out has no inner text.
        keys: list[str] = self.page.locator("article:visible h3").all_text_contents()
        return keys

    def shown(self) -> str:
        """Return what the page says of how many are shown."""
        return self.page.locator("#shown").inner_text()


OpenPage = Callable[..., AbstractContextManager[Opened]]


@pytest.fixture
def open_page(chromium: Browser) -> OpenPage:
    """Open a file in a new, empty profile, if need be with a script that runs before those of the page."""

    @contextmanager
    def opening(path: Path, *, before: str = "", **settings: Any) -> Iterator[Opened]:
        usual: dict[str, Any] = {"viewport": {"width": 1280, "height": 900}}
        context = chromium.new_context(**usual | settings)
        context.add_init_script(before)
        opened = Opened(context.new_page())
        opened.page.on("console", lambda message: opened.complaints.append(message.text))
        opened.page.on("pageerror", lambda error: opened.complaints.append(str(error)))
        opened.page.on("dialog", lambda dialog: opened.complaints.append(dialog.message))
        opened.page.on("request", lambda request: opened.requests.append(request.url))
        opened.page.goto(path.as_uri(), wait_until="load")
        yield opened
        context.close()

    return opening


WriteReport = Callable[..., Path]


@pytest.fixture(scope="module")
def write_report(tmp_path_factory: pytest.TempPathFactory, sample_run: Any) -> WriteReport:
    """Write a report with all its files."""

    def writing(rows: list[ReportRow], *, title: str = "a run", with_files: bool = True) -> Path:
        folder = tmp_path_factory.mktemp("run")
        if with_files:
            sample_run.write_files(rows, folder)
        path = folder / "report.html"
        path.write_text(
            "".join(render(RunSummary.of(rows), title=title, made_at=MADE_AT, version="0.1.0")), encoding="utf-8"
        )
        return path

    return writing
