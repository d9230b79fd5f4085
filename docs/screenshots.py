"""Take the screenshots of a report for the documentation, in the Chromium of this machine.

`python3 noxfile.py -s screenshots` writes them to docs/pictures. The run in them is generated, so they are the same
each time if browser and fonts are.
"""

from __future__ import annotations

import shutil
import sys
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from playwright.sync_api import Page, sync_playwright

from kling_async.runs.report import ReportRow
from kling_async.runs.report.page import render
from kling_async.runs.report.summary import RunSummary

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))  # for sample_run, beside this file

from sample_run import build_matrix, build_run, write_files  # noqa: E402

PICTURES = HERE / "pictures"
MADE_AT = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)


def write_report(rows: list[ReportRow], folder: Path, *, title: str) -> str:
    """Write a report with its files, and return its URL."""
    write_files(rows, folder)
    settings = {"providers": "gptproto, apiinone", "submissions": "at most 2 a second", "money": "at most $80"}
    path = folder / "report.html"
    path.write_text(
        render(RunSummary.of(rows), title=title, settings=settings, made_at=MADE_AT, version="0.1.0"), encoding="utf-8"
    )
    return path.as_uri()


def take(page: Page, name: str, *, at: str | None = None) -> None:
    """Take a screenshot of the page, scrolled to an element if one is given."""
    if at:
        page.locator(at).evaluate("element => element.scrollIntoView()")
    page.wait_for_load_state("networkidle")
    page.wait_for_timeout(500)  # images and first frames that have just scrolled into view
    page.screenshot(path=PICTURES / f"{name}.png")


def main() -> None:
    """Take all screenshots."""
    executable = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if executable is None:
        sys.exit("screenshots: no Chromium found; Debian's package is called chromium")
    PICTURES.mkdir(exist_ok=True)
    matrix = list(
        build_matrix(style=["ink", "oil"], animal=["fox", "otter", "heron"], light=["dawn", "noon", "dusk", "night"])
    )
    with TemporaryDirectory() as folder, sync_playwright() as playwright:
        run = write_report(build_run(500), Path(folder, "run"), title="autumn campaign")
        animals = write_report(matrix, Path(folder, "matrix"), title="animals by light and style")
        browser = playwright.chromium.launch(executable_path=executable)
        for scheme in ("light", "dark"):
            page = browser.new_page(viewport={"width": 1280, "height": 1120}, color_scheme=scheme)
            page.goto(run)
            take(page, f"report-{scheme}")
            take(page, f"jobs-{scheme}", at="#jobs")
            page.goto(animals)
            take(page, f"matrix-{scheme}", at="#jobs")
        browser.close()


if __name__ == "__main__":
    main()
