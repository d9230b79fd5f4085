"""Take the screenshots of a report and of a live page for the documentation, in the Chromium of this machine.

`python3 noxfile.py -s screenshots` writes them to docs/pictures. The run in them is generated, so they are the same
each time if browser and fonts are.
"""

from __future__ import annotations

import json
import shutil
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory

from PIL import Image
from playwright.sync_api import Page, sync_playwright

from kling_async.runs.report import ReportRow
from kling_async.runs.report.page import Live, render
from kling_async.runs.report.rows import STATUSES
from kling_async.runs.report.summary import RunSummary

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))  # for sample_run, beside this file

from sample_run import build_matrix, build_run, cut_run, write_files  # noqa: E402

PICTURES = HERE / "pictures"
MADE_AT = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)
SETTINGS = {"providers": "gptproto, apiinone", "submissions": "at most 2 a second", "money": "at most $80"}
STATUS = {"owner": "process 4711 on studio", "busy": False, "rate": 31, "problem": ""}
"""What the server of the live page says of its run."""


class Handler(SimpleHTTPRequestHandler):
    """Serves a directory, and the events of a live page: one that says that the run goes on, and no end."""

    def do_GET(self) -> None:
        """Answer a request."""
        if not self.path.startswith("/events"):
            super().do_GET()
            return
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        self.wfile.write(f"event: status\ndata: {json.dumps(STATUS)}\n\n".encode())
        self.wfile.flush()
        CLOSING.wait()

    def log_message(self, format: str, *args: object) -> None:
        """Print nothing."""


CLOSING = threading.Event()


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    """Serve a directory on this machine, and give its URL."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(folder))) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        CLOSING.set()
        server.shutdown()


def write_page(rows: list[ReportRow], folder: Path, *, title: str, live: bool = False) -> str:
    """Write a report, or the page of a run that goes on, with its files, and return its URL."""
    write_files(rows, folder)
    summary = RunSummary.of(rows)
    values = {"status": [status.value for status in STATUSES], "provider": summary.providers, "model": summary.models}
    places = {name: {text: place for place, text in enumerate(sorted(some))} for name, some in values.items()}
    path = folder / "report.html"
    pieces = render(
        summary,
        title=title,
        settings=SETTINGS,
        made_at=MADE_AT,
        version="0.1.0",
        live=Live(version=1, places=places) if live else None,
    )
    path.write_text("".join(pieces), encoding="utf-8")
    return path.as_uri()


def take(page: Page, name: str, *, at: str | None = None) -> None:
    """Take a screenshot of the page, scrolled to an element if one is given."""
    if at:
        page.locator(at).evaluate("element => element.scrollIntoView()")
    page.wait_for_load_state("load")
    page.wait_for_timeout(1000)  # images and first frames that have just scrolled into view
    with Image.open(BytesIO(page.screenshot())) as picture:
        picture.convert("RGB").save(PICTURES / f"{name}.webp", quality=82, method=6)


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
        run = write_page(build_run(500), Path(folder, "run"), title="autumn campaign")
        animals = write_page(matrix, Path(folder, "matrix"), title="animals by light and style")
        write_page(cut_run(build_run(240), after=150.0), Path(folder, "live"), title="winter campaign", live=True)
        browser = playwright.chromium.launch(executable_path=executable)
        with serving(Path(folder, "live")) as url:
            for scheme in ("light", "dark"):
                page = browser.new_page(viewport={"width": 1280, "height": 1120}, color_scheme=scheme)
                page.goto(run)
                take(page, f"report-{scheme}")
                take(page, f"jobs-{scheme}", at="#jobs")
                page.goto(animals)
                take(page, f"matrix-{scheme}", at="#jobs")
                page.goto(f"{url}report.html")
                page.locator("#live", has_text="Running").wait_for()
                take(page, f"live-{scheme}")
            browser.close()


if __name__ == "__main__":
    main()
